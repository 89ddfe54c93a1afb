//! A machine with one chip of each kind, to see what a scan does.

use std::collections::BTreeSet;

use crate::bus::Buses;
use crate::bus::kernel::Tree;
use crate::bus::simulated::World;
use crate::drivers::{DRIVERS, Recognise, Simulate};
use crate::model::Fault;

/// Puts a simulated chip of every driver on the buses from `i2c-1` on, each at its first address that is free, and
/// makes the kernel that shows the rest.
///
/// # Errors
/// [`Fault::NotPresent`] when the buses are not simulated.
pub fn populate(buses: &Buses) -> Result<Tree, Fault> {
    let mut taken = BTreeSet::new();
    for spec in DRIVERS {
        let (Simulate::I2c { chip, .. }, Recognise::I2c(questions)) = (spec.simulate, &spec.recognise) else {
            continue;
        };
        let places = (1_u8..=9).flat_map(|bus| questions.addresses.iter().map(move |address| (bus, *address)));
        if let Some((bus, address)) = places.into_iter().find(|place| !taken.contains(place)) {
            taken.insert((bus, address));
            let world = World::new(u64::from(address));
            buses.simulated_i2c(&format!("i2c-{bus}"))?.place(address, chip(world));
        }
    }
    let mut tree = Tree::default()
        .with("proc/sys/kernel/hostname", "simulated")
        .with("proc/device-tree/model", "Simulated board")
        .with("sys/bus/w1/devices/28-3c01e076877d/w1_slave", "")
        .with("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        .with("sys/class/thermal/thermal_zone0/temp", "48312")
        .with_link("dev/serial/by-id/usb-simulated-if00", "../../ttyUSB0");
    for (bus, _) in taken {
        tree = tree.with(&format!("sys/bus/i2c/devices/i2c-{bus}/name"), "simulated");
    }
    Ok(tree)
}
