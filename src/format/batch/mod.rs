//! Several readings and messages in one payload. Pure.

mod json;

use crate::model::{Quality, TimeQuality};

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// One JSON object with a list of items.
    #[default]
    Json,
}

/// How a batch is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
}

impl Encoding {
    /// The words in the configuration.
    pub const NAMES: [(&'static str, Self); 1] = [("json", Self::Json)];
}

impl Compress {
    /// The words in the configuration.
    pub const NAMES: [(&'static str, Self); 1] = [("none", Self::None)];
}

/// What all items of a batch share.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// The store's id, 32 hexadecimal digits.
    pub store: &'a str,
    /// The chain of the store.
    pub chain: &'a str,
}

/// One record. (store, start, chain, sequence) is the key by which repeats are told from new records.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Its topic at the cloud.
    pub topic: &'a str,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: i64,
    /// How far to trust that.
    pub time_quality: TimeQuality,
    /// The run that took it.
    pub start: u32,
    /// Its place in the chain.
    pub sequence: u64,
    /// What it says.
    pub body: Body<'a>,
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A reading of an own sensor.
    Reading {
        /// What was read.
        value: f64,
        /// Its unit.
        unit: &'a str,
        /// Decimals worth writing.
        decimals: u8,
        /// How far to trust it.
        quality: Quality,
        /// Counts the readings of its sensor and measure.
        number: u64,
    },
    /// Somebody else's message.
    Payload(&'a [u8]),
}

/// The payload.
pub fn encode(encoding: Encoding, compress: Compress, header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    match (encoding, compress) {
        (Encoding::Json, Compress::None) => json::encode(header, items),
    }
}

/// The MQTT content type.
pub fn content_type(encoding: Encoding, compress: Compress) -> &'static str {
    match (encoding, compress) {
        (Encoding::Json, Compress::None) => "application/vnd.weir.batch+json",
    }
}

/// Bytes of an item before compression, roughly.
pub fn estimate(_encoding: Encoding, item: &Item<'_>) -> usize {
    let body = match item.body {
        Body::Reading { unit, .. } => 60 + unit.len(),
        Body::Payload(payload) => 20 + payload.len(),
    };
    60 + item.topic.len() + body
}
