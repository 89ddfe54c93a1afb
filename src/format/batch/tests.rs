use proptest::prelude::*;

use super::*;

const HEADER: Header<'static> = Header { store: "00112233445566778899aabbccddeeff", chain: "cloud.2" };

/// An item that owns what it says.
#[derive(Debug, Clone)]
struct Own {
    topic: String,
    time_ms: i64,
    time_quality: TimeQuality,
    start: u32,
    sequence: u64,
    unit: &'static str,
    decimals: u8,
    quality: Quality,
    number: u64,
    value: f64,
    /// Of a mean: what min and max are away from it, count, how long it took.
    spread: Option<(f64, u32, u64)>,
    payload: Option<Vec<u8>>,
}

impl Own {
    fn item(&self) -> Item<'_> {
        let Self { time_ms, time_quality, start, sequence, unit, decimals, quality, number, value, .. } = *self;
        let spread =
            self.spread.map(|(away, count, over_ms)| Spread { min: value - away, max: value + away, count, over_ms });
        let body = match &self.payload {
            Some(payload) => Body::Payload(payload),
            None => Body::Reading { value, unit, decimals, quality, number, spread },
        };
        Item { topic: &self.topic, time_ms, time_quality, start, sequence, body }
    }
}

fn owns() -> impl Strategy<Value = Own> {
    let topic = prop_oneof![3 => "[a-c]/[a-c]/[t-v]", 1 => "[a-zé $]{1,3}(/[ü_A-Z\"]{0,3}){0,3}"];
    let times = (
        1_700_000_000_000..1_900_000_000_000_i64,
        prop::sample::select(vec![TimeQuality::Synced, TimeQuality::Unsynced, TimeQuality::Corrected]),
    );
    let key = (prop_oneof![4 => Just(3_u32), 1 => any::<u32>()], prop_oneof![4 => 1..9_u64, 1 => 0..u64::MAX]);
    let looks = (
        prop::sample::select(vec!["°C", "%", "", "hPa", "a\"b\\", "µg/m³"]),
        0..6_u8,
        prop::sample::select(vec![Quality::Ok, Quality::Suspect, Quality::Stale, Quality::Simulated]),
        prop_oneof![3 => 1..20_u64, 1 => any::<u64>()],
        prop_oneof![3 => -50.0..1100.0_f64, 1 => -1e9..1e9_f64, 1 => Just(f64::NAN)],
    );
    let spread = prop::option::weighted(0.2, (0.0..9.0_f64, any::<u32>(), 0..99_999_u64));
    let payload = prop::option::weighted(
        0.2,
        prop_oneof!["[a-z\"é\n]{0,9}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..9),],
    );
    (topic, times, key, looks, spread, payload).prop_map(|(topic, times, key, looks, spread, payload)| Own {
        topic,
        time_ms: times.0,
        time_quality: times.1,
        start: key.0,
        sequence: key.1,
        unit: looks.0,
        decimals: looks.1,
        quality: looks.2,
        number: looks.3,
        value: looks.4,
        spread,
        payload,
    })
}

/// Batches in which keys and times go on, as they do, or do not.
fn batches() -> impl Strategy<Value = Vec<Own>> {
    (prop::collection::vec(owns(), 1..40), any::<bool>()).prop_map(|(mut items, regular)| {
        if regular {
            for at in 1..items.len() {
                (items[at].start, items[at].sequence) = (items[0].start, items[0].sequence.saturating_add(at as u64));
                items[at].time_ms = items[at - 1].time_ms + 10;
            }
        }
        items
    })
}

/// What an item must come out as, written without any encoder.
fn line(item: &Item<'_>) -> String {
    let text = |value: f64, decimals: u8| crate::format::number(value, decimals);
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut line = format!(r#"{{"topic":{},"time":"{}","#, quote(item.topic), crate::format::Time(item.time_ms));
    line += &match item.body {
        Body::Reading { value, unit, decimals, quality, number, spread } => {
            let (value, unit) = (text(value, decimals), quote(unit));
            let aggregate = spread.map_or(String::new(), |Spread { min, max, count, over_ms }| {
                let (min, max) = (text(min, decimals), text(max, decimals));
                format!(r#","aggregate":{{"min":{min},"max":{max},"count":{count},"over_ms":{over_ms}}}"#)
            });
            format!(r#""value":{value},"unit":{unit},"quality":"{}","seq":{number}{aggregate}"#, quality.word())
        }
        Body::Payload(payload) => match std::str::from_utf8(payload) {
            Ok(payload) => format!(r#""payload":{}"#, quote(payload)),
            Err(_) => {
                use base64ct::Encoding as _;
                format!(r#""payload_base64":"{}""#, base64ct::Base64UrlUnpadded::encode_string(payload))
            }
        },
    };
    if item.time_quality != TimeQuality::Synced {
        line += &format!(r#","time_quality":"{}""#, item.time_quality.word());
    }
    line + &format!(r#","key":"{}/{}/{}/{}"}}"#, HEADER.store, item.start, HEADER.chain, item.sequence)
}

fn all_ways() -> impl Iterator<Item = (Encoding, Compress)> {
    Encoding::ALL.into_iter().flat_map(|(_, encoding)| Compress::ALL.map(|(_, compress)| (encoding, compress)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every encoding, packed or not, gives back what went in, and is recognised.
    #[test]
    fn a_batch_comes_out_as_it_went_in(owns in batches()) {
        let items: Vec<_> = owns.iter().map(Own::item).collect();
        let wanted: Vec<_> = items.iter().map(line).collect();
        for (encoding, compress) in all_ways() {
            let payload = encode(encoding, compress, &HEADER, &items);
            let packed = compress == Compress::Zstd;
            prop_assert_eq!(detect(&payload), Ok(Layout { encoding, packed }));
            let lines: Vec<_> = decode(&payload, None).unwrap().iter().map(Entry::line).collect();
            prop_assert_eq!(&lines, &wanted, "{:?}", encoding);
        }
    }

    /// Any number that a double can hold comes through delta exactly as its decimal text says. Readers of JSON may be
    /// off by one in the last of 53 bits.
    #[test]
    fn numbers_come_through_exactly(value in prop::num::f64::ANY, decimals in 0..25_u8, more in any::<f64>()) {
        let body = |value| Body::Reading { value, unit: "", decimals, quality: Quality::Ok, number: 1, spread: None };
        let item = |value| Item { topic: "a", time_ms: 0, time_quality: TimeQuality::Synced, start: 1, sequence: 1, body: body(value) };
        let printed = |value| crate::format::number(value, decimals).parse::<f64>().unwrap_or(f64::NAN).to_bits();
        for encoding in [Encoding::Delta, Encoding::Json] {
            let entries = decode(&encode(encoding, Compress::None, &HEADER, &[item(value), item(more)]), None).unwrap();
            for (entry, value) in entries.iter().zip([value, more]) {
                let Content::Reading { value: read, .. } = entry.content else { panic!("a reading") };
                let away = read.to_bits().abs_diff(printed(value));
                prop_assert!(away <= u64::from(encoding == Encoding::Json), "{} for {}", read, value);
            }
        }
    }

    /// No bytes make it panic, whatever they are said to be.
    #[test]
    fn any_bytes_give_entries_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), first in 0..6_usize) {
        for known in [None, Some(Encoding::Json), Some(Encoding::Senml), Some(Encoding::Delta)] {
            let begin: &[u8] = [&b""[..], b"[{", b"\x8c\x01", b"\x28\xb5\x2f\xfd", b"[{\"n\":", b"{\"value\":"][first];
            drop(decode(&[begin, &bytes].concat(), known));
        }
    }

    /// A batch that lost its end or got a flipped bit does not panic either.
    #[test]
    fn damage_gives_entries_or_an_error(owns in batches(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let items: Vec<_> = owns.iter().map(Own::item).collect();
        for (encoding, compress) in all_ways() {
            let mut payload = encode(encoding, compress, &HEADER, &items);
            let at = at.index(payload.len());
            drop(decode(&payload[..at], None));
            payload[at] ^= 1 << bit;
            drop(decode(&payload, None));
        }
    }

    #[test]
    fn estimates_are_seldom_too_low(mut owns in batches()) {
        (0..).zip(&mut owns).for_each(|(at, own)| (own.start, own.sequence) = (1, at));
        let items: Vec<_> = owns.iter().map(Own::item).collect();
        for (_, encoding) in Encoding::ALL {
            let plain = encode(encoding, Compress::None, &HEADER, &items).len();
            let estimated: usize = items.iter().map(|item| estimate(encoding, item)).sum();
            prop_assert!(plain <= estimated + 300, "{:?}: {} of {}", encoding, plain, estimated);
        }
    }
}

/// What would unpack to more than is sensible is refused before it is unpacked or taken.
#[test]
fn bombs_are_refused() {
    let bomb = zstd::bulk::compress(&vec![b' '; decode::MOST_UNPACKED + 1], 19).unwrap();
    assert!(bomb.len() < 4096);
    assert_eq!(decode(&bomb, None), Err(Error::TooLarge));
    assert_eq!(decode(&vec![b'['; decode::MOST_UNPACKED + 1], None), Err(Error::TooLarge));
    let many = format!("[{}{{}}]", "{},".repeat(MOST_ITEMS));
    assert_eq!(decode(many.as_bytes(), None), Err(Error::TooLarge));
    let deep = "[".repeat(100_000);
    assert!(matches!(decode(deep.as_bytes(), None), Err(Error::Json(_))));
    // One name for all of them, which counts for each.
    let names = format!(r#"[{{"bn":"{}"}}{}]"#, "n".repeat(60_000), ",{}".repeat(2000));
    assert_eq!(decode(names.as_bytes(), None), Err(Error::TooLarge));
    // 2^40 records in a few bytes.
    let mut runs = minicbor::Encoder::new(Vec::new());
    runs.array(12).unwrap().u64(1).unwrap().bytes(&[0; 16]).unwrap().str("c").unwrap();
    runs.array(3).unwrap().u64(1).unwrap().u64(1).unwrap().u64(1 << 40).unwrap();
    assert_eq!(decode(runs.writer(), None), Err(Error::TooLarge));
}

#[test]
fn what_cannot_be_read_says_why() {
    assert_eq!(decode(b"hello", None), Err(Error::Unknown));
    assert_eq!(decode(b"", None), Err(Error::Unknown));
    assert_eq!(decode(b"\x8c\x02", None), Err(Error::Version(2)));
    assert_eq!(decode(b"\x8c\x01", None), Err(Error::Damaged("store")));
    assert_eq!(decode(br#"[{"time":"noon"}]"#, None), Err(Error::Damaged("time")));
    assert_eq!(decode(br#"[{"key":"a/b"}]"#, None), Err(Error::Damaged("key")));
    assert!(matches!(decode(b"[{]", None), Err(Error::Json(_))));
    // The header of a frame that names a dictionary of four bytes, 0x12345678.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x23, 0x78, 0x56, 0x34, 0x12, 0x01, 0x09, 0x00, 0x00, b'x'];
    assert_eq!(decode(&frame, None), Err(Error::Dictionary(0x1234_5678)));
}

/// What fifty readings of ten streams take: bounds on what is sent, as measured, with some room.
#[test]
fn fifty_readings_are_short() {
    let topics: Vec<_> =
        (0..10).map(|at| format!("north/shed/bed-{at}/{}", ["temperature", "humidity"][at % 2])).collect();
    let item = |at: usize| {
        // Noise that is the same each time.
        let noise = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let value = 20.0 + (at % 10) as f64 + (noise % 32) as f64 / 100.0;
        let (unit, round) = (["°C", "%"][at % 2], at as i64 / 10);
        let body =
            Body::Reading { value, unit, decimals: 2, quality: Quality::Ok, number: 70 + round as u64, spread: None };
        let time_ms = 1_795_342_500_123 + round * 10_000 + (at % 10) as i64 * 731 + (noise >> 8) as i64 % 4;
        Item {
            topic: &topics[at % 10],
            time_ms,
            time_quality: TimeQuality::Synced,
            start: 3,
            sequence: 4711 + at as u64,
            body,
        }
    };
    let items: Vec<_> = (0..50).map(item).collect();
    let bytes = |encoding, compress| encode(encoding, compress, &HEADER, &items).len();
    for (encoding, plain, packed) in
        [(Encoding::Json, 7000, 500), (Encoding::Senml, 4200, 500), (Encoding::Delta, 400, 300)]
    {
        let (is, was) = (bytes(encoding, Compress::None), bytes(encoding, Compress::Zstd));
        assert!(is <= plain && was <= packed, "{encoding:?}: {is} and {was} bytes");
    }
}
