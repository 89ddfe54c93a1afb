//! PUBLISH (section 3.3), without retained messages.

use super::{closes, kept, message, tell};
use crate::bench::{Bench, all_but};
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex};
use crate::packet::Publish;
use crate::packet::Version::V311;

/// [MQTT-3.3.1-1]
#[tokio::test]
async fn mqtt_3_3_1_1_a_repeated_publish_has_dup() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    for qos in [1, 2] {
        tell(&bench, &message("t", qos, "x")).await;
        assert!(!client.delivery().await.dup, "QoS {qos} for the first time");
    }
    client.cut();
    for _ in 0..2 {
        let mut client = kept(&bench, "c", true).await;
        for qos in [1, 2] {
            let again = client.delivery().await;
            assert_eq!((again.dup, again.qos), (true, qos));
        }
    }
}

/// [MQTT-3.3.1-2]
#[tokio::test]
async fn mqtt_3_3_1_2_dup_is_0_with_qos_0() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 0).await;
    for qos in 1..=2 {
        tell(&bench, &message("t", qos, "x").again()).await;
        client.expect(&hex("30 04 0001 74 78")).await;
    }
    closes(&bench, &message("t", 0, "x").again().bytes(V311)).await;
}

/// [MQTT-3.3.1-3]
#[tokio::test]
async fn mqtt_3_3_1_3_a_publishers_dup_is_not_passed_on() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 2).await;
    for qos in [1, 2] {
        tell(&bench, &message("t", qos, "x").again()).await;
        assert!(!client.receive().await.dup);
    }
}

/// [MQTT-3.3.1-4]
#[tokio::test]
async fn mqtt_3_3_1_4_qos_3_closes() {
    let bench = Bench::start().await;
    for first in [0x36, 0x37, 0x3e, 0x3f] {
        closes(&bench, &[&[first], &hex("06 0001 74 0001 78")[..]].concat()).await;
    }
}

/// [MQTT-3.3.2-1]
#[tokio::test]
async fn mqtt_3_3_2_1_the_topic_is_the_first_field_and_utf_8() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("ü/t", 1).await;
    client.send_hex("32 08 0004 c3bc2f74 0101").await;
    client.expect(&hex("40 02 0101")).await;
    client.expect(&hex("32 08 0004 c3bc2f74 0001")).await;
    for wrong in ["30 00", "30 01 00", "30 02 0001", "32 03 0001 74", "32 04 0001 74 00", "30 03 0001 ff"] {
        closes(&bench, &hex(wrong)).await;
    }
}

/// [MQTT-3.3.2-2]
#[tokio::test]
async fn mqtt_3_3_2_2_a_topic_with_wildcards_closes() {
    let bench = Bench::start().await;
    for topic in ["#", "+", "a/#", "a/+/b", "a#", "a+"] {
        closes(&bench, &message(topic, 0, "x").bytes(V311)).await;
    }
}

/// [MQTT-3.3.2-3]
#[tokio::test]
async fn mqtt_3_3_2_3_deliveries_match_their_filter() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe_all(&[("a/+/c", 1), ("b/#", 1), ("exact", 1)]).await;
    for topic in ["a", "a/b", "a/b/c", "a/b/c/d", "a//c", "b", "b/x/y", "bb", "exact", "Exact", "exact/"] {
        tell(&bench, &message(topic, 1, "x")).await;
    }
    for topic in ["a/b/c", "a//c", "b", "b/x/y", "exact"] {
        assert_eq!(client.receive().await.topic, topic);
    }
    client.expect_silence().await;
}

/// [MQTT-3.3.4-1]
#[tokio::test]
async fn mqtt_3_3_4_1_the_answer_depends_on_the_qos() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.publish(&message("t", 0, "x")).await;
    client.expect_silence().await;
    client.publish(&message("t", 1, "x")).await;
    client.expect(&ack(PUBACK, 7)).await;
    client.publish(&message("t", 2, "x")).await;
    client.expect(&ack(PUBREC, 7)).await;
    client.expect_silence().await;
    client.send(&ack(PUBREL, 7)).await;
    client.expect(&ack(PUBCOMP, 7)).await;
    client.expect_silence().await;
}

/// [MQTT-3.3.5-1]
#[tokio::test]
async fn mqtt_3_3_5_1_overlapping_subscriptions_deliver_with_the_highest_qos() {
    let bench = Bench::start().await;
    for filters in [[("a/#", 2), ("a/+", 1)], [("a/#", 0), ("a/+", 2)], [("a/b", 1), ("#", 2)]] {
        let mut client = bench.client(V311, "c").await;
        client.subscribe_all(&filters).await;
        tell(&bench, &message("a/b", 2, "x")).await;
        assert_eq!(client.receive().await.qos, 2, "{filters:?}");
        client.expect_silence().await;
        client.disconnect().await;
    }
}

/// [MQTT-3.3.5-2]
#[tokio::test]
async fn mqtt_3_3_5_2_a_publish_that_is_not_allowed_is_acknowledged_and_dropped() {
    let bench = Bench::with(all_but(&["closed/+"], &[])).await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe_all(&[("#", 0), ("$SYS/forged", 0)]).await;
    let mut client = bench.client(V311, "c").await;
    for topic in ["shed/gateway/status", "$SYS/forged", "closed/topic"] {
        for qos in 0..=2 {
            client.tell(&message(topic, qos, "forged")).await;
            client.tell(&message(topic, qos, "forged").retained()).await;
        }
    }
    watcher.expect_silence().await;
    let mut late = bench.client(V311, "late").await;
    late.subscribe_all(&[("#", 0), ("$SYS/forged", 0)]).await;
    late.expect_silence().await;
}

/// [MQTT-3.6.1-1]
#[tokio::test]
async fn mqtt_3_6_1_1_pubrel_with_other_flags_closes() {
    let bench = Bench::start().await;
    for flags in (0..16).filter(|flags| *flags != 2) {
        let mut client = bench.client(V311, "c").await;
        client.publish(&message("t", 2, "x")).await;
        assert_eq!(client.acked(PUBREC).await, 7);
        client.send(&ack(0x60 | flags, 7)).await;
        client.expect_closed().await;
    }
}

/// A payload may be empty, and may be of any bytes.
#[tokio::test]
async fn payloads_are_opaque() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 0).await;
    let all: Vec<u8> = (0..=255).collect();
    for payload in [&[][..], &[0], &all] {
        tell(&bench, &Publish::new("t", 1, 1, payload)).await;
        assert_eq!(client.delivery().await.payload, payload);
    }
}
