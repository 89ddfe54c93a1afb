//! The interfaces of a Raspberry Pi's header: on or off, and how to switch them on.
//!
//! Names and lines are those of the firmware's documentation of `config.txt` and its overlays.

use super::uses::Uses;
use super::{Finding, Machine};
use crate::bus::i2c::adapters;
use crate::bus::kernel::Files;

/// What was found of one interface.
struct Interface {
    subject: &'static str,
    /// Whether it is on.
    on: bool,
    /// Whether the configuration needs it.
    used: bool,
    /// What switches it on in `config.txt`; the first is the usual line.
    lines: &'static [&'static str],
}

pub(super) fn findings(machine: &Machine, uses: &Uses) -> Vec<Finding> {
    let files = machine.files();
    let mut findings = i2c_buses(&files, uses);
    if !machine.is_raspberry_pi() {
        return findings;
    }
    let new = "boot/firmware/config.txt";
    let path =
        if machine.read(new).is_none() && machine.read("boot/config.txt").is_some() { "boot/config.txt" } else { new };
    let config = machine.read(path).unwrap_or_default();
    let found = interfaces(&files, uses);
    findings.extend(found.iter().map(|interface| judge(interface, path, &config)));
    findings.extend(console(uses, machine.read("proc/cmdline").as_deref().unwrap_or_default(), &files));
    findings
}

fn interfaces(files: &dyn Files, uses: &Uses) -> [Interface; 4] {
    let nodes = files.list("dev").unwrap_or_default();
    let has = |prefix: &str| nodes.iter().any(|node| node.starts_with(prefix));
    let masters = files.list("sys/bus/w1/devices").unwrap_or_default();
    let header = adapters::list(files).iter().any(|bus| bus.bus == "i2c-1");
    let uart = ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"];
    let ports: Vec<_> = uses.serial().filter(|port| uart.contains(port)).collect();
    // Debian's own kernel gives the port no second name.
    let is_there = |port: &&str| nodes.iter().any(|node| port.strip_prefix("/dev/") == Some(node));
    [
        Interface {
            subject: "i2c",
            on: header,
            used: uses.i2c().contains(&"i2c-1"),
            lines: &["dtparam=i2c_arm=on", "dtparam=i2c1=on", "dtparam=i2c=on"],
        },
        Interface { subject: "spi", on: has("spidev0"), used: false, lines: &["dtparam=spi=on"] },
        Interface {
            subject: "1-wire",
            on: masters.iter().any(|name| name.starts_with("w1_bus_master")),
            used: uses.one_wire().next().is_some(),
            lines: &["dtoverlay=w1-gpio", "dtoverlay=w1-gpio-pi5", "dtoverlay=w1-gpio-pullup"],
        },
        Interface {
            subject: "serial",
            on: has("serial0") || (!ports.is_empty() && ports.iter().all(is_there)),
            used: !ports.is_empty(),
            lines: &["enable_uart=1", "dtparam=uart0=on"],
        },
    ]
}

fn judge(interface: &Interface, path: &str, config: &str) -> Finding {
    let Interface { subject, on, used, lines } = interface;
    let is_there = |wanted: &&&str| {
        config.lines().any(|line| {
            let line = line.split('#').next().unwrap_or_default().trim();
            line == **wanted || line.strip_prefix(**wanted).is_some_and(|rest| rest.starts_with(','))
        })
    };
    if *on {
        return Finding::ok(subject, "on");
    }
    let advice = match lines.iter().find(is_there) {
        Some(line) => format!("`{line}` stands in /{path} already: reboot"),
        None => format!("add the line `{}` to /{path} and reboot", lines[0]),
    };
    match used {
        true => Finding::problem(subject, "off, and the configuration uses it").advise(advice),
        false => Finding::ok(subject, format!("off; to switch it on, {advice}")),
    }
}

/// Buses that the configuration names and that have no device node, on any board.
fn i2c_buses(files: &dyn Files, uses: &Uses) -> Vec<Finding> {
    let known = adapters::list(files);
    let judge = |bus: &&str| {
        let node = format!("dev/{bus}");
        let has_node = files.rights(&node).is_ok();
        let is_known = known.iter().any(|adapter| adapter.bus == *bus);
        match (has_node, is_known) {
            (true, _) => None,
            (false, true) => {
                Some(Finding::problem("i2c", format!("the kernel has {bus}, but there is no /{node}")).advise(
                    "load i2c-dev: `sudo modprobe i2c-dev`, and write i2c-dev into /etc/modules-load.d/i2c.conf",
                ))
            }
            (false, false) => Some(
                Finding::problem("i2c", format!("there is no {bus}"))
                    .advise(format!("the machine has: {}", there(&known))),
            ),
        }
    };
    uses.i2c().iter().filter_map(judge).collect()
}

fn there(known: &[adapters::Bus]) -> String {
    let names: Vec<_> = known.iter().map(|bus| bus.bus.as_str()).collect();
    if names.is_empty() { "no I2C bus".into() } else { names.join(", ") }
}

/// The kernel's console on a port that the configuration reads.
fn console(uses: &Uses, cmdline: &str, files: &dyn Files) -> Vec<Finding> {
    let consoles = cmdline.split_whitespace().filter_map(|word| word.strip_prefix("console="));
    let consoles: Vec<_> = consoles.map(|port| port.split(',').next().unwrap_or_default().to_owned()).collect();
    let own = |port: &str| {
        let name = port.strip_prefix("/dev/")?;
        let target = files.link(&format!("dev/{name}")).and_then(|link| Some(link.rsplit('/').next()?.to_owned()));
        // The firmware writes the port's own name for serial0.
        let names = [Some(name.to_owned()), target];
        names.into_iter().flatten().any(|name| consoles.contains(&name)).then(|| {
            Finding::problem("serial", format!("the kernel's console is on {port}, which the configuration reads"))
                .advise("take `console=...` for this port out of cmdline.txt, or `sudo raspi-config nonint do_serial_cons 1`, and reboot")
        })
    };
    uses.serial().filter_map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Tree;
    use crate::drivers::Claim;
    use crate::model::Name;

    fn uses(claims: Vec<Claim>) -> Uses {
        Uses(claims.into_iter().map(|claim| (Name::new("x").unwrap(), claim)).collect())
    }

    fn i2c(bus: &str) -> Claim {
        Claim::I2c { bus: bus.into(), address: 0x76 }
    }

    #[test]
    fn what_is_off_and_used_is_a_problem_with_its_line() {
        let tree = Tree::default();
        let interfaces = interfaces(&tree, &uses(vec![i2c("i2c-1")]));
        let told = |config: &str| judge(&interfaces[0], "boot/firmware/config.txt", config);
        let (off, waiting) = (told("# dtparam=i2c_arm=on\n"), told("[all]\ndtparam=i2c_arm=on\n"));
        assert_eq!((off.grade, waiting.grade), (Grade::Problem, Grade::Problem));
        assert_eq!(off.advice.unwrap(), "add the line `dtparam=i2c_arm=on` to /boot/firmware/config.txt and reboot");
        assert!(waiting.advice.unwrap().ends_with("already: reboot"));
        assert!(told("dtparam=i2c=on,i2c_arm_baudrate=400000").advice.unwrap().ends_with("already: reboot"));
        let unused = judge(&interfaces[1], "boot/firmware/config.txt", "");
        assert_eq!((unused.grade, unused.advice), (Grade::Ok, None));
    }

    #[test]
    fn what_is_on_is_seen() {
        let tree = Tree::default()
            .with("sys/bus/i2c/devices/i2c-1/name", "bcm2835")
            .with("sys/bus/w1/devices/w1_bus_master1/uevent", "")
            .with("dev/spidev0.0", "")
            .with_link("dev/serial0", "ttyS0");
        assert!(interfaces(&tree, &Uses::default()).iter().all(|interface| interface.on));
        assert!(interfaces(&Tree::default(), &Uses::default()).iter().all(|interface| !interface.on));
    }

    #[test]
    fn a_port_that_is_there_is_on_whatever_else_it_is_called() {
        let tree = Tree::default().with("dev/ttyAMA0", "");
        let is_on = |port: &str| interfaces(&tree, &uses(vec![Claim::Serial { port: port.into() }]))[3].on;
        assert!(is_on("/dev/ttyAMA0") && !is_on("/dev/ttyS0") && !is_on("/dev/ttyUSB0"));
    }

    #[test]
    fn a_bus_without_a_node_and_no_bus_at_all_are_told_apart() {
        let tree = Tree::default()
            .with("sys/bus/i2c/devices/i2c-1/name", "a")
            .with("sys/bus/i2c/devices/i2c-3/name", "b")
            .with("dev/i2c-3#rights", "660 0 998");
        let told = i2c_buses(&tree, &uses(vec![i2c("i2c-1"), i2c("i2c-2"), i2c("i2c-3")]));
        let advice: Vec<_> = told.iter().map(|finding| finding.advice.clone().unwrap()).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(advice[0].contains("modprobe i2c-dev") && advice[1] == "the machine has: i2c-1, i2c-3", "{advice:?}");
    }

    #[test]
    fn a_console_on_the_port_of_a_sensor_is_a_problem() {
        let tree = Tree::default().with_link("dev/serial0", "ttyS0");
        let port = |port: &str| uses(vec![Claim::Serial { port: port.into() }]);
        let count = |uses, cmdline| console(&uses, cmdline, &tree).len();
        assert_eq!(count(port("/dev/serial0"), "console=tty1 console=serial0,115200 root=x"), 1);
        assert_eq!(count(port("/dev/serial0"), "console=ttyS0,115200"), 1);
        assert_eq!(count(port("/dev/ttyUSB0"), "console=ttyS0,115200"), 0);
        assert_eq!(count(port("/dev/serial0"), "root=/dev/mmcblk0p2 quiet"), 0);
    }
}
