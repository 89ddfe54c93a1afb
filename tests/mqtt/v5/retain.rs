//! Retained messages (sections 3.3.1.3 and 3.8.3.1).

use crate::bench::Bench;
use crate::client::Client;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

const AS_PUBLISHED: u8 = 0x08;
const NO_LOCAL: u8 = 0x04;
const IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;

fn kept(topic: &str, qos: u8, payload: &str) -> Publish {
    Publish::new(topic, qos, 3, payload).retained()
}

/// What a new subscription to everything gets, by topic.
async fn retained(bench: &Bench) -> Vec<(String, String, u8)> {
    let mut client = bench.client(V5, "looks").await;
    client.subscribe_all(&[("#", 2)]).await;
    client.send(&Publish::new("end", 0, 0, "").bytes(V5)).await;
    let mut all = Vec::new();
    loop {
        let publish = client.receive().await;
        if publish.topic == "end" {
            break;
        }
        assert!(publish.retain);
        all.push((publish.topic.clone(), publish.text().to_owned(), publish.qos));
    }
    all.sort();
    all
}

fn row(topic: &str, payload: &str, qos: u8) -> (String, String, u8) {
    (topic.to_owned(), payload.to_owned(), qos)
}

async fn start() -> (Bench, Client) {
    let bench = Bench::start().await;
    let publisher = bench.client(V5, "p").await;
    (bench, publisher)
}

/// [MQTT-3.3.1-5]
/// [MQTT-3.3.1-8]
#[tokio::test]
async fn mqtt_3_3_1_5_the_last_retained_message_of_each_topic_is_kept() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a", 0, "1")).await;
    publisher.tell(&kept("b", 1, "1")).await;
    publisher.tell(&kept("c", 2, "1")).await;
    assert_eq!(retained(&bench).await, [row("a", "1", 0), row("b", "1", 1), row("c", "1", 2)]);
    publisher.tell(&kept("a", 2, "2")).await;
    publisher.tell(&kept("c", 0, "2")).await;
    // These are not kept, and change nothing.
    publisher.tell(&Publish::new("b", 1, 1, "3")).await;
    publisher.tell(&Publish::new("d", 1, 1, "3")).await;
    publisher.tell(&Publish::new("a", 1, 1, "")).await;
    assert_eq!(retained(&bench).await, [row("a", "2", 2), row("b", "1", 1), row("c", "2", 0)]);
}

/// [MQTT-3.3.1-6]
/// [MQTT-3.3.1-7]
#[tokio::test]
async fn mqtt_3_3_1_6_an_empty_retained_message_is_delivered_and_deletes() {
    let (bench, mut publisher) = start().await;
    let mut live = bench.client(V5, "live").await;
    live.subscribe_all(&[("a", AS_PUBLISHED)]).await;
    publisher.tell(&kept("a", 1, "1")).await;
    assert_eq!(live.delivery().await.text(), "1");
    publisher.tell(&kept("a", 1, "")).await;
    let empty = live.delivery().await;
    assert_eq!((empty.text(), empty.retain), ("", true));
    assert_eq!(retained(&bench).await, []);
    publisher.tell(&kept("b", 1, "")).await;
    assert_eq!(retained(&bench).await, []);
}

/// [MQTT-3.3.1-9]
/// [MQTT-3.8.4-4]
#[tokio::test]
async fn mqtt_3_3_1_9_retain_handling_0_sends_with_every_subscribe() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a/b", 1, "1")).await;
    publisher.tell(&kept("a/c", 1, "1")).await;
    publisher.tell(&kept("x", 1, "1")).await;
    let mut client = bench.client(V5, "c").await;
    for qos in [1, 1, 0] {
        client.subscribe("a/#", qos).await;
        for topic in ["a/b", "a/c"] {
            let publish = client.receive().await;
            assert_eq!((publish.topic.as_str(), publish.qos, publish.retain), (topic, qos, true));
        }
        client.expect_silence().await;
    }
}

/// [MQTT-3.3.1-10]
#[tokio::test]
async fn mqtt_3_3_1_10_retain_handling_1_sends_to_new_subscriptions_only() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a", 1, "1")).await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_all(&[("a", IF_NEW)]).await;
    assert_eq!(client.receive().await.text(), "1");
    client.subscribe_all(&[("a", IF_NEW)]).await;
    client.subscribe_all(&[("a", IF_NEW | 1)]).await;
    client.expect_silence().await;
    client.unsubscribe(&["a"]).await;
    client.subscribe_all(&[("a", IF_NEW)]).await;
    assert_eq!(client.receive().await.text(), "1");
    // The filter decides, not the topics it matches.
    client.subscribe_all(&[("+", IF_NEW)]).await;
    assert_eq!(client.receive().await.text(), "1");
}

/// [MQTT-3.3.1-11]
#[tokio::test]
async fn mqtt_3_3_1_11_retain_handling_2_sends_nothing() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a", 1, "1")).await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_all(&[("a", NEVER), ("#", NEVER | 2)]).await;
    client.subscribe_all(&[("a", NEVER)]).await;
    client.expect_silence().await;
    publisher.tell(&kept("a", 1, "2")).await;
    assert_eq!(client.receive().await.text(), "2");
}

/// [MQTT-3.3.1-13]
/// [MQTT-3.3.1-12]
#[tokio::test]
async fn mqtt_3_3_1_13_live_messages_keep_retain_only_as_published() {
    let (bench, mut publisher) = start().await;
    let mut plain = bench.client(V5, "plain").await;
    plain.subscribe("a", 0).await;
    let mut as_published = bench.client(V5, "as-published").await;
    as_published.subscribe_all(&[("a", AS_PUBLISHED)]).await;
    for retain in [true, false] {
        publisher.tell(&Publish { retain, ..kept("a", 1, "x") }).await;
        assert!(!plain.delivery().await.retain);
        assert_eq!(as_published.delivery().await.retain, retain);
    }
    // What is sent because of a subscription has it always.
    for options in [0, AS_PUBLISHED] {
        let mut late = bench.client(V5, "late").await;
        late.subscribe_all(&[("a", options)]).await;
        assert!(late.delivery().await.retain);
    }
}

/// [MQTT-3.8.3-3]
#[tokio::test]
async fn mqtt_3_8_3_3_no_local_holds_for_retained_messages_too() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a", 1, "mine")).await;
    let mut other = bench.client(V5, "other").await;
    other.tell(&kept("b", 1, "other's")).await;
    publisher.subscribe_all(&[("#", NO_LOCAL)]).await;
    assert_eq!(publisher.delivery().await.text(), "other's");
    publisher.expect_silence().await;
    publisher.subscribe_all(&[("+", 0)]).await;
    assert_eq!(publisher.delivery().await.text(), "mine");
}

/// [MQTT-3.3.4-3]
#[tokio::test]
async fn mqtt_3_3_4_3_retained_messages_carry_the_subscription_identifier() {
    let (bench, mut publisher) = start().await;
    publisher.tell(&kept("a", 1, "1")).await;
    let mut client = bench.client(V5, "c").await;
    let number = Properties::one(id::SUBSCRIPTION_ID, Value::Var(268_435_455));
    client.subscribe_with(&number, &[("a", 0)]).await;
    assert_eq!(client.delivery().await.properties, number);
}
