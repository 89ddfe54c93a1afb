//! MQTT packets as a client writes and reads them: an encoder and a decoder of this test's own, so that a mistake
//! of the hub's codec cannot hide behind the same mistake here.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Packet types, the upper half of the first byte (MQTT 5.0 section 2.1.2).
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) id: u16,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connack {
        present: bool,
        code: u8,
    },
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, by its type.
    Ack {
        kind: u8,
        id: u16,
        code: u8,
    },
    /// SUBACK and UNSUBACK.
    Granted {
        id: u16,
        codes: Vec<u8>,
    },
    Pong,
    Disconnect {
        code: u8,
    },
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let more = if left > 127 { 0x80 } else { 0 };
        bytes.push((left % 128) as u8 | more);
        left /= 128;
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// No properties, where MQTT 5 wants their length.
fn no_properties(out: &mut Vec<u8>, v5: bool) {
    if v5 {
        out.push(0);
    }
}

/// A persistent session, or (`expiry_s` 0) a clean one. No keep-alive.
pub(crate) fn connect(v5: bool, client_id: &str, expiry_s: u32) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, "MQTT");
    body.extend_from_slice(&[if v5 { 5 } else { 4 }, if expiry_s == 0 { 2 } else { 0 }, 0, 0]);
    if v5 {
        body.extend_from_slice(&[5, 0x11]);
        body.extend_from_slice(&expiry_s.to_be_bytes());
    }
    string(&mut body, client_id);
    packet(0x10, &body)
}

pub(crate) fn publish(v5: bool, publish: &Publish) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, &publish.topic);
    if publish.qos > 0 {
        body.extend_from_slice(&publish.id.to_be_bytes());
    }
    no_properties(&mut body, v5);
    body.extend_from_slice(&publish.payload);
    packet(0x30 | u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain), &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP that says success.
pub(crate) fn ack(kind: u8, id: u16) -> Vec<u8> {
    packet(kind << 4 | if kind == PUBREL { 2 } else { 0 }, &id.to_be_bytes())
}

pub(crate) fn subscribe(v5: bool, id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    no_properties(&mut body, v5);
    string(&mut body, filter);
    body.push(qos);
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(v5: bool, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    no_properties(&mut body, v5);
    string(&mut body, filter);
    packet(0xa2, &body)
}

pub(crate) const PING: [u8; 2] = [0xc0, 0];
pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// The first packet in `bytes` and its size, when it is whole.
///
/// # Panics
/// When it is not MQTT.
pub(crate) fn decode(bytes: &[u8], v5: bool) -> Option<(Packet, usize)> {
    let (size, header) = remaining(&bytes[1.min(bytes.len())..])?;
    let body = bytes.get(1 + header..1 + header + size)?;
    let first = bytes[0];
    let id = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let code = |at: usize| body.get(at).copied().unwrap_or(0);
    let packet = match first >> 4 {
        2 => Packet::Connack { present: body[0] == 1, code: body[1] },
        3 => Packet::Publish(read_publish(first, body, v5)),
        kind @ PUBACK..=PUBCOMP => Packet::Ack { kind, id: id(0), code: code(2) },
        9 | 11 => Packet::Granted { id: id(0), codes: body[2 + properties(&body[2..], v5)..].to_vec() },
        13 => Packet::Pong,
        14 => Packet::Disconnect { code: code(0) },
        other => panic!("a server does not send packets of type {other}"),
    };
    Some((packet, 1 + header + size))
}

/// A variable byte integer and its own length.
fn remaining(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// How long the properties are, with their length.
fn properties(bytes: &[u8], v5: bool) -> usize {
    if !v5 || bytes.is_empty() {
        return 0;
    }
    let (size, header) = remaining(bytes).expect("a length of the properties");
    size + header
}

fn read_publish(first: u8, body: &[u8], v5: bool) -> Publish {
    let qos = first >> 1 & 3;
    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8(body[2..end].to_vec()).expect("a topic is UTF-8");
    let (id, at) = if qos > 0 { (u16::from_be_bytes([body[end], body[end + 1]]), end + 2) } else { (0, end) };
    let at = at + properties(&body[at..], v5);
    Publish { dup: first & 8 != 0, qos, retain: first & 1 != 0, id, topic, payload: body[at..].to_vec() }
}

/// One connection. Every method gives nothing when it has ended.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    v5: bool,
}

impl Link {
    pub(crate) fn new(stream: TcpStream, v5: bool) -> Self {
        Self { stream, buffer: Vec::new(), v5 }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// The next packet; safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, size)) = decode(&self.buffer, self.v5) {
                self.buffer.drain(..size);
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
}

#[test]
fn packets_are_as_the_specification_draws_them() {
    let hello = Publish { dup: true, qos: 2, retain: true, id: 10, topic: "a/b".into(), payload: b"x".to_vec() };
    assert_eq!(publish(false, &hello), [0x3d, 8, 0, 3, b'a', b'/', b'b', 0, 10, b'x']);
    for v5 in [false, true] {
        let mut bytes = publish(v5, &hello);
        assert_eq!(decode(&bytes, v5), Some((Packet::Publish(hello.clone()), bytes.len())));
        bytes.pop();
        assert_eq!(decode(&bytes, v5), None);
    }
    assert_eq!(ack(PUBREL, 258), [0x62, 2, 1, 2]);
    assert_eq!(decode(&[0x50, 3, 1, 2, 0x92], true), Some((Packet::Ack { kind: PUBREC, id: 258, code: 0x92 }, 5)));
    assert_eq!(packet(0x30, &[0; 321])[..3], [0x30, 0xc1, 2]);
    let start = [0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 4];
    assert_eq!(connect(false, "name", 60)[..14], start);
}
