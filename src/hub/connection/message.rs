//! Between PUBLISH packets and messages. Pure.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::codec::{self, CodecError, Publish, Reason};
use super::super::queue::Parcel;
use super::super::settings::Settings;
use crate::model::{Properties, Qos, Topic};

/// Whether clients may publish to `topic`: `$SYS` and what the gateway tells of itself are not open.
pub(super) fn is_open(topic: &str, settings: &Settings) -> bool {
    if topic.starts_with('$') {
        return !topic.starts_with("$SYS") && !topic.starts_with("$share/");
    }
    let below = topic.strip_prefix(settings.gateway.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let Some(below) = below else { return true };
    let level = below.split('/').next().unwrap_or_default();
    !settings.own.iter().any(|own| own.as_str() == level)
}

/// The properties that travel with a message; `None` when there are none.
///
/// # Errors
/// A response topic that is no topic name (MQTT-3.3.2-14).
pub(super) fn properties(from: &codec::Properties<'_>) -> Result<Option<Box<Properties>>, CodecError> {
    let response_topic = from
        .response_topic
        .map(Topic::new)
        .transpose()
        .map_err(|_| CodecError { reason: Reason::PROTOCOL_ERROR, why: "the response topic is not a topic name" })?;
    let properties = Properties {
        utf8_payload: from.payload_format,
        expiry_s: from.message_expiry_s,
        content_type: from.content_type.map(Arc::from),
        response_topic,
        correlation: from.correlation.map(Arc::from),
        user: from.user.iter().map(|&(key, value)| (key.into(), value.into())).collect(),
    };
    Ok((properties != Properties::default()).then(|| Box::new(properties)))
}

/// The PUBLISH that delivers `parcel` to an MQTT 5 client, without a topic alias.
fn properties_of(parcel: &Parcel, now: Instant) -> Option<Box<codec::Properties<'_>>> {
    let carried = parcel.message.properties.as_deref();
    if carried.is_none() && parcel.ids.is_none() {
        return None;
    }
    let mut properties = codec::Properties::default();
    if let Some(carried) = carried {
        properties.payload_format = carried.utf8_payload;
        properties.content_type = carried.content_type.as_deref();
        properties.response_topic = carried.response_topic.as_ref().map(Topic::as_str);
        properties.correlation = carried.correlation.as_deref();
        properties.user = carried.user.iter().map(|(key, value)| (&**key, &**value)).collect();
    }
    // What is left of it (MQTT-3.3.2-6), rounded up so that it never arrives as zero.
    let left = parcel.expires.map(|expires| expires.saturating_duration_since(now));
    properties.message_expiry_s = left.map(|left| left.as_millis().div_ceil(1000) as u32);
    properties.subscription_ids = parcel.ids.as_deref().unwrap_or_default().to_vec();
    Some(Box::new(properties))
}

/// The PUBLISH that delivers `parcel`.
pub(super) fn publish(parcel: &Parcel, id: u16, dup: bool, v5: bool, now: Instant) -> Publish<'_> {
    Publish {
        dup: dup && parcel.qos != Qos::AtMostOnce,
        qos: parcel.qos,
        retain: parcel.retain,
        topic: parcel.message.topic.as_str(),
        packet_id: id,
        properties: if v5 { properties_of(parcel, now) } else { None },
        payload: &parcel.message.payload,
    }
}
