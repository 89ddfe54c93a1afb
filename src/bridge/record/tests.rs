use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn stamps() -> impl Strategy<Value = Stamp> {
    let quality = prop::sample::select(vec![TimeQuality::Synced, TimeQuality::Unsynced, TimeQuality::Corrected]);
    (any::<i64>(), any::<u64>(), any::<[u8; 16]>(), quality).prop_map(|(wall_ms, mono_ms, boot, quality)| Stamp {
        wall_ms,
        mono_ms,
        boot: BootId(boot),
        quality,
    })
}

fn samples() -> impl Strategy<Value = Sample> {
    let quality = prop::sample::select(vec![Quality::Ok, Quality::Suspect, Quality::Stale, Quality::Simulated]);
    let value = any::<f64>().prop_filter("finite", |value| value.is_finite());
    let spread = (any::<i32>(), any::<i32>(), any::<u32>(), any::<u64>())
        .prop_map(|(min, max, count, over_ms)| Spread { min: f64::from(min), max: f64::from(max), count, over_ms });
    let kind = (any::<bool>(), prop::option::of(spread));
    ("[a-zé]{1,20}", "[a-z]{0,9}", "[°C%]{0,3}", value, any::<u8>(), quality, any::<u64>(), kind).prop_map(
        |(sensor, measure, unit, value, decimals, quality, sequence, (exact, spread))| Sample {
            sensor: Name::new(&sensor).unwrap(),
            reading: Reading { spread, ..Measure { exact, ..Measure::named(measure, unit, decimals) }.is(value) },
            stamp: Stamp { wall_ms: 0, mono_ms: 0, boot: BootId::default(), quality: TimeQuality::Synced },
            quality,
            sequence,
        },
    )
}

fn properties() -> impl Strategy<Value = Properties> {
    let text = || "[a-zü/]{0,8}".prop_map(|text| Arc::<str>::from(text.as_str()));
    (
        any::<Option<bool>>(),
        any::<Option<u32>>(),
        prop::option::of(text()),
        prop::option::of("[a-z/]{1,9}".prop_map(|text| Topic::new(&text).unwrap())),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..9).prop_map(Arc::from)),
        prop::collection::vec((text(), text()), 0..4),
    )
        .prop_map(|(utf8_payload, expiry_s, content_type, response_topic, correlation, user)| Properties {
            utf8_payload,
            expiry_s,
            content_type,
            response_topic,
            correlation,
            user,
        })
}

fn bodies() -> impl Strategy<Value = Body> {
    let format = prop::sample::select(Format::ALL.map(|(_, format)| format).to_vec());
    let publish = (prop::collection::vec(any::<u8>(), 0..300), prop::option::of(properties())).prop_map(
        |(payload, properties)| Body::Publish { payload: payload.into(), properties: properties.map(Box::new) },
    );
    prop_oneof![(samples(), format).prop_map(|(sample, format)| Body::Sample(Source { sample, format })), publish]
}

fn records() -> impl Strategy<Value = Record> {
    (stamps(), bodies(), "[a-zé]{1,5}/[a-z]{1,5}", 0..3_usize, any::<bool>(), any::<bool>()).prop_map(
        |(stamp, mut body, topic, prefix_len, qos, retain)| {
            if let Body::Sample(source) = &mut body {
                source.sample.stamp = stamp;
            }
            let qos = if qos { Qos::AtLeastOnce } else { Qos::AtMostOnce };
            Record { topic: Topic::new(&topic).unwrap(), prefix_len, qos, retain, stamp, body }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in records()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut versioned = bytes.clone();
        versioned.insert(0, VERSION);
        drop((Record::decode(&bytes), Record::decode(&versioned)));
    }

    /// A record that lost its end, or one flipped bit, is a record or an error, never a panic.
    #[test]
    fn damage_does_not_panic(record in records(), cut in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = record.encode();
        let at = cut.index(bytes.len());
        drop(Record::decode(&bytes[..at]));
        bytes[at] ^= 1 << bit;
        if let Ok(record) = Record::decode(&bytes) {
            let _topic = record.local_topic();
        }
    }
}

#[test]
fn a_newer_version_is_told_from_damage() {
    assert_eq!(Record::decode(&[2, 1, 0]), Err(Error::Version(2)));
    assert_eq!(Record::decode(&[]), Err(Error::Damaged("version")));
    assert_eq!(Record::decode(&[VERSION, 9]), Err(Error::Damaged("flags")));
}

#[test]
fn the_first_version_keeps_its_bytes() {
    let stamp = Stamp { wall_ms: 1, mono_ms: 2, boot: BootId([7; 16]), quality: TimeQuality::Unsynced };
    let body = Body::Publish { payload: (*b"hi").into(), properties: None };
    let topic = Topic::new("p/a").unwrap();
    let record = Record { topic, prefix_len: 2, qos: Qos::AtLeastOnce, retain: true, stamp, body };
    assert_eq!(record.local_topic().as_str(), "a");
    let mut wanted = vec![1, 2, 0b0000_1011, 2, 3, b'p', b'/', b'a', 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    wanted.extend([7; 16]);
    wanted.extend(b"hi");
    assert_eq!(record.encode(), wanted);
}
