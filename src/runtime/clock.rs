//! Both clocks of the machine, and whether the wall clock can be believed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

use crate::model::{BootId, Stamp, TimeQuality};

/// 2025-01-01T00:00:00Z in milliseconds: a wall clock before it was never set.
const EARLIEST_MS: i64 = 1_735_689_600_000;

/// How long the answer of the time service is believed, in milliseconds: asking costs system calls.
const BELIEVED_MS: u64 = 1000;

/// Reads the clocks.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: BootId,
    timesync: Arc<TimeService>,
}

/// What the time service last said.
#[derive(Debug)]
struct TimeService {
    dir: PathBuf,
    /// When it was asked, on the monotonic clock; 0 = never.
    asked_ms: AtomicU64,
    waiting: AtomicBool,
}

impl TimeService {
    fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), asked_ms: AtomicU64::new(0), waiting: AtomicBool::new(true) }
    }

    /// Whether it runs and has not synchronised yet. A race between two threads asks twice, no more.
    fn is_waiting(&self, mono_ms: u64) -> bool {
        let asked_ms = self.asked_ms.load(Relaxed);
        if asked_ms == 0 || mono_ms >= asked_ms + BELIEVED_MS {
            let waiting = self.dir.is_dir() && !self.dir.join("synchronized").exists();
            self.waiting.store(waiting, Relaxed);
            self.asked_ms.store(mono_ms.max(1), Relaxed);
        }
        self.waiting.load(Relaxed)
    }
}

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self {
            boot: boot.ok().and_then(|text| parse_boot_id(&text)).unwrap_or_default(),
            timesync: Arc::new(TimeService::new("/run/systemd/timesync")),
        }
    }

    /// One look at both clocks.
    pub fn now(&self) -> Stamp {
        let (wall_ms, mono_ms) = (self.wall_ms(), self.mono_ms());
        Stamp { wall_ms, mono_ms, boot: self.boot, quality: self.quality(wall_ms, mono_ms) }
    }

    /// Milliseconds since 1970, as the wall clock believes.
    pub fn wall_ms(&self) -> i64 {
        let now = clock_gettime(ClockId::Realtime);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }

    /// Milliseconds since this boot, suspend included.
    pub fn mono_ms(&self) -> u64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
    }

    /// systemd-timesyncd leaves a flag file at its first synchronisation. Where it does not run,
    /// a clock that shows a time after this program was written is believed.
    fn quality(&self, wall_ms: i64, mono_ms: u64) -> TimeQuality {
        let waiting = self.timesync.is_waiting(mono_ms);
        if waiting || wall_ms < EARLIEST_MS { TimeQuality::Unsynced } else { TimeQuality::Synced }
    }
}

fn parse_boot_id(text: &str) -> Option<BootId> {
    let hex: String = text.trim().chars().filter(|&c| c != '-').collect();
    u128::from_str_radix(&hex, 16).ok().map(|id| BootId(id.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_and_the_boot_has_an_id() {
        let clock = Clock::system();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.wall_ms > EARLIEST_MS && second.mono_ms >= first.mono_ms);
        assert_ne!(first.boot, BootId::default());
    }

    #[test]
    fn a_time_service_that_has_not_synchronised_yet_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock { boot: BootId::default(), timesync: Arc::new(TimeService::new(dir.path())) };
        assert_eq!(clock.quality(EARLIEST_MS, 5000), TimeQuality::Unsynced);
        std::fs::write(dir.path().join("synchronized"), "").unwrap();
        assert_eq!(clock.quality(EARLIEST_MS, 5999), TimeQuality::Unsynced, "not asked again yet");
        assert_eq!(clock.quality(EARLIEST_MS, 6000), TimeQuality::Synced);
        assert_eq!(clock.quality(0, 6000), TimeQuality::Unsynced);
    }

    #[test]
    fn boot_ids_are_read_as_the_kernel_prints_them() {
        let id = parse_boot_id("00000000-0000-0000-0000-0000000000ff\n").unwrap();
        assert_eq!(id.0[15], 0xff);
        assert_eq!(parse_boot_id("nonsense"), None);
    }
}
