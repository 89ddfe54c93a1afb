//! PUBLISH: DUP, answers, refusals (sections 3.3.1, 3.3.4 and 3.4 to 3.7).

use super::{MALFORMED, ends, pair};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex, packet};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

/// [MQTT-3.3.1-2]
/// [MQTT-4.3.1-1]
#[tokio::test]
async fn mqtt_3_3_1_2_dup_with_qos_0_is_malformed_and_never_sent() {
    let bench = Bench::start().await;
    ends(&bench, &Publish::new("t", 0, 0, "x").again().bytes(V5), MALFORMED).await;
    let mut subscriber = bench.client(V5, "s").await;
    subscriber.subscribe("t", 0).await;
    let mut publisher = bench.client(V5, "p").await;
    // A repetition to the hub is none of the hub, and QoS 0 for this subscriber.
    publisher.tell(&Publish::new("t", 1, 1, "x").again()).await;
    assert_eq!(subscriber.delivery().await, Publish::new("t", 0, 0, "x"));
}

/// [MQTT-3.3.1-3]
/// [MQTT-4.3.2-2]
/// [MQTT-4.3.3-2]
#[tokio::test]
async fn mqtt_3_3_1_3_the_publishers_dup_is_not_passed_on() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for qos in [1, 2] {
        publisher.tell(&Publish::new("t", qos, 9, "x").again()).await;
        assert!(!subscriber.receive().await.dup);
        publisher.tell(&Publish::new("t", qos, 9, "x")).await;
        assert!(!subscriber.receive().await.dup);
    }
}

/// [MQTT-3.3.1-1]
/// [MQTT-4.4.0-1]
#[tokio::test]
async fn mqtt_3_3_1_1_a_repetition_has_dup_and_its_packet_id() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    let mut first = Vec::new();
    for qos in [1, 2, 1, 2] {
        publisher.tell(&Publish::new("t", qos, 1, "x")).await;
        first.push(client.delivery().await);
    }
    // Not on the same connection, however long it takes; on every new one, in order.
    client.expect_silence().await;
    for _ in 0..2 {
        client = bench.connect(&Connect::kept(V5, "c")).await.0;
        for delivery in &first {
            assert_eq!(client.delivery().await, delivery.clone().again());
        }
        client.expect_silence().await;
    }
}

/// [MQTT-3.3.4-1]
#[tokio::test]
async fn mqtt_3_3_4_1_the_answer_is_the_one_of_the_qos() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.publish(&Publish::new("t", 0, 0, "x")).await;
    client.expect_silence().await;
    client.publish(&Publish::new("t", 1, 5, "x")).await;
    assert_eq!(client.acked(PUBACK).await, 5);
    client.publish(&Publish::new("t", 2, 6, "x")).await;
    assert_eq!(client.acked(PUBREC).await, 6);
    client.send(&ack(PUBREL, 6)).await;
    assert_eq!(client.acked(PUBCOMP).await, 6);
    client.expect_silence().await;
}

/// [MQTT-3.4.2-1]
/// [MQTT-3.5.2-1]
/// [MQTT-3.6.2-1]
/// [MQTT-3.7.2-1]
/// [MQTT-3.9.3-2]
/// [MQTT-3.11.3-2]
/// [MQTT-3.1.2-29]
#[tokio::test]
async fn mqtt_3_4_2_1_each_answer_has_a_reason_code_of_its_own_and_no_text_that_is_not_wanted() {
    let bench = Bench::start().await;
    let unwanted = Properties::one(id::REQUEST_PROBLEM, Value::Byte(0));
    let (mut client, _) = bench.connect(&Connect::new(V5, "c").carrying(unwanted)).await;
    let publish = |topic: &str, qos: u8| Publish::new(topic, qos, 1, "x").bytes(V5);
    let filters = "00 01 74 00 00 01 74 01 00 01 74 02 00 02 23 23 00 00 00 00 00 09 24 73 68 61 72 65 2f 2f 74 00";
    let subscribe = packet(0x82, hex(&format!("00 01 00 {filters}")));
    let unsubscribe = packet(0xa2, hex("00 01 00 00 01 74 00 01 75 00 02 23 23 00 00"));
    for (question, first, codes) in [
        (publish("t", 1), PUBACK, vec![0x10]),
        (publish("shed/gateway/status", 1), PUBACK, vec![0x87]),
        (publish("$SYS/broker/uptime", 1), PUBACK, vec![0x87]),
        (publish("shed/gateway/status", 2), PUBREC, vec![0x87]),
        (publish("t", 2), PUBREC, vec![0x10]),
        (ack(PUBREL, 1), PUBCOMP, vec![0x00]),
        (ack(PUBREL, 1), PUBCOMP, vec![0x92]),
        (ack(PUBREC, 1), PUBREL, vec![0x92]),
        (subscribe, 0x90, vec![0, 1, 2, 0x8f, 0x8f, 0x8f]),
        (unsubscribe, 0xb0, vec![0x00, 0x11, 0x8f, 0x8f]),
    ] {
        client.send(&question).await;
        let packet = client.next().await;
        let verdicts = first == 0x90 || first == 0xb0;
        let answer = if verdicts { packet.verdicts(first) } else { packet.ack(first) };
        assert_eq!((answer.codes, answer.id), (codes, 1));
        assert_eq!(answer.properties, Properties::default());
    }
    // The message that was refused is nowhere.
    client.expect_silence().await;
}

/// [MQTT-3.14.2-1]
/// [MQTT-4.13.2-1]
#[tokio::test]
async fn mqtt_3_14_2_1_the_reason_of_a_dismissal_is_one_of_disconnect() {
    let bench = Bench::start().await;
    for wrong in [hex("c0 01 00"), hex("20 03 00 00 00"), packet(0x30, [0, 0, 0]), hex("30 ff ff ff 7f"), hex("ff 00")]
    {
        let mut client = bench.client(V5, "c").await;
        client.try_send(&wrong).await;
        let reason = client.dismissal().await.expect("a DISCONNECT");
        assert!(matches!(reason, 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0x90 | 0x93..=0xa2), "{reason:#04x}");
    }
}

/// [MQTT-3.14.2-1]
#[tokio::test]
async fn mqtt_3_14_2_1_a_hub_that_stops_says_so() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    drop(bench);
    client.expect_reason(0x8b).await;
}
