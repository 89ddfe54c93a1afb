//! CONNECT (section 3.1): header, flags, fields and their processing.

use super::{is_no_connect, message, tell};
use crate::bench::{Bench, settings};
use crate::bytes::{ack, hex, packet, text};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V311;
use weir::hub::{Anonymous, Settings};

/// A CONNECT with this protocol name, level, flags and payload.
fn raw(name: &str, level: u8, flags: u8, payload: &[Vec<u8>]) -> Vec<u8> {
    packet(0x10, [text(name), vec![level, flags, 0, 0], payload.concat()].concat())
}

/// [MQTT-3.1.0-1]
#[tokio::test]
async fn mqtt_3_1_0_1_another_first_packet_than_connect_closes() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("#", 0).await;
    let firsts = [
        hex("20 02 0000"),
        Publish::new("t", 0, 0, "x").bytes(V311),
        ack(0x40, 1),
        hex("82 06 0001 0001 74 00"),
        hex("c0 00"),
        hex("e0 00"),
    ];
    for first in firsts {
        is_no_connect(&bench, &first).await;
    }
    watcher.expect_silence().await;
}

/// [MQTT-3.1.0-2]
#[tokio::test]
async fn mqtt_3_1_0_2_a_second_connect_ends_the_connection() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("will", 0).await;
    let connect = Connect::new(V311, "c").will("will", "gone", 0, false);
    let (mut client, _) = bench.connect(&connect).await;
    client.send(&connect.bytes()).await;
    client.expect_closed().await;
    assert_eq!(watcher.delivery().await.text(), "gone", "it was no DISCONNECT");
}

/// [MQTT-3.1.2-1]
#[tokio::test]
async fn mqtt_3_1_2_1_another_protocol_name_is_not_processed() {
    let bench = Bench::start().await;
    for name in ["", "hj", "mqtt", "MQT", "MQTX", "MQIsdq", "HTTP/1.1"] {
        is_no_connect(&bench, &raw(name, 4, 2, &[text("c")])).await;
    }
    assert_eq!(bench.hub.counters().clients, 0);
}

/// [MQTT-3.1.2-2]
#[tokio::test]
async fn mqtt_3_1_2_2_an_unknown_protocol_level_gets_return_code_1() {
    let bench = Bench::start().await;
    for level in [0, 1, 2, 3] {
        let mut client = bench.open(V311).await;
        client.send(&raw("MQTT", level, 2, &[text("c")])).await;
        client.expect(&hex("20 02 00 01")).await;
        client.expect_closed().await;
    }
}

/// [MQTT-3.1.2-3]
#[tokio::test]
async fn mqtt_3_1_2_3_the_reserved_connect_flag_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0x03, &[text("c")])).await;
}

/// [MQTT-3.1.2-18]
#[tokio::test]
async fn mqtt_3_1_2_18_a_user_name_without_its_flag_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0x02, &[text("c"), text("user")])).await;
}

/// [MQTT-3.1.2-19]
#[tokio::test]
async fn mqtt_3_1_2_19_a_user_name_flag_without_a_user_name_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0x82, &[text("c")])).await;
    let (client, _) = bench.connect(&Connect::new(V311, "c").user("user", None)).await;
    client.disconnect().await;
}

/// [MQTT-3.1.2-20]
#[tokio::test]
async fn mqtt_3_1_2_20_a_password_without_its_flag_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0x82, &[text("c"), text("user"), text("password")])).await;
}

/// [MQTT-3.1.2-21]
#[tokio::test]
async fn mqtt_3_1_2_21_a_password_flag_without_a_password_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0xc2, &[text("c"), text("user")])).await;
    let (client, _) = bench.connect(&Connect::new(V311, "c").user("user", Some("password"))).await;
    client.disconnect().await;
}

/// [MQTT-3.1.2-22]
#[tokio::test]
async fn mqtt_3_1_2_22_a_password_without_a_user_name_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &raw("MQTT", 4, 0x42, &[text("c"), text("password")])).await;
}

/// [MQTT-3.1.3-1]
#[tokio::test]
async fn mqtt_3_1_3_1_the_payload_is_read_in_its_order() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("#", 0).await;
    let fields = ["c", "will/topic", "will message", "user", "password"].map(text);
    let mut client = bench.open(V311).await;
    client.send(&raw("MQTT", 4, 0xc6, &fields)).await;
    client.expect(&hex("20 02 00 00")).await;
    client.cut();
    let will = watcher.delivery().await;
    assert_eq!((will.topic.as_str(), will.text()), ("will/topic", "will message"));
}

/// [MQTT-3.1.4-1]
#[tokio::test]
async fn mqtt_3_1_4_1_a_connect_that_is_not_as_specified_gets_no_connack() {
    let bench = Bench::start().await;
    let good = Connect::new(V311, "c").will("t", "x", 1, true).user("user", Some("password")).bytes();
    for wrong in [
        hex("10 00"),
        hex("10 0a 0004 4d515454 04 02 0000"),
        raw("MQTT", 4, 0x02, &[text("c"), vec![0]]),
        packet(0x10, &good[2..good.len() - 1]),
        packet(0x10, [&good[2..], b"!"].concat()),
        hex("10 80 80 80 80 01"),
    ] {
        is_no_connect(&bench, &wrong).await;
    }
    let mut client = bench.open(V311).await;
    client.send(&good).await;
    assert_eq!(client.connack().await.code, 0, "what the others were made of");
}

/// [MQTT-3.1.4-2]
#[tokio::test]
async fn mqtt_3_1_4_2_a_client_disconnects_its_namesake() {
    let bench = Bench::start().await;
    for (clean_before, clean_after) in [(true, true), (true, false), (false, true), (false, false)] {
        let connect = |clean| Connect { clean, ..Connect::new(V311, "twin") };
        let (mut first, _) = bench.connect(&connect(clean_before)).await;
        let (mut second, _) = bench.connect(&connect(clean_after)).await;
        first.expect_closed().await;
        second.expect_silence().await;
        second.disconnect().await;
        bench.client(V311, "twin").await.disconnect().await;
    }
}

/// [MQTT-3.1.4-4]
#[tokio::test]
async fn mqtt_3_1_4_4_a_good_connect_is_acknowledged_with_zero() {
    let bench = Bench::start().await;
    for connect in [
        Connect::new(V311, "a"),
        Connect::kept(V311, "b").keep_alive(60),
        Connect::new(V311, "c").will("t", "", 2, true).user("", Some("")),
    ] {
        let mut client = bench.open(V311).await;
        client.send(&connect.bytes()).await;
        client.expect(&hex("20 02 00 00")).await;
    }
}

/// [MQTT-3.1.4-5]
#[tokio::test]
async fn mqtt_3_1_4_5_nothing_behind_a_rejected_connect_is_processed() {
    let bench = Bench::with(Settings { allow_anonymous: Anonymous::Never, ..settings() }).await;
    let mut client = bench.open(V311).await;
    let publish = Publish::new("t", 1, 1, "x").retained().bytes(V311);
    client.send(&[Connect::new(V311, "c").bytes(), publish].concat()).await;
    client.expect(&hex("20 02 00 05")).await;
    client.expect_closed().await;
    assert_eq!((bench.hub.counters().messages_in, bench.hub.counters().retained), (0, 0));
}

/// What follows an accepted CONNECT need not wait for the CONNACK.
#[tokio::test]
async fn packets_in_the_same_segment_as_connect_are_processed() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 0).await;
    let mut client = bench.open(V311).await;
    let publish = Publish::new("t", 1, 1, "x").bytes(V311);
    client.send(&[Connect::new(V311, "c").bytes(), publish, hex("e0 00")].concat()).await;
    client.expect(&hex("20 02 00 00")).await;
    client.expect(&hex("40 02 00 01")).await;
    client.expect_closed().await;
    assert_eq!(watcher.delivery().await.text(), "x");
    tell(&bench, &message("t", 1, "y")).await;
    assert_eq!(watcher.delivery().await.text(), "y");
}
