//! The properties of MQTT 5 (section 2.2.2): one bag for all packets, and which packet may carry what.

use super::wire::{Reader, malformed, protocol_error, put_binary, put_sized, put_varint};
use super::{CodecError, Reason};

/// A set of property identifiers, one bit each.
#[derive(Clone, Copy)]
pub(super) struct Allowed(u64);

/// The set of these property identifiers.
const fn of(ids: &[u8]) -> Allowed {
    let mut bits = 0;
    let mut at = 0;
    while at < ids.len() {
        bits |= 1 << ids[at];
        at += 1;
    }
    Allowed(bits)
}

pub(super) const CONNECT: Allowed = of(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
pub(super) const WILL: Allowed = of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
pub(super) const CONNACK: Allowed =
    of(&[0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a]);
pub(super) const PUBLISH: Allowed = of(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26]);
pub(super) const ACK: Allowed = of(&[0x1f, 0x26]);
pub(super) const SUBSCRIBE: Allowed = of(&[0x0b, 0x26]);
pub(super) const UNSUBSCRIBE: Allowed = of(&[0x26]);
pub(super) const DISCONNECT: Allowed = of(&[0x11, 0x1c, 0x1f, 0x26]);
pub(super) const AUTH: Allowed = of(&[0x15, 0x16, 0x1f, 0x26]);

/// Every property of MQTT 5; which of them a packet may carry is checked when it is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of MQTT 5.0 section 2.2.2.2")]
pub struct Properties<'a> {
    pub payload_format: Option<bool>,
    pub message_expiry_s: Option<u32>,
    pub content_type: Option<&'a str>,
    pub response_topic: Option<&'a str>,
    pub correlation: Option<&'a [u8]>,
    pub subscription_ids: Vec<u32>,
    pub session_expiry_s: Option<u32>,
    pub assigned_client_id: Option<&'a str>,
    pub server_keep_alive_s: Option<u16>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub request_problem_information: Option<bool>,
    pub will_delay_s: Option<u32>,
    pub request_response_information: Option<bool>,
    pub response_information: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub reason_string: Option<&'a str>,
    pub receive_maximum: Option<u16>,
    pub topic_alias_maximum: Option<u16>,
    pub topic_alias: Option<u16>,
    pub maximum_qos: Option<bool>,
    pub retain_available: Option<bool>,
    pub user: Vec<(&'a str, &'a str)>,
    pub maximum_packet_size: Option<u32>,
    pub wildcard_available: Option<bool>,
    pub subscription_ids_available: Option<bool>,
    pub shared_available: Option<bool>,
}

/// A property may appear only once (section 2.2.2.2).
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), CodecError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(protocol_error("a property appears twice")),
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, CodecError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(protocol_error("a property is neither 0 nor 1")),
    }
}

/// A number for which zero is a protocol error.
fn positive<T: Default + PartialEq>(value: T) -> Result<T, CodecError> {
    if value == T::default() { Err(protocol_error("a property is zero that must not be")) } else { Ok(value) }
}

/// Reads the property length and the properties; none at all is `None`.
pub(super) fn decode<'a>(reader: &mut Reader<'a>, allowed: Allowed) -> Result<Option<Box<Properties<'a>>>, CodecError> {
    let length = reader.varint()? as usize;
    if length == 0 {
        return Ok(None);
    }
    let mut inner = Reader::new(reader.take(length)?);
    let mut properties = Box::<Properties<'a>>::default();
    while !inner.is_empty() {
        properties.read_one(&mut inner, allowed)?;
    }
    Ok(Some(properties))
}

/// Writes the property length and the properties.
pub(super) fn encode(out: &mut Vec<u8>, properties: Option<&Properties<'_>>) {
    match properties {
        None => out.push(0),
        Some(properties) => put_sized(out, |out| properties.write(out)),
    }
}

impl<'a> Properties<'a> {
    fn read_one(&mut self, from: &mut Reader<'a>, allowed: Allowed) -> Result<(), CodecError> {
        // Identifiers are variable byte integers, but all defined ones fit one byte.
        let id = from.u8()?;
        if id > 0x2a {
            return Err(malformed("an unknown property"));
        }
        if allowed.0 & (1 << id) == 0 {
            return Err(malformed("a property that this packet cannot carry"));
        }
        match id {
            0x01 => once(&mut self.payload_format, flag(from)?),
            0x02 => once(&mut self.message_expiry_s, from.u32()?),
            0x03 => once(&mut self.content_type, from.text()?),
            0x08 => once(&mut self.response_topic, from.text()?),
            0x09 => once(&mut self.correlation, from.binary()?),
            0x0b => {
                self.subscription_ids.push(positive(from.varint()?)?);
                Ok(())
            }
            0x11 => once(&mut self.session_expiry_s, from.u32()?),
            0x12 => once(&mut self.assigned_client_id, from.text()?),
            0x13 => once(&mut self.server_keep_alive_s, from.u16()?),
            0x15 => once(&mut self.authentication_method, from.text()?),
            0x16 => once(&mut self.authentication_data, from.binary()?),
            0x17 => once(&mut self.request_problem_information, flag(from)?),
            0x18 => once(&mut self.will_delay_s, from.u32()?),
            0x19 => once(&mut self.request_response_information, flag(from)?),
            _ => self.read_other(id, from),
        }
    }

    fn read_other(&mut self, id: u8, from: &mut Reader<'a>) -> Result<(), CodecError> {
        match id {
            0x1a => once(&mut self.response_information, from.text()?),
            0x1c => once(&mut self.server_reference, from.text()?),
            0x1f => once(&mut self.reason_string, from.text()?),
            0x21 => once(&mut self.receive_maximum, positive(from.u16()?)?),
            0x22 => once(&mut self.topic_alias_maximum, from.u16()?),
            0x23 => match from.u16()? {
                0 => Err(CodecError { reason: Reason::TOPIC_ALIAS_INVALID, why: "a topic alias is zero" }),
                alias => once(&mut self.topic_alias, alias),
            },
            0x24 => once(&mut self.maximum_qos, flag(from)?),
            0x25 => once(&mut self.retain_available, flag(from)?),
            0x26 => {
                self.user.push((from.text()?, from.text()?));
                Ok(())
            }
            0x27 => once(&mut self.maximum_packet_size, positive(from.u32()?)?),
            0x28 => once(&mut self.wildcard_available, flag(from)?),
            0x29 => once(&mut self.subscription_ids_available, flag(from)?),
            0x2a => once(&mut self.shared_available, flag(from)?),
            _ => Err(malformed("an unknown property")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_flag(out, 0x01, self.payload_format);
        put_u32(out, 0x02, self.message_expiry_s);
        put_bytes(out, 0x03, self.content_type.map(str::as_bytes));
        put_bytes(out, 0x08, self.response_topic.map(str::as_bytes));
        put_bytes(out, 0x09, self.correlation);
        for &id in &self.subscription_ids {
            out.push(0x0b);
            put_varint(out, id as usize);
        }
        put_u32(out, 0x11, self.session_expiry_s);
        put_bytes(out, 0x12, self.assigned_client_id.map(str::as_bytes));
        put_u16(out, 0x13, self.server_keep_alive_s);
        put_bytes(out, 0x15, self.authentication_method.map(str::as_bytes));
        put_bytes(out, 0x16, self.authentication_data);
        put_flag(out, 0x17, self.request_problem_information);
        put_u32(out, 0x18, self.will_delay_s);
        put_flag(out, 0x19, self.request_response_information);
        put_bytes(out, 0x1a, self.response_information.map(str::as_bytes));
        put_bytes(out, 0x1c, self.server_reference.map(str::as_bytes));
        put_bytes(out, 0x1f, self.reason_string.map(str::as_bytes));
        put_u16(out, 0x21, self.receive_maximum);
        put_u16(out, 0x22, self.topic_alias_maximum);
        put_u16(out, 0x23, self.topic_alias);
        put_flag(out, 0x24, self.maximum_qos);
        put_flag(out, 0x25, self.retain_available);
        for (key, value) in &self.user {
            put_bytes(out, 0x26, Some(key.as_bytes()));
            put_binary(out, value.as_bytes());
        }
        put_u32(out, 0x27, self.maximum_packet_size);
        put_flag(out, 0x28, self.wildcard_available);
        put_flag(out, 0x29, self.subscription_ids_available);
        put_flag(out, 0x2a, self.shared_available);
    }
}

fn put_flag(out: &mut Vec<u8>, id: u8, value: Option<bool>) {
    if let Some(value) = value {
        out.extend_from_slice(&[id, value.into()]);
    }
}

fn put_u16(out: &mut Vec<u8>, id: u8, value: Option<u16>) {
    if let Some(value) = value {
        out.push(id);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn put_u32(out: &mut Vec<u8>, id: u8, value: Option<u32>) {
    if let Some(value) = value {
        out.push(id);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, id: u8, value: Option<&[u8]>) {
    if let Some(value) = value {
        out.push(id);
        put_binary(out, value);
    }
}
