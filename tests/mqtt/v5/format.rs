//! Data types, fixed header, packet identifiers (sections 1.5 and 2).

use super::{MALFORMED, PROTOCOL_ERROR, ends, refused};
use crate::bench::Bench;
use crate::bytes::{ack, hex, packet, text};
use crate::connect::Connect;
use crate::packet::Version::V5;
use crate::packet::{Publish, subscribe, unsubscribe};
use crate::properties::Properties;

/// Every packet with a string that is `wrong`; those in CONNECT apart.
fn packets_with(wrong: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (wrong, good) = (&text(wrong)[..], &text("t")[..]);
    let property = |id: &[u8], value: &[u8]| {
        let properties = [id, value].concat();
        [&[properties.len() as u8], &properties[..]].concat()
    };
    let publish = |properties: &[u8]| packet(0x30, [good, properties].concat());
    let others = vec![
        packet(0x30, [wrong, &[0]].concat()),
        publish(&property(&[0x03], wrong)),
        publish(&property(&[0x08], wrong)),
        publish(&property(&[0x26], &[wrong, good].concat())),
        publish(&property(&[0x26], &[good, wrong].concat())),
        packet(0x82, [&[0, 1, 0], wrong, &[0]].concat()),
        packet(0xa2, [&[0, 1, 0], wrong].concat()),
        packet(0xe0, [&[0][..], &property(&[0x1f], wrong)].concat()),
    ];
    let head = |flags: u8| [&text("MQTT")[..], &[5, flags, 0, 0]].concat();
    let connects = vec![
        packet(0x10, [&head(0x02)[..], &[0], wrong].concat()),
        packet(0x10, [&head(0x06)[..], &[0], good, &[0], wrong, good].concat()),
        packet(0x10, [&head(0x82)[..], &[0], good, wrong].concat()),
        packet(0x10, [&head(0x02)[..], &property(&[0x15], wrong), good].concat()),
        packet(0x10, [&head(0x06)[..], &[0], good, &property(&[0x03], wrong), good, good].concat()),
    ];
    (others, connects)
}

async fn all_are_malformed(wrong: &[u8]) {
    let bench = Bench::start().await;
    let (others, connects) = packets_with(wrong);
    for bytes in others {
        ends(&bench, &bytes, MALFORMED).await;
    }
    for bytes in connects {
        refused(&bench, &bytes, MALFORMED).await;
    }
}

/// [MQTT-1.5.4-1]
/// [MQTT-1.5.7-1]
/// [MQTT-3.1.3-4]
/// [MQTT-3.1.3-11]
/// [MQTT-3.1.3-12]
/// [MQTT-3.3.2-1]
/// [MQTT-3.3.2-13]
/// [MQTT-3.3.2-19]
/// [MQTT-3.8.3-1]
/// [MQTT-3.10.3-1]
#[tokio::test]
async fn mqtt_1_5_4_1_ill_formed_utf8_is_malformed_wherever_a_string_stands() {
    all_are_malformed(b"a\xff").await;
    // Needlessly long, a surrogate, cut off, beyond U+10FFFF.
    for wrong in [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80"] {
        all_are_malformed(wrong).await;
    }
}

/// [MQTT-1.5.4-2]
/// [MQTT-4.7.3-2]
/// [MQTT-3.1.3-8]
#[tokio::test]
async fn mqtt_1_5_4_2_the_null_character_is_malformed_wherever_a_string_stands() {
    all_are_malformed(b"a\0b").await;
}

/// [MQTT-1.5.4-3]
#[tokio::test]
async fn mqtt_1_5_4_3_a_byte_order_mark_stays_where_it_is() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "\u{feff}c").await;
    client.subscribe("\u{feff}t", 0).await;
    client.publish(&Publish::new("t", 0, 0, "without")).await;
    client.publish(&Publish::new("\u{feff}t", 0, 0, "with")).await;
    assert_eq!(client.delivery().await, Publish::new("\u{feff}t", 0, 0, "with"));
    // And it makes another client id.
    bench.client(V5, "c").await;
    client.expect_silence().await;
}

/// [MQTT-1.5.5-1]
#[tokio::test]
async fn mqtt_1_5_5_1_lengths_have_as_few_bytes_as_possible() {
    let bench = Bench::start().await;
    for wrong in [
        "c0 80 00",
        "30 84 00 00 01 74 00",
        "30 05 00 01 74 80 00",
        "82 09 00 01 03 0b 81 00 00 01 74",
        "30 ff ff ff ff 7f",
        "30 ff ff ff ff 01",
        "30 09 00 01 74 ff ff ff ff 7f 00",
    ] {
        ends(&bench, &hex(wrong), MALFORMED).await;
    }
    let mut client = bench.client(V5, "c").await;
    client.subscribe("t", 0).await;
    // The client here fails when a length of the hub has needless bytes: around each step of the encoding.
    for length in [123, 124, 16_379, 16_380] {
        let publish = Publish::new("t", 0, 0, vec![b'x'; length]);
        client.publish(&publish).await;
        assert_eq!(client.delivery().await, publish);
    }
}

/// [MQTT-2.1.3-1]
/// [MQTT-3.6.1-1]
/// [MQTT-3.8.1-1]
/// [MQTT-3.10.1-1]
/// [MQTT-3.14.1-1]
/// [MQTT-3.15.1-1]
#[tokio::test]
async fn mqtt_2_1_3_1_wrong_flags_of_the_fixed_header_are_malformed() {
    let bench = Bench::start().await;
    let bodies = [
        (0x40, "00 01"),
        (0x50, "00 01"),
        (0x62, "00 01"),
        (0x70, "00 01"),
        (0x82, "00 01 00 00 01 74 00"),
        (0xa2, "00 01 00 00 01 74"),
        (0xc0, ""),
        (0xe0, ""),
        (0xf0, ""),
    ];
    for (right, body) in bodies {
        for flags in (0..16).filter(|flags| *flags != right & 0x0f) {
            ends(&bench, &packet(right & 0xf0 | flags, hex(body)), MALFORMED).await;
        }
    }
    for flags in 1..16 {
        let mut bytes = Connect::new(V5, "c").bytes();
        bytes[0] |= flags;
        refused(&bench, &bytes, MALFORMED).await;
    }
    // Types that do not exist, and those that only a server sends.
    ends(&bench, &hex("00 00"), MALFORMED).await;
    for server in ["20 03 00 00 00", "90 04 00 01 00 00", "b0 04 00 01 00 00", "d0 00"] {
        ends(&bench, &hex(server), PROTOCOL_ERROR).await;
    }
}

/// [MQTT-2.2.1-2]
#[tokio::test]
async fn mqtt_2_2_1_2_a_qos_0_publish_has_no_packet_id() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe("t", 2).await;
    client.publish(&Publish::new("t", 0, 0, "x")).await;
    client.expect(&hex("30 05 00 01 74 00 78")).await;
}

/// [MQTT-2.2.1-3]
#[tokio::test]
async fn mqtt_2_2_1_3_packet_id_zero_is_a_protocol_error() {
    let bench = Bench::start().await;
    let none = Properties::default();
    for bytes in [
        Publish::new("t", 1, 0, "x").bytes(V5),
        Publish::new("t", 2, 0, "x").bytes(V5),
        subscribe(V5, 0, &none, &[("t", 0)]),
        unsubscribe(V5, 0, &none, &["t"]),
        ack(0x40, 0),
        ack(0x62, 0),
    ] {
        ends(&bench, &bytes, PROTOCOL_ERROR).await;
    }
}

/// [MQTT-2.2.1-4]
/// [MQTT-4.3.2-1]
/// [MQTT-4.3.3-1]
#[tokio::test]
async fn mqtt_2_2_1_4_the_hub_uses_only_packet_ids_that_are_free() {
    let bench = Bench::start().await;
    let mut subscriber = bench.client(V5, "s").await;
    subscriber.subscribe("t/#", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    let mut open: Vec<u16> = Vec::new();
    for number in 0..200_u8 {
        publisher.tell(&Publish::new("t/x", 1 + number % 2, 1, [number])).await;
        let delivery = subscriber.delivery().await;
        assert_ne!(delivery.id, 0);
        assert!(!open.contains(&delivery.id), "id {} is in use", delivery.id);
        assert_eq!(delivery.payload, [number]);
        // Every third stays open, as long as there is room.
        if number % 3 == 0 && open.len() < 50 {
            open.push(delivery.id);
        } else if delivery.qos == 1 {
            subscriber.send(&ack(0x40, delivery.id)).await;
        } else {
            subscriber.send(&ack(0x50, delivery.id)).await;
            assert_eq!(subscriber.acked(0x62).await, delivery.id);
            subscriber.send(&ack(0x70, delivery.id)).await;
        }
    }
    assert_eq!(open.len(), 50);
}

/// [MQTT-2.2.1-5]
/// [MQTT-2.2.1-6]
/// [MQTT-2.2.2-1]
#[tokio::test]
async fn mqtt_2_2_1_5_answers_carry_the_packet_id_of_what_they_answer() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    for (question, answer) in [
        // No properties are a property length of zero.
        ("82 07 12 34 00 00 01 74 02", "90 04 12 34 00 02"),
        ("32 06 00 01 71 fe dc 00", "40 03 fe dc 10"),
        ("34 06 00 01 71 ab cd 00", "50 03 ab cd 10"),
        ("62 02 ab cd", "70 02 ab cd"),
        ("a2 06 43 21 00 00 01 74", "b0 04 43 21 00 00"),
        ("32 06 00 01 71 ff ff 00", "40 03 ff ff 10"),
    ] {
        client.send_hex(question).await;
        client.expect(&hex(answer)).await;
    }
}

/// [MQTT-4.2.0-1]
#[tokio::test]
async fn mqtt_4_2_0_1_packets_are_what_the_stream_says_however_it_comes() {
    let bench = Bench::start().await;
    let large: Vec<u8> = (0..500_000_u32).map(|number| (number % 251) as u8).collect();
    // Byte by byte, then everything in one piece.
    let mut client = bench.open(V5).await;
    let start = [Connect::new(V5, "c").bytes(), subscribe(V5, 1, &Properties::default(), &[("#", 0)])].concat();
    for byte in start {
        client.send(&[byte]).await;
    }
    assert_eq!(client.connack().await.code, 0);
    assert_eq!(client.next().await.verdicts(0x90).codes, [0]);
    let publishes = [Publish::new("a", 0, 0, "first"), Publish::new("b", 0, 0, large), Publish::new("c", 0, 0, "last")];
    let bytes = publishes.iter().flat_map(|publish| publish.bytes(V5)).collect::<Vec<u8>>();
    client.send(&bytes).await;
    for publish in publishes {
        let delivery = client.delivery().await;
        assert!(delivery == publish, "another message than {} was sent", publish.topic);
    }
}
