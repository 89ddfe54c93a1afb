//! Devices of the configuration that the kernel has, or that are not there.

use super::uses::Uses;
use super::{Finding, Machine};
use crate::bus::i2c::adapters::{self, Bound};
use crate::bus::kernel::Files;
use crate::drivers::Claim;
use crate::model::Name;

pub(super) fn findings(machine: &Machine, uses: &Uses) -> Vec<Finding> {
    let files = machine.files();
    let mut findings = Vec::new();
    for (name, claim) in &uses.0 {
        if let Claim::I2c { bus, address } = claim {
            findings.extend(bound(name, bus, *address, &adapters::bound(&files, bus)));
        }
    }
    findings.extend(one_wire(uses, &files));
    findings
}

/// A chip that a kernel driver has taken.
fn bound(name: &Name, bus: &str, address: u8, all: &[Bound]) -> Option<Finding> {
    let Bound { driver, .. } = all.iter().find(|bound| bound.address == address)?;
    let what = format!("{name}: the kernel driver {driver} has the chip at {address:#04x} on {bus}");
    let advice =
        "read it with the driver `iio` or `hwmon` (`weir scan` shows it), or take its overlay out of config.txt";
    Some(Finding::problem("chips", what).advise(advice))
}

fn one_wire(uses: &Uses, files: &dyn Files) -> Vec<Finding> {
    let there = files.list("sys/bus/w1/devices").unwrap_or_default();
    let missing = uses.one_wire().filter(|(_, id)| !there.iter().any(|name| name == id));
    let told = missing.map(|(name, id)| {
        Finding::warning("1-wire", format!("{name}: {id} is not on the bus now"))
            .advise("look at its wires and at the pull-up of 4.7 kΩ; `weir scan` lists who answers")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn a_chip_of_the_kernel_is_a_problem_and_a_thermometer_that_is_away_a_warning() {
        let name = Name::new("greenhouse").unwrap();
        let all = [Bound { address: 0x76, driver: "bmp280".into() }];
        assert!(bound(&name, "i2c-1", 0x76, &all).unwrap().what.contains("bmp280 has the chip at 0x76 on i2c-1"));
        assert_eq!(bound(&name, "i2c-1", 0x77, &all), None);
        let claim = |id: &str| (name.clone(), Claim::Kernel { family: "w1", device: id.into() });
        let uses = Uses(vec![claim("28-3c01e076877d"), claim("28-000004da2313")]);
        let tree = Tree::default().with("sys/bus/w1/devices/28-3c01e076877d/w1_slave", "");
        let told = one_wire(&uses, &tree);
        assert!(told.len() == 1 && told[0].what.contains("28-000004da2313"), "{told:?}");
    }
}
