//! SUBSCRIBE and SUBACK (sections 3.8 and 3.9).

use super::{closes, message, tell};
use crate::bench::{Bench, all_but};
use crate::bytes::{PUBACK, ack, hex, packet, text};
use crate::packet::Version::V311;
use crate::packet::subscribe;
use crate::properties::Properties;
use weir::hub::Limits;

/// [MQTT-3.8.1-1]
#[tokio::test]
async fn mqtt_3_8_1_1_subscribe_with_other_flags_closes() {
    let bench = Bench::start().await;
    for flags in (0..16).filter(|flags| *flags != 2) {
        closes(&bench, &[&[0x80 | flags], &hex("06 0001 0001 74 00")[..]].concat()).await;
    }
}

/// [MQTT-3.8.3-1]
#[tokio::test]
async fn mqtt_3_8_3_1_a_filter_is_utf_8() {
    let bench = Bench::start().await;
    for filter in [&b"\xff"[..], b"a/\xed\xa0\x80", b"\xc0\xaf", b"a\0"] {
        closes(&bench, &packet(0x82, [&[0, 1], &text(filter)[..], &[0]].concat())).await;
    }
    let mut client = bench.client(V311, "c").await;
    client.subscribe("温/+", 0).await;
    tell(&bench, &message("温/室", 1, "x")).await;
    assert_eq!(client.delivery().await.topic, "温/室");
}

/// [MQTT-3.8.3-2]
#[tokio::test]
async fn mqtt_3_8_3_2_filters_with_wildcards_are_supported() {
    let bench = Bench::start().await;
    for filter in ["#", "+", "a/#", "a/+", "+/+", "a/+/#", "/+", "+/"] {
        let mut client = bench.client(V311, "c").await;
        client.subscribe(filter, 1).await;
        let topic = filter.replace('+', "x").replace('#', "y/z");
        tell(&bench, &message(&topic, 1, "x")).await;
        assert_eq!(client.receive().await.topic, topic);
        client.disconnect().await;
    }
}

/// [MQTT-3.8.3-3]
#[tokio::test]
async fn mqtt_3_8_3_3_a_subscribe_without_a_filter_closes() {
    let bench = Bench::start().await;
    closes(&bench, &hex("82 02 0001")).await;
    closes(&bench, &hex("82 05 0001 0001 74")).await;
    closes(&bench, &hex("82 08 0001 0001 74 00 0001")).await;
}

/// [MQTT-3.8.3-4]
#[tokio::test]
async fn mqtt_3_8_3_4_a_requested_qos_with_reserved_bits_or_3_closes() {
    let bench = Bench::start().await;
    for options in [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
        closes(&bench, &subscribe(V311, 1, &Properties::default(), &[("t", options)])).await;
        closes(&bench, &subscribe(V311, 1, &Properties::default(), &[("good", 1), ("t", options)])).await;
    }
}

/// [MQTT-3.8.4-1]
/// [MQTT-3.8.4-2]
#[tokio::test]
async fn mqtt_3_8_4_1_subscribe_is_answered_with_its_identifier() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.send_hex("82 06 1234 0001 74 01").await;
    client.expect(&hex("90 03 1234 01")).await;
}

/// [MQTT-3.8.4-3]
#[tokio::test]
async fn mqtt_3_8_4_3_subscribing_again_replaces() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    tell(&bench, &message("t/kept", 1, "kept").retained()).await;
    client.subscribe("t/#", 0).await;
    assert_eq!(client.receive().await.qos, 0);
    client.subscribe("t/#", 1).await;
    let again = client.delivery().await;
    assert_eq!((again.text(), again.retain, again.qos), ("kept", true, 1), "retained messages come again");
    tell(&bench, &message("t/new", 1, "new")).await;
    let new = client.delivery().await;
    assert_eq!((new.text(), new.qos), ("new", 1), "with the new QoS");
    client.expect_silence().await;
    // What was under way is not interrupted.
    client.subscribe("t/#", 2).await;
    assert_eq!(client.delivery().await.text(), "kept");
    for id in [again.id, new.id] {
        client.send(&ack(PUBACK, id)).await;
    }
    tell(&bench, &message("t/last", 2, "last")).await;
    assert_eq!(client.receive().await.qos, 2);
    client.unsubscribe(&["t/#"]).await;
    tell(&bench, &message("t/new", 1, "new")).await;
    client.expect_silence().await;
}

/// [MQTT-3.8.4-4]
/// [MQTT-3.8.4-5]
#[tokio::test]
async fn mqtt_3_8_4_4_many_filters_are_many_subscriptions_with_one_answer() {
    let bench = Bench::start().await;
    for topic in ["a", "b"] {
        tell(&bench, &message(topic, 1, topic).retained()).await;
    }
    let mut client = bench.client(V311, "c").await;
    client.send_hex("82 12 0009 0001 61 00 0001 62 02 0001 63 01 0001 61 01").await;
    client.expect(&hex("90 06 0009 00 02 01 01")).await;
    let first = ["a", "b", "a"];
    let mut found = Vec::new();
    for _ in first {
        found.push(client.receive().await.topic);
    }
    assert_eq!(found, first, "each subscription starts with its retained messages");
    for (topic, qos) in [("a", 1), ("b", 2), ("c", 1)] {
        tell(&bench, &message(topic, 2, "x")).await;
        let publish = client.receive().await;
        assert_eq!((publish.topic.as_str(), publish.qos), (topic, qos));
    }
    client.expect_silence().await;
}

/// A subscription that is not allowed fails alone.
#[tokio::test]
async fn a_filter_that_is_not_allowed_gets_the_failure_code() {
    let bench = Bench::with(all_but(&[], &["test/nosubscribe"])).await;
    tell(&bench, &message("test/nosubscribe", 1, "secret").retained()).await;
    let mut client = bench.client(V311, "c").await;
    let filters = [("t", 1), ("test/nosubscribe", 2), ("#", 0)];
    assert_eq!(client.subscribe_all(&filters).await, [1, 0x80, 0]);
    tell(&bench, &message("test/nosubscribe", 1, "secret")).await;
    client.expect_silence().await;
}

/// [MQTT-3.8.4-6]
#[tokio::test]
async fn mqtt_3_8_4_6_deliveries_have_at_most_the_granted_qos() {
    let bench = Bench::start().await;
    for granted in 0..=2 {
        let mut client = bench.client(V311, "c").await;
        client.subscribe("t", granted).await;
        for qos in 0..=2 {
            tell(&bench, &message("t", qos, "x")).await;
            assert_eq!(client.receive().await.qos, granted.min(qos));
        }
        client.disconnect().await;
    }
    let bench = Bench::limited(Limits { qos: 1, ..Limits::default() }).await;
    let mut client = bench.client(V311, "c").await;
    assert_eq!(client.subscribe_all(&[("t", 2)]).await, [1], "a hub with QoS 1 at most");
}

/// [MQTT-3.9.3-1]
#[tokio::test]
async fn mqtt_3_9_3_1_return_codes_come_in_the_order_of_the_filters() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let filters = [("a", 2), ("b/#/c", 2), ("c", 0), ("d", 1), ("+e", 0), ("a", 0)];
    assert_eq!(client.subscribe_all(&filters).await, [2, 0x80, 0, 1, 0x80, 0]);
}

/// [MQTT-3.9.3-2]
#[tokio::test]
async fn mqtt_3_9_3_2_return_codes_are_0_1_2_or_failure() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let many: Vec<String> = (0..1001).map(|number| format!("t/{number}")).collect();
    let mut filters = vec![("t", 0), ("t", 1), ("t", 2), ("", 1), ("a/#/b", 1), ("$share//t", 1)];
    filters.extend(many.iter().map(|filter| (filter.as_str(), 1)));
    let codes = client.subscribe_all(&filters).await;
    assert!(codes.iter().all(|code| matches!(code, 0..=2 | 0x80)), "{codes:02x?}");
    assert_eq!(codes[..6], [0, 1, 2, 0x80, 0x80, 0x80]);
    assert_eq!(codes.last(), Some(&0x80), "more subscriptions than a client may have");
}
