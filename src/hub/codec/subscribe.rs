//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (sections 3.8 to 3.11).

use super::properties::{self, Properties};
use super::wire::{Reader, malformed, protocol_error, put_binary};
use super::{CodecError, Reason, Version};
use crate::model::Qos;

/// When a new subscription gets retained messages (MQTT 5.0 section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    Always,
    /// Only when the subscription did not exist.
    IfNew,
    /// Never.
    Never,
}

/// What a client wants of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The highest QoS.
    pub qos: Qos,
    /// Not what this client published itself.
    pub no_local: bool,
    /// Keep the RETAIN flag of live messages.
    pub retain_as_published: bool,
    /// Retained messages at the start.
    pub retain_handling: RetainHandling,
}

impl Options {
    /// Plain options of MQTT 3.
    pub fn plain(qos: Qos) -> Self {
        Self { qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Always }
    }

    fn from_byte(byte: u8, version: Version) -> Result<Self, CodecError> {
        let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
        if byte & reserved != 0 {
            return Err(malformed("reserved bits of a subscription are set"));
        }
        let qos = Qos::from_level(byte & 3).ok_or(protocol_error("a subscription has QoS 3"))?;
        let retain_handling = match byte >> 4 & 3 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(protocol_error("retain handling 3")),
        };
        Ok(Self { qos, no_local: byte & 4 != 0, retain_as_published: byte & 8 != 0, retain_handling })
    }

    fn to_byte(self) -> u8 {
        self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}

/// A client wants messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// For SUBACK.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
    /// At least one; the texts are not checked as filters yet.
    pub filters: Vec<(&'a str, Options)>,
}

/// A client wants no more messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// For UNSUBACK.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
    /// At least one; the texts are not checked as filters yet.
    pub filters: Vec<&'a str>,
}

/// SUBACK or UNSUBACK: one reason for each filter; UNSUBACK of MQTT 3 carries none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts<'a> {
    /// Of the request.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
    /// In the order of the request.
    pub reasons: Vec<Reason>,
}

pub(super) fn decode<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Subscribe<'a>, CodecError> {
    let packet_id = reader.packet_id()?;
    let properties = if version == Version::V5 { properties::decode(reader, properties::SUBSCRIBE)? } else { None };
    if properties.as_ref().is_some_and(|it| it.subscription_ids.len() > 1) {
        return Err(protocol_error("a SUBSCRIBE has two subscription identifiers"));
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push((reader.text()?, Options::from_byte(reader.u8()?, version)?));
    }
    if filters.is_empty() {
        return Err(protocol_error("a SUBSCRIBE has no filter"));
    }
    Ok(Subscribe { packet_id, properties, filters })
}

pub(super) fn encode(subscribe: &Subscribe<'_>, version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(&subscribe.packet_id.to_be_bytes());
    if version == Version::V5 {
        properties::encode(out, subscribe.properties.as_deref());
    }
    for (filter, options) in &subscribe.filters {
        put_binary(out, filter.as_bytes());
        out.push(options.to_byte());
    }
}

pub(super) fn decode_unsubscribe<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Unsubscribe<'a>, CodecError> {
    let packet_id = reader.packet_id()?;
    let properties = if version == Version::V5 { properties::decode(reader, properties::UNSUBSCRIBE)? } else { None };
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.text()?);
    }
    if filters.is_empty() {
        return Err(protocol_error("an UNSUBSCRIBE has no filter"));
    }
    Ok(Unsubscribe { packet_id, properties, filters })
}

pub(super) fn encode_unsubscribe(unsubscribe: &Unsubscribe<'_>, version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(&unsubscribe.packet_id.to_be_bytes());
    if version == Version::V5 {
        properties::encode(out, unsubscribe.properties.as_deref());
    }
    for filter in &unsubscribe.filters {
        put_binary(out, filter.as_bytes());
    }
}

/// SUBACK (`granted`) or UNSUBACK, which has no reasons before MQTT 5.
pub(super) fn decode_verdicts<'a>(
    reader: &mut Reader<'a>,
    version: Version,
    granted: bool,
) -> Result<Verdicts<'a>, CodecError> {
    let packet_id = reader.packet_id()?;
    let properties = if version == Version::V5 { properties::decode(reader, properties::ACK)? } else { None };
    let reasons = if version == Version::V5 || granted { reader.rest() } else { &[] };
    if version != Version::V5 && reasons.iter().any(|code| !matches!(code, 0..=2 | 0x80)) {
        return Err(malformed("a SUBACK has a reserved return code"));
    }
    Ok(Verdicts { packet_id, properties, reasons: reasons.iter().map(|&code| Reason(code)).collect() })
}

pub(super) fn encode_verdicts(verdicts: &Verdicts<'_>, version: Version, granted: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&verdicts.packet_id.to_be_bytes());
    if version == Version::V5 {
        properties::encode(out, verdicts.properties.as_deref());
        out.extend(verdicts.reasons.iter().map(|reason| reason.0));
    } else if granted {
        // MQTT 3.1.1 knows one failure only (section 3.9.3).
        out.extend(verdicts.reasons.iter().map(|reason| if reason.is_error() { 0x80 } else { reason.0 }));
    }
}
