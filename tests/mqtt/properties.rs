//! MQTT 5 properties (section 2.2.2), and reading the fields of a packet.

use crate::bytes::{text, varint};
use crate::packet::Version;

/// Identifiers of table 2-4.
pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_ID: u8 = 0x0b;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTH_METHOD: u8 = 0x15;
    pub(crate) const AUTH_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM: u8 = 0x17;
    pub(crate) const WILL_DELAY: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1a;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARD_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_AVAILABLE: u8 = 0x2a;
}

/// A property's value by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Var(usize),
    Text(String),
    Data(Vec<u8>),
    Pair(String, String),
}

/// In the order of the packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Properties(pub(crate) Vec<(u8, Value)>);

impl Properties {
    pub(crate) fn one(id: u8, value: Value) -> Self {
        Self(vec![(id, value)])
    }

    pub(crate) fn and(mut self, id: u8, value: Value) -> Self {
        self.0.push((id, value));
        self
    }

    pub(crate) fn get(&self, id: u8) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(crate) fn all(&self, id: u8) -> Vec<&Value> {
        self.0.iter().filter(|(known, _)| *known == id).map(|(_, value)| value).collect()
    }

    /// With their length in front; nothing at all before MQTT 5.
    pub(crate) fn bytes(&self, version: Version) -> Vec<u8> {
        if version != Version::V5 {
            assert_eq!(self.0, [], "MQTT 3 has no properties");
            return Vec::new();
        }
        let body: Vec<u8> = self.0.iter().flat_map(|(id, value)| [vec![*id], value.bytes()].concat()).collect();
        [varint(body.len()), body].concat()
    }
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Byte(value) => vec![*value],
            Value::Two(value) => value.to_be_bytes().to_vec(),
            Value::Four(value) => value.to_be_bytes().to_vec(),
            Value::Var(value) => varint(*value),
            Value::Text(value) => text(value),
            Value::Data(value) => text(value),
            Value::Pair(key, value) => [text(key), text(value)].concat(),
        }
    }
}

/// Takes field after field from a packet of the hub; what is wrong with it fails the test.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("the packet ends inside a field");
        self.0 = rest;
        taken
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.len())
    }

    pub(crate) fn end(&self) {
        assert!(self.is_empty(), "bytes are left over at the end of a packet: {:02x?}", self.0);
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn data(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.take(length.into())
    }

    pub(crate) fn text(&mut self) -> String {
        let text = String::from_utf8(self.data().to_vec()).expect("the hub sends a string that is not UTF-8");
        assert!(!text.contains('\0'), "the hub sends U+0000 in a string");
        text
    }

    pub(crate) fn varint(&mut self) -> usize {
        let (mut value, mut scale) = (0, 1);
        loop {
            let byte = self.u8();
            value += usize::from(byte & 0x7f) * scale;
            if byte & 0x80 == 0 {
                assert!(scale == 1 || byte != 0, "the hub sends a length with needless bytes");
                return value;
            }
            scale *= 128;
            assert!(scale <= 128 * 128 * 128, "the hub sends a length of more than four bytes");
        }
    }

    /// Empty before MQTT 5.
    pub(crate) fn properties(&mut self, version: Version) -> Properties {
        if version != Version::V5 {
            return Properties::default();
        }
        let length = self.varint();
        let mut reader = Reader(self.take(length));
        let mut properties = Properties::default();
        while !reader.is_empty() {
            let id = reader.u8();
            let value = reader.value(id);
            let repeats = properties.get(id).is_some() && !matches!(id, id::USER | id::SUBSCRIPTION_ID);
            assert!(!repeats, "the hub sends property {id:#04x} twice");
            properties.0.push((id, value));
        }
        properties
    }

    fn value(&mut self, id: u8) -> Value {
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Value::Byte(self.u8()),
            0x13 | 0x21..=0x23 => Value::Two(self.u16()),
            0x02 | 0x11 | 0x18 | 0x27 => Value::Four(self.u32()),
            0x0b => Value::Var(self.varint()),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Value::Text(self.text()),
            0x09 | 0x16 => Value::Data(self.data().to_vec()),
            0x26 => Value::Pair(self.text(), self.text()),
            _ => panic!("the hub sends property {id:#04x}, which does not exist"),
        }
    }
}
