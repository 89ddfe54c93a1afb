//! Will messages (sections 3.1.2.5 and 3.1.3.2).

use std::time::Duration;

use tokio::time::Instant;

use super::ends;
use crate::bench::Bench;
use crate::bytes::{hex, packet};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

/// A client with a will that waits so long; its session lives ten minutes.
fn delayed(client_id: &str, delay_s: u32) -> Connect<'_> {
    let mut connect = Connect::kept(V5, client_id).will("will", "gone", 1, false);
    connect.will.as_mut().unwrap().properties = Properties::one(id::WILL_DELAY, Value::Four(delay_s));
    connect
}

fn expiring(client_id: &str, expiry_s: u32, delay_s: u32) -> Connect<'_> {
    delayed(client_id, delay_s).carrying(Properties::one(id::SESSION_EXPIRY, Value::Four(expiry_s)))
}

/// [MQTT-3.1.2-8]
/// [MQTT-3.1.2-7]
/// [MQTT-3.1.2-14]
#[tokio::test]
async fn mqtt_3_1_2_8_a_lost_connection_publishes_the_will() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe_all(&[("will", 0x0a)]).await;
    let (client, _) = bench.connect(&Connect::new(V5, "c").will("will", "gone", 2, false)).await;
    watcher.expect_silence().await;
    client.cut();
    let will = watcher.receive().await;
    assert_eq!((will.topic.as_str(), will.text(), will.qos, will.retain), ("will", "gone", 2, false));
    // Not retained.
    watcher.subscribe("will", 0).await;
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-15]
#[tokio::test]
async fn mqtt_3_1_2_15_a_retained_will_is_retained() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe_all(&[("will", 0x08)]).await;
    bench.connect(&Connect::new(V5, "c").will("will", "gone", 1, true)).await.0.cut();
    assert!(watcher.delivery().await.retain);
    watcher.subscribe("+", 1).await;
    let kept = watcher.delivery().await;
    assert_eq!((kept.text(), kept.retain, kept.qos), ("gone", true, 1));
}

/// [MQTT-3.14.4-3]
/// [MQTT-3.1.2-10]
#[tokio::test]
async fn mqtt_3_14_4_3_a_normal_disconnect_discards_the_will() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    for goodbye in ["e0 00", "e0 01 00", "e0 02 00 00"] {
        let (mut client, _) = bench.connect(&delayed("c", 0)).await;
        client.send_hex(goodbye).await;
        client.expect_closed().await;
    }
    // The session lives on and has no will any more.
    assert!(bench.connect(&Connect::kept(V5, "c")).await.1);
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-10]
/// [MQTT-3.1.2-8]
#[tokio::test]
async fn mqtt_3_1_2_10_a_will_is_published_once_and_with_any_other_disconnect() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    for goodbye in ["e0 01 04", "e0 01 80", "e0 01 81", "e0 02 04 00", "c0 01 00"] {
        let (mut client, _) = bench.connect(&delayed("c", 0)).await;
        client.send_hex(goodbye).await;
        client.dismissal().await;
        assert_eq!(watcher.delivery().await.text(), "gone");
        // It went with that connection.
        bench.connect(&Connect::kept(V5, "c")).await.0.cut();
        watcher.expect_silence().await;
    }
}

/// [MQTT-3.1.4-3]
/// [MQTT-3.1.2-8]
#[tokio::test]
async fn mqtt_3_1_4_3_a_connection_that_is_taken_over_publishes_its_will_but_not_a_delayed_one() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    let (mut first, _) = bench.connect(&delayed("c", 0)).await;
    let (mut second, _) = bench.connect(&delayed("c", 60)).await;
    first.expect_reason(0x8e).await;
    assert_eq!(watcher.delivery().await.text(), "gone");
    // The session goes on: the delayed will is taken back.
    let (mut third, present) = bench.connect(&delayed("c", 60)).await;
    assert!(present);
    second.expect_reason(0x8e).await;
    watcher.expect_silence().await;
    // The session ends: the delay ends with it.
    bench.client(V5, "c").await;
    third.expect_reason(0x8e).await;
    assert_eq!(watcher.delivery().await.text(), "gone");
    watcher.expect_silence().await;
}

/// [MQTT-3.1.3-9]
#[tokio::test]
async fn mqtt_3_1_3_9_a_reconnect_within_the_delay_cancels_the_will() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    bench.connect(&delayed("c", 1)).await.0.cut();
    bench.connect(&delayed("d", 2)).await.0.cut();
    bench.clients(1).await;
    assert!(bench.connect(&Connect::kept(V5, "c")).await.1);
    // That of d comes when that of c would have come long ago.
    let start = Instant::now();
    assert_eq!(watcher.delivery().await.text(), "gone");
    assert!(start.elapsed() > Duration::from_millis(1500), "too early: {:?}", start.elapsed());
    watcher.expect_silence().await;
}

/// [MQTT-3.1.2-8]
#[tokio::test]
async fn mqtt_3_1_2_8_the_end_of_the_session_ends_the_delay() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    // At once without a session that lives on; by DISCONNECT too.
    bench.connect(&expiring("a", 0, 60)).await.0.cut();
    assert_eq!(watcher.delivery().await.text(), "gone");
    let (mut client, _) = bench.connect(&expiring("b", 60, 60)).await;
    client.send(&packet(0xe0, hex("04 05 11 00 00 00 00"))).await;
    client.expect_closed().await;
    assert_eq!(watcher.delivery().await.text(), "gone");
    // After a second with a session that lives so long.
    bench.connect(&expiring("c", 1, 60)).await.0.cut();
    let start = Instant::now();
    assert_eq!(watcher.delivery().await.text(), "gone");
    assert!(start.elapsed() > Duration::from_millis(700), "too early: {:?}", start.elapsed());
    assert!(!bench.connect(&Connect::kept(V5, "c")).await.1);
}

/// [MQTT-3.1.3-10]
#[tokio::test]
async fn mqtt_3_1_3_10_a_will_carries_its_properties_in_order() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    let pair = |key: &str, value: &str| Value::Pair(key.into(), value.into());
    let carried = Properties::one(id::PAYLOAD_FORMAT, Value::Byte(1))
        .and(id::CONTENT_TYPE, Value::Text("text/plain".into()))
        .and(id::RESPONSE_TOPIC, Value::Text("answers".into()))
        .and(id::CORRELATION, Value::Data(vec![0, 255]))
        .and(id::USER, pair("z", "1"))
        .and(id::USER, pair("a", "2"))
        .and(id::USER, pair("z", "1"));
    let mut connect = Connect::new(V5, "c").will("will", "gone", 0, false);
    connect.will.as_mut().unwrap().properties = carried.clone().and(id::WILL_DELAY, Value::Four(0));
    bench.connect(&connect).await.0.cut();
    assert_eq!(watcher.delivery().await, Publish::new("will", 0, 0, "gone").carrying(carried));
    // Its lifetime begins when it is published.
    connect.will.as_mut().unwrap().properties = Properties::one(id::MESSAGE_EXPIRY, Value::Four(30));
    bench.connect(&connect).await.0.cut();
    assert_eq!(watcher.delivery().await.properties.get(id::MESSAGE_EXPIRY), Some(&Value::Four(30)));
}

/// [MQTT-3.1.2-8]
#[tokio::test]
async fn mqtt_3_1_2_8_a_client_that_breaks_the_rules_has_its_will_published() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    let (mut client, _) = bench.connect(&Connect::new(V5, "c").will("will", "gone", 0, false)).await;
    client.send_hex("f0 00").await;
    client.expect_reason(0x82).await;
    assert_eq!(watcher.delivery().await.text(), "gone");
    ends(&bench, &hex("f0 00"), 0x82).await;
    watcher.expect_silence().await;
}
