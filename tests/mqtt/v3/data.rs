//! Data types (section 1.5), fixed header (2.2) and packet identifiers (2.3.1).

use super::{closes, is_no_connect, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex, packet, text};
use crate::connect::Connect;
use crate::packet::Version::V311;
use crate::packet::{Publish, subscribe, unsubscribe};
use crate::properties::Properties;

/// CONNECT packets with this string as client identifier, will topic and user name.
fn connects(string: &[u8]) -> Vec<Vec<u8>> {
    let (head, plain) = (hex("0004 4d515454 04"), text("id"));
    let with = |flags: u8, fields: &[Vec<u8>]| packet(0x10, [&head, &[flags, 0, 0][..], &fields.concat()].concat());
    let string = text(string);
    vec![
        with(0x02, std::slice::from_ref(&string)),
        with(0x06, &[plain.clone(), string.clone(), text("will")]),
        with(0x82, &[plain, string]),
    ]
}

/// PUBLISH, SUBSCRIBE and UNSUBSCRIBE with this string.
fn requests(string: &[u8]) -> Vec<Vec<u8>> {
    let string = text(string);
    vec![
        packet(0x30, [&string[..], b"payload"].concat()),
        packet(0x82, [&[0, 1], &string[..], &[0]].concat()),
        packet(0xa2, [&[0, 1], &string[..]].concat()),
    ]
}

async fn no_string(bench: &Bench, string: &[u8]) {
    for bytes in connects(string) {
        is_no_connect(bench, &bytes).await;
    }
    for bytes in requests(string) {
        closes(bench, &bytes).await;
    }
}

/// [MQTT-1.5.3-1]
#[tokio::test]
async fn mqtt_1_5_3_1_strings_that_are_not_utf_8_close() {
    let bench = Bench::start().await;
    for (at, good) in connects(b"good").iter().enumerate() {
        let mut client = bench.open(V311).await;
        client.send(good).await;
        assert_eq!(client.connack().await.code, 0, "the tests' CONNECT {at}");
    }
    // A byte that never occurs, an overlong slash, both ends of the surrogates, too high, cut, a lone continuation.
    for string in ["61ff", "c0af", "eda080", "edbfbf", "f4908080", "61e282", "80"] {
        no_string(&bench, &hex(string)).await;
    }
}

/// [MQTT-1.5.3-2]
#[tokio::test]
async fn mqtt_1_5_3_2_strings_with_a_null_character_close() {
    let bench = Bench::start().await;
    for string in [&b"\0"[..], b"a\0b", b"a\0"] {
        no_string(&bench, string).await;
    }
}

/// [MQTT-1.5.3-3]
#[tokio::test]
async fn mqtt_1_5_3_3_a_byte_order_mark_is_a_character() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let mut plain = bench.client(V311, "plain").await;
    client.subscribe("\u{feff}t", 0).await;
    client.subscribe("a/\u{feff}", 0).await;
    plain.subscribe_all(&[("t", 0), ("a/", 0)]).await;
    for topic in ["\u{feff}t", "a/\u{feff}"] {
        tell(&bench, &message(topic, 1, "x")).await;
        client.expect(&[&[0x30, 2 + topic.len() as u8 + 1][..], &text(topic), b"x"].concat()).await;
    }
    plain.expect_silence().await;
}

/// [MQTT-2.2.2-1]
#[tokio::test]
async fn mqtt_2_2_2_1_reserved_flags_are_as_in_the_table() {
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::new(V311, "c").bytes()).await;
    client.expect(&hex("20 02 00 00")).await;
    client.send_hex("82 06 0001 0001 74 02").await;
    client.expect(&hex("90 03 0001 02")).await;
    client.send_hex("32 05 0001 74 0002").await;
    client.expect(&hex("40 02 0002")).await;
    client.expect(&hex("32 05 0001 74 0001")).await;
    client.send_hex("40 02 0001").await;
    client.send_hex("34 05 0001 74 0003").await;
    client.expect(&hex("50 02 0003")).await;
    client.expect(&hex("34 05 0001 74 0002")).await;
    client.send_hex("50 02 0002").await;
    client.expect(&hex("62 02 0002")).await;
    client.send_hex("70 02 0002 62 02 0003").await;
    client.expect(&hex("70 02 0003")).await;
    client.send_hex("a2 05 0004 0001 74").await;
    client.expect(&hex("b0 02 0004")).await;
    client.send_hex("c0 00").await;
    client.expect(&hex("d0 00")).await;
}

/// [MQTT-2.2.2-2]
#[tokio::test]
async fn mqtt_2_2_2_2_wrong_fixed_header_flags_close() {
    let bench = Bench::start().await;
    let connect = Connect::new(V311, "c").bytes();
    for flags in 1..16 {
        is_no_connect(&bench, &[&[0x10 | flags], &connect[1..]].concat()).await;
    }
    for (good, rest) in [
        (0x40, "02 0001"),
        (0x50, "02 0001"),
        (0x62, "02 0001"),
        (0x70, "02 0001"),
        (0x82, "06 0001 0001 74 00"),
        (0xa2, "05 0001 0001 74"),
        (0xc0, "00"),
        (0xe0, "00"),
    ] {
        for wrong in (good & 0xf0..=good | 0x0f).filter(|first| *first != good) {
            closes(&bench, &[vec![wrong], hex(rest)].concat()).await;
        }
    }
}

/// [MQTT-2.3.1-1]
#[tokio::test]
async fn mqtt_2_3_1_1_packet_identifier_zero_closes() {
    let bench = Bench::start().await;
    let none = Properties::default();
    closes(&bench, &subscribe(V311, 0, &none, &[("t", 0)])).await;
    closes(&bench, &unsubscribe(V311, 0, &none, &["t"])).await;
    for qos in [1, 2] {
        closes(&bench, &Publish::new("t", qos, 0, "x").bytes(V311)).await;
    }
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 2).await;
    for qos in [1, 2] {
        tell(&bench, &message("t", qos, "x")).await;
        assert_ne!(client.receive().await.id, 0);
    }
}

/// [MQTT-2.3.1-2]
#[tokio::test]
async fn mqtt_2_3_1_2_an_identifier_in_use_is_a_repetition() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 2).await;
    let mut client = bench.client(V311, "c").await;
    for text in ["one", "two"] {
        client.publish(&Publish::new("t", 2, 5, text)).await;
        assert_eq!(client.acked(PUBREC).await, 5);
    }
    assert_eq!(watcher.receive().await.text(), "one");
    watcher.expect_silence().await;
}

/// [MQTT-2.3.1-4]
#[tokio::test]
async fn mqtt_2_3_1_4_identifiers_of_deliveries_are_never_used_twice_at_once() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 1).await;
    let mut publisher = bench.client(V311, "p").await;
    // The first delivery is never acknowledged, all others are, until the identifiers have gone round.
    let burst: Vec<u8> = (1..=60).flat_map(|id| Publish::new("t", 1, id, "").bytes(V311)).collect();
    let (mut first, mut last, mut turns) = (None, 0, 0);
    while turns == 0 || last < 100 {
        publisher.send(&burst).await;
        let mut answers = Vec::new();
        for _ in 0..60 {
            let id = client.delivery().await.id;
            turns += usize::from(id < last);
            last = id;
            if *first.get_or_insert(id) != id {
                answers.extend(ack(PUBACK, id));
            } else {
                assert_eq!((turns, id), (0, 1), "an identifier in use is given again");
            }
        }
        client.send(&answers).await;
        for id in 1..=60 {
            assert_eq!(publisher.acked(PUBACK).await, id);
        }
    }
    client.cut();
}

/// [MQTT-2.3.1-5]
#[tokio::test]
async fn mqtt_2_3_1_5_qos_0_has_no_packet_identifier() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 0).await;
    client.send_hex("30 05 0001 74 0102").await;
    client.expect(&hex("30 05 0001 74 0102")).await;
    tell(&bench, &message("t", 2, "x")).await;
    client.expect(&hex("30 04 0001 74 78")).await;
}

/// [MQTT-2.3.1-6]
#[tokio::test]
async fn mqtt_2_3_1_6_acknowledgements_carry_the_identifier_of_their_publish() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    for id in [1, 0x00ff, 0x0100, 0xabcd, 0xffff] {
        client.publish(&Publish::new("t", 1, id, "x")).await;
        client.expect(&ack(PUBACK, id)).await;
        client.publish(&Publish::new("t", 2, id, "x")).await;
        client.expect(&ack(PUBREC, id)).await;
        client.send(&ack(PUBREL, id)).await;
        client.expect(&ack(PUBCOMP, id)).await;
    }
    client.subscribe("t", 2).await;
    tell(&bench, &message("t", 2, "x")).await;
    let id = client.delivery().await.id;
    client.send(&ack(PUBREC, id)).await;
    client.expect(&ack(PUBREL, id)).await;
}

/// [MQTT-2.3.1-7]
#[tokio::test]
async fn mqtt_2_3_1_7_suback_and_unsuback_carry_the_identifier_of_their_request() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    for id in [1, 0x00ff, 0x0100, 0xabcd, 0xffff_u16] {
        let [high, low] = id.to_be_bytes();
        client.send(&subscribe(V311, id, &Properties::default(), &[("t", 1)])).await;
        client.expect(&[0x90, 3, high, low, 1]).await;
        client.send(&unsubscribe(V311, id, &Properties::default(), &["t"])).await;
        client.expect(&[0xb0, 2, high, low]).await;
    }
}
