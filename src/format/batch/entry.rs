//! What comes out of a batch.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::format::Time;
use crate::model::{Quality, Spread, TimeQuality};

/// By which a repeat is told from a new record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The store's id.
    pub store: Arc<str>,
    /// The run that took the record.
    pub start: u32,
    /// The chain.
    pub chain: Arc<str>,
    /// The record's place in it.
    pub sequence: u64,
}

/// One record of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its topic; empty in a payload that is no batch.
    pub topic: Arc<str>,
    /// When it was taken, milliseconds since 1970; nothing if that is not said.
    pub time_ms: Option<i64>,
    /// How far to trust that.
    pub time_quality: TimeQuality,
    /// Its key, if it has one.
    pub key: Option<Key>,
    /// What it says.
    pub content: Content,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A reading.
    Reading {
        /// Not a number when it was null.
        value: f64,
        /// As our drivers print it.
        unit: Arc<str>,
        /// How far to trust it.
        quality: Quality,
        /// Which of its sensor and measure since the gateway started.
        number: Option<u64>,
        /// Of several readings whose mean `value` is; the entry's time is that of the last.
        spread: Option<Spread>,
    },
    /// Somebody else's message.
    Payload(Vec<u8>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.store, self.start, self.chain, self.sequence)
    }
}

impl Key {
    /// Reads `<store>/<start>/<chain>/<sequence>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut next = || parts.next();
        let (store, start, chain, sequence) = (next()?, next()?, next()?, next()?);
        let key = Self {
            store: store.into(),
            start: start.parse().ok()?,
            chain: chain.into(),
            sequence: sequence.parse().ok()?,
        };
        next().is_none().then_some(key)
    }

    /// The key of the record that follows.
    pub(super) fn after(&self) -> Option<Self> {
        Some(Self { sequence: self.sequence.checked_add(1)?, ..self.clone() })
    }
}

impl Entry {
    /// One line of JSON: an object of a JSON batch, with its key.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.topic.is_empty() {
            map.serialize_entry("topic", &*self.topic)?;
        }
        if let Some(time_ms) = self.time_ms {
            map.serialize_entry("time", &Time(time_ms))?;
        }
        write_content(&mut map, &self.content)?;
        if self.time_quality != TimeQuality::Synced {
            map.serialize_entry("time_quality", self.time_quality.word())?;
        }
        if let Some(key) = &self.key {
            map.serialize_entry("key", &key.to_string())?;
        }
        map.end()
    }
}

fn write_content<M: SerializeMap>(map: &mut M, content: &Content) -> Result<(), M::Error> {
    match content {
        Content::Reading { value, unit, quality, number, spread } => {
            write_number(map, "value", *value)?;
            map.serialize_entry("unit", &**unit)?;
            map.serialize_entry("quality", quality.word())?;
            number.iter().try_for_each(|number| map.serialize_entry("seq", number))?;
            spread.iter().try_for_each(|spread| map.serialize_entry("aggregate", &Aggregate(spread)))
        }
        Content::Payload(payload) => match std::str::from_utf8(payload) {
            Ok(text) => map.serialize_entry("payload", text),
            Err(_) => map.serialize_entry("payload_base64", &Base64UrlUnpadded::encode_string(payload)),
        },
    }
}

struct Aggregate<'a>(&'a Spread);

impl Serialize for Aggregate<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Spread { min, max, count, over_ms } = self.0;
        let mut map = serializer.serialize_map(None)?;
        write_number(&mut map, "min", *min)?;
        write_number(&mut map, "max", *max)?;
        map.serialize_entry("count", count)?;
        map.serialize_entry("over_ms", over_ms)?;
        map.end()
    }
}

/// Whole numbers without a point.
fn write_number<M: SerializeMap>(map: &mut M, key: &str, number: f64) -> Result<(), M::Error> {
    // Whole numbers up to here are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        map.serialize_entry(key, &(number as i64))
    } else {
        map.serialize_entry(key, &number)
    }
}
