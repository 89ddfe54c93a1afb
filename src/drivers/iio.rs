//! Sensors that a kernel driver reads through the Industrial I/O subsystem.
//!
//! `in_..._input` is the finished value; otherwise the value is `(raw + offset) * scale`, with offset and
//! scale of the channel or of all channels of its type. Units after the kernel's
//! `Documentation/ABI/testing/sysfs-bus-iio`: millidegrees, millivolts, milliamperes, milliwatts,
//! milli-percent, kilopascals, lux, percent.

use super::kernel_input::{Channel, Class, Quantity, configure, found};
use super::{Kind, Recognise, Simulate, Spec};
use crate::bus::kernel::Files;

pub(super) static SPEC: Spec = Spec {
    name: "iio",
    summary: "Whatever the kernel's Industrial I/O offers: temperature, humidity, pressure, voltage, light, gas, motion",
    measures: &[],
    kind: Kind::Polled,
    options: &[
        ("name", "\"\"", "the device, as in /sys/bus/iio/devices/*/name; without it everything is read"),
        (
            "device",
            "\"\"",
            "the hardware, when several devices have that name: for example \"1-0076\" (I2C bus and address)",
        ),
        (
            "channels",
            "[]",
            "which, by channel or label: [\"temp\", \"voltage0\"], or with names for the measures: { soil = \"voltage0\" }",
        ),
    ],
    example: "name = \"bme280\"\nchannels = [\"temp\", \"humidityrelative\", \"pressure\"]",
    configure: |fields| configure(&CLASS, fields),
    simulate: Simulate::Kernel,
    recognise: Recognise::Kernel(|files| found(&CLASS, files)),
    captures: &[],
};

static CLASS: Class = Class {
    family: "iio",
    dir: "sys/bus/iio/devices",
    prefix: "iio:device",
    name_file: "name",
    hardware: parent,
    channels,
    quantity,
    simulated_file: |id| format!("in_{id}_input"),
};

/// The device above: the directory is a link to `.../i2c-1/1-0076/iio:device0`.
fn parent(files: &dyn Files, dir: &str) -> Option<String> {
    Some(files.link(dir)?.rsplit('/').nth(1)?.to_owned())
}

/// The kernel's word, ours, unit, factor, decimals, and what is usual.
type Row = (&'static str, &'static str, &'static str, f64, u8, (f64, f64));

const QUANTITIES: [Row; 26] = [
    ("temp", "temperature", "°C", 1e-3, 3, (15.0, 25.0)),
    ("humidityrelative", "humidity", "%", 1e-3, 3, (40.0, 60.0)),
    ("pressure", "pressure", "hPa", 10.0, 3, (990.0, 1020.0)),
    ("voltage", "voltage", "V", 1e-3, 6, (1.0, 3.0)),
    ("altvoltage", "altvoltage", "V", 1e-3, 6, (1.0, 3.0)),
    ("current", "current", "A", 1e-3, 6, (0.1, 0.5)),
    ("power", "power", "W", 1e-3, 6, (1.0, 5.0)),
    ("energy", "energy", "J", 1.0, 3, (0.0, 1000.0)),
    ("resistance", "resistance", "Ω", 1.0, 3, (100.0, 200.0)),
    ("capacitance", "capacitance", "nF", 1.0, 3, (1.0, 10.0)),
    ("illuminance", "illuminance", "lx", 1.0, 3, (10.0, 1000.0)),
    ("concentration", "concentration", "%", 1.0, 6, (0.0, 1.0)),
    ("massconcentration", "massconcentration", "µg/m³", 1.0, 3, (1.0, 20.0)),
    ("distance", "distance", "m", 1.0, 4, (1.0, 5.0)),
    ("accel", "accel", "m/s²", 1.0, 6, (-10.0, 10.0)),
    ("gravity", "gravity", "m/s²", 1.0, 6, (-10.0, 10.0)),
    ("anglvel", "anglvel", "rad/s", 1.0, 6, (-1.0, 1.0)),
    ("magn", "magn", "G", 1.0, 6, (-1.0, 1.0)),
    ("angl", "angl", "rad", 1.0, 6, (0.0, 6.0)),
    ("incli", "incli", "°", 1.0, 3, (-90.0, 90.0)),
    ("rot", "rot", "°", 1.0, 3, (0.0, 360.0)),
    ("velocity", "velocity", "m/s", 1.0, 3, (0.0, 10.0)),
    ("electricalconductivity", "electricalconductivity", "S/m", 1.0, 6, (0.0, 1.0)),
    ("colortemp", "colortemp", "K", 1.0, 0, (2000.0, 6000.0)),
    ("positionrelative", "positionrelative", "%", 1e-3, 3, (0.0, 100.0)),
    ("phase", "phase", "rad", 1.0, 6, (0.0, 6.0)),
];

/// The type at the head of a channel's id: `voltage` of `voltage0-voltage1`, `temp` of `temp_ambient`.
fn kind(id: &str) -> &str {
    &id[..id.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(id.len())]
}

/// What a channel such as `voltage0` measures; a type that is not in the table has no unit.
fn quantity(id: &str) -> Option<Quantity> {
    let kind = kind(id);
    let plain =
        !kind.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    if !plain {
        return None;
    }
    let unknown = (kind, kind, "", 1.0, 6, (0.0, 100.0));
    let &(_, word, unit, factor, decimals, usual) = QUANTITIES.iter().find(|row| row.0 == kind).unwrap_or(&unknown);
    Some(Quantity { word: format!("{word}{}", &id[kind.len()..]), unit, factor, decimals, usual })
}

/// Every `in_ID_input`, and `in_ID_raw` of channels that have only that. Peaks and troughs are no channels.
fn channels(dir: &str, names: &[String]) -> Vec<Channel> {
    let has = |name: &str| names.iter().any(|other| other == name);
    let path = |name: String| has(&name).then(|| format!("{dir}/{name}"));
    let channel = |name: &String| {
        let (id, ending) = name.strip_prefix("in_")?.rsplit_once('_')?;
        let raw = ending == "raw" && !has(&format!("in_{id}_input"));
        if (ending != "input" && !raw) || id.ends_with("_peak") || id.ends_with("_trough") {
            return None;
        }
        let part = |part: &str| if raw { shared(id, part, &path) } else { None };
        Some(Channel {
            id: id.to_owned(),
            quantity: quantity(id)?,
            file: format!("{dir}/{name}"),
            offset: part("offset"),
            scale: part("scale"),
            label: path(format!("in_{id}_label")),
            broken: None,
        })
    };
    names.iter().filter_map(channel).collect()
}

/// The channel's own offset or scale, or the one it shares with the others of its type.
fn shared(id: &str, part: &str, path: &dyn Fn(String) -> Option<String>) -> Option<String> {
    let without_numbers: String = id.chars().filter(|c| !c.is_ascii_digit()).collect();
    [id, without_numbers.as_str(), kind(id)].iter().find_map(|owner| path(format!("in_{owner}_{part}")))
}

#[cfg(test)]
mod tests {
    use super::super::kernel_input::Wanted;
    use super::super::kernel_input::testing::{check, readings};
    use super::CLASS;
    use crate::bus::kernel::Tree;
    use crate::model::Fault;

    const BME: &str = "sys/bus/iio/devices/iio:device0";
    const ADC: &str = "sys/bus/iio/devices/iio:device1";

    /// A BME280 (finished values) and an ADS1115 (raw, with scales), as their kernel drivers show them.
    fn devices() -> Tree {
        Tree::default()
            .with(&format!("{BME}/name"), "bme280\n")
            .with(&format!("{BME}/in_temp_input"), "21450\n")
            .with(&format!("{BME}/in_humidityrelative_input"), "45123\n")
            .with(&format!("{BME}/in_humidityrelative_raw"), "25000")
            .with(&format!("{BME}/in_pressure_input"), "101.325000000\n")
            .with(&format!("{BME}/in_temp_oversampling_ratio"), "2")
            .with_link(BME, "../../../devices/platform/soc/fe804000.i2c/i2c-1/1-0076/iio:device0")
            .with(&format!("{ADC}/name"), "ads1115")
            .with(&format!("{ADC}/in_voltage0_raw"), "26400")
            .with(&format!("{ADC}/in_voltage0_scale"), "0.125000000")
            .with(&format!("{ADC}/in_voltage0-voltage1_raw"), "-32768")
            .with(&format!("{ADC}/in_voltage-voltage_scale"), "0.187500000")
            .with("sys/bus/iio/devices/trigger0/name", "sysfstrig1")
    }

    fn wanted(name: &str) -> Wanted {
        Wanted { name: Some(name.into()), ..Wanted::default() }
    }

    #[test]
    fn finished_values_are_taken_as_they_are() {
        check(
            &CLASS,
            &wanted("bme280"),
            &devices(),
            &[("humidity", 45.123, "%"), ("pressure", 1013.25, "hPa"), ("temperature", 21.45, "°C")],
        );
    }

    #[test]
    fn raw_values_are_scaled() {
        check(&CLASS, &wanted("ads1115"), &devices(), &[("voltage0-voltage1", -6.144, "V"), ("voltage0", 3.3, "V")]);
    }

    #[test]
    fn offset_comes_before_scale_and_both_may_be_shared() {
        let dir = "sys/bus/iio/devices/iio:device2";
        let tree = Tree::default()
            .with(&format!("{dir}/name"), "mpu6050")
            .with(&format!("{dir}/in_temp_raw"), "-2864")
            .with(&format!("{dir}/in_temp_offset"), "12420")
            .with(&format!("{dir}/in_temp_scale"), "2.941176")
            .with(&format!("{dir}/in_accel_z_raw"), "16384")
            .with(&format!("{dir}/in_accel_scale"), "0.000598")
            .with(&format!("{dir}/in_accel_z_peak_raw"), "1");
        check(&CLASS, &wanted("mpu6050"), &tree, &[("accel_z", 9.797632, "m/s²"), ("temperature", 28.105877856, "°C")]);
    }

    #[test]
    fn channels_are_picked_and_named() {
        let text = "name = \"ads1115\"\nchannels = { soil = \"voltage0\" }";
        let picked = super::super::kernel_input::testing::wanted(text);
        check(&CLASS, &picked, &devices(), &[("soil", 3.3, "V")]);
        let missing = super::super::kernel_input::testing::wanted("name = \"bme280\"\nchannels = [\"temp\", \"lux\"]");
        let fault = readings(&CLASS, &missing, &devices()).unwrap_err();
        let text = "bme280 has no channel lux; it has: humidityrelative, pressure, temp";
        assert_eq!(fault, Fault::NotPresent(text.into()));
    }

    #[test]
    fn twins_are_told_by_the_device_above() {
        let other = "sys/bus/iio/devices/iio:device7";
        let tree = devices()
            .with(&format!("{other}/name"), "bme280")
            .with(&format!("{other}/in_temp_input"), "-40000")
            .with_link(other, "../../../devices/platform/soc/fe804000.i2c/i2c-1/1-0077/iio:device7");
        let on = Wanted { device: Some("1-0077".into()), ..wanted("bme280") };
        check(&CLASS, &on, &tree, &[("temperature", -40.0, "°C")]);
        assert_eq!(readings(&CLASS, &wanted("bme280"), &tree).unwrap_err().word(), "bad_data");
    }

    #[test]
    fn a_sensor_that_does_not_answer_is_a_fault() {
        let dir = "sys/bus/iio/devices/iio:device3";
        for (given, word) in [(Fault::Timeout, "timeout"), (Fault::Bus("EIO".into()), "bus")] {
            let tree = Tree::default()
                .with(&format!("{dir}/name"), "dht11@0")
                .with_live(&format!("{dir}/in_temp_input"), move || Err(given.clone()));
            assert_eq!(readings(&CLASS, &wanted("dht11@0"), &tree).unwrap_err().word(), word);
        }
    }
}
