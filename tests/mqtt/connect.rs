//! CONNECT of all three versions.

use crate::bytes::{packet, text};
use crate::packet::Version;
use crate::properties::{Properties, Value, id};

/// A CONNECT to be; every field may be changed before [`Connect::bytes`].
#[derive(Debug, Clone)]
pub(crate) struct Connect<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) will: Option<Will<'a>>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) properties: Properties,
}

#[derive(Debug, Clone)]
pub(crate) struct Will<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) properties: Properties,
}

impl<'a> Connect<'a> {
    /// A clean session, no keep-alive, nothing else.
    pub(crate) fn new(version: Version, client_id: &'a str) -> Self {
        let (will, user, password, properties) = (None, None, None, Properties::default());
        Self { version, client_id, clean: true, keep_alive_s: 0, will, user, password, properties }
    }

    /// A session that outlives the connection: by its flag in MQTT 3, for ten minutes in MQTT 5.
    pub(crate) fn kept(version: Version, client_id: &'a str) -> Self {
        let mut connect = Self { clean: false, ..Self::new(version, client_id) };
        if version == Version::V5 {
            connect.properties = Properties::one(id::SESSION_EXPIRY, Value::Four(600));
        }
        connect
    }

    pub(crate) fn keep_alive(self, keep_alive_s: u16) -> Self {
        Self { keep_alive_s, ..self }
    }

    pub(crate) fn will(self, topic: &'a str, payload: &'a str, qos: u8, retain: bool) -> Self {
        let properties = Properties::default();
        Self { will: Some(Will { topic, payload, qos, retain, properties }), ..self }
    }

    pub(crate) fn user(self, user: &'a str, password: Option<&'a str>) -> Self {
        Self { user: Some(user), password, ..self }
    }

    pub(crate) fn carrying(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    pub(crate) fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
        let logins = u8::from(self.user.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        will | logins | u8::from(self.clean) << 1
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_with_flags(self.flags())
    }

    /// With other connect flags than the payload's.
    pub(crate) fn bytes_with_flags(&self, flags: u8) -> Vec<u8> {
        let name = if self.version == Version::V31 { "MQIsdp" } else { "MQTT" };
        let mut body = text(name);
        body.extend([self.version as u8, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        body.extend(self.properties.bytes(self.version));
        body.extend(text(self.client_id));
        if let Some(will) = &self.will {
            body.extend(will.properties.bytes(self.version));
            body.extend(text(will.topic));
            body.extend(text(will.payload));
        }
        body.extend(self.user.into_iter().chain(self.password).flat_map(text));
        packet(0x10, body)
    }
}
