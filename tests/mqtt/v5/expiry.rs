//! Message expiry (section 3.3.2.3.3).

use std::time::Duration;

use crate::bench::Bench;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

fn expiring(topic: &str, seconds: u32) -> Publish {
    let properties = Properties::one(id::MESSAGE_EXPIRY, Value::Four(seconds));
    Publish::new(topic, 1, 1, seconds.to_string()).carrying(properties)
}

/// [MQTT-3.3.2-6]
#[tokio::test]
async fn mqtt_3_3_2_6_a_message_that_did_not_wait_keeps_its_lifetime() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe("t", 0).await;
    for seconds in [30, u32::MAX] {
        client.publish(&Publish { qos: 0, id: 0, ..expiring("t", seconds) }).await;
        assert_eq!(client.delivery().await.properties, expiring("t", seconds).properties);
    }
}

/// [MQTT-3.3.2-5]
/// [MQTT-3.3.2-6]
#[tokio::test]
async fn mqtt_3_3_2_5_what_has_expired_is_not_delivered_and_the_rest_has_less_to_live() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    let mut publisher = bench.client(V5, "p").await;
    for seconds in [1, 60, 1, 0, 90] {
        publisher.tell(&expiring("t", seconds)).await;
        publisher.tell(&expiring("kept", seconds).retained()).await;
    }
    publisher.tell(&expiring("short", 1).retained()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    for seconds in [60, 90] {
        let delivery = client.receive().await;
        assert_eq!(delivery.text(), seconds.to_string());
        let left = delivery.properties.get(id::MESSAGE_EXPIRY);
        assert!(matches!(left, Some(Value::Four(left)) if (seconds - 20..seconds).contains(left)), "{left:?}");
    }
    client.expect_silence().await;
    client.subscribe_all(&[("short", 0), ("kept", 0)]).await;
    let delivery = client.delivery().await;
    assert_eq!((delivery.text(), delivery.retain), ("90", true));
    let left = delivery.properties.get(id::MESSAGE_EXPIRY);
    assert!(matches!(left, Some(Value::Four(left)) if (70..90).contains(left)), "{left:?}");
    client.expect_silence().await;
}

/// [MQTT-3.3.2-5]
#[tokio::test]
async fn mqtt_3_3_2_5_a_message_waits_for_quota_no_longer_than_it_lives() {
    let bench = Bench::start().await;
    let one = Properties::one(id::RECEIVE_MAXIMUM, Value::Two(1));
    let (mut client, _) = bench.connect(&Connect::new(V5, "c").carrying(one)).await;
    client.subscribe("t", 1).await;
    let mut publisher = bench.client(V5, "p").await;
    for seconds in [60, 1, 70] {
        publisher.tell(&expiring("t", seconds)).await;
    }
    let first = client.delivery().await;
    assert_eq!(first.text(), "60");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.send(&crate::bytes::ack(0x40, first.id)).await;
    assert_eq!(client.receive().await.text(), "70");
    client.expect_silence().await;
}
