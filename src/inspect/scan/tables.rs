//! `[[sensor]]` tables for what was found, ready for a configuration.

use std::collections::HashSet;

use super::Scan;
use super::i2c::{Address, Candidate, Chip, I2cBus, Probing};
use super::kernel::{KernelSensor, OneWire};
use super::names::{Names, quoted};
use crate::drivers::{Kind, Spec};

/// A table that fits something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is for, in a line.
    pub about: String,
    /// The sensor's name.
    pub name: String,
    /// The driver.
    pub driver: &'static str,
    /// Its options, as they stand in an inline table.
    options: String,
    /// Whether the driver is polled.
    polled: bool,
}

impl Proposal {
    /// The table as TOML.
    pub fn table(&self) -> String {
        let Self { name, driver, options, .. } = self;
        let every = if self.polled { "every   = \"30s\"\n" } else { "" };
        let name = quoted(name);
        format!("[[sensor]]\nname    = {name}\ndriver  = {driver:?}\n{every}options = {{ {options} }}\n")
    }
}

/// A table for each device that a driver reads. Names and places are unique, so that all can be used together.
pub fn proposals(scan: &Scan) -> Vec<Proposal> {
    let mut names = Names::default();
    let mut all = Vec::new();
    for bus in &scan.i2c {
        all.extend(chips(bus, &mut names));
    }
    all.extend(scan.one_wire.iter().filter_map(|device| thermometer(device, &mut names)));
    let mut seen = HashSet::new();
    for sensor in &scan.kernel {
        all.extend(of_kernel(sensor, &mut seen, &mut names));
    }
    all
}

fn chips(bus: &I2cBus, names: &mut Names) -> Vec<Proposal> {
    let Probing::Looked(found, _) = &bus.probing else { return Vec::new() };
    let one = |Address { address, chip }: &Address| {
        let Chip::Known(candidates) = chip else { return None };
        let Candidate { spec, .. } = candidates.first()?;
        let short = format!("{}-{address:02x}", spec.name);
        let wishes = [short.clone(), format!("{short}-{}", bus.bus)];
        let options = format!("bus = {}, address = {address:#04x}", quoted(&bus.bus));
        let about = format!("{} at {address:#04x} on {}", said(candidates), bus.bus);
        Some(proposal(spec, about, names.take(&wishes), &options))
    };
    found.iter().filter_map(one).collect()
}

/// The best candidate, and the others if there are any.
fn said(candidates: &[Candidate]) -> String {
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.spec.name).collect();
    match &names[..] {
        [one] if candidates[0].certain => (*one).to_owned(),
        [one] => format!("{one}, likely,"),
        [first, others @ ..] => format!("{first}, likely, or {},", others.join(" or ")),
        [] => String::new(),
    }
}

fn thermometer(device: &OneWire, names: &mut Names) -> Option<Proposal> {
    let (spec, id) = (device.spec?, &device.id);
    let end = id.get(id.len().saturating_sub(4)..).unwrap_or_default();
    let name = names.take(&[format!("probe-{end}"), format!("probe-{id}")]);
    Some(proposal(spec, format!("{id} on the 1-Wire bus"), name, &format!("id = {}", quoted(id))))
}

/// A device without channels gives nothing, and twins on unknown hardware cannot be told apart.
fn of_kernel(sensor: &KernelSensor, seen: &mut HashSet<String>, names: &mut Names) -> Option<Proposal> {
    let (spec, device) = (sensor.spec, &sensor.device);
    let hardware = device.hardware.as_ref().filter(|_| device.has_twins);
    if device.channels.is_empty() || (device.has_twins && hardware.is_none()) {
        return None;
    }
    let mut options = format!("name = {}", quoted(&device.name));
    if let Some(hardware) = hardware {
        options += &format!(", device = {}", quoted(hardware));
    }
    if !seen.insert(format!("{} {options}", spec.name)) {
        return None;
    }
    let wishes = [
        device.name.clone(),
        format!("{} {}", device.name, hardware.map_or(spec.name, String::as_str)),
        format!("{} {} {}", spec.name, device.name, hardware.map_or("", String::as_str)),
    ];
    let about = format!("{} as the kernel reads it: {}", device.name, device.channels.join(", "));
    Some(proposal(spec, about, names.take(&wishes), &options))
}

fn proposal(spec: &Spec, about: String, name: String, options: &str) -> Proposal {
    Proposal { about, name, driver: spec.name, options: options.to_owned(), polled: spec.kind == Kind::Polled }
}
