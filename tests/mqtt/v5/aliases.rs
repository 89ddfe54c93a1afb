//! Topic aliases both ways (section 3.3.2.3.4).

use super::{PROTOCOL_ERROR, ends, pair};
use crate::bench::Bench;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};
use weir::hub::Limits;

fn alias(number: u16) -> Properties {
    Properties::one(id::TOPIC_ALIAS, Value::Two(number))
}

fn aliased(topic: &str, number: u16, payload: &str) -> Publish {
    Publish::new(topic, 0, 0, payload).carrying(alias(number))
}

/// Takes so many aliases of the hub; the session is kept.
fn taking(most: u16) -> Connect<'static> {
    let connect = Connect::kept(V5, "taker");
    let properties = connect.properties.clone().and(id::TOPIC_ALIAS_MAXIMUM, Value::Two(most));
    connect.carrying(properties)
}

/// [MQTT-3.3.2-12]
#[tokio::test]
async fn mqtt_3_3_2_12_every_alias_up_to_the_announced_maximum_is_accepted() {
    let bench = Bench::limited(Limits { topic_alias: 20, ..Limits::default() }).await;
    let (mut subscriber, _) = pair(&bench).await;
    let mut publisher = bench.open(V5).await;
    publisher.send(&Connect::new(V5, "p").bytes()).await;
    assert_eq!(publisher.connack().await.properties.get(id::TOPIC_ALIAS_MAXIMUM), Some(&Value::Two(20)));
    for number in 1..=20 {
        publisher.publish(&aliased(&format!("t/{number}"), number, "set")).await;
    }
    for number in (1..=20).rev() {
        publisher.publish(&aliased("", number, "used")).await;
    }
    for number in (1..=20).chain((1..=20).rev()) {
        let delivery = subscriber.delivery().await;
        assert_eq!(delivery.topic, format!("t/{number}"));
        assert_eq!(delivery.properties, Properties::default(), "the publisher's alias is its own");
    }
}

/// [MQTT-3.3.2-12]
#[tokio::test]
async fn mqtt_3_3_2_12_an_alias_can_be_given_to_another_topic_at_every_qos() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for qos in 0..3 {
        for topic in ["first", "second", ""] {
            publisher.tell(&Publish::new(topic, qos, 7, "x").carrying(alias(3))).await;
            let delivery = subscriber.receive().await;
            let wanted = if topic.is_empty() { "second" } else { topic };
            assert_eq!((delivery.topic.as_str(), delivery.qos), (wanted, qos));
        }
    }
}

/// [MQTT-3.3.2-9]
/// [MQTT-3.3.2-8]
/// [MQTT-3.2.2-17]
/// [MQTT-3.2.2-18]
#[tokio::test]
async fn mqtt_3_3_2_9_aliases_that_cannot_be_end_the_connection() {
    let bench = Bench::limited(Limits { topic_alias: 20, ..Limits::default() }).await;
    for (topic, number) in [("t", 0), ("", 0), ("t", 21), ("", 21), ("t", 65_535), ("", 1), ("", 20)] {
        ends(&bench, &aliased(topic, number, "x").bytes(V5), 0x94).await;
    }
    ends(&bench, &Publish::new("", 0, 0, "x").bytes(V5), PROTOCOL_ERROR).await;
    let none = Bench::limited(Limits { topic_alias: 0, ..Limits::default() }).await;
    let mut client = none.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    let told = client.connack().await.properties.get(id::TOPIC_ALIAS_MAXIMUM).cloned();
    assert!(told.is_none_or(|told| told == Value::Two(0)));
    ends(&none, &aliased("t", 1, "x").bytes(V5), 0x94).await;
}

/// [MQTT-3.3.2-7]
#[tokio::test]
async fn mqtt_3_3_2_7_aliases_end_with_the_connection() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&taking(5)).await;
    client.subscribe("t", 0).await;
    client.publish(&aliased("t", 1, "x")).await;
    let before = client.delivery().await;
    assert_eq!((before.topic.as_str(), before.properties), ("t", alias(1)));
    client.disconnect().await;
    // The hub's: named anew. The client's: unknown.
    let (mut client, present) = bench.connect(&taking(5)).await;
    assert!(present);
    client.publish(&Publish::new("t", 0, 0, "y")).await;
    let after = client.delivery().await;
    assert_eq!((after.topic.as_str(), after.properties), ("t", alias(1)));
    client.publish(&aliased("", 1, "z")).await;
    client.expect_reason(0x94).await;
}

/// [MQTT-3.1.2-26]
/// [MQTT-3.3.2-11]
/// [MQTT-3.3.2-8]
/// [MQTT-3.3.2-3]
#[tokio::test]
async fn mqtt_3_1_2_26_the_hub_uses_no_alias_above_the_clients_maximum() {
    let bench = Bench::start().await;
    for most in [1, 2, 65_535] {
        let (mut client, _) = bench.connect(&Connect { clean: true, ..taking(most) }).await;
        client.subscribe("#", 0).await;
        let mut publisher = bench.client(V5, "p").await;
        let mut known = std::collections::HashMap::new();
        for number in [1, 2, 3, 1, 3, 2, 1] {
            let topic = format!("t/{number}");
            publisher.publish(&Publish::new(&topic, 0, 0, topic.clone())).await;
            let delivery = client.delivery().await;
            if let Some(Value::Two(alias)) = delivery.properties.get(id::TOPIC_ALIAS) {
                assert!((1..=most).contains(alias), "alias {alias} of {most}");
                if !delivery.topic.is_empty() {
                    known.insert(*alias, delivery.topic.clone());
                }
                assert_eq!(known[alias], topic);
            } else {
                assert_eq!(delivery.topic, topic);
            }
            assert_eq!(delivery.text(), topic);
        }
        assert!(!known.is_empty(), "no alias is used at all");
        client.expect_silence().await;
    }
}

/// [MQTT-3.1.2-27]
#[tokio::test]
async fn mqtt_3_1_2_27_without_a_maximum_the_hub_uses_no_alias() {
    let bench = Bench::start().await;
    let plain = Connect::new(V5, "taker");
    for connect in [plain, Connect { clean: true, ..taking(0) }] {
        let (mut client, _) = bench.connect(&connect).await;
        client.subscribe("t", 0).await;
        for _ in 0..3 {
            client.publish(&Publish::new("t", 0, 0, "x")).await;
            assert_eq!(client.delivery().await, Publish::new("t", 0, 0, "x"));
        }
    }
}
