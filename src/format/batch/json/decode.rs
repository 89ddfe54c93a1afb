//! Reads a JSON batch, or one reading's JSON payload.

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;

use super::super::decode::{Error, Sink, quality, time, time_quality};
use super::super::entry::{Content, Entry};
use super::super::keys::Heard;
use crate::model::{Quality, Spread};

/// What an object may hold; anything else is skipped.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time_quality: Option<Cow<'a, str>>,
    value: Option<f64>,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
    #[serde(borrow)]
    quality: Option<Cow<'a, str>>,
    seq: Option<u64>,
    aggregate: Option<Aggregate>,
    #[serde(borrow)]
    payload: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload_base64: Option<Cow<'a, str>>,
}

/// Of the readings whose mean the value is.
#[derive(Deserialize)]
struct Aggregate {
    min: Option<f64>,
    max: Option<f64>,
    count: u32,
    over_ms: u64,
}

pub(in crate::format::batch) fn decode(bytes: &[u8], sink: &mut Sink) -> Result<(), Error> {
    let mut heard = Heard::default();
    super::super::decode::objects(bytes, |object: Object<'_>| sink.take(entry(object, &mut heard)?))
}

fn entry(object: Object<'_>, heard: &mut Heard) -> Result<Entry, Error> {
    Ok(Entry {
        topic: (&*object.topic).into(),
        time_ms: object.time.as_deref().map(time).transpose()?,
        time_quality: time_quality(object.time_quality.as_deref())?,
        key: heard.key(object.key.as_deref()).map_err(|()| Error::Damaged("key"))?,
        content: content(object)?,
    })
}

fn content(object: Object<'_>) -> Result<Content, Error> {
    if let Some(text) = object.payload {
        return Ok(Content::Payload(text.into_owned().into_bytes()));
    }
    if let Some(text) = object.payload_base64 {
        let payload = Base64UrlUnpadded::decode_vec(&text).map_err(|_| Error::Damaged("payload_base64"))?;
        return Ok(Content::Payload(payload));
    }
    let unit = object.unit.as_deref().unwrap_or_default().into();
    let quality = object.quality.as_deref().map_or(Ok(Quality::Ok), quality)?;
    let value = object.value.unwrap_or(f64::NAN);
    let spread = object.aggregate.map(|Aggregate { min, max, count, over_ms }| {
        let [min, max] = [min, max].map(|value| value.unwrap_or(f64::NAN));
        Spread { min, max, count, over_ms }
    });
    Ok(Content::Reading { value, unit, quality, number: object.seq, spread })
}
