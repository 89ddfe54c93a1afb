//! What a machine offers, by what its kernel shows. Nothing is opened and nothing is sent to a bus.

use std::path::Path;

/// What was found; everything sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// The host's name, if it has one.
    pub(super) name: Option<String>,
    /// I2C buses, such as `i2c-1`.
    pub(super) i2c: Vec<String>,
    /// Thermometers on the 1-Wire bus, such as `28-3c01e076877d`.
    pub(super) w1: Vec<String>,
    /// Names of hardware monitoring chips.
    pub(super) hwmon: Vec<String>,
    /// Names of Industrial I/O devices.
    pub(super) iio: Vec<String>,
    /// Types of thermal zones.
    pub(super) thermal: Vec<String>,
    /// Serial ports with something plugged in.
    pub(super) serial: Vec<String>,
    /// Whether there are GPIO lines.
    pub(super) gpio: bool,
}

/// Looks below `root`, which is `/` but in tests.
pub(super) fn look(root: &Path) -> Machine {
    let entries = |dir: &str, fits: &dyn Fn(&str) -> bool| list(&root.join(dir), fits);
    let names = |dir: &str, prefix: &str, file: &str| {
        let devices = entries(dir, &|name| name.starts_with(prefix));
        let mut names: Vec<_> = devices.iter().filter_map(|d| read(&root.join(dir).join(d).join(file))).collect();
        names.sort();
        names.dedup();
        names
    };
    Machine {
        name: read(&root.join("proc/sys/kernel/hostname")),
        i2c: entries("dev", &|name| numbered(name, "i2c-")),
        w1: entries("sys/bus/w1/devices", &thermometer),
        hwmon: names("sys/class/hwmon", "hwmon", "name"),
        iio: names("sys/bus/iio/devices", "iio:device", "name"),
        thermal: names("sys/class/thermal", "thermal_zone", "type"),
        serial: serial(root),
        gpio: !entries("dev", &|name| numbered(name, "gpiochip")).is_empty(),
    }
}

/// Names that do not change when another device is plugged in come first; only without any, those that may.
fn serial(root: &Path) -> Vec<String> {
    let by_id = list(&root.join("dev/serial/by-id"), &|_| true);
    if !by_id.is_empty() {
        return by_id.iter().map(|name| format!("/dev/serial/by-id/{name}")).collect();
    }
    let usb = list(&root.join("dev"), &|name| numbered(name, "ttyUSB") || numbered(name, "ttyACM"));
    usb.iter().map(|name| format!("/dev/{name}")).collect()
}

fn list(dir: &Path, fits: &dyn Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| fits(name));
    names.sort();
    names
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u16>().is_ok())
}

/// Family codes that the driver `ds18b20` reads.
fn thermometer(id: &str) -> bool {
    ["28-", "22-", "3b-", "42-"].iter().any(|family| id.starts_with(family))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine with one of everything.
    pub(in crate::cli::init) fn full() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/kernel/hostname", "shed\n"),
            ("dev/i2c-1", ""),
            ("dev/i2c-20", ""),
            ("dev/i2c-x", ""),
            ("dev/gpiochip0", ""),
            ("dev/ttyUSB0", ""),
            ("dev/ttyS0", ""),
            ("sys/bus/w1/devices/28-3c01e076877d/w1_slave", ""),
            ("sys/bus/w1/devices/w1_bus_master1/uevent", ""),
            ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("sys/class/hwmon/hwmon1/name", "nvme\n"),
            ("sys/class/hwmon/hwmon2/name", "nvme\n"),
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/cooling_device0/type", "fan\n"),
            ("sys/bus/iio/devices/iio:device0/name", "bme280\n"),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        look(dir.path())
    }

    #[test]
    fn what_the_kernel_shows_is_found() {
        let expected = Machine {
            name: Some("shed".into()),
            i2c: vec!["i2c-1".into(), "i2c-20".into()],
            w1: vec!["28-3c01e076877d".into()],
            hwmon: vec!["cpu_thermal".into(), "nvme".into()],
            iio: vec!["bme280".into()],
            thermal: vec!["cpu-thermal".into()],
            serial: vec!["/dev/ttyUSB0".into()],
            gpio: true,
        };
        assert_eq!(full(), expected);
        assert_eq!(look(Path::new("/nowhere")), Machine::default());
    }

    #[test]
    fn lasting_names_of_serial_ports_win() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("dev/serial/by-id")).unwrap();
        std::fs::write(dir.path().join("dev/serial/by-id/usb-FTDI_X-if00"), "").unwrap();
        std::fs::write(dir.path().join("dev/ttyUSB0"), "").unwrap();
        assert_eq!(look(dir.path()).serial, ["/dev/serial/by-id/usb-FTDI_X-if00"]);
    }
}
