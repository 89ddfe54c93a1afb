//! What is connected: chips on I2C, devices on 1-Wire, serial ports, GPIO lines, and what the kernel reads already.

mod common;
mod i2c;
mod kernel;
mod names;
mod simulated;
mod tables;

pub use i2c::{Address, Candidate, Chip, I2cBus, Probing};
pub use kernel::{KernelSensor, OneWire, SerialPort};
pub use simulated::populate;
pub use tables::{Proposal, proposals};

use crate::bus::Buses;
use crate::bus::gpio::GpioChip;
use crate::bus::kernel::Files;
use crate::model::Fault;

/// Everything that was found; each list in the kernel's order.
#[derive(Debug, Default)]
pub struct Scan {
    /// The host's name, if it has one.
    pub host: Option<String>,
    /// I2C buses and what is on them.
    pub i2c: Vec<I2cBus>,
    /// Devices on the kernel's 1-Wire bus.
    pub one_wire: Vec<OneWire>,
    /// Serial ports with something plugged in.
    pub serial: Vec<SerialPort>,
    /// GPIO chips by node.
    pub gpio: Vec<(String, Result<GpioChip, Fault>)>,
    /// What the kernel's own drivers read.
    pub kernel: Vec<KernelSensor>,
}

/// Looks at everything. I2C buses that belong to the board are left alone unless they are `wanted` by name.
pub async fn scan(buses: &Buses, files: &dyn Files, wanted: &[String]) -> Scan {
    Scan {
        host: files.read("proc/sys/kernel/hostname").ok().filter(|name| !name.is_empty()),
        i2c: i2c::scan(buses, files, wanted).await,
        one_wire: kernel::one_wire(files),
        serial: kernel::serial(files),
        gpio: buses.gpio_chips(),
        kernel: kernel::sensors(files),
    }
}
