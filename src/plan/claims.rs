//! What two devices cannot share: a name, an address, a line, a port.

use std::collections::HashMap;

use super::{OutputPlan, SensorPlan};
use crate::bus::{Family, Settings};
use crate::config::{Place, Problems, Table};
use crate::drivers::Claim;
use crate::model::Name;

/// A sensor or an output as far as it can clash with another one.
pub(super) struct Device<'p, 't> {
    table: &'p Table<'t>,
    name: &'p Name,
    claims: &'p [Claim],
}

/// The sensors that can be used, with their tables.
pub(super) fn sensors<'p, 't>(tables: &'p [Table<'t>], sensors: &'p [Option<SensorPlan>]) -> Vec<Device<'p, 't>> {
    let device = |(table, sensor): (&'p Table<'t>, &'p Option<SensorPlan>)| {
        let sensor = sensor.as_ref()?;
        Some(Device { table, name: &sensor.name, claims: &sensor.configured.claims })
    };
    tables.iter().zip(sensors).filter_map(device).collect()
}

/// The outputs that can be used, with their tables.
pub(super) fn outputs<'p, 't>(tables: &'p [Table<'t>], outputs: &'p [Option<OutputPlan>]) -> Vec<Device<'p, 't>> {
    let device = |(table, output): (&'p Table<'t>, &'p Option<OutputPlan>)| {
        let output = output.as_ref()?;
        Some(Device { table, name: &output.name, claims: &output.configured.claims })
    };
    tables.iter().zip(outputs).filter_map(device).collect()
}

/// Checks all devices against each other, and against the buses.
pub(super) fn check(devices: &[Device<'_, '_>], buses: &Settings, problems: &mut Problems) {
    let mut taken: HashMap<&Claim, (Place, &Name)> = HashMap::new();
    for (device, claim) in devices.iter().flat_map(|device| device.claims.iter().map(move |claim| (device, claim))) {
        let place = place(device.table, claim);
        if let Some((first, by)) = taken.get(claim) {
            let message = format!("{} is used by `{}` and by `{by}`", said(claim), device.name);
            problems.clash(place.clone(), message, (first.clone(), "first used here"));
        }
        taken.entry(claim).or_insert((place, device.name));
        existing_bus(device.table, claim, buses, problems);
    }
}

/// Warns of settings for a bus that no device is on: mostly a slip in the number.
pub(super) fn idle_buses(table: Option<&Table<'_>>, devices: &[Device<'_, '_>], problems: &mut Problems) {
    let used: Vec<_> = devices.iter().flat_map(|device| device.claims.iter().filter_map(Claim::bus)).collect();
    for (name, place, _) in table.map(Table::entries).unwrap_or_default() {
        // The host's files are nobody's alone, so that nobody claims them.
        if Family::of(name) != Some(Family::Host) && !used.contains(&name) {
            problems.warn(place, format!("no device is on the bus `{name}`"), None);
        }
    }
}

/// Notes every `name` that an earlier table has; `who` says what they are.
pub(super) fn unique_names<'a, 't: 'a>(
    tables: impl Iterator<Item = &'a Table<'t>>,
    who: &str,
    problems: &mut Problems,
) {
    let mut taken: HashMap<&str, Place> = HashMap::new();
    for value in tables.filter_map(|table| table.get("name")) {
        let Some(name) = value.text() else { continue };
        match taken.get(name) {
            Some(first) => {
                let message = format!("{who} are called `{name}`");
                problems.clash(value.place(), message, (first.clone(), "the first one"));
            }
            None => {
                taken.insert(name, value.place());
            }
        }
    }
}

/// The option that makes the claim, or else the whole device.
fn place(table: &Table<'_>, claim: &Claim) -> Place {
    let keys: &[&str] = match claim {
        Claim::I2c { .. } => &["address", "bus"],
        Claim::Gpio { .. } => &["line"],
        Claim::Serial { .. } => &["port"],
        Claim::Kernel { .. } => &["id", "channels", "name"],
    };
    let options = table.get("options").and_then(|value| value.table());
    let value = options.and_then(|options| keys.iter().find_map(|key| options.get(key)));
    value.map_or_else(|| table.place(), |value| value.place())
}

fn said(claim: &Claim) -> String {
    match claim {
        Claim::I2c { bus, address } => format!("address {address:#04x} on `{bus}`"),
        Claim::Gpio { line } => format!("the line `{line}`"),
        Claim::Serial { port } => format!("the port `{port}`"),
        Claim::Kernel { family, device } => format!("`{device}` of `{family}`"),
    }
}

/// A bus that is not simulated has a number.
fn existing_bus(table: &Table<'_>, claim: &Claim, buses: &Settings, problems: &mut Problems) {
    let Claim::I2c { bus, .. } = claim else { return };
    let number = bus.strip_prefix("i2c-").is_some_and(|rest| rest.parse::<u16>().is_ok());
    if number || (Family::of(bus) == Some(Family::I2c) && buses.is_simulated(bus)) {
        return;
    }
    let options = table.get("options").and_then(|value| value.table());
    let place = options.and_then(|options| options.get("bus")).map_or_else(|| table.place(), |value| value.place());
    let help = "I2C buses are called `i2c-` and a number; others need [bus.NAME] with backend = \"simulated\"";
    problems.error(place, format!("there is no bus `{bus}`"), Some(help.into()));
}
