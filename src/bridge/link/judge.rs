//! Whether a record may leave now. Pure.

use std::time::Duration;

use crate::bridge::Forward;
use crate::bridge::record::{Body, Record};
use crate::model::{Stamp, TimeQuality};
use crate::runtime::Clock;

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may leave.
    Goes,
    /// It is older than its rule allows, or than its publisher did.
    Expired,
    /// It waits for the clock to be set, until this monotonic time, in milliseconds.
    Waits(u64),
}

/// One look at the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) stamp: Stamp,
    /// What makes a wall time of a monotonic time of this boot; nothing while the clock has not been set.
    pub(super) offset_ms: Option<i64>,
}

impl Now {
    pub(super) fn of(clock: &Clock) -> Self {
        let stamp = clock.now();
        Self { stamp, offset_ms: clock.offset_ms() }
    }

    /// The time at which a sample was really taken: one of this boot, taken before the clock was set, has it corrected.
    pub(super) fn corrected(self, stamp: Stamp) -> Stamp {
        match self.offset_ms {
            Some(offset_ms) if lacks_time(stamp, self.stamp) => {
                Stamp { wall_ms: stamp.mono_ms as i64 + offset_ms, quality: TimeQuality::Corrected, ..stamp }
            }
            _ => stamp,
        }
    }
}

/// Taken in this boot before the clock was set.
fn lacks_time(then: Stamp, now: Stamp) -> bool {
    then.quality == TimeQuality::Unsynced && then.boot == now.boot
}

/// Judges `record`, which `rule` forwards; samples wait for the clock as long as `clock_wait`.
pub(super) fn judge(record: &Record, rule: Option<&Forward>, now: Now, clock_wait: Duration) -> Judged {
    let age = known_age(record.stamp, now.stamp);
    let ttl = rule.and_then(|rule| rule.ttl);
    if ttl.is_some_and(|ttl| age >= ttl) || expiry_left(record, now.stamp) == Some(0) {
        return Judged::Expired;
    }
    let timeless = matches!(record.body, Body::Sample(..)) && lacks_time(record.stamp, now.stamp);
    if timeless && now.offset_ms.is_none() && age < clock_wait {
        return Judged::Waits(record.stamp.mono_ms.saturating_add(clock_wait.as_millis() as u64));
    }
    Judged::Goes
}

/// How many seconds of the publisher's own expiry are left, if there is one (MQTT 5 section 3.3.2.3.3).
pub(super) fn expiry_left(record: &Record, now: Stamp) -> Option<u32> {
    let Body::Publish { properties: Some(properties), .. } = &record.body else { return None };
    let age_s = known_age(record.stamp, now).as_secs();
    properties.expiry_s.map(|expiry_s| expiry_s.saturating_sub(u32::try_from(age_s).unwrap_or(u32::MAX)))
}

/// How much time has certainly passed between two looks at the clock.
pub(super) fn known_age(then: Stamp, now: Stamp) -> Duration {
    let synced = |stamp: Stamp| stamp.quality != TimeQuality::Unsynced;
    let ms = if then.boot == now.boot {
        now.mono_ms.saturating_sub(then.mono_ms)
    } else if synced(then) && synced(now) {
        u64::try_from(now.wall_ms.saturating_sub(then.wall_ms)).unwrap_or(0)
    } else {
        now.mono_ms
    };
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::settings::tests::forward;
    use crate::model::{BootId, Format, Measure, Name, Properties, Qos, Quality, Sample, Source, Topic};

    fn stamp(boot: u8, wall_ms: i64, mono_ms: u64, quality: TimeQuality) -> Stamp {
        Stamp { wall_ms, mono_ms, boot: BootId([boot; 16]), quality }
    }

    fn record(stamp: Stamp, expiry_s: Option<u32>) -> Record {
        let properties = Some(Box::new(Properties { expiry_s, ..Properties::default() }));
        let body = Body::Publish { payload: (*b"x").into(), properties };
        Record { topic: Topic::new("a").unwrap(), prefix_len: 0, qos: Qos::AtLeastOnce, retain: false, stamp, body }
    }

    use TimeQuality::{Corrected, Synced, Unsynced};

    const WAIT: Duration = Duration::from_secs(600);

    fn judged(record: &Record, rule: Option<&Forward>, stamp: Stamp) -> Judged {
        judge(record, rule, Now { stamp, offset_ms: None }, WAIT)
    }

    #[test]
    fn samples_of_this_boot_wait_for_the_clock_and_nothing_else_does() {
        let then = stamp(1, 0, 10_000, Unsynced);
        let measure = Measure::named("t", "", 1);
        let sensor = Name::new("s").unwrap();
        let sample = Sample { sensor, reading: measure.is(1.0), stamp: then, quality: Quality::Ok, sequence: 1 };
        let source = |stamp| Source { sample: Sample { stamp, ..sample.clone() }, format: Format::Json };
        let sample = |stamp| Record { body: Body::Sample(source(stamp)), ..record(stamp, None) };
        let waits = |record: &Record, now| judged(record, None, now);
        let unsynced = |mono_ms| stamp(1, 0, mono_ms, Unsynced);
        assert_eq!(waits(&sample(then), unsynced(609_999)), Judged::Waits(610_000));
        assert_eq!(waits(&sample(then), unsynced(610_000)), Judged::Goes);
        assert_eq!(waits(&sample(stamp(2, 0, 10_000, Unsynced)), unsynced(20_000)), Judged::Goes, "another boot");
        assert_eq!(waits(&sample(stamp(1, 0, 10_000, Synced)), unsynced(20_000)), Judged::Goes);
        assert_eq!(waits(&record(then, None), unsynced(20_000)), Judged::Goes, "not a sample");
        let set = Now { stamp: stamp(1, 5_000_000, 20_000, Synced), offset_ms: Some(4_980_000) };
        assert_eq!(judge(&sample(then), None, set, WAIT), Judged::Goes);
        let back = Now { stamp: stamp(1, 0, 20_000, Unsynced), ..set };
        assert_eq!(judge(&sample(then), None, back, WAIT), Judged::Goes, "it has been set once");
        assert_eq!(back.corrected(then), stamp(1, 4_990_000, 10_000, Corrected));
        assert_eq!(set.corrected(stamp(2, 7, 10_000, Unsynced)), stamp(2, 7, 10_000, Unsynced));
        assert_eq!(set.corrected(stamp(1, 7, 10_000, Synced)), stamp(1, 7, 10_000, Synced));
    }

    #[test]
    fn a_ttl_counts_only_time_that_has_certainly_passed() {
        let rule = Forward { ttl: Some(Duration::from_secs(30)), ..forward("a", "") };
        let expired = |then, now| judged(&record(then, None), Some(&rule), now) == Judged::Expired;
        // In one boot the monotonic clock knows, whatever the wall clock does.
        assert!(!expired(stamp(1, 0, 10_000, Unsynced), stamp(1, 9_999_000, 39_999, Synced)));
        assert!(expired(stamp(1, 0, 10_000, Unsynced), stamp(1, 0, 40_000, Unsynced)));
        assert!(expired(stamp(1, 99_000, 10_000, Synced), stamp(1, 0, 40_000, Synced)), "the clock stepped back");
        // Across boots two times that can be believed, or else this boot's uptime.
        assert!(expired(stamp(1, 1_000, 10_000, Synced), stamp(2, 31_000, 5_000, Synced)));
        assert!(expired(stamp(1, 1_000, 10_000, Corrected), stamp(2, 31_000, 5_000, Synced)));
        assert!(!expired(stamp(1, 1_000, 10_000, Unsynced), stamp(2, 999_000, 29_999, Synced)));
        assert!(!expired(stamp(1, 1_000, 10_000, Synced), stamp(2, 999_000, 29_999, Unsynced)));
        assert!(expired(stamp(1, 1_000, 10_000, Unsynced), stamp(2, 0, 30_000, Unsynced)));
        assert!(!expired(stamp(1, 31_000, 0, Synced), stamp(2, 1_000, 1, Synced)), "the clock stepped back");
        let none = forward("a", "");
        let old = record(stamp(1, 0, 0, Synced), None);
        assert_eq!(judged(&old, Some(&none), stamp(1, 0, 1 << 40, Synced)), Judged::Goes);
        assert_eq!(judged(&old, None, stamp(1, 0, 1 << 40, Synced)), Judged::Goes);
    }

    #[test]
    fn the_publishers_own_expiry_does_so_too() {
        let then = stamp(1, 0, 10_000, Unsynced);
        let left = |expiry_s, now| expiry_left(&record(then, Some(expiry_s)), now);
        assert_eq!(left(60, stamp(1, 0, 30_000, Unsynced)), Some(40));
        assert_eq!(left(20, stamp(1, 0, 30_000, Unsynced)), Some(0));
        assert_eq!(left(60, stamp(2, 999_000, 5_000, Synced)), Some(55), "only this boot is known");
        assert_eq!(judged(&record(then, Some(20)), None, stamp(1, 0, 30_000, Unsynced)), Judged::Expired);
        assert_eq!(judged(&record(then, Some(21)), None, stamp(1, 0, 30_000, Unsynced)), Judged::Goes);
    }
}
