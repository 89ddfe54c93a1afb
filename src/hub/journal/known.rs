//! Time that is known to have passed, across restarts and wrong clocks: it never runs too fast.

use super::record::Moment;
use crate::model::{Stamp, TimeQuality};
use crate::runtime::Clock;

/// The journal's own time, in milliseconds since the journal began.
#[derive(Debug)]
pub(super) struct Known {
    clock: Clock,
    /// The known time at the start of this run, and the monotonic clock then.
    began_ms: u64,
    mono_ms: u64,
}

impl Known {
    /// Goes on from the last moment that is on the disk.
    pub(super) fn resume(clock: Clock, last: Option<Moment>) -> Self {
        let now = clock.now();
        let began_ms = last.map_or(0, |last| last.known_ms.saturating_add(passed(&last.stamp, &now)));
        Self { clock, began_ms, mono_ms: now.mono_ms }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.began_ms.saturating_add(self.clock.mono_ms().saturating_sub(self.mono_ms))
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { known_ms: self.now_ms(), stamp: self.clock.now() }
    }
}

/// Milliseconds that have passed for certain: within one boot by the monotonic clock, else by the wall clock if
/// it was right both times, else none.
fn passed(before: &Stamp, now: &Stamp) -> u64 {
    if before.boot == now.boot && now.mono_ms >= before.mono_ms {
        return now.mono_ms - before.mono_ms;
    }
    let synced = |stamp: &Stamp| stamp.quality == TimeQuality::Synced;
    if synced(before) && synced(now) { u64::try_from(now.wall_ms - before.wall_ms).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BootId;

    #[test]
    fn only_time_that_is_known_to_have_passed_counts() {
        let stamp = |boot, wall_ms, mono_ms, quality| Stamp { wall_ms, mono_ms, boot: BootId([boot; 16]), quality };
        let (synced, unsynced) = (TimeQuality::Synced, TimeQuality::Unsynced);
        let before = stamp(1, 1000, 50, synced);
        for (now, expected) in [
            (stamp(1, 0, 80, unsynced), 30),
            (stamp(1, 9000, 80, synced), 30),
            (stamp(2, 9000, 5, synced), 8000),
            (stamp(2, 9000, 5, unsynced), 0),
            (stamp(2, 500, 5, synced), 0),
        ] {
            assert_eq!(passed(&before, &now), expected, "{now:?}");
        }
        assert_eq!(passed(&stamp(1, 1000, 50, unsynced), &stamp(2, 9000, 5, synced)), 0);
    }
}
