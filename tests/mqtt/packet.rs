//! Packets as a client sees them.

use crate::bytes::{packet, text};
use crate::properties::{Properties, Reader};

/// Which MQTT a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V31 = 3,
    V311 = 4,
    V5 = 5,
}

/// A packet from the hub, with its fixed header taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) version: Version,
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connack {
    pub(crate) session_present: bool,
    /// Return code of MQTT 3, reason of MQTT 5.
    pub(crate) code: u8,
    pub(crate) properties: Properties,
}

/// PUBLISH in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    /// Zero with QoS 0.
    pub(crate) id: u16,
    pub(crate) properties: Properties,
    pub(crate) payload: Vec<u8>,
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (`codes` has one, success when it is left out),
/// SUBACK and UNSUBACK (one code for each filter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) codes: Vec<u8>,
    pub(crate) properties: Properties,
}

/// DISCONNECT or AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) reason: u8,
    pub(crate) properties: Properties,
}

impl Packet {
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    fn check(&self, first: u8) -> Reader<'_> {
        assert_eq!(self.first, first, "another packet was expected: {self:?}");
        Reader(&self.body)
    }

    pub(crate) fn connack(&self) -> Connack {
        let mut reader = self.check(0x20);
        let (flags, code) = (reader.u8(), reader.u8());
        assert!(flags <= 1, "reserved CONNACK flags are set: {self:?}");
        let properties = reader.properties(self.version);
        reader.end();
        Connack { session_present: flags == 1, code, properties }
    }

    pub(crate) fn publish(&self) -> Publish {
        assert_eq!(self.kind(), 3, "PUBLISH was expected: {self:?}");
        let mut reader = Reader(&self.body);
        let qos = self.first >> 1 & 3;
        let topic = reader.text();
        let id = if qos == 0 { 0 } else { reader.u16() };
        let properties = reader.properties(self.version);
        let payload = reader.rest().to_vec();
        Publish { dup: self.first & 8 != 0, qos, retain: self.first & 1 != 0, topic, id, properties, payload }
    }

    /// One of the four acknowledgements of PUBLISH, by its first byte.
    pub(crate) fn ack(&self, first: u8) -> Answer {
        let mut reader = self.check(first);
        let id = reader.u16();
        let code = if self.version == Version::V5 && !reader.is_empty() { reader.u8() } else { 0 };
        let properties = if reader.is_empty() { Properties::default() } else { reader.properties(self.version) };
        reader.end();
        Answer { id, codes: vec![code], properties }
    }

    /// SUBACK (0x90) or UNSUBACK (0xb0).
    pub(crate) fn verdicts(&self, first: u8) -> Answer {
        let mut reader = self.check(first);
        let id = reader.u16();
        let properties = reader.properties(self.version);
        Answer { id, codes: reader.rest().to_vec(), properties }
    }

    /// DISCONNECT (0xe0) or AUTH (0xf0).
    pub(crate) fn notice(&self, first: u8) -> Notice {
        let mut reader = self.check(first);
        let reason = if reader.is_empty() { 0 } else { reader.u8() };
        let properties = if reader.is_empty() { Properties::default() } else { reader.properties(self.version) };
        reader.end();
        Notice { reason, properties }
    }
}

impl Publish {
    pub(crate) fn new(topic: &str, qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Self {
        let (dup, retain, properties) = (false, false, Properties::default());
        Self { dup, qos, retain, topic: topic.to_owned(), id, properties, payload: payload.as_ref().to_vec() }
    }

    pub(crate) fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    pub(crate) fn again(self) -> Self {
        Self { dup: true, ..self }
    }

    pub(crate) fn carrying(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    pub(crate) fn bytes(&self, version: Version) -> Vec<u8> {
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        body.extend(self.properties.bytes(version));
        body.extend(&self.payload);
        packet(first, body)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

/// SUBSCRIBE with one options byte for each filter.
pub(crate) fn subscribe(version: Version, id: u16, properties: &Properties, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(properties.bytes(version));
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, body)
}

pub(crate) fn unsubscribe(version: Version, id: u16, properties: &Properties, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(properties.bytes(version));
    body.extend(filters.iter().flat_map(text));
    packet(0xa2, body)
}
