//! UNSUBSCRIBE and UNSUBACK (sections 3.10 and 3.11).

use super::{closes, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex, packet, text};
use crate::packet::Version::V311;

/// [MQTT-3.10.1-1]
#[tokio::test]
async fn mqtt_3_10_1_1_unsubscribe_with_other_flags_closes() {
    let bench = Bench::start().await;
    for flags in (0..16).filter(|flags| *flags != 2) {
        closes(&bench, &[&[0xa0 | flags], &hex("05 0001 0001 74")[..]].concat()).await;
    }
}

/// [MQTT-3.10.3-1]
#[tokio::test]
async fn mqtt_3_10_3_1_a_filter_is_utf_8() {
    let bench = Bench::start().await;
    for filter in [&b"\xff"[..], b"a/\xed\xa0\x80", b"\xc0\xaf", b"a\0"] {
        closes(&bench, &packet(0xa2, [&[0, 1], &text(filter)[..]].concat())).await;
    }
}

/// [MQTT-3.10.3-2]
#[tokio::test]
async fn mqtt_3_10_3_2_an_unsubscribe_without_a_filter_closes() {
    let bench = Bench::start().await;
    closes(&bench, &hex("a2 02 0001")).await;
    closes(&bench, &hex("a2 06 0001 0001 74 00")).await;
}

/// [MQTT-3.10.4-1]
#[tokio::test]
async fn mqtt_3_10_4_1_filters_are_compared_character_by_character() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe_all(&[("a/b", 0), ("a/+", 0), ("A/b", 0)]).await;
    client.unsubscribe(&["a/#", "+/b", "a/B", "a/b/", "#"]).await;
    tell(&bench, &message("A/b", 1, "x")).await;
    assert_eq!(client.delivery().await.topic, "A/b");
    client.unsubscribe(&["A/b"]).await;
    tell(&bench, &message("A/b", 1, "x")).await;
    client.unsubscribe(&["a/+"]).await;
    tell(&bench, &message("a/c", 1, "x")).await;
    tell(&bench, &message("a/b", 1, "x")).await;
    assert_eq!(client.delivery().await.topic, "a/b", "only this one is left");
    client.unsubscribe(&["a/b"]).await;
    tell(&bench, &message("a/b", 1, "x")).await;
    client.expect_silence().await;
}

/// [MQTT-3.10.4-2]
#[tokio::test]
async fn mqtt_3_10_4_2_nothing_new_comes_behind_unsuback() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    for filter in ["t/#", "t/+", "t/x", "$share/g/t/x"] {
        client.subscribe(filter, 1).await;
        client.unsubscribe(&[filter]).await;
        tell(&bench, &message("t/x", 1, "x")).await;
        client.expect_silence().await;
    }
}

/// [MQTT-3.10.4-3]
#[tokio::test]
async fn mqtt_3_10_4_3_deliveries_under_way_are_completed() {
    let bench = Bench::start().await;
    let mut client = super::kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    tell(&bench, &message("t", 1, "one")).await;
    tell(&bench, &message("t", 2, "two")).await;
    let (one, two) = (client.delivery().await.id, client.delivery().await.id);
    client.unsubscribe(&["t"]).await;
    client.send(&ack(PUBREC, two)).await;
    client.expect(&ack(PUBREL, two)).await;
    client.cut();
    let mut client = super::kept(&bench, "c", true).await;
    client.wait_for(&ack(PUBREL, two)).await;
    let again = client.delivery().await;
    assert_eq!((again.id, again.dup, again.text()), (one, true, "one"));
    client.send(&[ack(PUBACK, one), ack(PUBCOMP, two)].concat()).await;
    client.expect_silence().await;
    client.cut();
    super::kept(&bench, "c", true).await.expect_silence().await;
}

/// [MQTT-3.10.4-4]
#[tokio::test]
async fn mqtt_3_10_4_4_unsubscribe_is_answered_with_its_identifier() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 0).await;
    client.send_hex("a2 05 1234 0001 74").await;
    client.expect(&hex("b0 02 1234")).await;
}

/// [MQTT-3.10.4-5]
#[tokio::test]
async fn mqtt_3_10_4_5_unsuback_comes_though_nothing_is_removed() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.send_hex("a2 05 0001 0001 74").await;
    client.expect(&hex("b0 02 0001")).await;
    client.send_hex("a2 07 0002 0003 612f23").await;
    client.expect(&hex("b0 02 0002")).await;
}

/// [MQTT-3.10.4-6]
#[tokio::test]
async fn mqtt_3_10_4_6_many_filters_get_one_answer() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe_all(&[("a", 0), ("b", 0), ("c", 0)]).await;
    client.send_hex("a2 0b 0003 0001 61 0001 78 0001 63").await;
    client.expect(&hex("b0 02 0003")).await;
    for topic in ["a", "b", "c"] {
        tell(&bench, &message(topic, 1, "x")).await;
    }
    assert_eq!(client.delivery().await.topic, "b");
    client.expect_silence().await;
}
