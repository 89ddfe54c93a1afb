//! What `hwmon`, `iio` and `thermal` have in common: devices of a class in sysfs, each with a name and
//! channels. Devices are found by that name, never by their number, which changes from boot to boot.

mod choose;
mod find;
mod simulate;
#[cfg(test)]
pub(super) mod testing;

use std::sync::Arc;

use async_trait::async_trait;

use super::{Claim, Configured, Driver, Open};
use crate::bus::kernel::{Access, Files, Kernel};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};
pub(super) use choose::Wanted;
pub(super) use find::found;

/// A class of devices in sysfs.
pub(super) struct Class {
    /// The driver and `[bus.FAMILY]`.
    pub(super) family: &'static str,
    /// Where the devices are.
    pub(super) dir: &'static str,
    /// How their directories begin; a number follows.
    pub(super) prefix: &'static str,
    /// The file with the name.
    pub(super) name_file: &'static str,
    /// Names the hardware behind a directory, where that is known: `1-0044`, `0000:01:00.0`.
    pub(super) hardware: fn(&dyn Files, dir: &str) -> Option<String>,
    /// The channels in a directory, of which the names are given.
    pub(super) channels: fn(dir: &str, names: &[String]) -> Vec<Channel>,
    /// What a channel measures, by its id.
    pub(super) quantity: fn(id: &str) -> Option<Quantity>,
    /// The file of a simulated channel.
    pub(super) simulated_file: fn(id: &str) -> String,
}

/// What a channel measures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    /// The measure's name when the channel has no label.
    pub(super) word: String,
    pub(super) unit: &'static str,
    /// From the kernel's unit to ours.
    pub(super) factor: f64,
    pub(super) decimals: u8,
    /// What a simulated channel wanders between, in our unit.
    pub(super) usual: (f64, f64),
}

/// One channel: `value = (file + offset) * scale * factor`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Channel {
    /// Its name in the kernel, for example `temp1`.
    pub(super) id: String,
    pub(super) quantity: Quantity,
    pub(super) file: String,
    pub(super) offset: Option<String>,
    pub(super) scale: Option<String>,
    pub(super) label: Option<String>,
    /// A file that says 1 when the sensor behind the channel is broken.
    pub(super) broken: Option<String>,
}

/// A channel that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    measure: Measure,
    channel: Channel,
    /// A file and what it must say, so that another device with the same number is not mistaken for this one.
    identity: (String, String),
    /// Whether it was asked for by name, or has answered once.
    must_answer: bool,
}

struct KernelInput {
    class: &'static Class,
    wanted: Arc<Wanted>,
    kernel: Kernel,
    sources: Vec<Source>,
}

/// Reads the options of all three drivers.
pub(super) fn configure(class: &'static Class, fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let wanted = Arc::new(choose::read_options(fields)?);
    let measures = choose::known_measures(class, &wanted);
    let claims = vec![Claim::Kernel { family: class.family, device: wanted.to_string() }];
    let open: Open = Box::new(move |buses| {
        let access = Access {
            family: class.family,
            line: &format!("{}-{}", class.family, wanted.name.as_deref().unwrap_or("all")),
            device: "",
        };
        let kernel = buses.kernel(access, |world| simulate::tree(class, &wanted, &world));
        Ok(Box::new(KernelInput { class, wanted: Arc::clone(&wanted), kernel, sources: Vec::new() }))
    });
    Some(Configured { open, measures, claims })
}

#[async_trait]
impl Driver for KernelInput {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let (class, wanted, mut sources) = (self.class, Arc::clone(&self.wanted), self.sources.clone());
        let work = move |files: &dyn Files| {
            if sources.is_empty() {
                sources = find::find(class, &wanted, files)?;
            }
            let readings = read_all(files, &mut sources, &wanted)?;
            Ok((sources, readings))
        };
        let (sources, readings) = self.kernel.run(work).await?;
        self.sources = sources;
        Ok(readings)
    }
}

/// One round. A channel that nobody asked for and that never answered, because it is switched off or has
/// no sensor, is left out; it is a fault when no channel is left.
fn read_all(files: &dyn Files, sources: &mut [Source], wanted: &Wanted) -> Result<Vec<Reading>, Fault> {
    let mut readings = Vec::with_capacity(sources.len());
    let mut first_fault = None;
    for source in sources {
        match read(files, source) {
            Ok(value) => {
                source.must_answer = true;
                readings.push(source.measure.is(value));
            }
            Err(fault) if source.must_answer => return Err(fault),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    match first_fault {
        Some(fault) if readings.is_empty() && wanted.name.is_some() => Err(fault),
        _ => Ok(readings),
    }
}

fn read(files: &dyn Files, source: &Source) -> Result<f64, Fault> {
    let Source { channel, identity: (file, name), .. } = source;
    if files.read(file)? != *name {
        return Err(Fault::NotPresent(format!("{name} is gone: /{file} is another device now")));
    }
    if let Some(broken) = &channel.broken
        && files.read(broken)? != "0"
    {
        return Err(Fault::NotReady(format!("/{broken}: the sensor is broken or not connected")));
    }
    let raw = number(files, &channel.file)?;
    let part = |path: &Option<String>, neutral| path.as_ref().map_or(Ok(neutral), |path| number(files, path));
    Ok((raw + part(&channel.offset, 0.0)?) * part(&channel.scale, 1.0)? * channel.quantity.factor)
}

/// The finite number in a file.
fn number(files: &dyn Files, path: &str) -> Result<f64, Fault> {
    let text = files.read(path)?;
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Fault::BadData(format!("/{path} says {text:?}, which is not a number"))),
    }
}
