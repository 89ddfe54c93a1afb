//! Both clocks of the machine, and whether the wall clock can be believed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::model::{BootId, Stamp, TimeQuality};

/// 2025-01-01T00:00:00Z in milliseconds: a wall clock before it was never set.
pub const EARLIEST_MS: i64 = 1_735_689_600_000;

/// How long the answer of the time service is believed, in milliseconds: asking costs system calls.
const BELIEVED_MS: u64 = 1000;

/// Reads the clocks.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// Wall clock less monotonic clock, in milliseconds, at the first look that found it set.
    set: Arc<OnceLock<i64>>,
}

#[derive(Debug, Clone)]
enum Source {
    System { boot: BootId, timesync: Arc<TimeService> },
    Hand(Arc<Mutex<Stamp>>),
}

/// Sets the clock that came with it: for the proof of what happens when clocks jump.
#[derive(Debug)]
pub struct Hand(Arc<Mutex<Stamp>>);

impl Hand {
    /// Changes what the clock shows.
    pub fn turn(&self, change: impl FnOnce(&mut Stamp)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Both clocks go on by `time`.
    pub fn advance(&self, time: Duration) {
        self.turn(|stamp| {
            stamp.mono_ms += time.as_millis() as u64;
            stamp.wall_ms += time.as_millis() as i64;
        });
    }
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
        let boot = boot.ok().and_then(|text| parse_boot_id(&text)).unwrap_or_default();
        Self::new(Source::System { boot, timesync: Arc::new(TimeService::new("/run/systemd/timesync")) })
    }

    /// A clock that stands still unless it is set.
    pub fn by_hand(stamp: Stamp) -> (Self, Hand) {
        let shown = Arc::new(Mutex::new(stamp));
        (Self::new(Source::Hand(Arc::clone(&shown))), Hand(shown))
    }

    fn new(source: Source) -> Self {
        Self { source, set: Arc::default() }
    }

    /// One look at both clocks.
    pub fn now(&self) -> Stamp {
        let stamp = match &self.source {
            Source::System { boot, timesync } => {
                let (wall_ms, mono_ms) = (wall_ms(), mono_ms());
                Stamp { wall_ms, mono_ms, boot: *boot, quality: quality(timesync, wall_ms, mono_ms) }
            }
            Source::Hand(stamp) => *stamp.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if stamp.quality != TimeQuality::Unsynced {
            self.set.get_or_init(|| stamp.wall_ms - stamp.mono_ms as i64);
        }
        stamp
    }

    /// What to add to a monotonic time of this boot to have its wall time, in milliseconds, once the clock has been
    /// set. It stays as it was found first, so that a clock that is set again puts nothing out of order.
    pub fn offset_ms(&self) -> Option<i64> {
        self.set.get().copied()
    }

    /// Milliseconds since 1970, as the wall clock believes.
    pub fn wall_ms(&self) -> i64 {
        match &self.source {
            Source::System { .. } => wall_ms(),
            Source::Hand(_) => self.now().wall_ms,
        }
    }

    /// Milliseconds since this boot, suspend included.
    pub fn mono_ms(&self) -> u64 {
        match &self.source {
            Source::System { .. } => mono_ms(),
            Source::Hand(_) => self.now().mono_ms,
        }
    }
}

fn wall_ms() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

fn mono_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// systemd-timesyncd leaves a flag file at its first synchronisation. Where it does not run,
/// a clock that shows a time after this program was written is believed.
fn quality(timesync: &TimeService, wall_ms: i64, mono_ms: u64) -> TimeQuality {
    let waiting = timesync.is_waiting(mono_ms);
    if waiting || wall_ms < EARLIEST_MS { TimeQuality::Unsynced } else { TimeQuality::Synced }
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
        let timesync = TimeService::new(dir.path());
        let quality = |wall_ms, mono_ms| quality(&timesync, wall_ms, mono_ms);
        assert_eq!(quality(EARLIEST_MS, 5000), TimeQuality::Unsynced);
        std::fs::write(dir.path().join("synchronized"), "").unwrap();
        assert_eq!(quality(EARLIEST_MS, 5999), TimeQuality::Unsynced, "not asked again yet");
        assert_eq!(quality(EARLIEST_MS, 6000), TimeQuality::Synced);
        assert_eq!(quality(0, 6000), TimeQuality::Unsynced);
    }

    #[test]
    fn the_offset_is_that_of_the_first_look_at_a_clock_that_is_set() {
        let (clock, hand) = Clock::by_hand(Stamp {
            wall_ms: 5,
            mono_ms: 5_000,
            boot: BootId::default(),
            quality: TimeQuality::Unsynced,
        });
        assert_eq!((clock.now().mono_ms, clock.offset_ms()), (5_000, None));
        hand.turn(|stamp| (stamp.wall_ms, stamp.quality) = (EARLIEST_MS, TimeQuality::Synced));
        assert_eq!((clock.now().wall_ms, clock.offset_ms()), (EARLIEST_MS, Some(EARLIEST_MS - 5_000)));
        hand.advance(Duration::from_secs(1));
        hand.turn(|stamp| stamp.wall_ms -= 3_600_000);
        assert_eq!(clock.clone().now().mono_ms, 6_000);
        assert_eq!(clock.offset_ms(), Some(EARLIEST_MS - 5_000), "it was set again");
    }

    #[test]
    fn boot_ids_are_read_as_the_kernel_prints_them() {
        let id = parse_boot_id("00000000-0000-0000-0000-0000000000ff\n").unwrap();
        assert_eq!(id.0[15], 0xff);
        assert_eq!(parse_boot_id("nonsense"), None);
    }
}
