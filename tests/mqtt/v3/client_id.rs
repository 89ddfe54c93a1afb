//! The client identifier (section 3.1.3.1).

use super::{is_no_connect, kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{hex, packet, text};
use crate::connect::Connect;
use crate::packet::Version::V311;

/// [MQTT-3.1.3-2]
#[tokio::test]
async fn mqtt_3_1_3_2_sessions_are_known_by_their_client_identifier() {
    let bench = Bench::start().await;
    for (id, topic) in [("one", "1"), ("One", "2"), ("one ", "3")] {
        let mut client = kept(&bench, id, false).await;
        client.subscribe(topic, 1).await;
        client.disconnect().await;
    }
    for topic in ["1", "2", "3"] {
        tell(&bench, &message(topic, 1, "x")).await;
    }
    for (id, topic) in [("one ", "3"), ("one", "1"), ("One", "2")] {
        let mut client = kept(&bench, id, true).await;
        assert_eq!(client.receive().await.topic, topic);
        client.expect_silence().await;
    }
}

/// [MQTT-3.1.3-3]
#[tokio::test]
async fn mqtt_3_1_3_3_a_connect_without_client_identifier_closes() {
    let bench = Bench::start().await;
    let head = hex("0004 4d515454 04 02 0000");
    is_no_connect(&bench, &packet(0x10, &head)).await;
    // The first field is the identifier, so this is a client called "user" without a user name.
    is_no_connect(&bench, &packet(0x10, [hex("0004 4d515454 04 82 0000"), text("user")].concat())).await;
}

/// [MQTT-3.1.3-4]
#[tokio::test]
async fn mqtt_3_1_3_4_a_client_identifier_is_utf_8() {
    let bench = Bench::start().await;
    let head = hex("0004 4d515454 04 02 0000");
    for id in [&b"\xff"[..], b"a\xed\xa0\x80", b"a\0"] {
        is_no_connect(&bench, &packet(0x10, [head.clone(), text(id)].concat())).await;
    }
    for id in ["Gewächshaus", "温室", "\u{1f321}"] {
        bench.client(V311, id).await.disconnect().await;
    }
}

/// [MQTT-3.1.3-5]
#[tokio::test]
async fn mqtt_3_1_3_5_ids_of_1_to_23_letters_and_digits_are_accepted() {
    let bench = Bench::start().await;
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for length in 1..=23 {
        let id: String = all.chars().cycle().skip(length * 11).take(length).collect();
        bench.client(V311, &id).await.disconnect().await;
    }
    for letter in 0..all.len() {
        bench.client(V311, &all[letter..=letter]).await.disconnect().await;
    }
}

/// [MQTT-3.1.3-6]
#[tokio::test]
async fn mqtt_3_1_3_6_an_empty_identifier_gets_one_of_its_own() {
    let bench = Bench::start().await;
    let (mut first, mut second) = (bench.client(V311, "").await, bench.client(V311, "").await);
    first.subscribe("t", 1).await;
    second.subscribe("t", 1).await;
    tell(&bench, &message("t", 1, "x")).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.receive().await.text(), "x");
        client.expect_silence().await;
    }
}

/// [MQTT-3.1.3-8]
/// [MQTT-3.1.3-7]
#[tokio::test]
async fn mqtt_3_1_3_8_an_empty_identifier_with_a_kept_session_gets_return_code_2() {
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::kept(V311, "").bytes()).await;
    client.expect(&hex("20 02 00 02")).await;
    client.expect_closed().await;
}

/// [MQTT-3.1.3-9]
#[tokio::test]
async fn mqtt_3_1_3_9_a_refused_identifier_gets_return_code_2() {
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::kept(V311, "").bytes()).await;
    client.expect(&hex("20 02 00 02")).await;
    client.expect_closed().await;
    assert_eq!(bench.hub.counters().sessions, 0);
}

/// Longer identifiers than a server has to accept are accepted too.
#[tokio::test]
async fn ids_may_be_as_long_as_a_string() {
    let bench = Bench::start().await;
    for length in [24, 128, 65_535] {
        bench.client(V311, &"i".repeat(length)).await.disconnect().await;
    }
}
