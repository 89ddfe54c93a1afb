//! A reading with its sensor, its time and its quality.

use super::{Format, Name, Reading};

/// How far a reading can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// Read from the device just now.
    Ok,
    /// Read, but outside what the device or the `range` filter holds possible.
    Suspect,
    /// An old value of a sensor that has died since.
    Stale,
    /// Made by a simulated chip.
    Simulated,
}

impl Quality {
    /// The word in payloads.
    pub fn word(self) -> &'static str {
        match self {
            Quality::Ok => "ok",
            Quality::Suspect => "suspect",
            Quality::Stale => "stale",
            Quality::Simulated => "simulated",
        }
    }
}

/// How far a time stamp can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeQuality {
    /// The clock was synchronised when the stamp was taken.
    Synced,
    /// The clock had not been set yet.
    Unsynced,
    /// Taken before the clock was set, computed afterwards from the monotonic time.
    Corrected,
}

impl TimeQuality {
    /// The word in payloads.
    pub fn word(self) -> &'static str {
        match self {
            TimeQuality::Synced => "synced",
            TimeQuality::Unsynced => "unsynced",
            TimeQuality::Corrected => "corrected",
        }
    }
}

/// The kernel's id of this boot (`/proc/sys/kernel/random/boot_id`), 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BootId(pub [u8; 16]);

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Wall clock, milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: i64,
    /// Monotonic clock that counts suspend too (CLOCK_BOOTTIME), milliseconds since this boot.
    pub mono_ms: u64,
    /// Which boot `mono_ms` belongs to.
    pub boot: BootId,
    /// Whether the wall clock was synchronised.
    pub quality: TimeQuality,
}

/// What the sampler makes of a reading: whose, when, how good, which one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The sensor's name.
    pub sensor: Name,
    /// What was read.
    pub reading: Reading,
    /// When it was read; all readings of one round share it.
    pub stamp: Stamp,
    /// How far to trust it.
    pub quality: Quality,
    /// Counts the samples of this sensor and measure since the gateway started, from 1.
    pub sequence: u64,
}

impl Sample {
    /// Whether the mean of several of these says something: not of counters and states, of which every value counts, of
    /// numbers that are none, and of the last word of a sensor that is gone.
    pub fn averages(&self) -> bool {
        !self.reading.measure.exact && self.reading.value.is_finite() && self.quality != Quality::Stale
    }
}

/// A sample and how the payload of its message writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The raw reading.
    pub sample: Sample,
    /// As its sensor's configuration says.
    pub format: Format,
}
