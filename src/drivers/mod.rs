//! Device drivers: one file each, registered in [`DRIVERS`].
//!
//! Invariants: a driver never spawns, logs, reads the clock or knows its sensor's name.
//! `configure` touches nothing outside; the [`Open`] it returns runs at start and again after every failure.

mod ads1115;
mod bme280;
#[cfg(test)]
mod contract;
mod dps310;
mod ds18b20;
mod emc1413;
mod gpio_in;
mod gpio_out;
mod host;
mod hwmon;
mod iio;
mod kernel_input;
mod lm75;
mod options;
mod recognise;
mod serial_line;
mod sht4x;
mod thermal;
mod tmp421;

use async_trait::async_trait;

use crate::bus::Buses;
use crate::bus::simulated::{Exchange, MakeChip};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};
pub use recognise::{KernelDevice, Question, Questions, Recognise, Verdict, may_be_written};

/// What one driver can do and how it is configured.
pub struct Spec {
    /// The name in `driver = "..."`.
    pub name: &'static str,
    /// One line: maker and parts.
    pub summary: &'static str,
    /// What it measures; empty when the configuration or the kernel decides.
    pub measures: &'static [Measure],
    /// Whether it is polled, waits for events, or is an output.
    pub kind: Kind,
    /// Its options as documentation: key, default (empty = must be given), meaning.
    pub options: &'static [(&'static str, &'static str, &'static str)],
    /// Working options as TOML, for the catalogue, `weir init` and the contract tests.
    pub example: &'static str,
    /// Checks the options; `None` when a problem was noted.
    pub configure: fn(&mut Fields<'_, '_>) -> Option<Configured>,
    /// How it runs without its device.
    pub simulate: Simulate,
    /// How `weir scan` recognises its device.
    pub recognise: Recognise,
    /// Exchanges with the device that the driver must reproduce byte for byte, opened with `example`.
    pub captures: &'static [Capture],
}

/// How a driver runs without its device.
#[derive(Clone, Copy)]
pub enum Simulate {
    /// It does not: its input is there on any machine, or is a file or a terminal that others can make.
    No,
    /// On a simulated I2C bus.
    I2c {
        /// Makes the chip. Its [`World`](crate::bus::simulated::World) has a quantity for each measure of `example`.
        chip: MakeChip,
        /// The steps of the readings, for each measure of `example`.
        steps: &'static [f64],
    },
    /// On the simulated GPIO lines.
    Gpio,
    /// From files that a simulated kernel shows.
    Kernel,
    /// From a simulated device on a serial port.
    Serial,
}

/// What once went over the wire, and what it meant.
pub struct Capture {
    /// Where bytes and readings come from.
    pub source: &'static str,
    /// Everything from opening the device to the end of the first round.
    pub exchanges: &'static [Exchange],
    /// The readings of that round, to the measure's last decimal.
    pub readings: &'static [(&'static str, f64)],
}

/// How a driver is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sampled every `every`.
    Polled,
    /// Waits for the device to speak.
    Pushed,
    /// Belongs under `[[output]]`.
    Output,
}

/// Checked options: what is needed to open the device, and what it will use and give.
pub struct Configured {
    /// Opens the device.
    pub open: Open,
    /// What it will measure, where that is known before opening.
    pub measures: Vec<Measure>,
    /// What it uses alone; two devices with one claim are a configuration error.
    pub claims: Vec<Claim>,
}

/// Something only one device can have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Claim {
    /// An address on an I2C bus.
    I2c {
        /// The bus, for example `i2c-1`.
        bus: String,
        /// The 7-bit address.
        address: u8,
    },
    /// A GPIO line.
    Gpio {
        /// The line as normalised, for example `GPIO17`.
        line: String,
    },
    /// A serial port.
    Serial {
        /// The device node.
        port: String,
    },
    /// Files of the kernel.
    Kernel {
        /// `w1`, `hwmon`, `iio` or `thermal`.
        family: &'static str,
        /// The device, and the channels when several sensors may share it.
        device: String,
    },
}

impl Claim {
    /// The bus that the claim is about, as `[bus.NAME]` calls it.
    pub fn bus(&self) -> Option<&str> {
        match self {
            Claim::I2c { bus, .. } => Some(bus),
            Claim::Gpio { .. } => Some("gpio"),
            Claim::Serial { .. } => Some("serial"),
            Claim::Kernel { family, .. } => Some(family),
        }
    }
}

impl Configured {
    /// Whether the readings are made by a simulated chip: their quality is then `simulated`.
    pub fn is_simulated(&self, buses: &Buses) -> bool {
        self.claims.iter().filter_map(Claim::bus).any(|bus| buses.is_simulated(bus))
    }
}

/// Opens a device: called at start, and again after a failure.
pub type Open = Box<dyn Fn(&Buses) -> Result<Box<dyn Driver>, Fault> + Send + Sync>;

/// An opened input device.
#[async_trait]
pub trait Driver: Send {
    /// One round of readings. A pushed driver waits here for the next event.
    ///
    /// Dropping the future is safe: the next call starts afresh.
    ///
    /// # Errors
    /// Any [`Fault`]; the caller counts strikes and reopens.
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault>;

    /// Drives an output; `true` is the active level.
    ///
    /// # Errors
    /// Any [`Fault`]; inputs answer that they are not outputs.
    async fn set(&mut self, _on: bool) -> Result<(), Fault> {
        Err(Fault::BadData("this driver is not an output".into()))
    }
}

/// All drivers.
#[rustfmt::skip]
pub static DRIVERS: &[&Spec] = &[
    &ads1115::SPEC,
    &bme280::BME280,
    &bme280::BMP280,
    &dps310::SPEC,
    &ds18b20::SPEC,
    &emc1413::SPEC,
    &gpio_in::SPEC,
    &gpio_out::SPEC,
    &host::SPEC,
    &hwmon::SPEC,
    &iio::SPEC,
    &lm75::LM75,
    &serial_line::SPEC,
    &sht4x::SPEC,
    &thermal::SPEC,
    &lm75::TMP102,
    &lm75::TMP105,
    &tmp421::SPEC,
];

/// The driver called `name`.
pub fn find(name: &str) -> Option<&'static Spec> {
    DRIVERS.iter().copied().find(|spec| spec.name == name)
}

/// The README's table of drivers.
pub fn catalogue() -> String {
    let row = |spec: &&Spec| {
        let measures: Vec<_> = spec.measures.iter().map(|measure| &*measure.name).collect();
        let measures = if measures.is_empty() { "as configured".to_owned() } else { measures.join(", ") };
        format!("| `{}` | {} | {} |\n", spec.name, spec.summary, measures)
    };
    let head = "| Driver | What | Measures |\n| --- | --- | --- |\n";
    std::iter::once(head.to_owned()).chain(DRIVERS.iter().map(row)).collect()
}
