//! PINGREQ, DISCONNECT and keep-alive (sections 3.12, 3.14 and 3.1.2.10).

use super::{closes, message, tell};
use crate::bench::Bench;
use crate::bytes::{DISCONNECT, PINGREQ, hex};
use crate::connect::Connect;
use crate::packet::Version::V311;
use std::time::Duration;
use tokio::time::Instant;

/// [MQTT-3.12.4-1]
#[tokio::test]
async fn mqtt_3_12_4_1_pingreq_gets_pingresp() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.send(&PINGREQ.repeat(3)).await;
    for _ in 0..3 {
        client.expect(&hex("d0 00")).await;
    }
    closes(&bench, &hex("c0 01 00")).await;
}

/// [MQTT-3.14.1-1]
#[tokio::test]
async fn mqtt_3_14_1_1_disconnect_with_reserved_bits_is_no_disconnect() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("will", 0).await;
    for flags in 1..16 {
        let (mut client, _) = bench.connect(&Connect::new(V311, "c").will("will", "gone", 0, false)).await;
        client.send(&[0xe0 | flags, 0]).await;
        client.expect_closed().await;
        assert_eq!(watcher.delivery().await.text(), "gone");
    }
    closes(&bench, &hex("e0 01 00")).await;
}

/// [MQTT-3.14.4-1]
#[tokio::test]
async fn mqtt_3_14_4_1_the_hub_closes_when_the_client_does_not() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.send(&DISCONNECT).await;
    client.expect_closed().await;
}

/// [MQTT-3.14.4-2]
#[tokio::test]
async fn mqtt_3_14_4_2_nothing_behind_disconnect_is_processed() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 0).await;
    let mut client = bench.client(V311, "c").await;
    client.send(&[&DISCONNECT[..], &PINGREQ, &message("t", 1, "late").bytes(V311)].concat()).await;
    client.expect_closed().await;
    watcher.expect_silence().await;
}

/// [MQTT-3.14.4-3]
#[tokio::test]
async fn mqtt_3_14_4_3_disconnect_discards_the_will() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("#", 0).await;
    for clean in [true, false] {
        let will = Connect::new(V311, "c").will("will", "gone", 1, true);
        let (client, _) = bench.connect(&Connect { clean, ..will }).await;
        client.disconnect().await;
        bench.clients(1).await;
    }
    tell(&bench, &message("marker", 1, "")).await;
    assert_eq!(watcher.delivery().await.topic, "marker");
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-24]
/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_3_1_2_24_silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("will", 0).await;
    let silent = Connect::new(V311, "silent").keep_alive(1).will("will", "silent", 0, false);
    let (mut silent, _) = bench.connect(&silent).await;
    let begin = Instant::now();
    let (mut never, _) = bench.connect(&Connect::new(V311, "never").keep_alive(0)).await;
    let (mut slow, _) = bench.connect(&Connect::new(V311, "slow").keep_alive(2)).await;
    silent.expect_closed().await;
    let after = begin.elapsed();
    assert!(after >= Duration::from_millis(1400), "too early: {after:?}");
    assert!(after < Duration::from_secs(5), "too late: {after:?}");
    assert_eq!(watcher.delivery().await.text(), "silent", "as if the network had failed");
    never.expect_silence().await;
    slow.expect_silence().await;
}

/// Bytes that do not become a packet are no packet.
#[tokio::test]
async fn a_packet_that_never_ends_does_not_count_for_the_keep_alive() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::new(V311, "c").keep_alive(1)).await;
    client.send(&hex("30 7f 0001 74")).await;
    let (begin, mut count) = (Instant::now(), 0);
    while bench.hub.counters().clients > 0 {
        assert!(begin.elapsed() < Duration::from_secs(6), "alive after {count} bytes");
        client.try_send(b"x").await;
        count += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.expect_closed().await;
}

/// Any packet counts.
#[tokio::test]
async fn every_packet_counts_for_the_keep_alive() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::new(V311, "c").keep_alive(1)).await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2500) {
        client.publish(&message("t", 0, "x")).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    client.expect_silence().await;
}
