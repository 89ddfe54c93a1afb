use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const BOTH: [Codec; 2] = [Codec::V4, Codec::V5];

fn publish(topic: &str, payload: &[u8], qos: Qos) -> Publish {
    let id = if qos == Qos::AtMostOnce { 0 } else { 7 };
    let topic = Topic::new(topic).unwrap();
    let payload = Bytes::copy_from_slice(payload);
    Publish { topic, payload, qos, retain: true, dup: false, id, properties: None }
}

fn refused(code: u8) -> In {
    In::Refused(Refusal { code, ..Refusal::default() })
}

fn decode(codec: Codec, bytes: &[u8]) -> Result<Option<In>, WireError> {
    codec.decode(&mut BytesMut::from(bytes), 1000)
}

#[test]
fn connect_has_its_bytes() {
    let hello = Hello {
        client_id: "gw".into(),
        login: ("u".into(), "p".into()),
        keepalive_s: 60,
        session_expiry_s: 1,
        receive_max: 2,
        packet_max: 3,
        will: (Topic::new("w").unwrap(), b"down".to_vec()),
    };
    let mut bytes = BytesMut::new();
    Codec::V4.encode(&Out::Connect(&hello), &mut bytes).unwrap();
    // MQTT 3.1.1 section 3.1: user name, password, will retain, will QoS 1, will, no clean session.
    assert_eq!(bytes[..], *b"\x10\x1d\0\x04MQTT\x04\xec\0\x3c\0\x02gw\0\x01w\0\x04down\0\x01u\0\x01p");
    bytes.clear();
    Codec::V5.encode(&Out::Connect(&hello), &mut bytes).unwrap();
    let wanted = b"\x10\x2c\0\x04MQTT\x05\xec\0\x3c\x0d\x11\0\0\0\x01\x21\0\x02\x27\0\0\0\x03\0\x02gw\0\0\x01w\0\x04down\0\x01u\0\x01p";
    assert_eq!(bytes[..], *wanted);
}

#[test]
fn publishes_and_their_properties_survive() {
    let properties = Properties {
        utf8_payload: Some(true),
        expiry_s: Some(5),
        content_type: Some("text/plain".into()),
        response_topic: Topic::new("r").ok(),
        correlation: Some(Arc::from(*b"c")),
        user: vec![("k".into(), "v".into()), ("k".into(), "w".into())],
    };
    for codec in BOTH {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let mut sent = publish("a/é", b"payload", qos);
            if codec == Codec::V5 {
                sent.properties = Some(Box::new(properties.clone()));
            }
            let mut bytes = BytesMut::new();
            codec.encode(&Out::Publish(&sent), &mut bytes).unwrap();
            assert_eq!(codec.decode(&mut bytes, 1000), Ok(Some(In::Publish(sent))));
            assert!(bytes.is_empty());
        }
    }
}

#[test]
fn acknowledgements_keep_reasons_the_packet_crate_does_not_know() {
    assert_eq!(decode(Codec::V4, b"\x40\x02\0\x07"), Ok(Some(In::PubAck(7, 0))));
    assert_eq!(decode(Codec::V5, b"\x40\x02\0\x07"), Ok(Some(In::PubAck(7, 0))));
    assert_eq!(decode(Codec::V5, b"\x40\x03\x01\x07\x87"), Ok(Some(In::PubAck(0x107, 0x87))));
    assert_eq!(decode(Codec::V5, b"\x40\x04\0\x07\x88\0"), Ok(Some(In::PubAck(7, 0x88))));
    assert_eq!(decode(Codec::V5, b"\xe0\0"), Ok(Some(In::Disconnect(0))));
    assert_eq!(decode(Codec::V5, b"\xe0\x01\x8e"), Ok(Some(In::Disconnect(0x8e))));
}

#[test]
fn connack_tells_limits_and_refusals() {
    assert_eq!(decode(Codec::V4, b"\x20\x02\0\0"), Ok(Some(In::Welcome(PLAIN))));
    assert_eq!(decode(Codec::V4, b"\x20\x02\0\x05"), Ok(Some(refused(5))));
    assert_eq!(decode(Codec::V5, b"\x20\x02\0\x01"), Ok(Some(refused(1))), "a 3.1.1 broker answers MQTT 5");
    assert_eq!(decode(Codec::V5, b"\x20\x03\0\x84\0"), Ok(Some(refused(0x84))));
    let moved = decode(Codec::V5, b"\x20\x12\0\x9d\x0f\x1f\0\x04gone\x1c\0\x05b:123");
    let told = Refusal { code: 0x9d, words: Some("gone".into()), server: Some("b:123".into()) };
    assert_eq!(moved, Ok(Some(In::Refused(told))));
    for cut in 3..15 {
        let mut bytes = b"\x20\x12\0\x9d\x0f\x1f\0\x04gone\x1c\0\x05b:123"[..2 + cut].to_vec();
        bytes[1] = cut as u8;
        assert!(matches!(decode(Codec::V5, &bytes), Ok(Some(In::Refused(Refusal { code: 0x9d, .. })))), "{cut}");
    }
    let limits = Welcome { receive_max: 20, packet_max: 1000, keepalive_s: Some(30), retain: false, qos_1: false };
    let bytes = b"\x20\x12\0\0\x0f\x21\0\x14\x27\0\0\x03\xe8\x13\0\x1e\x25\0\x24\0";
    assert_eq!(decode(Codec::V5, bytes), Ok(Some(In::Welcome(limits))));
}

#[test]
fn a_publish_on_nonsense_is_told_so_that_it_can_be_acknowledged() {
    assert_eq!(decode(Codec::V4, b"\x32\x06\0\x01#\0\x07x"), Ok(Some(In::Nonsense(7, Qos::AtLeastOnce))));
    assert_eq!(decode(Codec::V5, b"\x32\x07\0\x01#\0\x07\0x"), Ok(Some(In::Nonsense(7, Qos::AtLeastOnce))));
}

#[test]
fn half_a_packet_waits_and_a_huge_one_is_refused() {
    for codec in BOTH {
        assert_eq!(decode(codec, b""), Ok(None));
        assert_eq!(decode(codec, b"\x40\x02\0"), Ok(None));
        assert!(decode(codec, b"\x30\xff\xff\x7f").is_err());
        assert!(decode(codec, b"\x30\xff\xff\xff\xff\x01").is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0..16_u8, length in 0..50_u8) {
        for codec in BOTH {
            drop(decode(codec, &bytes));
            let mut framed = vec![kind << 4 | bytes.first().map_or(0, |byte| byte & 0x0f), length];
            framed.extend(bytes.iter().chain(std::iter::repeat(&0)).take(length.into()));
            drop(decode(codec, &framed));
        }
    }
}
