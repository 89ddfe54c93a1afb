//! From bytes of unknown making to entries: every byte string gives entries or an [`Error`], within bounds.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::entry::Entry;
use super::{Encoding, MOST_ITEMS, delta, json, zip};
use crate::format::senml;
use crate::model::{Quality, TimeQuality};

/// What a batch may unpack to, in bytes.
pub const MOST_UNPACKED: usize = 16 << 20;

/// The topics of all entries of a batch, in bytes: a name that is written once can count for every entry.
pub(in crate::format) const MOST_TOPICS: usize = 64 << 20;

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither JSON, nor CBOR, nor a Zstandard frame.
    #[error("this is no batch: it begins neither like JSON nor like a delta batch nor like a Zstandard frame")]
    Unknown,
    /// It ends too early, or a part of it cannot be.
    #[error("damaged batch: bad {0}")]
    Damaged(&'static str),
    /// It is not JSON; why and where.
    #[error("damaged batch: {0}")]
    Json(String),
    /// A newer weir wrote it.
    #[error("written by a newer weir, in version {0} of the delta format")]
    Version(u64),
    /// The frame needs a dictionary that this weir does not have.
    #[error("packed with the dictionary {0}, which this weir does not have")]
    Dictionary(u32),
    /// It would unpack to more than is sensible.
    #[error("too large: a batch unpacks to 16 MiB and 10000 entries at most")]
    TooLarge,
}

/// How bytes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Inside.
    pub encoding: Encoding,
    /// Whether Zstandard is around it.
    pub packed: bool,
}

/// Finds out how a payload is written.
///
/// # Errors
/// Says why it cannot be unpacked, or that it is nothing known.
pub fn detect(bytes: &[u8]) -> Result<Layout, Error> {
    unpacked(bytes).and_then(|(plain, packed)| Ok(Layout { encoding: encoding(&plain)?, packed }))
}

/// The entries of a batch. `encoding` is what it is known to be; without it, that is found out.
///
/// # Errors
/// Says what is wrong with it.
pub fn decode(bytes: &[u8], known: Option<Encoding>) -> Result<Vec<Entry>, Error> {
    let (plain, _) = unpacked(bytes)?;
    let mut sink = Sink::default();
    match known.map_or_else(|| encoding(&plain), Ok)? {
        Encoding::Json => json::decode(&plain, &mut sink)?,
        Encoding::Senml => senml::decode_pack(&plain, &mut sink)?,
        Encoding::Delta => delta::decode(&plain, &mut sink)?,
    }
    Ok(sink.into_entries())
}

fn unpacked(bytes: &[u8]) -> Result<(std::borrow::Cow<'_, [u8]>, bool), Error> {
    if zip::is_frame(bytes) {
        return Ok((zip::decompress(bytes)?.into(), true));
    }
    if bytes.len() > MOST_UNPACKED { Err(Error::TooLarge) } else { Ok((bytes.into(), false)) }
}

/// What plain bytes begin like; SenML is JSON whose first object has a field of SenML.
fn encoding(plain: &[u8]) -> Result<Encoding, Error> {
    match plain.trim_ascii_start().first() {
        Some(b'[' | b'{') if senml::is_like(plain) => Ok(Encoding::Senml),
        Some(b'[' | b'{') => Ok(Encoding::Json),
        Some(0x80..=0x9f) => Ok(Encoding::Delta),
        _ => Err(Error::Unknown),
    }
}

/// Takes entries up to the bounds.
#[derive(Default)]
pub(in crate::format) struct Sink {
    entries: Vec<Entry>,
    topics: usize,
}

impl Sink {
    pub(in crate::format) fn take(&mut self, entry: Entry) -> Result<(), Error> {
        self.topics += entry.topic.len();
        if self.entries.len() == MOST_ITEMS || self.topics > MOST_TOPICS {
            return Err(Error::TooLarge);
        }
        self.entries.push(entry);
        Ok(())
    }

    pub(in crate::format) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

/// Hands each object of a JSON array, or the only one without array, to `take`; none is kept.
pub(in crate::format) fn objects<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let told = |error: serde_json::Error| Error::Json(error.to_string());
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return take(serde_json::from_slice(bytes).map_err(told)?);
    }
    let mut problem = None;
    let take = |object| take(object).map_err(|error| problem = Some(error));
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = Each { take, object: PhantomData }.deserialize(&mut json).and_then(|()| json.end());
    match (problem, read) {
        (Some(problem), _) => Err(problem),
        (None, read) => read.map_err(told),
    }
}

/// Reads an array object by object.
struct Each<T, F> {
    take: F,
    object: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>, F: FnMut(T) -> Result<(), ()>> DeserializeSeed<'a> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'a, T: Deserialize<'a>, F: FnMut(T) -> Result<(), ()>> Visitor<'a> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(object) = array.next_element()? {
            // What is wrong with the object is told by the caller.
            (self.take)(object).map_err(|()| serde::de::Error::custom("an object that cannot be"))?;
        }
        Ok(())
    }
}

pub(in crate::format) fn time(text: &str) -> Result<i64, Error> {
    text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond()).map_err(|_| Error::Damaged("time"))
}

pub(in crate::format) fn quality(word: &str) -> Result<Quality, Error> {
    let all = [Quality::Ok, Quality::Suspect, Quality::Stale, Quality::Simulated];
    all.into_iter().find(|quality| quality.word() == word).ok_or(Error::Damaged("quality"))
}

pub(in crate::format) fn time_quality(word: Option<&str>) -> Result<TimeQuality, Error> {
    let all = [TimeQuality::Synced, TimeQuality::Unsynced, TimeQuality::Corrected];
    let known = |word| all.into_iter().find(|quality| quality.word() == word).ok_or(Error::Damaged("time_quality"));
    word.map_or(Ok(TimeQuality::Synced), known)
}
