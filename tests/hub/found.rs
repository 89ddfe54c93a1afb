//! Faults that fuzzing, hostile clients and their authors have found, each by its name.

use weir::hub::codec::{Options, Packet, Properties, Publish, Reason, Version};

use crate::bench::{self, Bench};
use crate::raw::{QOS1, QOS2, Raw, ack, connect, expiring, publish, with};

async fn kept(bench: &Bench, version: Version, client_id: &str) -> (Raw, bool) {
    let mut connect = connect(version, client_id);
    connect.clean_start = false;
    if version == Version::V5 {
        connect.properties = expiring(60);
    }
    Raw::with(bench, connect).await
}

/// A session that lives as long as its connection was handed to the connection that took over, with its
/// subscriptions (MQTT-3.1.2-6 of 3.1.1).
#[tokio::test]
async fn a_clean_session_is_nobody_elses() {
    for version in [Version::V4, Version::V5] {
        let bench = bench::hub().await;
        let mut first = Raw::client(&bench, version, "c").await;
        first.subscribe("t", QOS1).await;
        let (mut second, present) = kept(&bench, version, "c").await;
        assert!(!present, "{version:?}");
        second.tell("t", "x").await;
        second.expect_nothing().await;
    }
}

/// A QoS 2 PUBLISH that ended its connection stayed half received: its repetition closed every later
/// connection of the session.
#[tokio::test]
async fn a_qos_2_publish_that_was_refused_can_come_again() {
    let bench = bench::hub().await;
    let (mut client, _) = kept(&bench, Version::V5, "c").await;
    let wrong = with(Properties { response_topic: Some("a/+"), ..Properties::default() });
    client.publish(Publish { properties: wrong, ..publish("t", QOS2, 5, "x") }).await;
    client.expect_end(Reason::PROTOCOL_ERROR).await;
    let (mut client, _) = kept(&bench, Version::V5, "c").await;
    for id in 5..5 + 64 {
        client.publish(publish("t", QOS2, id, "x")).await;
        client.next().await.expect("a PUBREC");
    }
    client.publish(publish("t", QOS2, 1, "x")).await;
    client.expect_end(Reason::RECEIVE_MAXIMUM_EXCEEDED).await;
    let (mut client, _) = kept(&bench, Version::V5, "c").await;
    client.send(&Packet::Pubrel(ack(5))).await;
    client.expect(Packet::Pubcomp(ack(5))).await;
    client.publish(Publish { dup: true, ..publish("t", QOS2, 1, "x") }).await;
    let bytes = client.next().await.expect("a PUBREC");
    assert!(matches!(client.parse(&bytes), Packet::Pubrec(ack) if ack.packet_id == 1 && !ack.reason.is_error()));
}

/// MQTT-3.8.3-3 knows no exception.
#[tokio::test]
async fn no_local_holds_for_retained_messages_too() {
    let bench = bench::hub().await;
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    client.publish(Publish { retain: true, ..publish("t", QOS1, 1, "own") }).await;
    client.next().await.expect("a PUBACK");
    client.subscribe_with("t", Options { no_local: true, ..Options::plain(QOS1) }, None).await;
    client.expect_nothing().await;
}
