//! How a driver's device is recognised by `weir scan`, without changing it.
//!
//! A question writes a register pointer, or a command that only makes the chip answer, and reads. It is asked at
//! the driver's own addresses only, and never where a written byte may do harm, see [`may_be_written`].

use std::time::Duration;

use super::Spec;
use crate::bus::kernel::Files;

/// How a driver's device is recognised.
pub enum Recognise {
    /// Not at all: it is there on every machine, or nothing tells what is connected.
    No,
    /// A chip on an I2C bus.
    I2c(Questions),
    /// A device on the kernel's 1-Wire bus, by family code.
    OneWire(&'static [&'static str]),
    /// Devices that the kernel has found already.
    Kernel(fn(&dyn Files) -> Vec<KernelDevice>),
}

/// What a chip is asked, and what its answers say.
pub struct Questions {
    /// Where it may sit.
    pub addresses: &'static [u8],
    /// Asked in this order; the first that is not answered ends it.
    pub ask: &'static [Question],
    /// Judges the answers, one for each question.
    pub judge: fn(&[Vec<u8>]) -> Verdict,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// A register pointer or a command.
    pub write: &'static [u8],
    /// How many bytes are the answer.
    pub read: usize,
    /// How long the answer takes; without a pause it is read after a repeated START.
    pub pause: Duration,
}

impl Question {
    /// `read` bytes from a register on.
    pub const fn register(write: &'static [u8], read: usize) -> Self {
        Self { write, read, pause: Duration::ZERO }
    }
}

/// What the answers of a chip say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is another chip.
    No,
    /// Its registers look so, but it has no id that would tell.
    Likely,
    /// It is another chip, and this one.
    Other(&'static str),
    /// Its id says so.
    Certain,
}

/// A device that a kernel driver reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelDevice {
    /// Its name in the kernel.
    pub name: String,
    /// The hardware behind it, where that is known: `1-0076` is an I2C bus and address.
    pub hardware: Option<String>,
    /// Other devices have the same name, so that the hardware must be named too.
    pub has_twins: bool,
    /// What can be read; may be empty.
    pub channels: Vec<String>,
}

/// Addresses at which nothing is ever written by a scan, not even a register pointer: port expanders (PCF8574, PCF8574A),
/// whose outputs a single byte is; memories and their write protection, which it can damage or lock for ever (SPD, AT24RF08).
pub fn may_be_written(address: u8) -> bool {
    !matches!(address, 0x20..=0x27 | 0x30..=0x3f | 0x50..=0x5f)
}

impl Spec {
    /// The questions to a chip at `address`, if this driver's may sit there.
    pub fn questions(&self, address: u8) -> Option<&Questions> {
        match &self.recognise {
            Recognise::I2c(questions) if questions.addresses.contains(&address) => Some(questions),
            _ => None,
        }
    }
}

/// A register of 16 bits, high byte first; nothing when the answer is too short.
pub(super) fn word(answer: &[u8]) -> Option<u16> {
    let bytes = answer.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}
