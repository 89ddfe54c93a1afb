//! The will (sections 3.1.2.5 to 3.1.2.7).

use super::{is_no_connect, kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{hex, packet, text};
use crate::client::Client;
use crate::connect::Connect;
use crate::packet::Version::V311;

/// Hears every will and nothing else.
async fn watcher(bench: &Bench) -> Client {
    let mut watcher = bench.client(V311, "watcher").await;
    watcher.subscribe("will/#", 2).await;
    watcher
}

fn head(flags: u8) -> Vec<u8> {
    [hex("0004 4d515454 04"), vec![flags, 0, 0], text("c")].concat()
}

/// [MQTT-3.1.2-8]
#[tokio::test]
async fn mqtt_3_1_2_8_a_will_is_published_when_the_connection_ends_badly() {
    let bench = Bench::start().await;
    let mut watcher = watcher(&bench).await;
    let dying = Connect::new(V311, "dying").will("will/t", "dead", 1, false);
    let (client, _) = bench.connect(&dying).await;
    watcher.expect_silence().await;
    client.cut();
    assert_eq!(watcher.receive().await.text(), "dead", "the socket is closed");
    let (mut client, _) = bench.connect(&dying).await;
    client.send_hex("00 00").await;
    client.expect_closed().await;
    assert_eq!(watcher.receive().await.text(), "dead", "a protocol violation");
    let (mut client, _) = bench.connect(&dying).await;
    let second = bench.client(V311, "dying").await;
    client.expect_closed().await;
    assert_eq!(watcher.receive().await.text(), "dead", "taken over");
    second.disconnect().await;
    let (mut client, _) = bench.connect(&dying.keep_alive(1)).await;
    client.expect_closed().await;
    assert_eq!(watcher.receive().await.text(), "dead", "silent for too long");
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-9]
#[tokio::test]
async fn mqtt_3_1_2_9_a_will_has_topic_and_message_and_its_flags_count() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &packet(0x10, head(0x06))).await;
    is_no_connect(&bench, &packet(0x10, [head(0x06), text("will/t")].concat())).await;
    let mut watcher = watcher(&bench).await;
    for qos in 0..=2 {
        let (client, _) = bench.connect(&Connect::new(V311, "c").will("will/t", "x", qos, false)).await;
        client.cut();
        assert_eq!(watcher.receive().await.qos, qos);
    }
}

/// [MQTT-3.1.2-10]
#[tokio::test]
async fn mqtt_3_1_2_10_a_will_is_published_once() {
    let bench = Bench::start().await;
    let mut watcher = watcher(&bench).await;
    let connect = Connect { clean: false, ..Connect::new(V311, "c").will("will/t", "dead", 1, false) };
    let (client, _) = bench.connect(&connect).await;
    client.cut();
    assert_eq!(watcher.receive().await.text(), "dead");
    // The session goes on without the will.
    kept(&bench, "c", true).await.cut();
    bench.clients(1).await;
    watcher.expect_silence().await;
    let (client, _) = bench.connect(&connect).await;
    client.disconnect().await;
    kept(&bench, "c", true).await.cut();
    bench.clients(1).await;
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-11]
/// [MQTT-3.1.2-13]
/// [MQTT-3.1.2-15]
#[tokio::test]
async fn mqtt_3_1_2_11_will_qos_retain_or_fields_without_a_will_close() {
    let bench = Bench::start().await;
    for flags in [0x0a, 0x12, 0x1a, 0x22, 0x3a] {
        is_no_connect(&bench, &packet(0x10, head(flags))).await;
        is_no_connect(&bench, &packet(0x10, [head(flags), text("will/t"), text("x")].concat())).await;
    }
    is_no_connect(&bench, &packet(0x10, [head(0x02), text("will/t"), text("x")].concat())).await;
}

/// [MQTT-3.1.2-12]
#[tokio::test]
async fn mqtt_3_1_2_12_without_a_will_nothing_is_published() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "watcher").await;
    watcher.subscribe("#", 0).await;
    bench.client(V311, "c").await.cut();
    bench.clients(1).await;
    tell(&bench, &message("t", 1, "marker")).await;
    assert_eq!(watcher.delivery().await.text(), "marker");
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-14]
#[tokio::test]
async fn mqtt_3_1_2_14_will_qos_3_closes() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &packet(0x10, [head(0x1e), text("will/t"), text("x")].concat())).await;
}

/// [MQTT-3.1.2-16]
#[tokio::test]
async fn mqtt_3_1_2_16_a_will_without_retain_is_not_retained() {
    let bench = Bench::start().await;
    let mut watcher = watcher(&bench).await;
    tell(&bench, &message("will/t", 1, "before").retained()).await;
    assert_eq!(watcher.receive().await.text(), "before");
    let (client, _) = bench.connect(&Connect::new(V311, "c").will("will/t", "dead", 1, false)).await;
    client.cut();
    let will = watcher.receive().await;
    assert_eq!((will.text(), will.retain), ("dead", false));
    let mut late = bench.client(V311, "late").await;
    late.subscribe("will/t", 1).await;
    assert_eq!(late.receive().await.text(), "before");
}

/// [MQTT-3.1.2-17]
#[tokio::test]
async fn mqtt_3_1_2_17_a_will_with_retain_is_retained() {
    let bench = Bench::start().await;
    let mut watcher = watcher(&bench).await;
    let (client, _) = bench.connect(&Connect::new(V311, "c").will("will/t", "dead", 2, true)).await;
    client.cut();
    let will = watcher.receive().await;
    assert_eq!((will.text(), will.retain), ("dead", false), "an established subscription");
    let mut late = bench.client(V311, "late").await;
    late.subscribe("will/t", 2).await;
    let will = late.receive().await;
    assert_eq!((will.text(), will.retain, will.qos), ("dead", true, 2));
}

/// [MQTT-3.1.3-10]
#[tokio::test]
async fn mqtt_3_1_3_10_a_will_topic_is_utf_8() {
    let bench = Bench::start().await;
    for topic in [&b"\xff"[..], b"a\xed\xa0\x80", b"a\0"] {
        is_no_connect(&bench, &packet(0x10, [head(0x06), text(topic), text("x")].concat())).await;
    }
}

/// [MQTT-3.1.3-11]
#[tokio::test]
async fn mqtt_3_1_3_11_a_user_name_is_utf_8() {
    let bench = Bench::start().await;
    for user in [&b"\xff"[..], b"a\xed\xa0\x80", b"a\0"] {
        is_no_connect(&bench, &packet(0x10, [head(0x82), text(user)].concat())).await;
    }
    // A password is binary data.
    let mut client = bench.open(V311).await;
    client.send(&packet(0x10, [head(0xc2), text("user"), text(b"\xff\0")].concat())).await;
    client.expect(&hex("20 02 00 00")).await;
}

/// A will's topic that cannot be published to is no good CONNECT.
#[tokio::test]
async fn a_will_with_wildcards_in_its_topic_is_refused() {
    let bench = Bench::start().await;
    for topic in ["will/#", "will/+", ""] {
        let mut client = bench.open(V311).await;
        client.send(&Connect::new(V311, "c").will(topic, "x", 0, false).bytes()).await;
        client.expect_closed().await;
    }
}
