//! Reads a delta batch.

use std::sync::Arc;

use minicbor::Decoder;
use minicbor::data::Type;

use super::super::MOST_ITEMS;
use super::super::decode::{Error, Sink};
use super::super::entry::{Content, Entry, Key};
use super::columns::Cells;
use super::predict::{Numbers, Order, Times};
use super::{Kind, VERSION};
use crate::model::{Quality, Spread, TimeQuality};

struct Stream {
    topic: Arc<str>,
    unit: Arc<str>,
    kind: Kind,
    last: i64,
}

pub(in crate::format::batch) fn decode(bytes: &[u8], sink: &mut Sink) -> Result<(), Error> {
    let mut from = Decoder::new(bytes);
    let places = array(&mut from, "array")?;
    let version = from.u64().map_err(|_| Error::Damaged("version"))?;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    if places != 12 {
        return Err(Error::Damaged("array"));
    }
    let keys = keys(&mut from)?;
    let streams = streams(&mut from)?;
    let base = from.i64().map_err(|_| Error::Damaged("base time"))?;
    let mut column = |name| from.bytes().map(|rest| Cells { name, rest }).map_err(|_| Error::Damaged(name));
    let (order, times, values) = (column("order")?, column("times")?, column("values")?);
    let (states, numbers) = (column("states")?, column("numbers")?);
    let payloads = array(&mut from, "payloads")?;
    let count = streams.len();
    let mut rows = Rows {
        order: (order, Order::new(count)),
        times: (times, Times::new(count, base)),
        numbers: (numbers, Numbers::new(count)),
        values,
        states: (states, 0, 0),
        payloads: (from, payloads),
        streams,
    };
    keys.into_iter().try_for_each(|key| sink.take(rows.entry(key)?))
}

fn array(from: &mut Decoder<'_>, what: &'static str) -> Result<u64, Error> {
    from.array().ok().flatten().ok_or(Error::Damaged(what))
}

fn text<'b>(from: &mut Decoder<'b>, what: &'static str) -> Result<&'b str, Error> {
    from.str().map_err(|_| Error::Damaged(what))
}

fn unsigned(from: &mut Decoder<'_>, what: &'static str) -> Result<u64, Error> {
    from.u64().map_err(|_| Error::Damaged(what))
}

/// The key of each record.
fn keys(from: &mut Decoder<'_>) -> Result<Vec<Key>, Error> {
    let store: Arc<str> = match from.datatype() {
        Ok(Type::Bytes) => {
            let bytes = from.bytes().map_err(|_| Error::Damaged("store"))?;
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        _ => text(from, "store")?.into(),
    };
    let chain: Arc<str> = text(from, "chain")?.into();
    let runs = array(from, "runs")?;
    if !runs.is_multiple_of(3) {
        return Err(Error::Damaged("runs"));
    }
    let mut keys = Vec::new();
    for _ in 0..runs / 3 {
        let start = u32::try_from(unsigned(from, "runs")?).map_err(|_| Error::Damaged("runs"))?;
        let (first, count) = (unsigned(from, "runs")?, unsigned(from, "runs")?);
        if count > (MOST_ITEMS - keys.len()) as u64 {
            return Err(Error::TooLarge);
        }
        let end = first.checked_add(count).ok_or(Error::Damaged("runs"))?;
        let key = |sequence| Key { store: store.clone(), start, chain: chain.clone(), sequence };
        keys.extend((first..end).map(key));
    }
    Ok(keys)
}

fn streams(from: &mut Decoder<'_>) -> Result<Vec<Stream>, Error> {
    let fields = array(from, "streams")?;
    if !fields.is_multiple_of(4) {
        return Err(Error::Damaged("streams"));
    }
    if fields / 4 > MOST_ITEMS as u64 {
        return Err(Error::TooLarge);
    }
    let (mut streams, mut before, mut bytes) = (Vec::new(), String::new(), 0);
    for _ in 0..fields / 4 {
        let shared = usize::try_from(unsigned(from, "streams")?).map_err(|_| Error::Damaged("streams"))?;
        let shared = before.get(..shared).ok_or(Error::Damaged("streams"))?;
        let topic = format!("{shared}{}", text(from, "streams")?);
        bytes += topic.len();
        if bytes > super::super::decode::MOST_TOPICS {
            return Err(Error::TooLarge);
        }
        let unit = text(from, "streams")?.into();
        let kind = Kind::of(unsigned(from, "streams")?).ok_or(Error::Damaged("kind"))?;
        streams.push(Stream { topic: topic.as_str().into(), unit, kind, last: 0 });
        before = topic;
    }
    Ok(streams)
}

/// All columns, record by record.
struct Rows<'a> {
    order: (Cells<'a>, Order),
    times: (Cells<'a>, Times),
    numbers: (Cells<'a>, Numbers),
    values: Cells<'a>,
    /// Column, the state that holds, and for how many more records.
    states: (Cells<'a>, u64, u64),
    /// Where the next one is, and how many are left.
    payloads: (Decoder<'a>, u64),
    streams: Vec<Stream>,
}

impl Rows<'_> {
    fn entry(&mut self, key: Key) -> Result<Entry, Error> {
        let place = self.place()?;
        let (column, times) = &mut self.times;
        let time_ms = times.predicted(place).wrapping_add(column.signed()?);
        times.learn(place, time_ms);
        let (quality, time_quality) = self.state()?;
        let content = match self.streams[place].kind {
            Kind::Reading(decimals) => self.reading(place, decimals, quality)?,
            Kind::Mean(decimals) => self.mean(place, decimals, quality)?,
            Kind::Payload => self.payload()?,
        };
        let topic = self.streams[place].topic.clone();
        Ok(Entry { topic, time_ms: Some(time_ms), time_quality, key: Some(key), content })
    }

    fn place(&mut self) -> Result<usize, Error> {
        let (column, order) = &mut self.order;
        let place = match column.unsigned()? {
            0 => order.predicted(),
            place => usize::try_from(place - 1).map_err(|_| Error::Damaged("order"))?,
        };
        if place >= self.streams.len() {
            return Err(Error::Damaged("order"));
        }
        order.learn(place);
        Ok(place)
    }

    fn state(&mut self) -> Result<(Quality, TimeQuality), Error> {
        let (column, state, left) = &mut self.states;
        if *left == 0 {
            (*state, *left) =
                if column.rest.is_empty() { (0, u64::MAX) } else { (column.unsigned()?, column.unsigned()?) };
        }
        *left = left.checked_sub(1).ok_or(Error::Damaged("states"))?;
        let quality = [Quality::Ok, Quality::Suspect, Quality::Stale, Quality::Simulated][(*state & 3) as usize];
        let time = match *state >> 2 {
            0 => TimeQuality::Synced,
            1 => TimeQuality::Unsynced,
            2 => TimeQuality::Corrected,
            _ => return Err(Error::Damaged("states")),
        };
        Ok((quality, time))
    }

    fn reading(&mut self, place: usize, decimals: Option<u8>, quality: Quality) -> Result<Content, Error> {
        let value = match decimals {
            Some(decimals) => descaled(self.difference(place)?, decimals),
            None => self.values.double()?,
        };
        self.content(place, value, quality, None)
    }

    fn mean(&mut self, place: usize, decimals: Option<u8>, quality: Quality) -> Result<Content, Error> {
        let [mean, min, max] = match decimals {
            Some(decimals) => {
                let mean = self.difference(place)?;
                let min = mean.wrapping_sub(self.values.signed()?);
                let max = mean.wrapping_add(self.values.signed()?);
                [mean, min, max].map(|value| descaled(value, decimals))
            }
            None => [self.values.double()?, self.values.double()?, self.values.double()?],
        };
        let count = u32::try_from(self.values.unsigned()?).map_err(|_| Error::Damaged("values"))?;
        let over_ms = self.values.unsigned()?;
        self.content(place, mean, quality, Some(Spread { min, max, count, over_ms }))
    }

    fn content(
        &mut self,
        place: usize,
        value: f64,
        quality: Quality,
        spread: Option<Spread>,
    ) -> Result<Content, Error> {
        let (column, numbers) = &mut self.numbers;
        let number = numbers.predicted(place).wrapping_add(column.signed()? as u64);
        numbers.learn(place, number);
        let unit = self.streams[place].unit.clone();
        Ok(Content::Reading { value, unit, quality, number: Some(number), spread })
    }

    /// The stream's next value from its last one.
    fn difference(&mut self, place: usize) -> Result<i64, Error> {
        let stream = &mut self.streams[place];
        stream.last = stream.last.wrapping_add(self.values.signed()?);
        Ok(stream.last)
    }

    fn payload(&mut self) -> Result<Content, Error> {
        let (from, left) = &mut self.payloads;
        *left = left.checked_sub(1).ok_or(Error::Damaged("payloads"))?;
        let payload = match from.datatype() {
            Ok(Type::String) => from.str().map(str::as_bytes),
            _ => from.bytes(),
        };
        payload.map(|payload| Content::Payload(payload.to_vec())).map_err(|_| Error::Damaged("payloads"))
    }
}

/// The nearest double to `value` / 10^`decimals`: both are exact, so the quotient is rounded once.
fn descaled(value: i64, decimals: u8) -> f64 {
    value as f64 / 10_f64.powi(i32::from(decimals))
}
