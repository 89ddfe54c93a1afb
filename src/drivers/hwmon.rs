//! Hardware monitoring chips that a kernel driver reads: CPU and board temperatures, fans, supplies.
//!
//! Units after the kernel's `Documentation/hwmon/sysfs-interface.rst`: millidegrees, millivolts,
//! milliamperes, microwatts, microjoules, milli-percent, revolutions per minute, hertz.

use super::kernel_input::{Channel, Class, Quantity, configure, found};
use super::{Kind, Recognise, Simulate, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "hwmon",
    summary: "Whatever the kernel's hardware monitoring offers: temperatures, voltages, currents, power, humidity, fans",
    measures: &[],
    kind: Kind::Polled,
    options: &[
        ("name", "\"\"", "the chip, as in /sys/class/hwmon/*/name; without it everything is read"),
        (
            "device",
            "\"\"",
            "the hardware, when several chips have that name: for example \"1-0044\" (I2C bus and address)",
        ),
        (
            "channels",
            "[]",
            "which, by channel or label: [\"temp1\", \"Package id 0\"], or with names for the measures: { cpu = \"temp1\" }",
        ),
    ],
    example: "name = \"cpu_thermal\"\nchannels = [\"temp1\"]",
    configure: |fields| configure(&CLASS, fields),
    simulate: Simulate::Kernel,
    recognise: Recognise::Kernel(|files| found(&CLASS, files)),
    captures: &[],
};

static CLASS: Class = Class {
    family: "hwmon",
    dir: "sys/class/hwmon",
    prefix: "hwmon",
    name_file: "name",
    hardware: |files, dir| Some(files.link(&format!("{dir}/device"))?.rsplit('/').next()?.to_owned()),
    channels,
    quantity,
    simulated_file: |id| format!("{id}_input"),
};

/// The kernel's word, ours, unit, factor, decimals, and what is usual.
type Row = (&'static str, &'static str, &'static str, f64, u8, (f64, f64));

const QUANTITIES: [Row; 8] = [
    ("temp", "temperature", "°C", 1e-3, 3, (35.0, 65.0)),
    ("in", "voltage", "V", 1e-3, 3, (4.9, 5.1)),
    ("curr", "current", "A", 1e-3, 3, (0.2, 1.0)),
    ("power", "power", "W", 1e-6, 6, (1.0, 5.0)),
    ("energy", "energy", "J", 1e-6, 6, (0.0, 1000.0)),
    ("humidity", "humidity", "%", 1e-3, 3, (30.0, 60.0)),
    ("fan", "fan", "rpm", 1.0, 0, (800.0, 2000.0)),
    ("freq", "frequency", "Hz", 1.0, 0, (1e8, 1e9)),
];

/// What a channel such as `temp1` measures. The number 1 is left out of the measure's name;
/// voltages, which count from 0, keep it.
fn quantity(id: &str) -> Option<Quantity> {
    let number = id.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let kind = &id[..id.len() - number.len()];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let &(_, word, unit, factor, decimals, usual) = QUANTITIES.iter().find(|row| row.0 == kind)?;
    let number = if number == "1" && kind != "in" { "" } else { number };
    Some(Quantity { word: format!("{word}{number}"), unit, factor, decimals, usual })
}

/// Every `KINDn_input`, and `powerN_average` of chips that give only that.
fn channels(dir: &str, names: &[String]) -> Vec<Channel> {
    let has = |name: &String| names.contains(name);
    let path = |name: String| has(&name).then(|| format!("{dir}/{name}"));
    let channel = |name: &String| {
        let (id, kind) = name.rsplit_once('_')?;
        if kind != "input" && (kind != "average" || !id.starts_with("power") || has(&format!("{id}_input"))) {
            return None;
        }
        Some(Channel {
            id: id.to_owned(),
            quantity: quantity(id)?,
            file: format!("{dir}/{name}"),
            offset: None,
            scale: None,
            label: path(format!("{id}_label")),
            broken: path(format!("{id}_fault")),
        })
    };
    names.iter().filter_map(channel).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kernel_input::Wanted;
    use super::super::kernel_input::testing::{check, readings};
    use super::CLASS;
    use crate::bus::kernel::Tree;
    use crate::model::Fault;

    /// A Raspberry Pi with an SHT3x and an NVMe disk, as its kernel shows them.
    fn pi() -> Tree {
        Tree::default()
            .with("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
            .with("sys/class/hwmon/hwmon0/temp1_input", "48312\n")
            .with("sys/class/hwmon/hwmon1/name", "rpi_volt")
            .with("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0")
            .with("sys/class/hwmon/hwmon2/name", "sht3x")
            .with("sys/class/hwmon/hwmon2/temp1_input", "-39995")
            .with("sys/class/hwmon/hwmon2/humidity1_input", "100000")
            .with_link("sys/class/hwmon/hwmon2/device", "../../../1-0044")
            .with("sys/class/hwmon/hwmon10/name", "nvme")
            .with("sys/class/hwmon/hwmon10/temp1_input", "36850")
            .with("sys/class/hwmon/hwmon10/temp1_label", "Composite")
            .with("sys/class/hwmon/hwmon10/temp2_input", "36850")
            .with("sys/class/hwmon/hwmon10/temp2_label", "Sensor 1")
            .with_link("sys/class/hwmon/hwmon10/device", "../../nvme0")
    }

    fn wanted(name: &str) -> Wanted {
        Wanted { name: Some(name.into()), ..Wanted::default() }
    }

    #[test]
    fn a_chip_is_found_by_its_name() {
        check(&CLASS, &wanted("cpu_thermal"), &pi(), &[("temperature", 48.312, "°C")]);
        check(&CLASS, &wanted("sht3x"), &pi(), &[("humidity", 100.0, "%"), ("temperature", -39.995, "°C")]);
        check(&CLASS, &wanted("nvme"), &pi(), &[("composite", 36.85, "°C"), ("sensor_1", 36.85, "°C")]);
    }

    #[test]
    fn every_unit_of_the_kernel_becomes_ours() {
        let tree = Tree::default()
            .with("sys/class/hwmon/hwmon3/name", "ina226")
            .with("sys/class/hwmon/hwmon3/in0_input", "0")
            .with("sys/class/hwmon/hwmon3/in1_input", "12048")
            .with("sys/class/hwmon/hwmon3/curr1_input", "-1250")
            .with("sys/class/hwmon/hwmon3/power1_input", "15060000")
            .with("sys/class/hwmon/hwmon3/power1_average", "1")
            .with("sys/class/hwmon/hwmon3/power2_average", "2500000")
            .with("sys/class/hwmon/hwmon3/energy1_input", "3600000000")
            .with("sys/class/hwmon/hwmon3/fan2_input", "1180")
            .with("sys/class/hwmon/hwmon3/freq1_input", "600000000")
            .with("sys/class/hwmon/hwmon3/temp_input", "1")
            .with("sys/class/hwmon/hwmon3/update_interval", "1");
        check(
            &CLASS,
            &wanted("ina226"),
            &tree,
            &[
                ("current", -1.25, "A"),
                ("energy", 3600.0, "J"),
                ("fan2", 1180.0, "rpm"),
                ("frequency", 6e8, "Hz"),
                ("voltage0", 0.0, "V"),
                ("voltage1", 12.048, "V"),
                ("power", 15.06, "W"),
                ("power2", 2.5, "W"),
            ],
        );
    }

    #[test]
    fn without_a_name_everything_is_read_and_nothing_is_no_fault() {
        check(
            &CLASS,
            &Wanted::default(),
            &pi(),
            &[
                ("cpu_thermal_temperature", 48.312, "°C"),
                ("sht3x_humidity", 100.0, "%"),
                ("sht3x_temperature", -39.995, "°C"),
                ("nvme_composite", 36.85, "°C"),
                ("nvme_sensor_1", 36.85, "°C"),
            ],
        );
        check(&CLASS, &Wanted::default(), &Tree::default(), &[]);
    }

    #[test]
    fn twins_need_their_hardware() {
        let twin = |tree: Tree, dir: &str, device: &str, value: &str| {
            let dir = format!("sys/class/hwmon/{dir}");
            tree.with(&format!("{dir}/name"), "lm75")
                .with(&format!("{dir}/temp1_input"), value)
                .with_link(&format!("{dir}/device"), &format!("../{device}"))
        };
        let tree = twin(Tree::default(), "hwmon0", "1-0048", "48000");
        let tree = twin(tree, "hwmon1", "1-0049", "49000");
        let fault = readings(&CLASS, &wanted("lm75"), &tree).unwrap_err();
        assert!(fault.to_string().ends_with("add `device`, one of 1-0048, 1-0049"), "{fault}");
        let on = |device: &str| Wanted { device: Some(device.into()), ..wanted("lm75") };
        check(&CLASS, &on("1-0049"), &tree, &[("temperature", 49.0, "°C")]);
        assert!(matches!(readings(&CLASS, &on("1-004a"), &tree), Err(Fault::NotPresent(_))));
        let all = [("lm75_1_0048_temperature", 48.0, "°C"), ("lm75_1_0049_temperature", 49.0, "°C")];
        check(&CLASS, &Wanted::default(), &tree, &all);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let fault = readings(&CLASS, &wanted("coretemp"), &pi()).unwrap_err();
        let text = "no hwmon device is called coretemp; there are: cpu_thermal, rpi_volt, sht3x, nvme";
        assert_eq!(fault, Fault::NotPresent(text.into()));
    }

    #[test]
    fn a_broken_sensor_an_error_and_junk_are_faults() {
        let chip = |tree: Tree| tree.with("sys/class/hwmon/hwmon0/name", "chip");
        let file = "sys/class/hwmon/hwmon0/temp1_input";
        let fault = |tree| readings(&CLASS, &wanted("chip"), &tree).unwrap_err().word();
        let broken = chip(Tree::default()).with(file, "1000").with("sys/class/hwmon/hwmon0/temp1_fault", "1");
        assert_eq!(fault(broken), "not_ready");
        assert_eq!(fault(chip(Tree::default()).with_live(file, || Err(Fault::Bus("EIO".into())))), "bus");
        assert_eq!(fault(chip(Tree::default()).with(file, "")), "bad_data");
        assert_eq!(fault(chip(Tree::default()).with(file, "nan")), "bad_data");
    }
}
