//! GPIO lines of the configuration: whether they are there, and whether somebody else has them.

use super::uses::Uses;
use super::{Finding, Machine};
use crate::bus::gpio::{GpioChip, LineName};
use crate::bus::i2c::adapters;
use crate::bus::kernel::Files as _;
use crate::model::Name;

const SUBJECT: &str = "gpio";
/// How weir's own lines are marked.
const OURS: &str = "weir";

/// Lines of a Raspberry Pi's header that an interface takes without telling the GPIO chip, by its number
/// (BCM2835 ARM Peripherals, section 6.2; 1-Wire tells, and is seen as a user).
const TAKEN: [(&str, &[u32]); 3] = [("I2C", &[2, 3]), ("SPI", &[7, 8, 9, 10, 11]), ("the serial port", &[14, 15])];

pub(super) fn findings(machine: &Machine, uses: &Uses) -> Vec<Finding> {
    let lines: Vec<_> = uses.lines().collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let (mut chips, mut faults) = (Vec::new(), Vec::new());
    for (node, chip) in machine.buses().gpio_chips() {
        match chip {
            Ok(chip) => chips.push(chip),
            Err(fault) => faults.push(format!("{node}: {fault}")),
        }
    }
    if chips.is_empty() {
        let why = if faults.is_empty() { "there is no GPIO chip".to_owned() } else { faults.join("; ") };
        return vec![Finding::unknown(SUBJECT, why)];
    }
    let on = if machine.is_raspberry_pi() { interfaces_on(machine) } else { [false; 3] };
    lines.iter().map(|(name, line)| judge(name, line, &chips, on)).collect()
}

/// Whether I2C, SPI and the serial port of the header are on.
fn interfaces_on(machine: &Machine) -> [bool; 3] {
    let files = machine.files();
    let nodes = files.list("dev").unwrap_or_default();
    let has = |prefix: &str| nodes.iter().any(|node| node.starts_with(prefix));
    [adapters::list(&files).iter().any(|bus| bus.bus == "i2c-1"), has("spidev0"), has("serial0")]
}

fn judge(name: &Name, line: &str, chips: &[GpioChip], on: [bool; 3]) -> Finding {
    let Ok(wanted) = LineName::parse(line) else { return Finding::unknown(SUBJECT, format!("{name}: {line}")) };
    let Some((user, number)) = find(&wanted, chips) else {
        return Finding::problem(SUBJECT, format!("{name}: no chip has a line {line}"))
            .advise("`weir scan` lists the lines that there are");
    };
    let interface = TAKEN.iter().zip(on).find(|((_, lines), on)| *on && number.is_some_and(|n| lines.contains(&n)));
    match (user, interface) {
        (Some(user), _) if user != OURS => {
            let user = if user.is_empty() { "the kernel" } else { user };
            Finding::problem(SUBJECT, format!("{name}: {line} is in use by {user}"))
                .advise("take another line, or end what uses it (an overlay in config.txt, or a program)")
        }
        (_, Some(((interface, _), _))) => {
            Finding::problem(SUBJECT, format!("{name}: {line} belongs to {interface}, which is on"))
                .advise(format!("take another line, or switch {interface} off"))
        }
        _ => Finding::ok(SUBJECT, format!("{name}: {line} is there and free for weir")),
    }
}

/// Who uses the line, if anybody, and its number on the header, if it has one.
fn find<'c>(wanted: &LineName, chips: &'c [GpioChip]) -> Option<(Option<&'c str>, Option<u32>)> {
    let number = |name: &str| name.strip_prefix("GPIO").and_then(|number| number.parse().ok());
    for chip in chips {
        let at = match wanted {
            LineName::Named(name) => chip.lines.iter().position(|line| line.name == *name),
            LineName::At { chip: wanted, offset } => {
                let is_it = chip.name == *wanted || chip.label == *wanted;
                usize::try_from(*offset).ok().filter(|at| is_it && *at < chip.lines.len())
            }
        };
        if let Some(line) = at.and_then(|at| chip.lines.get(at)) {
            return Some((line.user.as_deref(), number(&line.name)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::gpio::GpioLine;

    fn chip() -> GpioChip {
        let line = |number: u32| GpioLine {
            name: format!("GPIO{number}"),
            user: match number {
                4 => Some("onewire@4".into()),
                17 => Some("weir".into()),
                22 => Some(String::new()),
                _ => None,
            },
        };
        GpioChip { name: "gpiochip0".into(), label: "pinctrl-bcm2711".into(), lines: (0..28).map(line).collect() }
    }

    #[test]
    fn lines_are_free_or_somebody_elses() {
        let name = Name::new("pump").unwrap();
        let told = |line: &str| judge(&name, line, &[chip()], [true, false, false]);
        for (line, grade, word) in [
            ("GPIO5", Grade::Ok, "free"),
            ("GPIO17", Grade::Ok, "free"),
            ("GPIO4", Grade::Problem, "onewire@4"),
            ("pinctrl-bcm2711:4", Grade::Problem, "onewire@4"),
            ("gpiochip0:22", Grade::Problem, "the kernel"),
            ("GPIO2", Grade::Problem, "belongs to I2C"),
            ("gpiochip0:3", Grade::Problem, "belongs to I2C"),
            ("GPIO10", Grade::Ok, "free"),
            ("GPIO28", Grade::Problem, "no chip has"),
            ("gpiochip1:1", Grade::Problem, "no chip has"),
        ] {
            let told = told(line);
            assert!(told.grade == grade && told.what.contains(word), "{line}: {told:?}");
        }
    }
}
