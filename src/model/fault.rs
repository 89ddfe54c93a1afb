//! Why there is no reading.

use std::fmt;

/// Why a sensor or an output could not do what it was asked.
///
/// A fault goes to the health board, never into the stream of readings. Each variant has one
/// stable [word](Fault::word) that names it in topics, counters and logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The device or its node is not there.
    NotPresent(String),
    /// The device did not acknowledge its address or a byte.
    Nack,
    /// No answer before the deadline.
    Timeout,
    /// The bus answered with an error of the operating system.
    Bus(String),
    /// The bus has lost its owner thread in a call that never returned.
    Wedged,
    /// A checksum does not match its data.
    Checksum,
    /// The bytes arrived whole, but mean nothing.
    BadData(String),
    /// The device answered with a value that it gives only when it is not ready or broken.
    NotReady(String),
    /// Another chip answers at this address.
    WrongChip(String),
    /// The process may not open the device.
    Permission(String),
    /// A kernel driver already owns the chip.
    Busy(String),
    /// The task left without a reason.
    Ended,
    /// The task panicked.
    Panicked,
}

impl Fault {
    /// One stable lower-case word for counters, topics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::NotPresent(_) => "not_present",
            Fault::Nack => "nack",
            Fault::Timeout => "timeout",
            Fault::Bus(_) => "bus",
            Fault::Wedged => "wedged",
            Fault::Checksum => "checksum",
            Fault::BadData(_) => "bad_data",
            Fault::NotReady(_) => "not_ready",
            Fault::WrongChip(_) => "wrong_chip",
            Fault::Permission(_) => "permission",
            Fault::Busy(_) => "busy",
            Fault::Ended => "ended",
            Fault::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Nack => f.write_str("the device did not acknowledge"),
            Fault::Timeout => f.write_str("no answer before the deadline"),
            Fault::Wedged => f.write_str("the bus hangs in a call that does not return"),
            Fault::Checksum => f.write_str("checksum mismatch"),
            Fault::Ended => f.write_str("the task ended by itself"),
            Fault::Panicked => f.write_str("the task panicked"),
            Fault::NotPresent(why)
            | Fault::Bus(why)
            | Fault::BadData(why)
            | Fault::NotReady(why)
            | Fault::WrongChip(why)
            | Fault::Permission(why)
            | Fault::Busy(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}
