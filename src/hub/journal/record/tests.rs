use proptest::prelude::*;

use super::*;
use crate::model::{Origin, Properties};

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-zü/+#$]{0,8}".prop_map(|text| Arc::from(text.as_str()))
}

fn topics() -> impl Strategy<Value = Topic> {
    "[a-zé/]{1,9}".prop_map(|text| Topic::new(&text).unwrap())
}

fn qos() -> impl Strategy<Value = Qos> {
    (0..3_u8).prop_map(|level| Qos::from_level(level).unwrap())
}

fn properties() -> impl Strategy<Value = Properties> {
    (
        any::<Option<bool>>(),
        any::<Option<u32>>(),
        prop::option::of(text()),
        prop::option::of(topics()),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..9).prop_map(Arc::from)),
        prop::collection::vec((text(), text()), 0..3),
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

fn messages() -> impl Strategy<Value = Arc<Message>> {
    let origin = prop_oneof![Just(Origin::Gateway), text().prop_map(Origin::Client), text().prop_map(Origin::Bridge)];
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    (topics(), payload, qos(), any::<bool>(), prop::option::of(properties()), origin).prop_map(
        |(topic, payload, qos, retain, properties, origin)| {
            let (payload, properties) = (payload.into(), properties.map(Box::new));
            Arc::new(Message { topic, payload, qos, retain, properties, origin, source: None })
        },
    )
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    let ids = prop::option::of(prop::collection::vec(any::<u32>(), 0..3).prop_map(Arc::from));
    (any::<u64>(), any::<bool>(), any::<bool>(), any::<u16>(), ids).prop_map(|(session, twice, retain, id, ids)| {
        let (qos, packet_id) = if twice { (Qos::ExactlyOnce, id) } else { (Qos::AtLeastOnce, 0) };
        Delivery { session, qos, retain, packet_id, ids }
    })
}

/// What fits behind one more.
fn known() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..u64::MAX)
}

fn stored() -> impl Strategy<Value = Stored> {
    let all = prop::collection::vec(deliveries(), 0..5);
    (any::<u64>(), messages(), known(), any::<Option<(u64, u16)>>(), all)
        .prop_map(|(mid, message, expires, inbound, deliveries)| Stored { mid, message, expires, inbound, deliveries })
}

fn heads() -> impl Strategy<Value = Head> {
    (text(), prop::option::of(text()), any::<bool>(), any::<u64>(), known()).prop_map(
        |(client_id, user, local, expiry_s, away_since)| Head { client_id, user, local, expiry_s, away_since },
    )
}

fn grants() -> impl Strategy<Value = Grant> {
    (qos(), any::<bool>(), any::<bool>(), prop::option::of(1..u32::MAX))
        .prop_map(|(qos, no_local, retain_as_published, id)| Grant { qos, no_local, retain_as_published, id })
}

fn moments() -> impl Strategy<Value = Moment> {
    (any::<u64>(), any::<i64>(), any::<u64>(), any::<[u8; 16]>(), any::<bool>()).prop_map(
        |(known_ms, wall_ms, mono_ms, boot, synced)| {
            let quality = if synced { TimeQuality::Synced } else { TimeQuality::Unsynced };
            Moment { known_ms, stamp: Stamp { wall_ms, mono_ms, boot: BootId(boot), quality } }
        },
    )
}

fn records() -> impl Strategy<Value = Record> {
    let number = any::<u64>;
    prop_oneof![
        (number(), heads()).prop_map(|(number, head)| Record::Session(number, head)),
        number().prop_map(Record::SessionEnd),
        (number(), text(), grants()).prop_map(|(number, filter, grant)| Record::Subscribe(number, filter, grant)),
        (number(), text()).prop_map(|(number, filter)| Record::Unsubscribe(number, filter)),
        stored().prop_map(|stored| Record::Message(Box::new(stored))),
        (number(), prop::collection::vec(number(), 0..9)).prop_map(|(number, mids)| Record::Done(number, mids)),
        (number(), any::<u16>(), number()).prop_map(|(number, id, mid)| Record::Received(number, id, mid)),
        (number(), prop::collection::vec(any::<u16>(), 0..9)).prop_map(|(number, ids)| Record::Completed(number, ids)),
        (number(), any::<u16>()).prop_map(|(number, id)| Record::Inbound(number, id)),
        (number(), any::<u16>()).prop_map(|(number, id)| Record::Released(number, id)),
        (messages(), known()).prop_map(|(message, expires)| Record::Retain(message, expires)),
        topics().prop_map(Record::Forget),
        moments().prop_map(Record::Time),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in records()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    /// Bytes that are no record, records that lost their end or had a bit flipped: never a panic.
    #[test]
    fn damage_does_not_panic(
        record in records(),
        bytes in prop::collection::vec(any::<u8>(), 0..90),
        kind in 0..16_u8,
        cut in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let begun = [&[VERSION, kind], &bytes[..]].concat();
        let mut whole = record.encode();
        let at = cut.index(whole.len());
        drop((Record::decode(&bytes), Record::decode(&begun), Record::decode(&whole[..at])));
        whole[at] ^= 1 << bit;
        drop(Record::decode(&whole));
    }
}

#[test]
fn what_a_newer_weir_wrote_is_told_from_damage() {
    assert_eq!(Record::decode(&[VERSION + 1, 1]), Err(Error::Unknown(VERSION + 1, 1)));
    assert_eq!(Record::decode(&[VERSION, 99]), Err(Error::Unknown(VERSION, 99)));
    assert_eq!(Record::decode(&[VERSION]), Err(Error::Damaged("kind")));
}

/// Files of this version must stay readable.
#[test]
fn the_first_version_keeps_its_bytes() {
    let topic = Topic::new("t").unwrap();
    let message = Message { origin: Origin::Client("c".into()), ..Message::own(topic, *b"hi") };
    let delivery = Delivery { session: 3, qos: Qos::ExactlyOnce, retain: true, packet_id: 300, ids: None };
    let stored = Stored {
        mid: 5,
        message: Arc::new(message.with_qos(Qos::AtLeastOnce)),
        expires: None,
        inbound: Some((3, 7)),
        deliveries: vec![delivery],
    };
    let bytes = Record::Message(Box::new(stored)).encode();
    assert_eq!(bytes, [1, 5, 5, 0, 0x11, 1, b't', 1, b'c', 2, b'h', b'i', 1, 3, 7, 3, 6, 0xac, 2]);
    assert_eq!(Record::Done(9, vec![300, 301]).encode(), [1, 6, 9, 0xac, 2, 1]);
}
