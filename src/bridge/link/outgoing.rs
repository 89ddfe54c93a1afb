//! From a stored record to the publish that leaves: format, time correction, expiry, dedupe key. Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::bridge::record::{Body, Record};
use crate::bridge::uplink::codec::Publish;
use crate::model::{Properties, Sample, Stamp, TimeQuality};

/// The MQTT 5 user property by which the cloud can tell a repeat from a new message.
pub const DEDUPE_KEY: &str = "weir-id";

/// The publish for `record` at `now`, without packet id; `None` when it has expired.
pub(super) fn publish(record: Record, dedupe_key: String, now: Stamp) -> Option<Publish> {
    let Record { topic, qos, retain, stamp, body, .. } = record;
    let (payload, mut properties) = match body {
        Body::Sample(sample, format) => {
            let payload = format.encode(&Sample { stamp: corrected(sample.stamp, now), ..sample });
            let content_type = Some(Arc::from(format.content_type()));
            (Bytes::from(payload), Properties { utf8_payload: Some(true), content_type, ..Properties::default() })
        }
        Body::Publish { payload, properties } => {
            (Bytes::from_owner(payload), properties.map(|boxed| *boxed).unwrap_or_default())
        }
    };
    if let Some(expiry_s) = &mut properties.expiry_s {
        let age_s = known_age(stamp, now).as_secs();
        *expiry_s = expiry_s.checked_sub(u32::try_from(age_s).unwrap_or(u32::MAX)).filter(|left| *left > 0)?;
    }
    properties.user.push((DEDUPE_KEY.into(), dedupe_key.into()));
    Some(Publish { topic, payload, qos, retain, dup: false, id: 0, properties: Some(Box::new(properties)) })
}

/// What was taken in this boot before the clock was set gets the time it was really taken at.
pub(super) fn corrected(mut stamp: Stamp, now: Stamp) -> Stamp {
    let late = stamp.quality == TimeQuality::Unsynced && now.quality == TimeQuality::Synced;
    if late && stamp.boot == now.boot {
        stamp.wall_ms = now.wall_ms - now.mono_ms.saturating_sub(stamp.mono_ms) as i64;
        stamp.quality = TimeQuality::Corrected;
    }
    stamp
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
    use crate::format::Format;
    use crate::model::{BootId, Measure, Name, Qos, Quality, Topic};

    const BOOT: BootId = BootId([1; 16]);

    fn stamp(wall_ms: i64, mono_ms: u64, quality: TimeQuality) -> Stamp {
        Stamp { wall_ms, mono_ms, boot: BOOT, quality }
    }

    fn record(stamp: Stamp, body: Body) -> Record {
        Record { topic: Topic::new("a").unwrap(), prefix_len: 0, qos: Qos::AtLeastOnce, retain: false, stamp, body }
    }

    fn expiring(expiry_s: u32, then: Stamp, now: Stamp) -> Option<u32> {
        let properties = Some(Box::new(Properties { expiry_s: Some(expiry_s), ..Properties::default() }));
        let body = Body::Publish { payload: (*b"x").into(), properties };
        publish(record(then, body), String::new(), now)?.properties?.expiry_s
    }

    #[test]
    fn a_sample_from_before_the_clock_was_set_leaves_with_its_real_time() {
        let then = stamp(1000, 5_000, TimeQuality::Unsynced);
        let measure = Measure::named("t", "", 1);
        let sample = Sample {
            sensor: Name::new("s").unwrap(),
            reading: measure.is(1.0),
            stamp: then,
            quality: Quality::Ok,
            sequence: 1,
        };
        let text = |now| {
            let record = record(then, Body::Sample(sample.clone(), Format::Json));
            String::from_utf8(publish(record, "k".into(), now).unwrap().payload.to_vec()).unwrap()
        };
        let synced = stamp(1_795_342_500_000, 65_000, TimeQuality::Synced);
        assert!(text(synced).contains("\"2026-11-22T10:14:00.000Z\"") && text(synced).contains("corrected"));
        assert!(text(Stamp { boot: BootId([2; 16]), ..synced }).contains("\"time_quality\":\"unsynced\""));
    }

    #[test]
    fn expiry_counts_only_time_that_has_certainly_passed() {
        let then = stamp(0, 10_000, TimeQuality::Unsynced);
        assert_eq!(expiring(60, then, stamp(0, 30_000, TimeQuality::Unsynced)), Some(40));
        assert_eq!(expiring(20, then, stamp(0, 30_000, TimeQuality::Unsynced)), None);
        let rebooted = |wall_ms, quality| Stamp { boot: BootId([2; 16]), ..stamp(wall_ms, 5_000, quality) };
        assert_eq!(expiring(60, then, rebooted(999_000, TimeQuality::Synced)), Some(55), "only this boot is known");
        let synced = stamp(1_000, 10_000, TimeQuality::Synced);
        assert_eq!(expiring(60, synced, rebooted(31_000, TimeQuality::Synced)), Some(30));
        assert_eq!(expiring(60, synced, rebooted(0, TimeQuality::Synced)), Some(60), "the clock stepped back");
    }

    #[test]
    fn every_publish_carries_its_dedupe_key_behind_the_properties_it_came_with() {
        let now = stamp(0, 0, TimeQuality::Synced);
        let properties = Properties { user: vec![("a".into(), "b".into())], ..Properties::default() };
        let body = Body::Publish { payload: (*b"x").into(), properties: Some(Box::new(properties)) };
        let sent = publish(record(now, body), "id/1/2".into(), now).unwrap();
        let user = sent.properties.unwrap().user;
        assert_eq!(user, [("a".into(), "b".into()), (DEDUPE_KEY.into(), "id/1/2".into())]);
    }
}
