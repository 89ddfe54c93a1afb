//! SUBSCRIBE and SUBACK (sections 3.8 and 3.9).

use super::{MALFORMED, PROTOCOL_ERROR, ends, pair};
use crate::bench::{Bench, settings};
use crate::bytes::{hex, packet};
use crate::connect::Connect;
use crate::packet::Version::V5;
use crate::packet::{Publish, subscribe};
use crate::properties::{Properties, Value, id};
use weir::hub::{Rule, Settings};

/// [MQTT-3.8.3-2]
#[tokio::test]
async fn mqtt_3_8_3_2_subscribe_without_a_filter_is_a_protocol_error() {
    let bench = Bench::start().await;
    ends(&bench, &subscribe(V5, 1, &Properties::default(), &[]), PROTOCOL_ERROR).await;
}

/// [MQTT-3.8.3-4]
#[tokio::test]
async fn mqtt_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error() {
    let bench = Bench::start().await;
    for options in [0x04, 0x05, 0x0e] {
        let bytes = subscribe(V5, 1, &Properties::default(), &[("a", 0), ("$share/g/t", options)]);
        ends(&bench, &bytes, PROTOCOL_ERROR).await;
    }
}

/// [MQTT-3.8.3-5]
#[tokio::test]
async fn mqtt_3_8_3_5_reserved_bits_of_the_options_are_malformed() {
    let bench = Bench::start().await;
    let with = |options: u8| subscribe(V5, 1, &Properties::default(), &[("t", 0), ("u", options)]);
    for reserved in [0x40, 0x80, 0xc0, 0x41, 0x82] {
        ends(&bench, &with(reserved), MALFORMED).await;
    }
    // QoS 3 and retain handling 3 are no reserved bits, but are nothing either.
    for wrong in [0x03, 0x30, 0x07, 0x3a] {
        ends(&bench, &with(wrong), PROTOCOL_ERROR).await;
    }
    // One that is refused this way subscribes to nothing.
    let mut client = bench.client(V5, "c").await;
    client.send(&with(0x2e)).await;
    assert_eq!(client.next().await.verdicts(0x90).codes, [0, 2]);
}

/// [MQTT-3.8.4-1]
/// [MQTT-3.8.4-2]
/// [MQTT-3.8.4-6]
/// [MQTT-3.8.4-7]
/// [MQTT-3.9.3-1]
#[tokio::test]
async fn mqtt_3_8_4_1_subscribe_is_answered_with_one_code_for_each_filter_in_their_order() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    let filters = [("a", 2), ("b/#/c", 0), ("c", 0), ("", 1), ("d", 1), ("+x", 2), ("a", 0), ("$share/g", 0)];
    for packet_id in [1, 0x7fff, 0xffff] {
        client.send(&subscribe(V5, packet_id, &Properties::default(), &filters)).await;
        let answer = client.next().await.verdicts(0x90);
        assert_eq!(answer.id, packet_id);
        assert_eq!(answer.codes, [2, 0x8f, 0, 0x8f, 1, 0x8f, 0, 0x8f]);
    }
    client.expect_silence().await;
}

/// [MQTT-3.8.4-5]
#[tokio::test]
async fn mqtt_3_8_4_5_several_filters_are_like_several_subscribes() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    let all: Vec<String> = (0..300).map(|number| format!("t/{number}")).collect();
    let filters: Vec<(&str, u8)> = all.iter().map(|filter| (filter.as_str(), 1)).collect();
    assert_eq!(client.subscribe_all(&filters).await, [1; 300]);
    let mut publisher = bench.client(V5, "p").await;
    for topic in ["t/0", "t/150", "t/299"] {
        publisher.tell(&Publish::new(topic, 1, 1, "x")).await;
        assert_eq!(client.receive().await.topic, topic);
    }
}

/// [MQTT-3.8.4-3]
#[tokio::test]
async fn mqtt_3_8_4_3_the_same_filter_replaces_the_subscription() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    let mut publisher = bench.client(V5, "p").await;
    for (qos, number) in [(2, 1), (0, 2), (1, 3)] {
        client.subscribe_with(&Properties::one(id::SUBSCRIPTION_ID, Value::Var(number)), &[("t/+", qos)]).await;
        publisher.tell(&Publish::new("t/x", 2, 1, "x")).await;
        let delivery = client.receive().await;
        assert_eq!(delivery.qos, qos);
        assert_eq!(delivery.properties, Properties::one(id::SUBSCRIPTION_ID, Value::Var(number)));
        client.expect_silence().await;
    }
    // Also one of an earlier connection.
    client.disconnect().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t/+", 0).await;
    publisher.tell(&Publish::new("t/x", 2, 1, "x")).await;
    assert_eq!(client.receive().await, Publish::new("t/x", 0, 0, "x"));
    client.expect_silence().await;
    assert_eq!(client.unsubscribe(&["t/+", "t/+"]).await.codes, [0, 0x11]);
}

/// [MQTT-3.8.4-4]
#[tokio::test]
async fn mqtt_3_8_4_4_no_message_is_lost_while_a_subscription_is_replaced() {
    let bench = Bench::start().await;
    let (mut client, mut publisher) = pair(&bench).await;
    let publish: Vec<u8> = (1..=60).flat_map(|id| Publish::new("t", 1, id, id.to_be_bytes()).bytes(V5)).collect();
    let again = subscribe(V5, 9, &Properties::default(), &[("#", 1)]);
    publisher.send(&publish).await;
    for _ in 0..20 {
        client.send(&again).await;
    }
    let (mut subacks, mut wanted) = (0, 1..=60_u16);
    while subacks < 20 || !wanted.is_empty() {
        let packet = client.next().await;
        if packet.kind() == 9 {
            subacks += 1;
        } else {
            let delivery = packet.publish();
            assert_eq!(delivery.payload, wanted.next().unwrap().to_be_bytes());
            client.send(&crate::bytes::ack(0x40, delivery.id)).await;
        }
    }
}

/// [MQTT-4.13.1-1]
#[tokio::test]
async fn mqtt_4_13_1_1_two_subscription_identifiers_are_a_protocol_error() {
    let bench = Bench::start().await;
    let two = Properties::one(id::SUBSCRIPTION_ID, Value::Var(1)).and(id::SUBSCRIPTION_ID, Value::Var(2));
    ends(&bench, &subscribe(V5, 1, &two, &[("t", 0)]), PROTOCOL_ERROR).await;
    // Identifiers, wildcards and shared subscriptions are there; nothing says otherwise.
    let mut client = bench.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    let told = client.connack().await.properties;
    for flag in [id::WILDCARD_AVAILABLE, id::SUBSCRIPTION_IDS_AVAILABLE, id::SHARED_AVAILABLE] {
        assert!(told.get(flag).is_none_or(|it| *it == Value::Byte(1)));
    }
    client.send(&packet(0x82, hex("00 01 02 0b 7f 00 0a 24 73 68 61 72 65 2f 67 2f 23 00"))).await;
    assert_eq!(client.next().await.verdicts(0x90).codes, [0]);
}

/// [MQTT-3.8.4-7]
#[tokio::test]
async fn mqtt_3_8_4_7_a_subscription_that_the_rules_forbid_is_refused_for_an_unspecified_reason() {
    let rule = Rule {
        user: "*".into(),
        publish: vec!["#".into()],
        subscribe: vec!["#".into()],
        deny_publish: Vec::new(),
        deny_subscribe: vec!["secret/+".into()],
    };
    let bench = Bench::with(Settings { acl: vec![rule], ..settings() }).await;
    let mut client = bench.client(V5, "c").await;
    let filters = [("secret/a", 0), ("open", 1), ("$share/g/secret/+", 0), ("#", 0)];
    assert_eq!(client.subscribe_all(&filters).await, [0x80, 1, 0x80, 0]);
    let mut publisher = bench.client(V5, "p").await;
    publisher.tell(&Publish::new("secret/a", 1, 1, "x")).await;
    publisher.tell(&Publish::new("open", 1, 1, "y")).await;
    assert_eq!(client.receive().await.text(), "y");
    client.expect_silence().await;
}
