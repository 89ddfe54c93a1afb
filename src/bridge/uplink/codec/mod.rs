//! MQTT packets, as far as a bridge needs them, in both versions.
//!
//! This folder is the only place that names the client crate, and it uses its packets only. Sessions,
//! packet ids, acknowledgements, keep-alive and connections are ours: a bridge must never lose sight
//! of which record a PUBACK is for, and a client that owns messages does.

mod v4;
mod v5;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::model::{Filter, Properties, Qos, Topic};

/// The MQTT version spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// What opens a session.
#[derive(Debug, Clone)]
pub struct Hello {
    /// Client id.
    pub client_id: String,
    /// User name and password; empty = not sent.
    pub login: (String, String),
    /// Keep-alive in seconds.
    pub keepalive_s: u16,
    /// How long the session outlives the connection, in seconds.
    pub session_expiry_s: u32,
    /// How many unacknowledged publishes we take at once.
    pub receive_max: u16,
    /// The largest packet we take, in bytes.
    pub packet_max: u32,
    /// Published, retained, at QoS 1, when we vanish.
    pub will: (Topic, Vec<u8>),
}

/// A publish, either way.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Topic.
    pub topic: Topic,
    /// Payload.
    pub payload: Bytes,
    /// QoS.
    pub qos: Qos,
    /// Retain flag.
    pub retain: bool,
    /// Sent before.
    pub dup: bool,
    /// Packet id; 0 at QoS 0.
    pub id: u16,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties>>,
}

/// What we send.
#[derive(Debug, Clone)]
pub enum Out<'a> {
    /// CONNECT, with clean start off.
    Connect(&'a Hello),
    /// PUBLISH.
    Publish(&'a Publish),
    /// SUBSCRIBE, with its packet id.
    Subscribe(u16, &'a [(Filter, Qos)]),
    /// PUBACK of a packet id.
    PubAck(u16),
    /// PUBREC of a packet id.
    PubRec(u16),
    /// PUBCOMP of a packet id.
    PubComp(u16),
    /// PINGREQ.
    PingReq,
    /// DISCONNECT; the will is not published.
    Disconnect,
}

/// What the peer told about itself in CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Publishes it takes at once.
    pub receive_max: u16,
    /// The largest packet it takes, in bytes.
    pub packet_max: usize,
    /// The keep-alive it wants instead of ours, in seconds.
    pub keepalive_s: Option<u16>,
    /// Whether it keeps retained messages.
    pub retain: bool,
    /// Whether it takes QoS 1.
    pub qos_1: bool,
}

/// What a CONNACK says that refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Return code (MQTT 3.1.1 section 3.2.2.3) or reason code (MQTT 5 section 3.2.2.2).
    pub code: u8,
    /// Why, in the peer's own words (MQTT 5).
    pub words: Option<String>,
    /// Where it sends us (MQTT 5 section 4.11).
    pub server: Option<String>,
}

/// What we get.
#[derive(Debug, Clone, PartialEq)]
pub enum In {
    /// CONNACK that accepts.
    Welcome(Welcome),
    /// CONNACK that refuses.
    Refused(Refusal),
    /// PUBLISH.
    Publish(Publish),
    /// PUBLISH on something that is no topic; it is acknowledged and dropped. Packet id and QoS.
    Nonsense(u16, Qos),
    /// PUBACK: packet id and reason code, 0 in MQTT 3.1.1.
    PubAck(u16, u8),
    /// PUBREL of a packet id.
    PubRel(u16),
    /// SUBACK: how many filters were refused.
    SubAck(usize),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT with its reason code.
    Disconnect(u8),
    /// Something a bridge never asked for.
    Other,
}

/// Bytes that are not MQTT, or a packet that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl WireError {
    /// A packet that has no place here.
    pub fn unexpected() -> Self {
        Self("an unexpected packet".into())
    }
}

/// The largest packet there is (MQTT section 2.2.3: four length bytes, and five of header).
const PACKET_MAX: usize = 268_435_455 + 5;

/// What a peer promises that says nothing else.
const PLAIN: Welcome =
    Welcome { receive_max: u16::MAX, packet_max: PACKET_MAX, keepalive_s: None, retain: true, qos_1: true };

impl Codec {
    /// Appends a packet to `to`. On an error `to` is as before.
    ///
    /// # Errors
    /// When the packet is too large for MQTT.
    pub fn encode(self, packet: &Out<'_>, to: &mut BytesMut) -> Result<(), WireError> {
        let before = to.len();
        let written = match self {
            Codec::V4 => v4::encode(packet, to),
            Codec::V5 => v5::encode(packet, to),
        };
        written.inspect_err(|_| to.truncate(before))
    }

    /// Takes the first whole packet, of at most `max` bytes, off `from`.
    ///
    /// # Errors
    /// When the bytes are not a packet of this version, or it is too large.
    pub fn decode(self, from: &mut BytesMut, max: u32) -> Result<Option<In>, WireError> {
        let Some((header, length)) = frame(from, max)? else { return Ok(None) };
        let whole = header + length;
        // These three are read here: the packet crate refuses reason codes it does not know,
        // an empty DISCONNECT, and the two-byte CONNACK of a broker that speaks 3.1.1 only.
        let body = &from[header..whole];
        let ours = match (from[0] >> 4, body) {
            (4, [high, low, rest @ ..]) => {
                let reason = if self == Codec::V5 { rest.first().copied().unwrap_or(0) } else { 0 };
                Some(In::PubAck(u16::from_be_bytes([*high, *low]), reason))
            }
            (14, reason) => Some(In::Disconnect(reason.first().copied().unwrap_or(0))),
            (2, [_, 0]) if self == Codec::V4 => Some(In::Welcome(PLAIN)),
            (2, [_, code, properties @ ..]) if *code != 0 => {
                let (words, server) = if self == Codec::V5 { v5::told(properties) } else { (None, None) };
                Some(In::Refused(Refusal { code: *code, words, server }))
            }
            _ => None,
        };
        if let Some(packet) = ours {
            from.advance(whole);
            return Ok(Some(packet));
        }
        let mut packet = from.split_to(whole);
        match self {
            Codec::V4 => v4::decode(&mut packet),
            Codec::V5 => v5::decode(&mut packet),
        }
        .map(Some)
    }
}

/// The length of the fixed header and of what follows it, when both are there.
fn frame(from: &[u8], max: u32) -> Result<Option<(usize, usize)>, WireError> {
    let mut length = 0;
    for (index, byte) in from.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let header = index + 2;
            if header + length > max as usize {
                return Err(WireError(format!("a packet of {} bytes, more than {max}", header + length)));
            }
            return Ok((from.len() >= header + length).then_some((header, length)));
        }
    }
    if from.len() > 4 { Err(WireError("a length of more than four bytes".into())) } else { Ok(None) }
}

/// A publish that came in, or what to do with one on something that is no topic.
fn arrived(topic: &str, publish: impl FnOnce(Topic) -> Publish, id: u16, qos: Qos) -> In {
    match Topic::new(topic) {
        Ok(topic) => In::Publish(publish(topic)),
        Err(_) => In::Nonsense(id, qos),
    }
}

#[cfg(test)]
mod tests;
