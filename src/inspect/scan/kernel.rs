//! What the kernel has found already: 1-Wire devices, serial ports, sensors of its own drivers.

use crate::bus::kernel::Files;
use crate::drivers::{DRIVERS, KernelDevice, Recognise, Spec};

/// A device on the 1-Wire bus.
#[derive(Clone)]
pub struct OneWire {
    /// Family code and number, `28-3c01e076877d`.
    pub id: String,
    /// The driver that reads it, if there is one.
    pub spec: Option<&'static Spec>,
}

/// A serial port: of an adapter that is plugged in, or the one on a Raspberry Pi's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialPort {
    /// The node, by the name that never moves where there is one.
    pub port: String,
    /// The node behind that name, which is the name itself for a port that never moves.
    pub node: Option<String>,
}

/// A sensor that the kernel reads.
#[derive(Clone)]
pub struct KernelSensor {
    /// The driver that takes its readings from the kernel.
    pub spec: &'static Spec,
    /// What the kernel shows.
    pub device: KernelDevice,
}

impl std::fmt::Debug for OneWire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.spec.map_or("unknown", |spec| spec.name))
    }
}

impl std::fmt::Debug for KernelSensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.spec.name, self.device)
    }
}

pub(super) fn one_wire(files: &dyn Files) -> Vec<OneWire> {
    let names = files.list("sys/bus/w1/devices").unwrap_or_default();
    let device = |id: String| {
        let (family, number) = id.split_once('-')?;
        let is_id = family.len() == 2 && number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let reads = |spec: &&Spec| matches!(spec.recognise, Recognise::OneWire(families) if families.contains(&family));
        let spec = DRIVERS.iter().copied().find(reads);
        is_id.then_some(OneWire { id, spec })
    };
    names.into_iter().filter_map(device).collect()
}

/// Names that do not change when another device is plugged in come first; only without any, those that may.
pub(super) fn serial(files: &dyn Files) -> Vec<SerialPort> {
    let dir = "dev/serial/by-id";
    let node = |name: &str| Some(format!("/dev/{}", files.link(&format!("{dir}/{name}"))?.rsplit('/').next()?));
    let by_id = files.list(dir).unwrap_or_default();
    let lasting = by_id.iter().map(|name| SerialPort { port: format!("/{dir}/{name}"), node: node(name) });
    let mut ports: Vec<_> = lasting.collect();
    ports.extend(header(files));
    let is_usb = |name: &String| ["ttyUSB", "ttyACM"].iter().any(|prefix| numbered(name, prefix));
    let others = files.list("dev").unwrap_or_default().into_iter().filter(is_usb).map(|name| format!("/dev/{name}"));
    for port in others {
        if !ports.iter().any(|known| known.node.as_ref() == Some(&port)) {
            ports.push(SerialPort { port, node: None });
        }
    }
    ports
}

/// The port on a Raspberry Pi's header: by the name that its own system gives it, else the port that Debian's kernel has
/// there when Bluetooth does not have it.
fn header(files: &dyn Files) -> Option<SerialPort> {
    let port = |name: &str, node: &str| SerialPort { port: format!("/dev/{name}"), node: Some(format!("/dev/{node}")) };
    if let Some(target) = files.link("dev/serial0") {
        return Some(port("serial0", target.rsplit('/').next()?));
    }
    let is_pi = files.read("proc/device-tree/model").is_ok_and(|model| model.starts_with("Raspberry Pi"));
    let is_there = files.list("dev").unwrap_or_default().iter().any(|name| name == "ttyAMA0");
    (is_pi && is_there).then(|| port("ttyAMA0", "ttyAMA0"))
}

fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u16>().is_ok())
}

pub(super) fn sensors(files: &dyn Files) -> Vec<KernelSensor> {
    let of = |spec: &'static Spec| match spec.recognise {
        Recognise::Kernel(found) => found(files),
        _ => Vec::new(),
    };
    let all = DRIVERS.iter().flat_map(|spec| of(spec).into_iter().map(|device| KernelSensor { spec, device }));
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn devices_of_the_wire_and_their_drivers() {
        let tree = Tree::default()
            .with("sys/bus/w1/devices/28-3c01e076877d/w1_slave", "")
            .with("sys/bus/w1/devices/10-000801b5a7a6/w1_slave", "")
            .with("sys/bus/w1/devices/w1_bus_master1/uevent", "");
        let found: Vec<_> = one_wire(&tree).iter().map(|device| format!("{device:?}")).collect();
        assert_eq!(found, ["10-000801b5a7a6 unknown", "28-3c01e076877d ds18b20"]);
    }

    #[test]
    fn a_port_is_called_by_the_name_that_lasts() {
        let tree = Tree::default()
            .with_link("dev/serial/by-id/usb-FTDI_X-if00", "../../ttyUSB1")
            .with("dev/ttyUSB1", "")
            .with("dev/ttyACM0", "")
            .with("dev/ttyS0", "");
        let port = |port: &str, node: Option<&str>| SerialPort { port: port.into(), node: node.map(str::to_owned) };
        let expected = [port("/dev/serial/by-id/usb-FTDI_X-if00", Some("/dev/ttyUSB1")), port("/dev/ttyACM0", None)];
        assert_eq!(serial(&tree), expected);
        assert_eq!(serial(&Tree::default()), []);
    }

    #[test]
    fn the_port_on_the_header_of_a_raspberry_pi_has_a_name_of_its_own() {
        let named = |tree: Tree| serial(&tree).into_iter().map(|it| (it.port, it.node.unwrap())).collect::<Vec<_>>();
        let told = |port: &str, node: &str| vec![(port.to_owned(), node.to_owned())];
        let own = Tree::default().with_link("dev/serial0", "ttyS0").with("dev/ttyAMA0", "");
        assert_eq!(named(own), told("/dev/serial0", "/dev/ttyS0"));
        let debian = |model| Tree::default().with("proc/device-tree/model", model).with("dev/ttyAMA0", "");
        assert_eq!(named(debian("Raspberry Pi 3 Model B\0")), told("/dev/ttyAMA0", "/dev/ttyAMA0"));
        assert_eq!(named(debian("Some other board")), []);
    }

    #[test]
    fn sensors_of_the_kernel_know_their_hardware_and_their_twins() {
        let mut tree = Tree::default().with("sys/class/thermal/thermal_zone0/type", "cpu-thermal");
        tree = tree.with("sys/class/thermal/thermal_zone0/temp", "1");
        for (number, hardware) in [(0, "1-0048"), (1, "1-0049")] {
            let dir = format!("sys/class/hwmon/hwmon{number}");
            tree = tree.with(&format!("{dir}/name"), "lm75").with(&format!("{dir}/temp1_input"), "1");
            tree = tree.with_link(&format!("{dir}/device"), &format!("../../{hardware}"));
        }
        let found = sensors(&tree);
        let shown: Vec<_> = found.iter().map(|sensor| (sensor.spec.name, &*sensor.device.name)).collect();
        assert_eq!(shown, [("hwmon", "lm75"), ("hwmon", "lm75"), ("thermal", "cpu-thermal")]);
        assert_eq!(found[1].device.hardware.as_deref(), Some("1-0049"));
        assert!(found[0].device.has_twins && !found[2].device.has_twins);
        assert_eq!(found[0].device.channels, ["temp1"]);
    }
}
