//! Device drivers: one file each, registered in [`DRIVERS`].
//!
//! Invariants: a driver never spawns, logs, reads the clock or knows its sensor's name.
//! `configure` touches nothing outside; the [`Open`] it returns runs at start and again after every failure.

use async_trait::async_trait;

use crate::bus::Buses;
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

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
pub static DRIVERS: &[&Spec] = &[];

/// The driver called `name`.
pub fn find(name: &str) -> Option<&'static Spec> {
    DRIVERS.iter().copied().find(|spec| spec.name == name)
}
