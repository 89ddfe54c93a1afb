//! What the streams are on the wire, with TLS, TCP and acknowledgements: a model, in bytes.

use serde::Serialize;

use super::bridge::Load;
use super::{DAY_S, MONTH_DAYS, Span};
use crate::bridge::{Settings, Transport, Version};
use crate::model::Qos;

/// IPv4 and TCP with time stamps, of one segment.
const SEGMENT: f64 = 52.0;
/// Bytes of payload in a full segment.
const FULL: f64 = 1448.0;
/// What TLS 1.3 adds to a record.
const TLS: f64 = 22.0;
/// PUBACK.
const PUBACK: f64 = 4.0;
/// PINGREQ or PINGRESP.
const PING: f64 = 2.0;
/// Packet identifier, payload format, and content type "application/json" of MQTT 5.
const PACKET_ID: f64 = 2.0;
const DESCRIBED: f64 = 2.0 + 19.0;
/// The dedupe key of MQTT 5 as a user property, with numbers of six digits, without the bridge's name.
const DEDUPE: f64 = 5.0 + 7.0 + 32.0 + 12.0;
/// A whole TLS handshake with a chain of certificates, CONNECT and SUBSCRIBE with their answers.
const CONNECTING: f64 = 4800.0;
/// Batches that the ways are shown for.
const BATCH: f64 = 50.0;

/// The wire of one bridge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkOutlook {
    /// Megabytes (of 10^6 bytes) in thirty days, both directions, as it is configured.
    pub mb_per_month: Span,
    /// The part of it that keeps the connection: pings, and one reconnect a day.
    pub keeping: Span,
    /// What it would be in other ways, when there are readings of our own.
    pub ways: Vec<Way>,
}

/// One way of sending.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Way {
    /// Its name.
    pub way: &'static str,
    /// Megabytes in thirty days.
    pub mb_per_month: Span,
}

/// Ways of batching: name, bytes of one reading in a large batch as a share of its JSON and as a number, and bytes that
/// each batch costs besides. Measured with ten noisy sensors, 83 bytes of JSON each, in batches of 10, 50 and 200.
const WAYS: [(&str, f64, f64, f64); 4] = [
    ("batches of 50, json", 1.0, 1.0, 0.0),
    ("batches of 50, senml", 0.0, 36.0, 0.0),
    ("batches of 50, json and zstd", 0.0, 7.1, 34.0),
    ("batches of 50, delta", 0.0, 4.1, 14.0),
];

struct Wire {
    record: f64,
    v5: bool,
    bridge: f64,
}

impl Wire {
    fn new(bridge: &Settings) -> Self {
        let tls = bridge.endpoints.first().is_none_or(|endpoint| endpoint.transport != Transport::Tcp);
        let name = bridge.name.as_str().len() as f64;
        Self { record: if tls { TLS } else { 0.0 }, v5: bridge.version == Version::V5, bridge: name }
    }

    /// One PUBLISH with what comes back for it.
    fn publish(&self, topic: usize, payload: f64, described: bool, qos: Qos) -> f64 {
        let properties = if described { DESCRIBED } else { 0.0 } + DEDUPE + self.bridge;
        let properties = if self.v5 { properties + 1.0 } else { 0.0 };
        let acknowledged = qos != Qos::AtMostOnce;
        let rest = 2.0 + topic as f64 + properties + payload + if acknowledged { PACKET_ID } else { 0.0 };
        let packet = rest + if rest < 128.0 { 2.0 } else { 3.0 };
        let up = packet + self.record + ((packet + self.record) / FULL).ceil() * SEGMENT;
        // The answer in a record of its own, and its bare acknowledgement; without an answer, that of the message.
        let down = if acknowledged { SEGMENT + self.record + PUBACK + SEGMENT } else { SEGMENT };
        up + down
    }

    /// Pings of a day with so many messages at an even pace, and one reconnect.
    fn keeping(&self, bridge: &Settings, messages: f64) -> f64 {
        let keepalive = bridge.keepalive.as_secs_f64();
        let silent = messages * keepalive >= DAY_S;
        let pings = if silent { 0.0 } else { DAY_S / keepalive - messages };
        let ping = 2.0 * (SEGMENT + self.record + PING) + SEGMENT;
        let connecting = if self.record > 0.0 { CONNECTING } else { CONNECTING / 10.0 };
        pings.max(0.0) * ping + connecting
    }
}

pub(super) fn outlook(bridge: &Settings, load: &Load) -> LinkOutlook {
    let wire = Wire::new(bridge);
    let singles = |end: fn(Span) -> f64| -> f64 {
        let one = |(route, message, per_day): &(crate::bridge::rules::Route, crate::model::Message, Span)| {
            let (topic, payload) = (route.topic.as_str().len(), message.payload.len() as f64);
            end(*per_day) * wire.publish(topic, payload, message.source.is_some(), route.qos)
        };
        load.taken.iter().map(one).sum()
    };
    let messages: Span = load.taken.iter().map(|(_, _, per_day)| *per_day).sum();
    let keeping = messages.map(|messages| wire.keeping(bridge, messages));
    // Few messages need more pings: the span may stand on its head.
    let month = |span: Span| span.times(MONTH_DAYS / 1e6);
    let as_is = Span { least: singles(|span| span.least), most: singles(|span| span.most) };
    let own = load.taken.iter().any(|(_, message, _)| message.source.is_some());
    let ways = WAYS
        .iter()
        .filter(|_| own)
        .map(|way| Way { way: way.0, mb_per_month: month(batched(&wire, bridge, load, *way)) });
    LinkOutlook { mb_per_month: month(as_is + keeping), keeping: month(keeping), ways: ways.collect() }
}

/// Bytes a day when readings leave in batches; other messages leave one by one.
fn batched(wire: &Wire, bridge: &Settings, load: &Load, way: (&str, f64, f64, f64)) -> Span {
    let (_, share, fixed, besides) = way;
    let mut sum = Span::default();
    for (route, message, per_day) in &load.taken {
        let (topic, json) = (route.topic.as_str().len(), message.payload.len() as f64);
        let each = if message.source.is_some() {
            wire.publish(topic, BATCH * (share * json + fixed) + besides, true, route.qos) / BATCH
        } else {
            wire.publish(topic, json, false, route.qos)
        };
        sum = sum + per_day.times(each);
    }
    let messages: Span = load.taken.iter().map(|(_, _, per_day)| per_day.times(1.0 / BATCH)).sum();
    sum + messages.map(|messages| wire.keeping(bridge, messages))
}
