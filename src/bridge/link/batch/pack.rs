//! From a parcel to the publish that leaves. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::{Parcel, summary};
use crate::bridge::link::judge::Now;
use crate::bridge::record::{Body, Record};
use crate::bridge::settings::Batch;
use crate::bridge::uplink::codec::Publish;
use crate::format::batch::{self, Header, Item};
use crate::model::{Properties, Qos, Source, Topic};

/// The publish for `parcel` at `now`, without packet id, on `topic` at the cloud; `brief`: readings as summaries. With
/// it the sequences of those that went into others.
pub(super) fn publish(
    parcel: &Parcel,
    (rule, topic): (&Batch, &Topic),
    header: &Header<'_>,
    brief: bool,
    now: Now,
) -> (Publish, Vec<u64>) {
    let mut items: Vec<_> =
        parcel.records.iter().map(|held| item(&held.record, (held.start, held.sequence), now)).collect();
    if brief {
        items = summary::summarised(&items, |index| averages(&parcel.records[index].record));
    }
    let mut left = items.iter().map(|item| item.sequence).peekable();
    let all = parcel.records.iter().map(|held| held.sequence);
    let merged = all.filter(|sequence| left.next_if_eq(sequence).is_none()).collect();
    let payload = batch::encode(rule.encoding, rule.compress, header, &items);
    let content_type = Some(Arc::from(batch::content_type(rule.encoding, rule.compress)));
    let properties = Properties { content_type, ..Properties::default() };
    let qos = parcel.records.iter().map(|held| held.record.qos).max().unwrap_or(Qos::AtLeastOnce);
    // A batch is nobody's last value.
    let retain = false;
    let publish = Publish {
        topic: topic.clone(),
        payload: Bytes::from(payload),
        qos,
        retain,
        dup: false,
        id: 0,
        properties: Some(Box::new(properties)),
    };
    (publish, merged)
}

/// What a record adds to a batch before compression, in bytes, roughly.
pub(super) fn estimate(rule: &Batch, record: &Record, now: Now) -> usize {
    batch::estimate(rule.encoding, &item(record, (0, 0), now))
}

/// Whether a batch has a place for everything that a record says.
pub(super) fn fits(record: &Record) -> bool {
    match &record.body {
        Body::Sample(..) => true,
        Body::Publish { properties, .. } => properties.as_deref().is_none_or(|it| {
            let Properties { utf8_payload: _, content_type, expiry_s, response_topic, correlation, user } = it;
            let plain = content_type.is_none() && expiry_s.is_none() && response_topic.is_none();
            plain && correlation.is_none() && user.is_empty()
        }),
    }
}

/// Whether the mean of several of these means anything.
fn averages(record: &Record) -> bool {
    matches!(&record.body, Body::Sample(Source { sample, .. }) if sample.averages())
}

fn item(record: &Record, (start, sequence): (u32, u64), now: Now) -> Item<'_> {
    let stamp = now.corrected(record.stamp);
    let body = match &record.body {
        Body::Sample(Source { sample, .. }) => {
            let measure = &sample.reading.measure;
            batch::Body::Reading {
                value: sample.reading.value,
                unit: &measure.unit,
                decimals: measure.decimals,
                quality: sample.quality,
                number: sample.sequence,
                spread: sample.reading.spread,
            }
        }
        Body::Publish { payload, .. } => batch::Body::Payload(payload),
    };
    let topic = record.topic.as_str();
    Item { topic, time_ms: stamp.wall_ms, time_quality: stamp.quality, start, sequence, body }
}
