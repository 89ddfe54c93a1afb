//! From a stored record to the publish that leaves: format, time correction, expiry, dedupe key. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::judge::{Now, expiry_left};
use crate::bridge::hops;
use crate::bridge::record::{Body, Record};
use crate::bridge::uplink::codec::Publish;
use crate::format;
use crate::model::{Properties, Source};

/// The MQTT 5 user property by which the cloud can tell a repeat from a new message.
pub const DEDUPE_KEY: &str = "weir-id";

/// The MQTT 5 user property of a message that newer ones of its topic may have passed.
pub const BACKFILL: &str = "weir-backfill";

/// The publish for `record` at `now`, without packet id, from the gateway that marks the way of messages as `me`.
pub(super) fn publish(record: Record, dedupe_key: String, me: &Arc<str>, now: Now) -> Publish {
    let expiry_s = expiry_left(&record, now.stamp);
    let Record { topic, prefix_len, qos, retain, body, .. } = record;
    let (payload, mut properties) = match body {
        Body::Sample(mut source) => {
            source.sample.stamp = now.corrected(source.sample.stamp);
            let payload = format::payload(&source, topic.as_str().get(prefix_len..).unwrap_or_default());
            let Source { format, .. } = source;
            let (content_type, utf8_payload) = (Some(Arc::from(format.content_type())), Some(format.is_text()));
            (Bytes::from(payload), Properties { utf8_payload, content_type, ..Properties::default() })
        }
        Body::Publish { payload, properties } => {
            (Bytes::from_owner(payload), properties.map(|boxed| *boxed).unwrap_or_default())
        }
    };
    properties.expiry_s = expiry_s;
    properties.user.push((DEDUPE_KEY.into(), dedupe_key.into()));
    hops::mark(&mut properties, me);
    Publish { topic, payload, qos, retain, dup: false, id: 0, properties: Some(Box::new(properties)) }
}

/// Says that newer messages of the topic may have passed this one.
pub(super) fn mark_backfill(publish: &mut Publish) {
    publish.properties.get_or_insert_default().user.push((BACKFILL.into(), "1".into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, Format, Measure, Name, Qos, Quality, Sample, Stamp, TimeQuality, Topic};

    const BOOT: BootId = BootId([1; 16]);

    fn stamp(wall_ms: i64, mono_ms: u64, quality: TimeQuality) -> Stamp {
        Stamp { wall_ms, mono_ms, boot: BOOT, quality }
    }

    fn record(stamp: Stamp, body: Body) -> Record {
        Record { topic: Topic::new("a").unwrap(), prefix_len: 0, qos: Qos::AtLeastOnce, retain: false, stamp, body }
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
        let text = |now, offset_ms| {
            let record = record(then, Body::Sample(Source { sample: sample.clone(), format: Format::Json }));
            let sent = publish(record, "k".into(), &"gw".into(), Now { stamp: now, offset_ms });
            String::from_utf8(sent.payload.to_vec()).unwrap()
        };
        let synced = stamp(1_795_342_500_000, 65_000, TimeQuality::Synced);
        let corrected = text(synced, Some(1_795_342_500_000 - 65_000));
        assert!(corrected.contains("\"2026-11-22T10:14:00.000Z\"") && corrected.contains("corrected"), "{corrected}");
        assert!(text(then, None).contains("\"time_quality\":\"unsynced\""));
    }

    /// Each format is what its properties say, and knows its place on this gateway, not at the cloud.
    #[test]
    fn a_reading_leaves_in_the_format_of_its_sensor() {
        let now = stamp(1_795_342_500_123, 1, TimeQuality::Synced);
        let sensor = Name::new("s").unwrap();
        let reading = Measure::named("t", "°C", 1).is(21.4);
        let sample = Sample { sensor, reading, stamp: now, quality: Quality::Ok, sequence: 1 };
        for (_, format) in Format::ALL {
            let source = Source { sample: sample.clone(), format };
            let topic = Topic::new("up/shed/s/t").unwrap();
            let record = Record { topic, prefix_len: 3, ..record(now, Body::Sample(source.clone())) };
            let sent = publish(record, "k".into(), &"gw".into(), Now { stamp: now, offset_ms: None });
            assert_eq!(sent.payload, format::payload(&source, "shed/s/t"));
            let properties = sent.properties.unwrap();
            assert_eq!(properties.content_type.as_deref(), Some(format.content_type()));
            assert_eq!(properties.utf8_payload, Some(format != Format::Cbor));
        }
    }

    #[test]
    fn every_publish_carries_its_key_and_its_way_behind_the_properties_it_came_with() {
        let now = stamp(0, 0, TimeQuality::Synced);
        let properties = Properties { user: vec![("a".into(), "b".into())], ..Properties::default() };
        let body = Body::Publish { payload: (*b"x").into(), properties: Some(Box::new(properties)) };
        let mut sent = publish(record(now, body), "id/1/2".into(), &"gw".into(), Now { stamp: now, offset_ms: None });
        mark_backfill(&mut sent);
        let user = sent.properties.unwrap().user;
        let pairs: Vec<(&str, &str)> = user.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(pairs, [("a", "b"), (DEDUPE_KEY, "id/1/2"), (hops::HOP, "gw"), (BACKFILL, "1")]);
    }
}
