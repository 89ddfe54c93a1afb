//! Batches: many records in one payload, and back. Pure.
//!
//! A record in a batch keeps its dedupe key, `<store>/<start>/<chain>/<sequence>`. JSON and SenML write it at the
//! first record and wherever it is not that of the record before with a sequence greater by one; `delta` writes
//! ranges. A batch is not retained, and MQTT properties have no place in it.

pub(in crate::format) mod decode;
mod delta;
mod dictionary;
mod entry;
mod json;
pub(in crate::format) mod keys;
mod zip;

#[cfg(test)]
mod tests;

use crate::format::senml;
use crate::model::{Quality, Spread, TimeQuality};

pub use decode::{Error, Layout, MOST_UNPACKED, decode, detect};
pub use dictionary::{DICTIONARIES, Dictionary};
pub use entry::{Content, Entry, Key};

/// Items in one batch at most; [`decode`] refuses more.
pub const MOST_ITEMS: usize = 10_000;

/// What the items of a batch of several may come to by [`estimate`], in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Encoding {
    /// A JSON array of objects.
    #[default]
    Json = 0,
    /// A SenML pack in JSON (RFC 8428).
    Senml = 1,
    /// Differences in CBOR: see the module `delta`.
    Delta = 2,
}

impl Encoding {
    /// All encodings by their names in the configuration.
    pub const ALL: [(&'static str, Encoding); 3] =
        [("json", Encoding::Json), ("senml", Encoding::Senml), ("delta", Encoding::Delta)];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// Whether a batch is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// As it is.
    #[default]
    None,
    /// One Zstandard frame (RFC 8878) with the dictionary that its header names, one of [`DICTIONARIES`].
    Zstd,
}

impl Compress {
    /// All ways by their names in the configuration.
    pub const ALL: [(&'static str, Compress); 2] = [("none", Compress::None), ("zstd", Compress::Zstd)];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Compress::None => "none",
            Compress::Zstd => "zstd",
        }
    }
}

/// What all items of a batch have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The store's id, 32 hexadecimal digits.
    pub store: &'a str,
    /// The chain, `<bridge>.<class>`; without `/`.
    pub chain: &'a str,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item<'a> {
    /// The topic that it would be published on by itself.
    pub topic: &'a str,
    /// When it was taken, milliseconds since 1970.
    pub time_ms: i64,
    /// How far to trust that.
    pub time_quality: TimeQuality,
    /// The run that took it.
    pub start: u32,
    /// Its place in its chain.
    pub sequence: u64,
    /// What it says.
    pub body: Body<'a>,
}

/// What an item says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Body<'a> {
    /// A reading of our own.
    Reading {
        /// In `unit`; null if it is not finite.
        value: f64,
        /// As printed.
        unit: &'a str,
        /// How many decimals are written.
        decimals: u8,
        /// How far to trust it.
        quality: Quality,
        /// Which of its sensor and measure since the gateway started.
        number: u64,
        /// Of several readings whose mean `value` is; `time_ms` is that of the last.
        spread: Option<Spread>,
    },
    /// The payload of somebody else's message, byte for byte.
    Payload(&'a [u8]),
}

/// The payload that carries `items`, of which there is at least one.
pub fn encode(encoding: Encoding, compress: Compress, header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    let plain = match encoding {
        Encoding::Json => json::encode(header, items),
        Encoding::Senml => senml::encode_pack(header, items),
        Encoding::Delta => delta::encode(header, items),
    };
    match compress {
        Compress::None => plain,
        Compress::Zstd => zip::compress(encoding, &plain),
    }
}

/// The media type, for the MQTT 5 content type.
pub fn content_type(encoding: Encoding, compress: Compress) -> &'static str {
    match (encoding, compress) {
        (Encoding::Json, Compress::None) => "application/json",
        (Encoding::Json, Compress::Zstd) => "application/json+zstd",
        (Encoding::Senml, Compress::None) => "application/senml+json",
        (Encoding::Senml, Compress::Zstd) => "application/senml+json+zstd",
        (Encoding::Delta, Compress::None) => "application/vnd.weir.delta+cbor",
        (Encoding::Delta, Compress::Zstd) => "application/vnd.weir.delta+cbor+zstd",
    }
}

/// About how many bytes an item adds before compression; seldom too few.
pub fn estimate(encoding: Encoding, item: &Item<'_>) -> usize {
    let fixed = match (encoding, &item.body) {
        (Encoding::Delta, Body::Payload(_)) => 16,
        (Encoding::Delta, _) => 24,
        (_, Body::Payload(_)) => 80,
        (_, Body::Reading { spread: None, .. }) => 130,
        (_, Body::Reading { spread: Some(_), .. }) => 220,
    };
    let own = match item.body {
        Body::Reading { unit, .. } => unit.len(),
        // Quotation marks and line breaks are escaped in JSON.
        Body::Payload(payload) => payload.len() + payload.len() / 3,
    };
    fixed + item.topic.len() + own
}
