//! PUBLISH and its four acknowledgements (sections 3.3 to 3.7).

use super::properties::{self, Properties};
use super::wire::{Reader, malformed, put_binary, put_varint, varint_size};
use super::{CodecError, Reason, Version};
use crate::model::Qos;

/// An application message on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before, perhaps.
    pub dup: bool,
    /// How it is delivered.
    pub qos: Qos,
    /// To the server: keep it. To the client: it was kept.
    pub retain: bool,
    /// Where to; empty with a topic alias.
    pub topic: &'a str,
    /// 0 with QoS 0.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
    /// What.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack<'a> {
    /// Of the PUBLISH.
    pub packet_id: u16,
    /// MQTT 5; always success in older versions.
    pub reason: Reason,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
}

impl Ack<'_> {
    /// An acknowledgement without properties.
    pub fn new(packet_id: u16, reason: Reason) -> Self {
        Self { packet_id, reason, properties: None }
    }
}

pub(super) fn decode<'a>(flags: u8, reader: &mut Reader<'a>, version: Version) -> Result<Publish<'a>, CodecError> {
    let qos = Qos::from_level(flags >> 1 & 3).ok_or(malformed("a PUBLISH has QoS 3"))?;
    let dup = flags & 8 != 0;
    if dup && qos == Qos::AtMostOnce && version != Version::V3 {
        return Err(malformed("a PUBLISH with QoS 0 has the DUP flag"));
    }
    let topic = reader.text()?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { reader.packet_id()? };
    let properties = if version == Version::V5 { properties::decode(reader, properties::PUBLISH)? } else { None };
    Ok(Publish { dup, qos, retain: flags & 1 != 0, topic, packet_id, properties, payload: reader.rest() })
}

/// Writes the whole packet: its length is computed first, for this is the one that must be fast.
pub(super) fn encode(publish: &Publish<'_>, version: Version, out: &mut Vec<u8>) {
    let first = 0x30 | u8::from(publish.dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain);
    let id_size = if publish.qos == Qos::AtMostOnce { 0 } else { 2 };
    let mut properties = Vec::new();
    let mut properties_size = 0;
    if version == Version::V5 {
        properties_size = 1;
        if let Some(some) = publish.properties.as_deref() {
            properties::encode(&mut properties, Some(some));
            properties_size = properties.len();
        }
    }
    let length = 2 + publish.topic.len() + id_size + properties_size + publish.payload.len();
    out.reserve(1 + varint_size(length) + length);
    out.push(first);
    put_varint(out, length);
    put_binary(out, publish.topic.as_bytes());
    if id_size > 0 {
        out.extend_from_slice(&publish.packet_id.to_be_bytes());
    }
    match properties_size {
        0 => {}
        1 => out.push(0),
        _ => out.extend_from_slice(&properties),
    }
    out.extend_from_slice(publish.payload);
}

/// The reasons an acknowledgement of the packet type `kind` may give (sections 3.4.2.1 to 3.7.2.1).
fn is_ack_reason(kind: u8, reason: Reason) -> bool {
    match kind {
        4 | 5 => matches!(reason.0, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99),
        _ => matches!(reason.0, 0x00 | 0x92),
    }
}

pub(super) fn decode_ack<'a>(kind: u8, reader: &mut Reader<'a>, version: Version) -> Result<Ack<'a>, CodecError> {
    let packet_id = reader.packet_id()?;
    if version != Version::V5 || reader.is_empty() {
        return Ok(Ack::new(packet_id, Reason::SUCCESS));
    }
    let reason = Reason(reader.u8()?);
    if !is_ack_reason(kind, reason) {
        return Err(malformed("a reason code that this acknowledgement cannot give"));
    }
    let properties = if reader.is_empty() { None } else { properties::decode(reader, properties::ACK)? };
    Ok(Ack { packet_id, reason, properties })
}

pub(super) fn encode_ack(first: u8, ack: &Ack<'_>, version: Version, out: &mut Vec<u8>) {
    let [high, low] = ack.packet_id.to_be_bytes();
    match (version, ack.reason, &ack.properties) {
        (Version::V5, reason, Some(some)) => {
            out.push(first);
            super::wire::put_sized(out, |out| {
                out.extend_from_slice(&[high, low, reason.0]);
                properties::encode(out, Some(some));
            });
        }
        (Version::V5, reason, None) if reason != Reason::SUCCESS => {
            out.extend_from_slice(&[first, 3, high, low, reason.0]);
        }
        _ => out.extend_from_slice(&[first, 2, high, low]),
    }
}
