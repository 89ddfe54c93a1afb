//! What the bridge writes into the store: versioned raw records.
//!
//! Layout (integers are LEB128 varints unless a width is given, texts are length and UTF-8):
//! ```text
//! version u8 = 1 | kind u8 | flags u8 | prefix_len | cloud topic | wall_ms i64 | mono_ms u64 | boot 16 bytes | ...
//! kind 1, own sample:      quality u8 | format u8 | sensor | measure | unit | decimals u8 | value f64 | sequence | spread
//!                          quality: bit 6 spread present (min f64 | max f64 | count | milliseconds), bit 7 exact
//! kind 2, foreign publish: properties | payload to the end
//! flags: bit 0 QoS 1, bit 1 retain, bit 2 properties present, bits 3-4 time quality
//! ```
//! Formatting, time correction and batching happen at send. Any byte string decodes to a record or an
//! [`Error`], never to a panic.

#[cfg(test)]
mod tests;

use super::lanes::topic_hash;
use crate::model::bytes::{Damaged, Reader, Writer};
use crate::model::{
    BootId, Format, Measure, Name, Payload, Properties, Qos, Quality, Reading, Sample, Source, Spread, Stamp,
    TimeQuality, Topic,
};

const VERSION: u8 = 1;
const SAMPLE: u8 = 1;
const PUBLISH: u8 = 2;

const QOS_1: u8 = 1;
const RETAIN: u8 = 2;
const PROPERTIES: u8 = 4;
/// Beside the quality of a sample: it stands for several; its measure is a counter or a state.
const SPREAD: u8 = 0x40;
const EXACT: u8 = 0x80;
const TIME_QUALITY_SHIFT: u8 = 3;

/// One stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The topic at the cloud.
    pub topic: Topic,
    /// How many bytes of `topic` a rule put in front of the local one.
    pub prefix_len: usize,
    /// 0 or 1, as the rule says.
    pub qos: Qos,
    /// As published.
    pub retain: bool,
    /// When it was taken (a sample) or came in (a publish).
    pub stamp: Stamp,
    /// What.
    pub body: Body,
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A reading of our own, and the payload format of its sensor. Its measure has no range any more.
    Sample(Source),
    /// Somebody else's message, as it came.
    Publish {
        /// Its payload.
        payload: Payload,
        /// Its properties, when there were any.
        properties: Option<Box<Properties>>,
    },
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A newer weir wrote it: it must be left alone.
    #[error("written by a newer weir, in record version {0}")]
    Version(u8),
    /// It ends too early, or a field holds what cannot be.
    #[error("damaged record: bad {0}")]
    Damaged(&'static str),
}

impl From<Damaged> for Error {
    fn from(Damaged(what): Damaged) -> Self {
        Error::Damaged(what)
    }
}

/// What tells the topics at the cloud apart, of a record as it is stored; nothing when it cannot be read.
pub(super) fn label(bytes: &[u8]) -> Option<u64> {
    let mut from = Reader::new(bytes);
    let version = from.u8("version").ok()?;
    (version == VERSION && from.u8("kind").is_ok() && from.u8("flags").is_ok()).then_some(())?;
    from.varint("prefix").ok()?;
    from.text("topic").ok().map(topic_hash)
}

impl Record {
    /// The topic here.
    pub fn local_topic(&self) -> Topic {
        let local = self.topic.as_str().get(self.prefix_len..).filter(|_| self.prefix_len > 0);
        local.and_then(|local| Topic::new(local).ok()).unwrap_or_else(|| self.topic.clone())
    }

    /// The bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, payload_len, has_properties) = match &self.body {
            Body::Sample(..) => (SAMPLE, 64, false),
            Body::Publish { payload, properties } => (PUBLISH, payload.len(), properties.is_some()),
        };
        let mut to = Writer::with_capacity(64 + self.topic.as_str().len() + payload_len);
        to.u8(VERSION);
        to.u8(kind);
        to.u8(self.flags(has_properties));
        to.varint(self.prefix_len as u64);
        to.text(self.topic.as_str());
        to.raw(&self.stamp.wall_ms.to_le_bytes());
        to.raw(&self.stamp.mono_ms.to_le_bytes());
        to.raw(&self.stamp.boot.0);
        match &self.body {
            Body::Sample(source) => write_sample(&mut to, source),
            Body::Publish { payload, properties } => {
                if let Some(properties) = properties {
                    to.properties(properties);
                }
                to.raw(payload);
            }
        }
        to.done()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Says whether a newer weir wrote it or it is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let version = from.u8("version")?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let (kind, flags) = (from.u8("kind")?, from.u8("flags")?);
        let prefix_len = from.varint("prefix")? as usize;
        let topic = Topic::new(from.text("topic")?).map_err(|_| Error::Damaged("topic"))?;
        let stamp = read_stamp(&mut from, flags)?;
        let body = match kind {
            SAMPLE => read_sample(&mut from, stamp)?,
            PUBLISH => {
                let properties = (flags & PROPERTIES != 0).then(|| from.properties()).transpose()?;
                Body::Publish { payload: from.rest().into(), properties: properties.map(Box::new) }
            }
            _ => return Err(Error::Damaged("kind")),
        };
        let qos = if flags & QOS_1 != 0 { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        Ok(Self { topic, prefix_len, qos, retain: flags & RETAIN != 0, stamp, body })
    }

    fn flags(&self, has_properties: bool) -> u8 {
        let time = match self.stamp.quality {
            TimeQuality::Synced => 0,
            TimeQuality::Unsynced => 1,
            TimeQuality::Corrected => 2,
        };
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.qos != Qos::AtMostOnce, QOS_1)
            | bit(self.retain, RETAIN)
            | bit(has_properties, PROPERTIES)
            | time << TIME_QUALITY_SHIFT
    }
}

fn read_stamp(from: &mut Reader<'_>, flags: u8) -> Result<Stamp, Error> {
    let quality = match flags >> TIME_QUALITY_SHIFT & 3 {
        0 => TimeQuality::Synced,
        1 => TimeQuality::Unsynced,
        2 => TimeQuality::Corrected,
        _ => return Err(Error::Damaged("time quality")),
    };
    Ok(Stamp {
        wall_ms: i64::from_le_bytes(from.array("wall time")?),
        mono_ms: u64::from_le_bytes(from.array("monotonic time")?),
        boot: BootId(from.array("boot id")?),
        quality,
    })
}

fn write_sample(to: &mut Writer, Source { sample, format }: &Source) {
    let quality = match sample.quality {
        Quality::Ok => 0,
        Quality::Suspect => 1,
        Quality::Stale => 2,
        Quality::Simulated => 3,
    };
    let bit = |on, bit| if on { bit } else { 0 };
    to.u8(quality | bit(sample.reading.spread.is_some(), SPREAD) | bit(sample.reading.measure.exact, EXACT));
    to.u8(format.code());
    to.text(sample.sensor.as_str());
    to.text(&sample.reading.measure.name);
    to.text(&sample.reading.measure.unit);
    to.u8(sample.reading.measure.decimals);
    to.raw(&sample.reading.value.to_le_bytes());
    to.varint(sample.sequence);
    if let Some(Spread { min, max, count, over_ms }) = sample.reading.spread {
        to.raw(&min.to_le_bytes());
        to.raw(&max.to_le_bytes());
        to.varint(u64::from(count));
        to.varint(over_ms);
    }
}

fn read_sample(from: &mut Reader<'_>, stamp: Stamp) -> Result<Body, Error> {
    let bits = from.u8("quality")?;
    let quality = match bits & !(SPREAD | EXACT) {
        0 => Quality::Ok,
        1 => Quality::Suspect,
        2 => Quality::Stale,
        3 => Quality::Simulated,
        _ => return Err(Error::Damaged("quality")),
    };
    let format = Format::of(from.u8("format")?).ok_or(Error::Damaged("format"))?;
    let sensor = Name::new(from.text("sensor")?).map_err(|_| Error::Damaged("sensor"))?;
    let (name, unit) = (from.text("measure")?, from.text("unit")?);
    let measure = Measure { exact: bits & EXACT != 0, ..Measure::named(name, unit, from.u8("decimals")?) };
    let value = f64::from_le_bytes(from.array("value")?);
    let sequence = from.varint("sequence")?;
    let spread = (bits & SPREAD != 0).then(|| read_spread(from)).transpose()?;
    let sample = Sample { sensor, reading: Reading { measure, value, spread }, stamp, quality, sequence };
    Ok(Body::Sample(Source { sample, format }))
}

fn read_spread(from: &mut Reader<'_>) -> Result<Spread, Error> {
    Ok(Spread {
        min: f64::from_le_bytes(from.array("least")?),
        max: f64::from_le_bytes(from.array("most")?),
        count: u32::try_from(from.varint("count")?).map_err(|_| Error::Damaged("count"))?,
        over_ms: from.varint("time")?,
    })
}
