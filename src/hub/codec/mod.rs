//! MQTT packets of versions 3.1, 3.1.1 and 5.0: bytes in, packet out, and back. Pure.
//!
//! Decoding borrows from the input: nothing is copied. It is strict: whatever either specification
//! calls malformed or a protocol error, as far as one packet can tell, is an error with its reason.

mod connect;
mod disconnect;
mod properties;
mod publish;
mod reason;
mod subscribe;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

pub use connect::{Connack, Connect, Will};
pub use disconnect::Notice;
pub use properties::Properties;
pub use publish::{Ack, Publish};
pub use reason::Reason;
pub use subscribe::{Options, RetainHandling, Subscribe, Unsubscribe, Verdicts};

use wire::{Reader, malformed, put_sized};

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1, protocol level 3.
    V3,
    /// MQTT 3.1.1, protocol level 4.
    V4,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError {
    /// For DISCONNECT or CONNACK.
    pub reason: Reason,
    /// For the log.
    pub why: &'static str,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.why)
    }
}

impl std::error::Error for CodecError {}

/// One MQTT control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of section 2.1.2")]
pub enum Packet<'a> {
    Connect(Box<Connect<'a>>),
    Connack(Connack<'a>),
    Publish(Publish<'a>),
    Puback(Ack<'a>),
    Pubrec(Ack<'a>),
    Pubrel(Ack<'a>),
    Pubcomp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    Suback(Verdicts<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Unsuback(Verdicts<'a>),
    Pingreq,
    Pingresp,
    Disconnect(Notice<'a>),
    Auth(Notice<'a>),
}

/// The flags of the fixed header that each packet type must have (section 2.1.3).
fn check_first(first: u8, version: Version) -> Result<(), CodecError> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let right = match kind {
        0 => return Err(malformed("packet type 0 does not exist")),
        15 if version != Version::V5 => return Err(malformed("packet type 15 does not exist in MQTT 3")),
        3 => true,
        // MQTT 3.1 lets a client repeat these with the DUP flag (3.1, section 2.1).
        6 | 8 | 10 if version == Version::V3 => flags & 0x07 == 2,
        6 | 8 | 10 => flags == 2,
        _ => flags == 0,
    };
    if right { Ok(()) } else { Err(malformed("the reserved flags of the fixed header are wrong")) }
}

/// Takes the first packet from `input` and says how many bytes it had; nothing when more bytes are needed.
///
/// `version` is what the CONNECT of this connection said (any, for the CONNECT itself); `limit` is the
/// largest packet, in bytes with its header.
///
/// # Errors
/// As soon as the bytes at hand cannot become a packet any more: wrong flags and oversize
/// are found in the fixed header, before the body arrives.
pub fn decode(input: &[u8], version: Version, limit: usize) -> Result<Option<(Packet<'_>, usize)>, CodecError> {
    let Some((&first, rest)) = input.split_first() else { return Ok(None) };
    check_first(first, version)?;
    let Some((length, size)) = wire::varint(rest)? else { return Ok(None) };
    let total = 1 + size + length as usize;
    if total > limit {
        return Err(CodecError { reason: Reason::PACKET_TOO_LARGE, why: "the packet is larger than the limit" });
    }
    let Some(body) = input.get(1 + size..total) else { return Ok(None) };
    let mut reader = Reader::new(body);
    let packet = decode_body(first, &mut reader, version)?;
    reader.end()?;
    Ok(Some((packet, total)))
}

fn decode_body<'a>(first: u8, reader: &mut Reader<'a>, version: Version) -> Result<Packet<'a>, CodecError> {
    Ok(match first >> 4 {
        1 => Packet::Connect(Box::new(connect::decode(reader)?)),
        2 => Packet::Connack(connect::decode_connack(reader, version)?),
        3 => Packet::Publish(publish::decode(first & 0x0f, reader, version)?),
        4 => Packet::Puback(publish::decode_ack(4, reader, version)?),
        5 => Packet::Pubrec(publish::decode_ack(5, reader, version)?),
        6 => Packet::Pubrel(publish::decode_ack(6, reader, version)?),
        7 => Packet::Pubcomp(publish::decode_ack(7, reader, version)?),
        8 => Packet::Subscribe(subscribe::decode(reader, version)?),
        9 => Packet::Suback(subscribe::decode_verdicts(reader, version, true)?),
        10 => Packet::Unsubscribe(subscribe::decode_unsubscribe(reader, version)?),
        11 => Packet::Unsuback(subscribe::decode_verdicts(reader, version, false)?),
        12 => Packet::Pingreq,
        13 => Packet::Pingresp,
        14 => Packet::Disconnect(disconnect::decode(14, reader, version)?),
        _ => Packet::Auth(disconnect::decode(15, reader, version)?),
    })
}

impl Packet<'_> {
    /// Appends the packet to `out`, as `version` writes it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Packet::Publish(publish) => publish::encode(publish, version, out),
            Packet::Puback(ack) => publish::encode_ack(0x40, ack, version, out),
            Packet::Pubrec(ack) => publish::encode_ack(0x50, ack, version, out),
            Packet::Pubrel(ack) => publish::encode_ack(0x62, ack, version, out),
            Packet::Pubcomp(ack) => publish::encode_ack(0x70, ack, version, out),
            Packet::Pingreq => out.extend_from_slice(&[0xc0, 0]),
            Packet::Pingresp => out.extend_from_slice(&[0xd0, 0]),
            other => {
                out.push(other.first());
                put_sized(out, |out| other.encode_body(version, out));
            }
        }
    }

    /// The first byte of the packets that `encode_body` writes.
    fn first(&self) -> u8 {
        match self {
            Packet::Connect(_) => 0x10,
            Packet::Connack(_) => 0x20,
            Packet::Subscribe(_) => 0x82,
            Packet::Suback(_) => 0x90,
            Packet::Unsubscribe(_) => 0xa2,
            Packet::Unsuback(_) => 0xb0,
            Packet::Auth(_) => 0xf0,
            _ => 0xe0,
        }
    }

    fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Packet::Connect(connect) => connect::encode(connect, out),
            Packet::Connack(connack) => connect::encode_connack(connack, version, out),
            Packet::Subscribe(subscribe) => subscribe::encode(subscribe, version, out),
            Packet::Suback(verdicts) => subscribe::encode_verdicts(verdicts, version, true, out),
            Packet::Unsubscribe(unsubscribe) => subscribe::encode_unsubscribe(unsubscribe, version, out),
            Packet::Unsuback(verdicts) => subscribe::encode_verdicts(verdicts, version, false, out),
            Packet::Disconnect(notice) | Packet::Auth(notice) => disconnect::encode(notice, version, out),
            _ => {}
        }
    }
}
