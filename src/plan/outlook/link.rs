//! What the streams are on the wire, with TLS, TCP and acknowledgements: a model, in bytes.

use serde::Serialize;

use super::bridge::{Load, Taken};
use super::{DAY_S, MONTH_DAYS, Span};
use crate::bridge::{Class, Settings, Transport, Version};
use crate::format::batch::{Compress, Encoding};
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
    pub way: String,
    /// Megabytes in thirty days.
    pub mb_per_month: Span,
}

/// How readings are written in a batch. Measured with ten noisy sensors, 83 bytes of JSON each, in batches of 10, 50
/// and 200.
struct Content {
    name: &'static str,
    /// As `batch.format` calls it.
    encoding: &'static str,
    /// Without compression.
    plain: bool,
    /// Bytes of a reading in a large batch: a share of its payload, and a number.
    share: f64,
    fixed: f64,
    /// Bytes that a batch costs besides.
    besides: f64,
}

const CONTENTS: [Content; 4] = [
    Content { name: "json", encoding: "json", plain: true, share: 1.0, fixed: 1.0, besides: 0.0 },
    Content { name: "senml", encoding: "senml", plain: true, share: 0.0, fixed: 36.0, besides: 0.0 },
    Content { name: "json and zstd", encoding: "json", plain: false, share: 0.0, fixed: 7.1, besides: 34.0 },
    Content { name: "delta", encoding: "delta", plain: true, share: 0.0, fixed: 4.1, besides: 14.0 },
];

impl Content {
    /// Bytes of a batch of `count` messages. What others published is taken to be as long as it is.
    fn len(&self, count: f64, payload: f64, own: bool) -> f64 {
        let each = if own { self.share * payload + self.fixed } else { payload + 1.0 };
        count * each + self.besides
    }
}

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

    /// One PUBLISH packet.
    fn packet(&self, topic: usize, payload: f64, described: bool, acknowledged: bool) -> f64 {
        let properties = if described { DESCRIBED } else { 0.0 } + DEDUPE + self.bridge;
        let properties = if self.v5 { properties + 1.0 } else { 0.0 };
        let rest = 2.0 + topic as f64 + properties + payload + if acknowledged { PACKET_ID } else { 0.0 };
        rest + if rest < 128.0 { 2.0 } else { 3.0 }
    }

    /// One PUBLISH with what comes back for it.
    fn publish(&self, topic: usize, payload: f64, described: bool, qos: Qos) -> f64 {
        let acknowledged = qos != Qos::AtMostOnce;
        let packet = self.packet(topic, payload, described, acknowledged);
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
    let own = load.taken.iter().any(|taken| taken.message.source.is_some());
    // Few messages need more pings: a span may stand on its head.
    let month = |span: Span| span.times(MONTH_DAYS / 1e6);
    let usual = |taken: &Taken| batching(bridge, load, taken);
    let (sent, keeping) = wire.all(bridge, load, usual);
    let way = |way: &'static Content| {
        let batch = |taken: &Taken| taken.message.source.as_ref().map(|_| (Span::exactly(BATCH), way));
        let (sent, keeping) = wire.all(bridge, load, batch);
        Way { way: format!("batches of {BATCH}, {}", way.name), mb_per_month: month(sent + keeping) }
    };
    let ways = CONTENTS.iter().filter(|_| own).map(way).collect();
    LinkOutlook { mb_per_month: month(sent + keeping), keeping: month(keeping), ways }
}

/// The mean PUBLISH packet when each message is one of its own.
pub(super) fn mean_packet(bridge: &Settings, load: &Load) -> f64 {
    let wire = Wire::new(bridge);
    let of = |taken: &Taken| {
        let (topic, payload) = (taken.route.topic.as_str().len(), taken.message.payload.len() as f64);
        wire.packet(topic, payload, taken.message.source.is_some(), true) * taken.per_day.most
    };
    let messages: f64 = load.taken.iter().map(|taken| taken.per_day.most).sum();
    if messages > 0.0 { load.taken.iter().map(of).sum::<f64>() / messages } else { 1.0 }
}

/// How many messages of a stream's rule share a batch, and how they are written; nothing without batches.
fn batching(bridge: &Settings, load: &Load, taken: &Taken) -> Option<(Span, &'static Content)> {
    let rule = &bridge.forward[taken.rule];
    let batch = rule.batch.as_ref().filter(|_| rule.class != Class::Alarm)?;
    let same = load.taken.iter().filter(|other| other.rule == taken.rule);
    let per_day: Span = same.map(|other| other.per_day).sum();
    let count = per_day.map(|per_day| {
        let gathered = per_day / DAY_S * batch.max_age.as_secs_f64();
        let fits = batch.max_bytes as f64 / (taken.message.payload.len() as f64 + 1.0);
        gathered.min(fits).clamp(1.0, batch.max_count as f64)
    });
    let encoding = Encoding::ALL.iter().find(|(_, encoding)| *encoding == batch.encoding).map_or("", |(name, _)| name);
    let plain = batch.compress == Compress::default();
    let content = CONTENTS.iter().find(|content| content.encoding == encoding && content.plain == plain);
    Some((count, content.unwrap_or(&CONTENTS[0])))
}

impl Wire {
    /// Bytes a day of all messages and of keeping the connection; `batch` says which travel together, and how.
    fn all(
        &self,
        bridge: &Settings,
        load: &Load,
        batch: impl Fn(&Taken) -> Option<(Span, &'static Content)>,
    ) -> (Span, Span) {
        let (mut bytes, mut messages) = (Span::default(), Span::default());
        for taken in &load.taken {
            let Taken { route, message, per_day, .. } = taken;
            let (topic, payload) = (route.topic.as_str().len(), message.payload.len() as f64);
            let own = message.source.is_some();
            let Some((count, content)) = batch(taken) else {
                bytes = bytes + per_day.times(self.publish(topic, payload, own, route.qos));
                messages = messages + *per_day;
                continue;
            };
            let each = |count: f64| self.publish(topic, content.len(count, payload, own), true, route.qos) / count;
            let each = count.map(each);
            bytes = bytes + Span { least: per_day.least * each.least, most: per_day.most * each.most };
            messages = messages + Span { least: per_day.least / count.least, most: per_day.most / count.most };
        }
        (bytes, messages.map(|messages| self.keeping(bridge, messages)))
    }
}
