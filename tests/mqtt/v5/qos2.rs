//! QoS 2 both ways (section 4.3.3).

use super::pair;
use crate::bench::Bench;
use crate::bytes::{PUBCOMP, PUBREC, PUBREL, ack, packet};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

/// [MQTT-4.3.3-10]
/// [MQTT-4.3.3-8]
/// [MQTT-4.3.3-11]
/// [MQTT-4.3.3-12]
#[tokio::test]
async fn mqtt_4_3_3_10_a_repetition_before_pubrel_is_answered_and_goes_nowhere() {
    let bench = Bench::start().await;
    let (mut subscriber, _) = pair(&bench).await;
    let (mut publisher, _) = bench.connect(&Connect::kept(V5, "p")).await;
    let publish = Publish::new("t", 2, 11, "once");
    for again in [publish.clone(), publish.clone().again(), publish.clone()] {
        publisher.publish(&again).await;
        assert_eq!(publisher.acked(PUBREC).await, 11);
    }
    // On the next connection too.
    let (mut publisher, _) = bench.connect(&Connect::kept(V5, "p")).await;
    publisher.publish(&publish.clone().again()).await;
    assert_eq!(publisher.acked(PUBREC).await, 11);
    assert_eq!(subscriber.receive().await.text(), "once");
    subscriber.expect_silence().await;
    for _ in 0..2 {
        publisher.send(&ack(PUBREL, 11)).await;
        assert_eq!(publisher.next().await.ack(PUBCOMP).id, 11);
    }
    // After PUBCOMP the id is a new message's, whatever its DUP flag.
    for again in [publish.clone().again(), publish] {
        publisher.tell(&again).await;
        assert_eq!(subscriber.receive().await.text(), "once");
    }
}

/// [MQTT-4.3.3-6]
/// [MQTT-4.3.3-3]
/// [MQTT-4.3.3-4]
/// [MQTT-4.3.3-5]
#[tokio::test]
async fn mqtt_4_3_3_6_after_pubrec_only_pubrel_is_repeated_until_pubcomp() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 2).await;
    bench.client(V5, "p").await.tell(&Publish::new("t", 2, 1, "x")).await;
    let first = client.delivery().await;
    // Open until PUBREC.
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    assert_eq!(client.delivery().await, first.clone().again());
    for _ in 0..2 {
        client.send(&ack(PUBREC, first.id)).await;
        assert_eq!(client.acked(PUBREL).await, first.id);
    }
    client.expect_silence().await;
    for _ in 0..2 {
        client = bench.connect(&Connect::kept(V5, "c")).await.0;
        assert_eq!(client.acked(PUBREL).await, first.id);
        client.expect_silence().await;
    }
    client.send(&ack(PUBCOMP, first.id)).await;
    client.expect_silence().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.expect_silence().await;
}

/// [MQTT-4.3.3-9]
#[tokio::test]
async fn mqtt_4_3_3_9_after_a_refusing_pubrec_the_same_id_is_a_new_message() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for _ in 0..2 {
        publisher.publish(&Publish::new("shed/gateway/x", 2, 4, "no")).await;
        assert_eq!(publisher.next().await.ack(PUBREC).codes, [0x87]);
    }
    publisher.tell(&Publish::new("t", 2, 4, "yes")).await;
    assert_eq!(subscriber.receive().await.text(), "yes");
    subscriber.expect_silence().await;
}

/// [MQTT-4.3.3-7]
/// [MQTT-4.3.3-13]
#[tokio::test]
async fn mqtt_4_3_3_7_what_has_been_sent_does_not_expire() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 2).await;
    let (mut publisher, _) = bench.connect(&Connect::kept(V5, "p")).await;
    let second = Properties::one(id::MESSAGE_EXPIRY, Value::Four(1));
    publisher.publish(&Publish::new("t", 2, 1, "x").carrying(second.clone())).await;
    assert_eq!(publisher.acked(PUBREC).await, 1);
    publisher.publish(&Publish::new("t", 1, 2, "y").carrying(second)).await;
    assert_eq!(publisher.acked(0x40).await, 2);
    let open = [client.delivery().await, client.delivery().await];
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    // The exchange with the publisher is completed, those with the subscriber go on.
    publisher.send(&ack(PUBREL, 1)).await;
    assert_eq!(publisher.acked(PUBCOMP).await, 1);
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    for delivery in open {
        let again = client.receive().await;
        assert_eq!((again.id, again.text(), again.dup), (delivery.id, delivery.text(), true));
    }
}

/// [MQTT-4.3.3-10]
#[tokio::test]
async fn mqtt_4_3_3_10_an_id_whose_publish_was_an_error_is_free_again() {
    let bench = Bench::start().await;
    let (mut subscriber, _) = pair(&bench).await;
    let wild = Properties::one(id::RESPONSE_TOPIC, Value::Text("#".into()));
    let (mut publisher, _) = bench.connect(&Connect::kept(V5, "p")).await;
    publisher.publish(&Publish::new("t", 2, 1, "wrong").carrying(wild)).await;
    publisher.expect_reason(0x82).await;
    let (mut publisher, present) = bench.connect(&Connect::kept(V5, "p")).await;
    assert!(present);
    publisher.tell(&Publish::new("t", 2, 1, "right")).await;
    assert_eq!(subscriber.receive().await.text(), "right");
    // Likewise the one that was one too many.
    for id in 2..=66 {
        publisher.publish(&Publish::new("t", 2, id, "many")).await;
    }
    for id in 2..=65 {
        assert_eq!(publisher.acked(PUBREC).await, id);
    }
    publisher.expect_reason(0x93).await;
    let (mut publisher, present) = bench.connect(&Connect::kept(V5, "p")).await;
    assert!(present);
    for id in 2..=65 {
        publisher.send(&ack(PUBREL, id)).await;
        assert_eq!(publisher.acked(PUBCOMP).await, id);
    }
    publisher.tell(&Publish::new("t", 2, 66, "last")).await;
    for text in std::iter::repeat_n("many", 64).chain(["last"]) {
        assert_eq!(subscriber.receive().await.text(), text);
    }
}

/// [MQTT-4.3.3-4]
#[tokio::test]
async fn mqtt_4_3_3_4_a_pubrec_with_success_gets_pubrel() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for code in [0x00, 0x10] {
        publisher.tell(&Publish::new("t", 2, 1, "x")).await;
        let id = subscriber.delivery().await.id;
        let [high, low] = id.to_be_bytes();
        subscriber.send(&packet(PUBREC, [high, low, code])).await;
        assert_eq!(subscriber.acked(PUBREL).await, id);
        subscriber.send(&packet(PUBCOMP, [high, low, 0x92])).await;
        subscriber.expect_silence().await;
    }
}
