//! The MQTT 5 properties of a message: a byte of presence bits, then what is present, in this order.

use std::sync::Arc;

use super::{Damaged, Reader, Writer};
use crate::model::{Properties, Topic};

const UTF8: u8 = 1;
const UTF8_IS: u8 = 2;
const EXPIRY: u8 = 4;
const CONTENT_TYPE: u8 = 8;
const RESPONSE: u8 = 16;
const CORRELATION: u8 = 32;

impl Writer {
    pub(crate) fn properties(&mut self, properties: &Properties) {
        let bit = |on, bit| if on { bit } else { 0 };
        self.u8(bit(properties.utf8_payload.is_some(), UTF8)
            | bit(properties.utf8_payload == Some(true), UTF8_IS)
            | bit(properties.expiry_s.is_some(), EXPIRY)
            | bit(properties.content_type.is_some(), CONTENT_TYPE)
            | bit(properties.response_topic.is_some(), RESPONSE)
            | bit(properties.correlation.is_some(), CORRELATION));
        if let Some(expiry_s) = properties.expiry_s {
            self.varint(expiry_s.into());
        }
        if let Some(content_type) = &properties.content_type {
            self.text(content_type);
        }
        if let Some(topic) = &properties.response_topic {
            self.text(topic.as_str());
        }
        if let Some(correlation) = &properties.correlation {
            self.blob(correlation);
        }
        self.varint(properties.user.len() as u64);
        for (key, value) in &properties.user {
            self.text(key);
            self.text(value);
        }
    }
}

impl Reader<'_> {
    pub(crate) fn properties(&mut self) -> Result<Properties, Damaged> {
        let present = self.u8("properties")?;
        let has = |bit| present & bit != 0;
        let mut properties = Properties { utf8_payload: has(UTF8).then(|| has(UTF8_IS)), ..Properties::default() };
        if has(EXPIRY) {
            properties.expiry_s = Some(self.varint("expiry")?.try_into().map_err(|_| Damaged("expiry"))?);
        }
        if has(CONTENT_TYPE) {
            properties.content_type = Some(Arc::from(self.text("content type")?));
        }
        if has(RESPONSE) {
            let topic = Topic::new(self.text("response topic")?).map_err(|_| Damaged("response topic"))?;
            properties.response_topic = Some(topic);
        }
        if has(CORRELATION) {
            properties.correlation = Some(self.blob("correlation data")?.into());
        }
        // Each pair takes at least two bytes, so a wrong count ends with the bytes and not with the memory.
        for _ in 0..self.varint("user properties")? {
            properties.user.push((Arc::from(self.text("user property")?), Arc::from(self.text("user property")?)));
        }
        Ok(properties)
    }
}
