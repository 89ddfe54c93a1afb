//! Retained messages (section 3.3.1.3).

use super::{kept, message, tell};
use crate::bench::Bench;
use crate::packet::Publish;
use crate::packet::Version::V311;

/// What a new subscription to this filter with QoS 2 gets from the store.
async fn stored(bench: &Bench, filter: &str) -> Vec<Publish> {
    let mut client = bench.client(V311, "stored").await;
    client.subscribe_all(&[(filter, 2), ("marker", 0)]).await;
    let mut found = Vec::new();
    // The marker is delivered behind everything that the subscription starts with.
    client.publish(&message("marker", 0, "")).await;
    loop {
        let publish = client.receive().await;
        if publish.topic == "marker" {
            return found;
        }
        found.push(publish);
    }
}

/// [MQTT-3.3.1-5]
#[tokio::test]
async fn mqtt_3_3_1_5_retained_messages_are_kept_with_their_qos() {
    let bench = Bench::start().await;
    for (qos, topic) in ["q/0", "q/1", "q/2"].into_iter().enumerate() {
        tell(&bench, &message(topic, qos as u8, topic).retained()).await;
    }
    let found = stored(&bench, "q/+").await;
    let found: Vec<_> = found.iter().map(|it| (it.topic.as_str(), it.text(), it.qos)).collect();
    assert_eq!(found, [("q/0", "q/0", 0), ("q/1", "q/1", 1), ("q/2", "q/2", 2)]);
}

/// [MQTT-3.3.1-6]
#[tokio::test]
async fn mqtt_3_3_1_6_a_new_subscription_gets_the_last_of_each_matching_topic() {
    let bench = Bench::start().await;
    for (topic, payload) in [("a/1", "old"), ("a/2", "two"), ("a/1", "new"), ("b", "other")] {
        tell(&bench, &message(topic, 1, payload).retained()).await;
    }
    let found = stored(&bench, "a/#").await;
    let mut found: Vec<_> = found.iter().map(|it| (it.topic.as_str(), it.text())).collect();
    found.sort_unstable();
    assert_eq!(found, [("a/1", "new"), ("a/2", "two")]);
}

/// [MQTT-3.3.1-7]
#[tokio::test]
async fn mqtt_3_3_1_7_a_qos_0_message_replaces_the_retained_one() {
    let bench = Bench::start().await;
    tell(&bench, &message("t", 2, "old").retained()).await;
    tell(&bench, &message("t", 0, "new").retained()).await;
    let found = stored(&bench, "t").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].text(), found[0].qos), ("new", 0));
}

/// [MQTT-3.3.1-8]
#[tokio::test]
async fn mqtt_3_3_1_8_what_a_new_subscription_gets_has_retain() {
    let bench = Bench::start().await;
    for qos in 0..=2 {
        tell(&bench, &message("t", qos, "x").retained()).await;
        let found = stored(&bench, "t").await;
        assert_eq!((found[0].retain, found[0].dup), (true, false));
    }
}

/// [MQTT-3.3.1-9]
#[tokio::test]
async fn mqtt_3_3_1_9_what_an_established_subscription_gets_has_none() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    for qos in 0..=2 {
        tell(&bench, &message("t", qos, "x").retained()).await;
        assert!(!client.receive().await.retain);
    }
    client.disconnect().await;
    tell(&bench, &message("t", 1, "queued").retained()).await;
    let mut client = kept(&bench, "c", true).await;
    let queued = client.receive().await;
    assert_eq!((queued.text(), queued.retain), ("queued", false), "its subscription was there before");
    client.expect_silence().await;
}

/// [MQTT-3.3.1-10]
/// [MQTT-3.3.1-11]
#[tokio::test]
async fn mqtt_3_3_1_10_an_empty_retained_message_removes_and_is_not_stored() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 0).await;
    for qos in 0..=2 {
        tell(&bench, &message("t", qos, "x").retained()).await;
        assert_eq!(client.delivery().await.text(), "x");
        tell(&bench, &message("t", qos, "").retained()).await;
        let empty = client.delivery().await;
        assert_eq!((empty.text(), empty.retain), ("", false), "it is delivered as any other");
        assert_eq!(stored(&bench, "#").await, [], "neither the old one nor the empty one");
    }
}

/// [MQTT-3.3.1-12]
#[tokio::test]
async fn mqtt_3_3_1_12_a_message_without_retain_leaves_the_store_alone() {
    let bench = Bench::start().await;
    tell(&bench, &message("kept", 1, "x").retained()).await;
    for qos in 0..=2 {
        for payload in ["", "y"] {
            tell(&bench, &message("kept", qos, payload)).await;
            tell(&bench, &message("fresh", qos, payload)).await;
        }
    }
    let found = stored(&bench, "#").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].topic.as_str(), found[0].text()), ("kept", "x"));
}

/// [MQTT-3.1.2-7]
#[tokio::test]
async fn mqtt_3_1_2_7_retained_messages_outlive_their_publishers_session() {
    let bench = Bench::start().await;
    let mut publisher = kept(&bench, "p", false).await;
    publisher.tell(&message("t", 1, "x").retained()).await;
    publisher.disconnect().await;
    bench.client(V311, "p").await.disconnect().await;
    assert_eq!(stored(&bench, "t").await[0].text(), "x");
}
