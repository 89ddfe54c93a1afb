//! Writes a delta batch.

use std::convert::Infallible;

use minicbor::Encoder;

use super::super::{Body, Header, Item};
use super::columns::Column;
use super::predict::{Numbers, Order, Times};
use super::{EXACT, Kind, MOST_DECIMALS, VERSION};
use crate::format::number;
use crate::model::{Quality, Spread, TimeQuality};

type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// What records of one topic, one unit and one kind have in common.
struct Stream<'a> {
    topic: &'a str,
    unit: &'a str,
    kind: Kind,
    /// The value before, times 10 to its decimals.
    last: i64,
}

pub(in crate::format::batch) fn encode(header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    let (mut streams, places) = sort(items);
    let columns = Columns::of(items, &places, &mut streams);
    let mut to = Encoder::new(Vec::with_capacity(64 + 12 * items.len()));
    write(&mut to, header, items, &streams, &columns).expect("a vector takes everything");
    to.into_writer()
}

/// The streams as they first appear, and which of them each item is of.
fn sort<'a>(items: &[Item<'a>]) -> (Vec<Stream<'a>>, Vec<usize>) {
    let mut streams: Vec<Stream<'a>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    let mut places = Vec::with_capacity(items.len());
    for item in items {
        let (unit, kind) = kind(&item.body);
        // Decimals are those of the whole stream.
        let place = *known.entry((item.topic, unit, std::mem::discriminant(&kind))).or_insert_with(|| {
            streams.push(Stream { topic: item.topic, unit, kind, last: 0 });
            streams.len() - 1
        });
        streams[place].kind = wider(streams[place].kind, kind);
        places.push(place);
    }
    // Values that need few decimals may be too large for the many that others of the stream need.
    for (item, place) in items.iter().zip(&places) {
        let stream = &mut streams[*place];
        let fits = |decimals| values(&item.body).iter().all(|text| scaled(text, decimals).is_some());
        stream.kind = match stream.kind {
            Kind::Reading(Some(decimals)) if !fits(decimals) => Kind::Reading(None),
            Kind::Mean(Some(decimals)) if !fits(decimals) => Kind::Mean(None),
            kind => kind,
        };
    }
    (streams, places)
}

/// The unit and the kind that an item needs by itself.
fn kind<'a>(body: &Body<'a>) -> (&'a str, Kind) {
    let decimals = || {
        let needed = |text: &String| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let most = values(body).iter().map(needed).max().unwrap_or(0);
        u8::try_from(most).ok().filter(|most| *most <= MOST_DECIMALS)
    };
    match body {
        Body::Reading { unit, spread: None, .. } => (unit, Kind::Reading(decimals())),
        Body::Reading { unit, .. } => (unit, Kind::Mean(decimals())),
        Body::Payload(_) => ("", Kind::Payload),
    }
}

/// The kind that has room for both.
fn wider(one: Kind, other: Kind) -> Kind {
    let most = |one: Option<u8>, other: Option<u8>| one.zip(other).map(|(one, other)| one.max(other));
    match (one, other) {
        (Kind::Reading(one), Kind::Reading(other)) => Kind::Reading(most(one, other)),
        (Kind::Mean(one), Kind::Mean(other)) => Kind::Mean(most(one, other)),
        _ => one,
    }
}

/// The item's numbers as text, as every format prints them.
fn values(body: &Body<'_>) -> Vec<String> {
    match *body {
        Body::Reading { value, decimals, spread: None, .. } => vec![number(value, decimals)],
        Body::Reading { value, decimals, spread: Some(Spread { min, max, .. }), .. } => {
            [value, min, max].map(|it| number(it, decimals)).to_vec()
        }
        Body::Payload(_) => Vec::new(),
    }
}

/// The number times 10 to `decimals`, if that is a whole number that a double holds.
fn scaled(text: &str, decimals: u8) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = usize::from(decimals).checked_sub(fraction.len())?;
    let scaled: i64 = format!("{whole}{fraction}{}", "0".repeat(missing)).parse().ok()?;
    (scaled.unsigned_abs() <= EXACT).then_some(scaled)
}

/// What each item adds.
struct Columns {
    order: Column,
    times: Column,
    values: Column,
    states: Column,
    numbers: Column,
}

impl Columns {
    fn of(items: &[Item<'_>], places: &[usize], streams: &mut [Stream<'_>]) -> Self {
        let new = Column::default;
        let mut to = Self { order: new(), times: new(), values: new(), states: new(), numbers: new() };
        let count = streams.len();
        let (mut order, mut numbers) = (Order::new(count), Numbers::new(count));
        let mut times = Times::new(count, items.first().map_or(0, |item| item.time_ms));
        for (item, &place) in items.iter().zip(places) {
            to.order.unsigned(if order.predicted() == place { 0 } else { place as u64 + 1 });
            order.learn(place);
            to.times.signed(item.time_ms.wrapping_sub(times.predicted(place)));
            times.learn(place, item.time_ms);
            if let Body::Reading { number, .. } = item.body {
                to.numbers.signed(number.wrapping_sub(numbers.predicted(place)) as i64);
                numbers.learn(place, number);
            }
            to.value(item, &mut streams[place]);
        }
        to.states(items);
        to
    }

    fn value(&mut self, item: &Item<'_>, stream: &mut Stream<'_>) {
        let texts = values(&item.body);
        match stream.kind {
            Kind::Reading(Some(decimals)) | Kind::Mean(Some(decimals)) => {
                let scaled: Vec<_> = texts.iter().filter_map(|text| scaled(text, decimals)).collect();
                let mean = scaled[0];
                self.values.signed(mean.wrapping_sub(std::mem::replace(&mut stream.last, mean)));
                if let [_, min, max] = scaled[..] {
                    self.values.signed(mean.wrapping_sub(min));
                    self.values.signed(max.wrapping_sub(mean));
                }
            }
            // What is no number is printed as null.
            _ => texts.iter().for_each(|text| self.values.double(text.parse().unwrap_or(f64::NAN))),
        }
        if let Body::Reading { spread: Some(Spread { count, over_ms, .. }), .. } = item.body {
            self.values.unsigned(u64::from(count));
            self.values.unsigned(over_ms);
        }
    }

    fn states(&mut self, items: &[Item<'_>]) {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for state in items.iter().map(state) {
            match runs.last_mut() {
                Some((last, count)) if *last == state => *count += 1,
                _ => runs.push((state, 1)),
            }
        }
        runs.pop_if(|(state, _)| *state == 0);
        for (state, count) in runs {
            self.states.unsigned(state);
            self.states.unsigned(count);
        }
    }
}

fn state(item: &Item<'_>) -> u64 {
    let quality = match item.body {
        Body::Reading { quality, .. } => quality,
        Body::Payload(_) => Quality::Ok,
    };
    let quality = match quality {
        Quality::Ok => 0,
        Quality::Suspect => 1,
        Quality::Stale => 2,
        Quality::Simulated => 3,
    };
    let time = match item.time_quality {
        TimeQuality::Synced => 0,
        TimeQuality::Unsynced => 1,
        TimeQuality::Corrected => 2,
    };
    quality + 4 * time
}

fn write(
    to: &mut Encoder<Vec<u8>>,
    header: &Header<'_>,
    items: &[Item<'_>],
    streams: &[Stream<'_>],
    columns: &Columns,
) -> Written {
    to.array(12)?.u64(VERSION)?;
    match id_bytes(header.store) {
        Some(bytes) => to.bytes(&bytes)?,
        None => to.str(header.store)?,
    };
    to.str(header.chain)?;
    write_runs(to, items)?;
    write_streams(to, streams)?;
    to.i64(items.first().map_or(0, |item| item.time_ms))?;
    to.bytes(columns.order.trimmed())?.bytes(columns.times.trimmed())?.bytes(columns.values.whole())?;
    to.bytes(columns.states.whole())?.bytes(columns.numbers.trimmed())?;
    let payloads =
        || items.iter().filter_map(|item| if let Body::Payload(payload) = item.body { Some(payload) } else { None });
    to.array(payloads().count() as u64)?;
    for payload in payloads() {
        match std::str::from_utf8(payload) {
            Ok(text) => to.str(text)?,
            Err(_) => to.bytes(payload)?,
        };
    }
    Ok(())
}

fn write_runs(to: &mut Encoder<Vec<u8>>, items: &[Item<'_>]) -> Written {
    let mut runs: Vec<[u64; 3]> = Vec::new();
    for Item { start, sequence, .. } in items {
        match runs.last_mut() {
            Some([run, first, count]) if *run == u64::from(*start) && first.checked_add(*count) == Some(*sequence) => {
                *count += 1;
            }
            _ => runs.push([u64::from(*start), *sequence, 1]),
        }
    }
    to.array(3 * runs.len() as u64)?;
    for number in runs.into_iter().flatten() {
        to.u64(number)?;
    }
    Ok(())
}

fn write_streams(to: &mut Encoder<Vec<u8>>, streams: &[Stream<'_>]) -> Written {
    to.array(4 * streams.len() as u64)?;
    let mut before = "";
    for Stream { topic, unit, kind, .. } in streams {
        let same = before.bytes().zip(topic.bytes()).take_while(|(one, other)| one == other).count();
        let shared = topic.floor_char_boundary(same);
        to.u64(shared as u64)?.str(&topic[shared..])?.str(unit)?.u8(kind.code())?;
        before = topic;
    }
    Ok(())
}

/// The bytes of 32 lowercase hexadecimal digits.
fn id_bytes(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}
