//! Delivery with each QoS, and redelivery (sections 4.3 to 4.5).

use super::{kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack};
use crate::packet::Publish;
use crate::packet::Version::V311;

/// [MQTT-4.3.1-1]
#[tokio::test]
async fn mqtt_4_3_1_1_qos_0_is_sent_once_with_dup_0() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 0).await;
    for qos in 0..=2 {
        tell(&bench, &message("t", qos, "x")).await;
        assert_eq!(client.delivery().await, Publish::new("t", 0, 0, "x"));
    }
    client.cut();
    kept(&bench, "c", true).await.expect_silence().await;
}

/// [MQTT-4.3.2-1]
#[tokio::test]
async fn mqtt_4_3_2_1_a_qos_1_delivery_is_held_until_puback() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 1).await;
    tell(&bench, &message("t", 1, "one")).await;
    tell(&bench, &message("t", 1, "two")).await;
    let (one, two) = (client.delivery().await, client.delivery().await);
    assert!(one.id != two.id && !one.dup && !two.dup, "new identifiers, DUP 0");
    // No other acknowledgement ends it.
    client.send(&[ack(PUBCOMP, one.id), ack(PUBACK, two.id)].concat()).await;
    client.expect_silence().await;
    client.cut();
    let mut client = kept(&bench, "c", true).await;
    assert_eq!(client.delivery().await, one.clone().again());
    client.send(&ack(PUBACK, one.id)).await;
    client.expect_silence().await;
    client.cut();
    kept(&bench, "c", true).await.expect_silence().await;
}

/// [MQTT-4.3.2-2]
#[tokio::test]
async fn mqtt_4_3_2_2_a_qos_1_publish_gets_puback_and_its_identifier_is_free_again() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 1).await;
    let mut client = bench.client(V311, "c").await;
    for text in ["one", "two", "three"] {
        client.publish(&Publish::new("t", 1, 9, text).again()).await;
        client.expect(&ack(PUBACK, 9)).await;
        assert_eq!(watcher.receive().await.text(), text, "a new message, whatever its DUP");
    }
}

/// [MQTT-4.3.3-1]
#[tokio::test]
async fn mqtt_4_3_3_1_a_qos_2_delivery_is_held_until_pubrec_then_pubcomp() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    tell(&bench, &message("t", 2, "x")).await;
    let publish = client.delivery().await;
    assert!(!publish.dup && publish.qos == 2);
    // Neither PUBACK nor PUBCOMP stands for PUBREC.
    client.send(&[ack(PUBACK, publish.id), ack(PUBCOMP, publish.id)].concat()).await;
    client.expect_silence().await;
    client.cut();
    let mut client = kept(&bench, "c", true).await;
    assert_eq!(client.delivery().await, publish.clone().again());
    for _ in 0..2 {
        client.send(&ack(PUBREC, publish.id)).await;
        client.expect(&ack(PUBREL, publish.id)).await;
    }
    client.cut();
    let mut client = kept(&bench, "c", true).await;
    client.expect(&ack(PUBREL, publish.id)).await;
    client.expect_silence().await;
    client.send(&ack(PUBCOMP, publish.id)).await;
    client.expect_silence().await;
    client.cut();
    kept(&bench, "c", true).await.expect_silence().await;
}

/// [MQTT-4.3.3-2]
#[tokio::test]
async fn mqtt_4_3_3_2_a_qos_2_publish_counts_once_until_pubrel() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 2).await;
    let mut client = kept(&bench, "c", false).await;
    let publish = Publish::new("t", 2, 9, "x");
    client.publish(&publish).await;
    client.expect(&ack(PUBREC, 9)).await;
    client.publish(&publish.clone().again()).await;
    client.expect(&ack(PUBREC, 9)).await;
    client.cut();
    let mut client = kept(&bench, "c", true).await;
    client.publish(&publish.clone().again()).await;
    client.expect(&ack(PUBREC, 9)).await;
    assert_eq!(watcher.receive().await.text(), "x");
    watcher.expect_silence().await;
    for _ in 0..2 {
        client.send(&ack(PUBREL, 9)).await;
        client.expect(&ack(PUBCOMP, 9)).await;
    }
    client.publish(&publish.again()).await;
    client.expect(&ack(PUBREC, 9)).await;
    assert_eq!(watcher.receive().await.text(), "x", "after PUBREL it is a new message");
}

/// [MQTT-4.4.0-1]
/// [MQTT-2.3.1-3]
#[tokio::test]
async fn mqtt_4_4_0_1_a_resumed_session_sends_again_under_the_same_identifiers() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    for (qos, text) in [(1, "one"), (2, "two"), (2, "three")] {
        tell(&bench, &message("t", qos, text)).await;
    }
    let (one, two, three) = (client.delivery().await, client.delivery().await, client.delivery().await);
    client.send(&ack(PUBREC, two.id)).await;
    client.expect(&ack(PUBREL, two.id)).await;
    client.expect_silence().await;
    client.cut();
    for _ in 0..2 {
        let mut client = kept(&bench, "c", true).await;
        client.wait_for(&ack(PUBREL, two.id)).await;
        assert_eq!(client.delivery().await, one.clone().again());
        assert_eq!(client.delivery().await, three.clone().again());
        client.expect_silence().await;
    }
}

/// [MQTT-4.5.0-1]
#[tokio::test]
async fn mqtt_4_5_0_1_every_matching_session_gets_the_message() {
    let bench = Bench::start().await;
    let mut online = bench.client(V311, "online").await;
    let mut away = kept(&bench, "away", false).await;
    let mut other = bench.client(V311, "other").await;
    online.subscribe("t/+", 1).await;
    away.subscribe("t/#", 1).await;
    other.subscribe("x", 1).await;
    away.disconnect().await;
    let mut publisher = bench.client(V311, "p").await;
    publisher.subscribe("t/1", 1).await;
    publisher.publish(&message("t/1", 1, "x")).await;
    publisher.expect(&ack(PUBACK, 7)).await;
    assert_eq!(publisher.receive().await.text(), "x", "its own message too");
    assert_eq!(online.receive().await.text(), "x");
    assert_eq!(kept(&bench, "away", true).await.receive().await.text(), "x");
    other.expect_silence().await;
}

/// [MQTT-4.5.0-2]
#[tokio::test]
async fn mqtt_4_5_0_2_what_a_client_does_not_acknowledge_comes_only_after_a_reconnect() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 1).await;
    tell(&bench, &message("t", 1, "x")).await;
    let publish = client.delivery().await;
    client.expect_silence().await;
    client.cut();
    assert_eq!(kept(&bench, "c", true).await.delivery().await, publish.again());
}
