//! Finds the wanted channels among what the kernel offers.

use super::choose::{self, Picked, Wanted};
use super::{Channel, Class, Source};
use crate::bus::kernel::Files;
use crate::drivers::KernelDevice;
use crate::model::{Fault, Name};

/// A device of the class.
struct Device {
    dir: String,
    name: String,
    hardware: Option<String>,
}

/// The channels that `wanted` asks for.
pub(super) fn find(class: &Class, wanted: &Wanted, files: &dyn Files) -> Result<Vec<Source>, Fault> {
    let devices = devices(class, files)?;
    let Some(name) = &wanted.name else {
        return Ok(everything(class, &devices, files));
    };
    let device = the_one(class, wanted, name, &devices)?;
    let channels = channels(class, device, files)?;
    let mut sources = if wanted.channels.is_empty() {
        channels.into_iter().map(|(channel, label)| source(class, device, channel, label.as_deref(), "")).collect()
    } else {
        let picked = wanted.channels.iter().map(|picked| pick(class, device, picked, &channels));
        picked.collect::<Result<Vec<_>, _>>()?
    };
    tell_apart(&mut sources);
    Ok(sources)
}

/// All devices of the class; none when the kernel has no such class.
fn devices(class: &Class, files: &dyn Files) -> Result<Vec<Device>, Fault> {
    let names = match files.list(class.dir) {
        Err(Fault::NotPresent(_)) => Vec::new(),
        names => names?,
    };
    let numbered = names.into_iter().filter(|name| name.starts_with(class.prefix));
    let device = |entry| {
        let dir = format!("{}/{entry}", class.dir);
        // A device may go while the list is read.
        let name = files.read(&format!("{dir}/{}", class.name_file)).ok()?;
        let hardware = (class.hardware)(files, &dir);
        Some(Device { dir, name, hardware })
    };
    Ok(numbered.filter_map(device).collect())
}

/// Every device of the class and what it offers, for a scan. Nothing is measured.
pub(in crate::drivers) fn found(class: &Class, files: &dyn Files) -> Vec<KernelDevice> {
    let devices = devices(class, files).unwrap_or_default();
    let one = |device: &Device| {
        let channels = files.list(&device.dir).map(|names| (class.channels)(&device.dir, &names)).unwrap_or_default();
        KernelDevice {
            name: device.name.clone(),
            hardware: device.hardware.clone(),
            has_twins: devices.iter().filter(|other| other.name == device.name).count() > 1,
            channels: channels.into_iter().map(|channel| channel.id).collect(),
        }
    };
    devices.iter().map(one).collect()
}

/// The device with the wanted name, on the wanted hardware.
fn the_one<'d>(class: &Class, wanted: &Wanted, name: &str, devices: &'d [Device]) -> Result<&'d Device, Fault> {
    let family = class.family;
    let named: Vec<_> = devices.iter().filter(|device| device.name == name).collect();
    let fits = |device: &&&Device| wanted.device.is_none() || wanted.device == device.hardware;
    match named.iter().filter(fits).collect::<Vec<_>>()[..] {
        [one] => Ok(one),
        [] if named.is_empty() => {
            let there = list(devices.iter().map(|device| device.name.as_str()));
            Err(Fault::NotPresent(format!("no {family} device is called {name}; there are: {there}")))
        }
        [] => Err(Fault::NotPresent(format!("{name} is there, but not on that `device`; it is on: {}", on(&named)))),
        [..] => Err(Fault::BadData(format!(
            "several {family} devices are called {name}: add `device`, one of {}",
            on(&named)
        ))),
    }
}

fn on(devices: &[&Device]) -> String {
    list(devices.iter().map(|device| device.hardware.as_deref().unwrap_or("unknown hardware")))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The channels of a device, each with its label.
fn channels(class: &Class, device: &Device, files: &dyn Files) -> Result<Vec<(Channel, Option<String>)>, Fault> {
    let names = files.list(&device.dir)?;
    let labelled = |channel: Channel| {
        let label = channel.label.as_ref().and_then(|path| files.read(path).ok());
        (channel, label.filter(|label| !label.is_empty()))
    };
    Ok((class.channels)(&device.dir, &names).into_iter().map(labelled).collect())
}

/// Every channel of every device; each measure's name begins with its device's.
fn everything(class: &Class, devices: &[Device], files: &dyn Files) -> Vec<Source> {
    let mut sources = Vec::new();
    for device in devices {
        let twins = devices.iter().filter(|other| other.name == device.name).count();
        let hardware = device.hardware.as_deref().filter(|_| twins > 1).unwrap_or_default();
        let prefix = choose::slug(&format!("{} {hardware}", device.name));
        let found = channels(class, device, files).unwrap_or_default();
        let named = found.into_iter().map(|(channel, label)| source(class, device, channel, label.as_deref(), &prefix));
        sources.extend(named);
    }
    tell_apart(&mut sources);
    sources
}

/// The channel that was asked for by id or label.
fn pick(
    class: &Class,
    device: &Device,
    picked: &Picked,
    channels: &[(Channel, Option<String>)],
) -> Result<Source, Fault> {
    let wanted = &picked.channel;
    let is_it = |(channel, label): &&(Channel, Option<String>)| channel.id == *wanted || label.as_ref() == Some(wanted);
    let Some((channel, label)) = channels.iter().find(is_it) else {
        let there = list(channels.iter().map(|(channel, label)| label.as_deref().unwrap_or(&channel.id)));
        return Err(Fault::NotPresent(format!("{} has no channel {wanted}; it has: {there}", device.name)));
    };
    let mut source = source(class, device, channel.clone(), label.as_deref(), "");
    if let Some(name) = &picked.measure {
        source.measure = choose::measure(name.as_str(), &channel.quantity);
    } else if channel.id == *wanted {
        source.measure = choose::measure(&channel.quantity.word, &channel.quantity);
    }
    source.must_answer = true;
    Ok(source)
}

fn source(class: &Class, device: &Device, channel: Channel, label: Option<&str>, prefix: &str) -> Source {
    let own = label.map(choose::slug).filter(|slug| !slug.is_empty()).unwrap_or_else(|| channel.quantity.word.clone());
    let name = match prefix {
        "" => own,
        _ => format!("{prefix}_{own}"),
    };
    // Too long for a topic level only when a label is absurd; the channel's own word always fits.
    let name = if Name::new(&name).is_ok() { name } else { channel.quantity.word.clone() };
    let identity = (format!("{}/{}", device.dir, class.name_file), device.name.clone());
    Source { measure: choose::measure(&name, &channel.quantity), channel, identity, must_answer: false }
}

/// Gives measures with the same name their channel's id, and then a number, behind it.
fn tell_apart(sources: &mut [Source]) {
    for at in 1..sources.len() {
        let taken = |sources: &[Source], name: &str| sources[..at].iter().any(|other| other.measure.name == name);
        let name = sources[at].measure.name.to_string();
        if !taken(sources, &name) {
            continue;
        }
        let with_id = format!("{name}_{}", choose::slug(&sources[at].channel.id));
        let numbered = (2..).map(|number| format!("{with_id}_{number}"));
        let free = std::iter::once(with_id.clone()).chain(numbered).find(|name| !taken(sources, name));
        sources[at].measure.name = free.expect("numbers do not end").into();
    }
}
