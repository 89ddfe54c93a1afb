//! Every packet survives encode and decode; no input panics; every truncation asks for more; what the
//! specifications forbid is refused.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::model::Qos;

const LIMIT: usize = 1 << 20;

fn decode_whole(bytes: &[u8], version: Version) -> Packet<'_> {
    let (packet, size) = decode(bytes, version, LIMIT).expect("it is right").expect("it is whole");
    assert_eq!(size, bytes.len());
    packet
}

fn check(packet: &Packet<'_>, version: Version) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    prop_assert_eq!(&decode_whole(&bytes, version), packet);
    for cut in 0..bytes.len().min(200) {
        prop_assert_eq!(decode(&bytes[..cut], version, LIMIT), Ok(None), "cut at {}", cut);
    }
    prop_assert_eq!(
        decode(&bytes, version, bytes.len() - 1).map_err(|error| error.reason),
        Err(Reason::PACKET_TOO_LARGE)
    );
    Ok(())
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3), Just(Version::V4), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

/// Owned raw material that packets borrow from.
#[derive(Debug, Clone)]
struct Matter {
    texts: Vec<String>,
    bytes: Vec<u8>,
    numbers: Vec<u32>,
    flags: Vec<bool>,
    qos: Qos,
    present: u32,
}

fn matter() -> impl Strategy<Value = Matter> {
    let text = "[a-zé/日]{0,20}";
    (vec(text, 12), vec(any::<u8>(), 0..300), vec(1u32..100_000, 12), vec(any::<bool>(), 12), qos(), any::<u32>())
        .prop_map(|(texts, bytes, numbers, flags, qos, present)| Matter { texts, bytes, numbers, flags, qos, present })
}

impl Matter {
    /// The value, by chance.
    fn maybe<T>(&self, bit: u32, value: T) -> Option<T> {
        (self.present >> bit & 1 == 1).then_some(value)
    }

    fn text(&self, at: usize) -> &str {
        &self.texts[at]
    }

    fn some(&self, properties: Properties<'_>) -> bool {
        properties != Properties::default()
    }

    fn boxed<'a>(&self, properties: Properties<'a>, version: Version) -> Option<Box<Properties<'a>>> {
        (version == Version::V5 && self.some(properties.clone())).then(|| Box::new(properties))
    }

    fn user(&self) -> Vec<(&str, &str)> {
        if self.flags[11] { vec![(self.text(0), self.text(1)), (self.text(0), self.text(2))] } else { Vec::new() }
    }

    fn of_message(&self) -> Properties<'_> {
        Properties {
            payload_format: self.maybe(0, self.flags[0]),
            message_expiry_s: self.maybe(1, self.numbers[0]),
            content_type: self.maybe(2, self.text(3)),
            response_topic: self.maybe(3, self.text(4)),
            correlation: self.maybe(4, &self.bytes[..]),
            user: self.user(),
            ..Properties::default()
        }
    }

    fn of_connect(&self) -> Properties<'_> {
        Properties {
            session_expiry_s: self.maybe(5, self.numbers[1]),
            authentication_method: self.maybe(6, self.text(5)),
            authentication_data: self.maybe(6, &self.bytes[..]),
            request_problem_information: self.maybe(7, self.flags[1]),
            request_response_information: self.maybe(8, self.flags[2]),
            receive_maximum: self.maybe(9, self.numbers[2] as u16 | 1),
            topic_alias_maximum: self.maybe(10, self.numbers[3] as u16),
            maximum_packet_size: self.maybe(11, self.numbers[4]),
            user: self.user(),
            ..Properties::default()
        }
    }

    fn of_connack(&self) -> Properties<'_> {
        Properties {
            assigned_client_id: self.maybe(12, self.text(6)),
            server_keep_alive_s: self.maybe(13, self.numbers[5] as u16),
            response_information: self.maybe(14, self.text(7)),
            server_reference: self.maybe(15, self.text(8)),
            reason_string: self.maybe(16, self.text(9)),
            maximum_qos: self.maybe(17, self.flags[3]),
            retain_available: self.maybe(18, self.flags[4]),
            wildcard_available: self.maybe(19, self.flags[5]),
            subscription_ids_available: self.maybe(20, self.flags[6]),
            shared_available: self.maybe(21, self.flags[7]),
            request_problem_information: None,
            request_response_information: None,
            ..self.of_connect()
        }
    }

    fn of_ack(&self) -> Properties<'_> {
        Properties { reason_string: self.maybe(22, self.text(10)), user: self.user(), ..Properties::default() }
    }

    fn will(&self, version: Version) -> Will<'_> {
        let properties = Properties { will_delay_s: self.maybe(23, self.numbers[6]), ..self.of_message() };
        Will {
            topic: self.text(1),
            payload: &self.bytes,
            qos: self.qos,
            retain: self.flags[8],
            properties: self.boxed(properties, version),
        }
    }

    fn connect(&self, version: Version) -> Packet<'_> {
        let user = self.maybe(24, self.text(11));
        Packet::Connect(Box::new(Connect {
            version,
            clean_start: self.flags[9],
            keep_alive_s: self.numbers[7] as u16,
            client_id: self.text(0),
            will: self.maybe(25, self.will(version)),
            user,
            password: user.and(self.maybe(26, &self.bytes[..])),
            properties: self.boxed(self.of_connect(), version),
        }))
    }

    fn publish(&self, version: Version) -> Packet<'_> {
        let properties = Properties {
            subscription_ids: self.numbers[..(self.present >> 27 & 3) as usize].to_vec(),
            topic_alias: self.maybe(29, self.numbers[8] as u16 | 1),
            ..self.of_message()
        };
        let acknowledged = self.qos != Qos::AtMostOnce;
        Packet::Publish(Publish {
            dup: acknowledged && self.flags[10],
            qos: self.qos,
            retain: self.flags[0],
            topic: self.text(2),
            packet_id: if acknowledged { self.numbers[9] as u16 | 1 } else { 0 },
            properties: self.boxed(properties, version),
            payload: &self.bytes,
        })
    }

    fn ack(&self, version: Version, reason: Reason) -> Ack<'_> {
        let reason = if version == Version::V5 { reason } else { Reason::SUCCESS };
        Ack { packet_id: self.numbers[0] as u16 | 1, reason, properties: self.boxed(self.of_ack(), version) }
    }

    fn verdicts(&self, version: Version) -> Verdicts<'_> {
        Verdicts {
            packet_id: self.numbers[1] as u16 | 1,
            properties: self.boxed(self.of_ack(), version),
            reasons: vec![Reason::GRANTED_QOS_2, Reason::UNSPECIFIED, Reason::SUCCESS],
        }
    }

    fn subscribe(&self, version: Version) -> Packet<'_> {
        let v5 = version == Version::V5;
        let handling = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
        let options = Options {
            qos: self.qos,
            no_local: v5 && self.flags[0],
            retain_as_published: v5 && self.flags[1],
            retain_handling: handling[if v5 { self.numbers[0] as usize % 3 } else { 0 }],
        };
        let ids = if self.flags[2] { vec![self.numbers[2]] } else { Vec::new() };
        let properties = Properties { subscription_ids: ids, user: self.user(), ..Properties::default() };
        Packet::Subscribe(Subscribe {
            packet_id: self.numbers[3] as u16 | 1,
            properties: self.boxed(properties, version),
            filters: self.texts[..3].iter().map(|text| (text.as_str(), options)).collect(),
        })
    }

    fn unsubscribe(&self, version: Version) -> Packet<'_> {
        let properties = Properties { user: self.user(), ..Properties::default() };
        Packet::Unsubscribe(Unsubscribe {
            packet_id: self.numbers[4] as u16 | 1,
            properties: self.boxed(properties, version),
            filters: self.texts[..2].iter().map(String::as_str).collect(),
        })
    }
}

proptest! {
    #[test]
    fn connecting_survives(matter in matter(), version in version()) {
        check(&matter.connect(version), version)?;
        let reason = if version == Version::V5 { Reason::QUOTA_EXCEEDED } else { Reason::NOT_AUTHORIZED };
        let properties = matter.boxed(matter.of_connack(), version);
        let session_present = version != Version::V3 && matter.flags[0];
        check(&Packet::Connack(Connack { session_present, reason, properties }), version)?;
    }

    #[test]
    fn publishing_survives(matter in matter(), version in version()) {
        check(&matter.publish(version), version)?;
        check(&Packet::Puback(matter.ack(version, Reason::NO_MATCHING_SUBSCRIBERS)), version)?;
        check(&Packet::Pubrec(matter.ack(version, Reason::QUOTA_EXCEEDED)), version)?;
        check(&Packet::Pubrel(matter.ack(version, Reason::PACKET_ID_NOT_FOUND)), version)?;
        check(&Packet::Pubcomp(matter.ack(version, Reason::SUCCESS)), version)?;
    }

    #[test]
    fn subscribing_survives(matter in matter(), version in version()) {
        check(&matter.subscribe(version), version)?;
        check(&matter.unsubscribe(version), version)?;
        check(&Packet::Suback(matter.verdicts(version)), version)?;
        let mut unsuback = matter.verdicts(version);
        if version != Version::V5 {
            unsuback.reasons.clear();
        }
        check(&Packet::Unsuback(unsuback), version)?;
    }

    #[test]
    fn endings_survive(matter in matter(), reason in of(Just(Reason::SERVER_BUSY))) {
        let notice = |reason, properties| Notice { reason, properties: matter.boxed(properties, Version::V5) };
        let ack = matter.of_ack();
        check(&Packet::Disconnect(notice(reason.unwrap_or(Reason::SUCCESS), ack.clone())), Version::V5)?;
        check(&Packet::Auth(notice(Reason::CONTINUE_AUTHENTICATION, ack)), Version::V5)?;
        for version in [Version::V3, Version::V4, Version::V5] {
            check(&Packet::Pingreq, version)?;
            check(&Packet::Pingresp, version)?;
            check(&Packet::Disconnect(Notice { reason: Reason::SUCCESS, properties: None }), version)?;
        }
    }

    /// Whatever arrives: an answer, no panic, and never more bytes than there are.
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..200), version in version(), kind in 0u8..16) {
        let judge = |bytes: &[u8]| {
            if let Ok(Some((_, size))) = decode(bytes, version, LIMIT) {
                assert!(size <= bytes.len());
            }
        };
        judge(&bytes);
        // Half of the inputs get past the fixed header.
        if bytes.len() > 2 {
            bytes[0] = kind << 4 | if matches!(kind, 6 | 8 | 10) { 2 } else { bytes[0] & 0x0f };
            bytes[1] = (bytes.len() - 2).min(127) as u8;
            judge(&bytes);
        }
    }

    /// A good packet with some bytes changed: no panic, and what is accepted survives again.
    #[test]
    fn damaged_packets_never_panic(matter in matter(), version in version(), hits in vec((any::<usize>(), any::<u8>()), 1..4)) {
        for packet in [matter.connect(version), matter.publish(version), matter.subscribe(version)] {
            let mut bytes = Vec::new();
            packet.encode(version, &mut bytes);
            for &(at, value) in &hits {
                let length = bytes.len();
                bytes[at % length] = value;
            }
            if let Ok(Some((packet, _))) = decode(&bytes, version, LIMIT) {
                let version = if let Packet::Connect(connect) = &packet { connect.version } else { version };
                let mut again = Vec::new();
                packet.encode(version, &mut again);
                prop_assert_eq!(decode_whole(&again, version), packet);
            }
        }
    }
}

#[test]
fn what_the_specifications_forbid_is_refused() {
    use Version::{V3, V4, V5};
    let malformed = Reason::MALFORMED;
    let protocol = Reason::PROTOCOL_ERROR;
    let cases: &[(&str, Version, &[u8], Reason)] = &[
        ("packet type 0", V4, &[0x00, 0], malformed),
        ("AUTH in MQTT 3.1.1", V4, &[0xf0, 0], malformed),
        ("SUBSCRIBE without its flags (MQTT-3.8.1-1)", V5, &[0x80, 0], malformed),
        ("PUBREL without its flags (MQTT-3.6.1-1)", V5, &[0x60, 0], malformed),
        ("flags of PINGREQ", V4, &[0xc1, 0], malformed),
        ("bytes after PINGREQ", V4, &[0xc0, 1, 0], malformed),
        ("a length of five bytes", V4, &[0x30, 0x80, 0x80, 0x80, 0x80, 1], malformed),
        ("a padded length (MQTT-1.5.5-1)", V5, &[0xc0, 0x80, 0x00], malformed),
        ("QoS 3 (MQTT-3.3.1-4)", V4, &[0x36, 5, 0, 1, b'a', 0, 1], malformed),
        ("DUP with QoS 0 (MQTT-3.3.1-2)", V4, &[0x38, 3, 0, 1, b'a'], malformed),
        ("packet id 0 (MQTT-2.2.1-3)", V5, &[0x32, 6, 0, 1, b'a', 0, 0, 0], protocol),
        ("U+0000 in a topic (MQTT-1.5.4-2)", V4, &[0x30, 3, 0, 1, 0], malformed),
        ("a surrogate (MQTT-1.5.4-1)", V4, &[0x30, 5, 0, 3, 0xed, 0xa0, 0x80], malformed),
        ("a string past the end", V4, &[0x30, 3, 0, 9, b'a'], malformed),
        ("properties past the end", V5, &[0x30, 4, 0, 1, b'a', 9], malformed),
        ("an unknown property", V5, &[0x30, 6, 0, 1, b'a', 2, 0x7f, 0], malformed),
        ("a property of another packet", V5, &[0x30, 7, 0, 1, b'a', 3, 0x21, 0, 1], malformed),
        ("a property twice", V5, &[0x30, 8, 0, 1, b'a', 4, 1, 0, 1, 0], protocol),
        ("payload format 2", V5, &[0x30, 6, 0, 1, b'a', 2, 1, 2], protocol),
        ("topic alias 0 (MQTT-3.3.2-8)", V5, &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0], Reason::TOPIC_ALIAS_INVALID),
        ("subscription identifier 0", V5, &[0x82, 9, 0, 1, 2, 0x0b, 0, 0, 1, b'a', 0], protocol),
        ("two subscription identifiers", V5, &[0x82, 11, 0, 1, 4, 0x0b, 1, 0x0b, 2, 0, 1, b'a', 0], protocol),
        ("SUBSCRIBE without a filter (MQTT-3.8.3-2)", V5, &[0x82, 3, 0, 1, 0], protocol),
        ("UNSUBSCRIBE without a filter (MQTT-3.10.3-2)", V4, &[0xa2, 2, 0, 1], protocol),
        ("reserved subscription options (MQTT-3.8.3-5)", V5, &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x40], malformed),
        ("MQTT 5 options in 3.1.1", V4, &[0x82, 6, 0, 1, 0, 1, b'a', 0x04], malformed),
        ("retain handling 3", V5, &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x30], protocol),
        ("subscription QoS 3", V4, &[0x82, 6, 0, 1, 0, 1, b'a', 3], protocol),
        ("PUBACK with a reason of SUBACK", V5, &[0x40, 3, 0, 1, 0x8f], malformed),
        ("PUBREL with a reason of PUBREC", V5, &[0x62, 3, 0, 1, 0x97], malformed),
        ("DISCONNECT with a reason of CONNACK", V5, &[0xe0, 1, 0x84], malformed),
        ("bytes after DISCONNECT in 3.1.1", V4, &[0xe0, 1, 0], malformed),
        ("SUBSCRIBE of 3.1 with QoS 2 flags", V3, &[0x84, 6, 0, 1, 0, 1, b'a', 0], malformed),
    ];
    for &(what, version, bytes, reason) in cases {
        assert_eq!(decode(bytes, version, LIMIT).map_err(|error| error.reason), Err(reason), "{what}");
    }
}

#[test]
fn a_wrong_connect_is_refused() {
    let connect = |name: &[u8], level: u8, flags: u8, rest: &[u8]| {
        let mut bytes = vec![0x10, 0, 0, name.len() as u8];
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&[level, flags, 0, 60]);
        bytes.extend_from_slice(rest);
        bytes[1] = bytes.len() as u8 - 2;
        decode(&bytes, Version::V5, LIMIT).map(|_| ()).map_err(|error| error.reason)
    };
    let id = [0, 1, b'x'];
    let v5 = [0, 0, 1, b'x'];
    assert_eq!(connect(b"MQTT", 4, 2, &id), Ok(()));
    assert_eq!(connect(b"MQTT", 5, 2, &v5), Ok(()));
    assert_eq!(connect(b"MQIsdp", 3, 2, &id), Ok(()));
    assert_eq!(connect(b"MQTT", 6, 2, &v5), Err(Reason::UNSUPPORTED_VERSION));
    assert_eq!(connect(b"MQTT", 3, 2, &id), Err(Reason::UNSUPPORTED_VERSION));
    assert_eq!(connect(b"HTTP", 4, 2, &id), Err(Reason::PROTOCOL_ERROR));
    assert_eq!(connect(b"MQTT", 4, 3, &id), Err(Reason::MALFORMED), "MQTT-3.1.2-3");
    assert_eq!(connect(b"MQTT", 4, 0x2a, &id), Err(Reason::MALFORMED), "will flags without a will, MQTT-3.1.2-11");
    assert_eq!(connect(b"MQTT", 4, 0x1e, &[0, 1, b'x', 0, 1, b't', 0, 0]), Err(Reason::MALFORMED), "will QoS 3");
    assert_eq!(connect(b"MQTT", 4, 0x42, &[0, 1, b'x', 0, 0]), Err(Reason::MALFORMED), "MQTT-3.1.2-22 of 3.1.1");
    assert_eq!(connect(b"MQTT", 5, 0x42, &[0, 0, 1, b'x', 0, 0]), Ok(()), "a password alone is fine in MQTT 5");
    assert_eq!(connect(b"MQTT", 4, 2, &[0, 1, b'x', 9]), Err(Reason::MALFORMED), "bytes are left over");
    let data_alone = [4, 0x16, 0, 1, 7, 0, 1, b'x'];
    assert_eq!(connect(b"MQTT", 5, 2, &data_alone), Err(Reason::PROTOCOL_ERROR), "data without a method");
}

#[test]
fn mqtt_3_1_may_repeat_with_the_dup_flag() {
    assert!(decode(&[0x8a, 6, 0, 1, 0, 1, b'a', 0], Version::V3, LIMIT).is_ok());
    assert!(decode(&[0x8a, 6, 0, 1, 0, 1, b'a', 0], Version::V4, LIMIT).is_err());
}
