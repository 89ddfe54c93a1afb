//! Properties of PUBLISH that travel with the message (section 3.3.2.3).

use super::{MALFORMED, PROTOCOL_ERROR, ends, pair, refused};
use crate::bench::Bench;
use crate::bytes::packet;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

fn text(id: u8, value: &str) -> Properties {
    Properties::one(id, Value::Text(value.into()))
}

/// What is published with these properties arrives with them: live, from the queue of a session, and retained.
async fn travels(properties: Properties) {
    let bench = Bench::start().await;
    let mut publisher = bench.client(V5, "p").await;
    for qos in 0..3 {
        let topic = format!("t/{qos}");
        let mut live = bench.client(V5, "live").await;
        live.subscribe(&topic, 2).await;
        let kept = Connect { clean: true, ..Connect::kept(V5, "kept") };
        let (mut away, _) = bench.connect(&kept).await;
        away.subscribe(&topic, 2).await;
        away.disconnect().await;
        let publish = Publish::new(&topic, qos, 5, "x").retained().carrying(properties.clone());
        publisher.tell(&publish).await;
        assert_eq!(live.receive().await.properties, properties);
        if qos > 0 {
            let (mut back, _) = bench.connect(&Connect::kept(V5, "kept")).await;
            assert_eq!(back.receive().await.properties, properties);
        }
        let mut late = bench.client(V5, "late").await;
        late.subscribe(&topic, 2).await;
        assert_eq!(late.receive().await.properties, properties);
    }
}

/// [MQTT-3.3.2-4]
#[tokio::test]
async fn mqtt_3_3_2_4_the_payload_format_indicator_is_passed_on() {
    for format in [0, 1] {
        travels(Properties::one(id::PAYLOAD_FORMAT, Value::Byte(format))).await;
    }
}

/// [MQTT-3.3.2-15]
#[tokio::test]
async fn mqtt_3_3_2_15_the_response_topic_is_passed_on() {
    travels(text(id::RESPONSE_TOPIC, "answers/éa/$x//")).await;
}

/// [MQTT-3.3.2-16]
#[tokio::test]
async fn mqtt_3_3_2_16_correlation_data_are_passed_on() {
    travels(Properties::one(id::CORRELATION, Value::Data(vec![]))).await;
    travels(Properties::one(id::CORRELATION, Value::Data((0..=255).collect()))).await;
}

/// [MQTT-3.3.2-18]
/// [MQTT-3.3.2-17]
#[tokio::test]
async fn mqtt_3_3_2_18_user_properties_are_passed_on_in_their_order() {
    let mut properties = Properties::default();
    for (key, value) in [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("b", "0"), ("é", "\u{feff}")] {
        properties = properties.and(id::USER, Value::Pair(key.into(), value.into()));
    }
    travels(properties).await;
}

/// [MQTT-3.3.2-20]
#[tokio::test]
async fn mqtt_3_3_2_20_the_content_type_is_passed_on() {
    travels(text(id::CONTENT_TYPE, "application/json; charset=\"é\"")).await;
    travels(text(id::CONTENT_TYPE, "")).await;
}

/// [MQTT-3.3.2-2]
/// [MQTT-4.7.0-1]
/// [MQTT-4.7.3-1]
#[tokio::test]
async fn mqtt_3_3_2_2_a_topic_name_with_a_wildcard_ends_the_connection() {
    let bench = Bench::start().await;
    for topic in ["#", "+", "a/+/b", "a/#", "a+", "a#"] {
        for qos in 0..3 {
            ends(&bench, &Publish::new(topic, qos, 1, "x").bytes(V5), 0x90).await;
        }
        refused(&bench, &Connect::new(V5, "c").will(topic, "gone", 0, false).bytes(), 0x90).await;
    }
    ends(&bench, &Publish::new("", 1, 1, "x").bytes(V5), PROTOCOL_ERROR).await;
    refused(&bench, &Connect::new(V5, "c").will("", "gone", 0, false).bytes(), 0x90).await;
}

/// [MQTT-3.3.2-14]
#[tokio::test]
async fn mqtt_3_3_2_14_a_response_topic_with_a_wildcard_is_a_protocol_error() {
    let bench = Bench::start().await;
    for topic in ["#", "a/+", "a#b"] {
        for qos in 0..3 {
            let publish = Publish::new("t", qos, 1, "x").carrying(text(id::RESPONSE_TOPIC, topic));
            ends(&bench, &publish.bytes(V5), PROTOCOL_ERROR).await;
        }
        let mut connect = Connect::new(V5, "c").will("will", "gone", 0, false);
        connect.will.as_mut().unwrap().properties = text(id::RESPONSE_TOPIC, topic);
        refused(&bench, &connect.bytes(), PROTOCOL_ERROR).await;
    }
}

/// [MQTT-3.3.4-6]
#[tokio::test]
async fn mqtt_3_3_4_6_a_subscription_identifier_of_a_client_is_a_protocol_error() {
    let bench = Bench::start().await;
    let (mut subscriber, _) = pair(&bench).await;
    let publish = Publish::new("t", 0, 0, "x").carrying(Properties::one(id::SUBSCRIPTION_ID, Value::Var(5)));
    ends(&bench, &publish.bytes(V5), PROTOCOL_ERROR).await;
    subscriber.expect_silence().await;
}

/// [MQTT-3.3.1-4]
#[tokio::test]
async fn mqtt_3_3_1_4_qos_3_is_malformed() {
    let bench = Bench::start().await;
    for flags in [0x06, 0x07, 0x0e, 0x0f] {
        let body = &Publish::new("t", 1, 1, "x").bytes(V5)[2..];
        ends(&bench, &packet(0x30 | flags, body), MALFORMED).await;
    }
}
