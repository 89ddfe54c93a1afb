//! What two devices cannot share: a name, an address, a line, a port.

use std::collections::HashMap;

use super::{OutputPlan, SensorPlan};
use crate::bus::{Family, Settings};
use crate::config::{Place, Problems, Table};
use crate::drivers::Claim;

/// Checks all devices against each other, and against the buses, whose tables are in `bus_table`.
pub(super) fn check(
    bus_table: Option<&Table<'_>>,
    sensor_tables: &[Table<'_>],
    sensors: &[Option<SensorPlan>],
    output_tables: &[Table<'_>],
    outputs: &[Option<OutputPlan>],
    buses: &Settings,
    problems: &mut Problems,
) {
    unique_names(sensor_tables.iter().chain(output_tables), "two devices", problems);
    let sensors = sensors.iter().map(|sensor| sensor.as_ref().map(|sensor| &sensor.configured.claims));
    let outputs = outputs.iter().map(|output| output.as_ref().map(|output| &output.configured.claims));
    let devices = sensor_tables.iter().zip(sensors).chain(output_tables.iter().zip(outputs));
    let claims: Vec<_> = devices.filter_map(|(table, claims)| Some((table, claims?))).collect();
    let used: Vec<_> = claims.iter().flat_map(|(_, claims)| claims.iter().filter_map(Claim::bus)).collect();
    // A device with wrong options may be the one that uses the bus.
    if !problems.fatal() {
        idle_buses(bus_table, &used, problems);
    }
    let mut taken: HashMap<&Claim, Place> = HashMap::new();
    for (table, claim) in claims.into_iter().flat_map(|(table, claims)| claims.iter().map(move |claim| (table, claim)))
    {
        let place = place(table, claim);
        if let Some(first) = taken.get(claim) {
            problems.clash(place.clone(), format!("{} is used twice", said(claim)), (first.clone(), "first used here"));
        }
        taken.entry(claim).or_insert(place);
        existing_bus(table, claim, buses, problems);
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

/// Warns of settings for a bus that no device is on: mostly a slip in the number.
fn idle_buses(table: Option<&Table<'_>>, used: &[&str], problems: &mut Problems) {
    for (name, place, _) in table.map(Table::entries).unwrap_or_default() {
        // The host's files are nobody's alone, so that nobody claims them.
        if Family::of(name) != Some(Family::Host) && !used.contains(&name) {
            problems.warn(place, format!("no device is on the bus `{name}`"), None);
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
