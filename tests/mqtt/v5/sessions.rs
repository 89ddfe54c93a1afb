//! Session state: how it begins, what it holds, when it ends (sections 3.1.2.4, 3.1.2.11, 3.2.2.1 and 4.1).

use std::time::Duration;

use tokio::time::Instant;

use super::{PROTOCOL_ERROR, ends};
use crate::bench::Bench;
use crate::bytes::{hex, packet};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};
use weir::hub::Limits;

fn expiring(client_id: &str, expiry_s: u32) -> Connect<'_> {
    Connect::kept(V5, client_id).carrying(Properties::one(id::SESSION_EXPIRY, Value::Four(expiry_s)))
}

/// [MQTT-3.1.2-4]
/// [MQTT-3.1.4-4]
/// [MQTT-3.2.2-2]
#[tokio::test]
async fn mqtt_3_1_2_4_clean_start_discards_the_old_session() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    let mut publisher = bench.client(V5, "p").await;
    publisher.tell(&Publish::new("t", 1, 1, "waits")).await;
    let clean = Connect { clean: true, ..Connect::kept(V5, "c") };
    let (mut client, present) = bench.connect(&clean).await;
    assert!(!present);
    publisher.tell(&Publish::new("t", 1, 1, "late")).await;
    client.expect_silence().await;
    // What the clean start began goes on.
    client.subscribe("u", 1).await;
    client.disconnect().await;
    let (mut client, present) = bench.connect(&Connect::kept(V5, "c")).await;
    assert!(present);
    publisher.tell(&Publish::new("u", 1, 1, "new")).await;
    assert_eq!(client.receive().await.text(), "new");
}

/// [MQTT-3.1.2-5]
/// [MQTT-3.1.2-6]
/// [MQTT-3.1.2-23]
/// [MQTT-3.2.2-3]
/// [MQTT-3.2.0-1]
/// [MQTT-4.5.0-1]
#[tokio::test]
async fn mqtt_3_1_2_5_without_clean_start_the_session_goes_on() {
    let bench = Bench::start().await;
    let (mut client, present) = bench.connect(&Connect::kept(V5, "c")).await;
    assert!(!present);
    client.subscribe_all(&[("t/+", 2), ("$share/g/s", 1)]).await;
    client.disconnect().await;
    let mut publisher = bench.client(V5, "p").await;
    for (qos, topic) in [(1, "t/1"), (2, "t/2"), (1, "s"), (1, "u")] {
        publisher.tell(&Publish::new(topic, qos, 1, topic)).await;
    }
    // CONNACK is before everything that waits: the client here fails otherwise.
    let (mut client, present) = bench.connect(&Connect::kept(V5, "c")).await;
    assert!(present);
    for (qos, topic) in [(1, "t/1"), (2, "t/2"), (1, "s")] {
        let delivery = client.receive().await;
        assert_eq!((delivery.topic.as_str(), delivery.qos, delivery.dup), (topic, qos, false));
    }
    client.expect_silence().await;
}

/// [MQTT-4.1.0-2]
/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_4_1_0_2_a_session_ends_with_its_expiry() {
    let bench = Bench::start().await;
    let none = Connect { properties: Properties::default(), ..Connect::kept(V5, "none") };
    for connect in [&none, &expiring("zero", 0)] {
        for _ in 0..2 {
            let (client, present) = bench.connect(connect).await;
            assert!(!present);
            client.disconnect().await;
        }
    }
    bench.connect(&expiring("one", 1)).await.0.cut();
    bench.connect(&expiring("never", u32::MAX)).await.0.cut();
    bench.clients(0).await;
    let start = Instant::now();
    assert!(bench.connect(&expiring("one", 1)).await.1);
    bench.clients(0).await;
    while bench.hub.counters().sessions > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(900), "too early: {:?}", start.elapsed());
    assert!(!bench.connect(&expiring("one", 1)).await.1);
    assert!(bench.connect(&expiring("never", 1)).await.1);
}

/// [MQTT-4.1.0-2]
/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_4_1_0_2_the_session_of_a_connection_that_keeps_none_ends_when_it_is_taken_over() {
    let bench = Bench::start().await;
    let mut first = bench.client(V5, "c").await;
    first.subscribe("t", 1).await;
    let (mut second, present) = bench.connect(&Connect::kept(V5, "c")).await;
    assert!(!present, "that session was to end with its connection");
    first.expect_reason(0x8e).await;
    bench.client(V5, "p").await.tell(&Publish::new("t", 1, 1, "x")).await;
    second.expect_silence().await;
}

/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_3_1_2_23_the_hub_says_when_it_keeps_a_session_for_less_time() {
    let limits = Limits { session_expiry: Duration::from_secs(100), ..Limits::default() };
    let bench = Bench::limited(limits).await;
    for (asked, told) in [(99, None), (100, None), (101, Some(100)), (u32::MAX, Some(100))] {
        let mut client = bench.open(V5).await;
        client.send(&expiring("c", asked).bytes()).await;
        let connack = client.connack().await;
        assert_eq!(connack.properties.get(id::SESSION_EXPIRY), told.map(Value::Four).as_ref());
    }
}

/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_3_1_2_23_disconnect_can_change_the_expiry_but_not_from_zero() {
    let bench = Bench::start().await;
    let disconnect = |expiry_s: u32| packet(0xe0, [&hex("00 05 11")[..], &expiry_s.to_be_bytes()].concat());
    for (before, after) in [(600, 0), (600, 700)] {
        let (mut client, _) = bench.connect(&Connect { clean: true, ..expiring("c", before) }).await;
        client.send(&disconnect(after)).await;
        client.expect_closed().await;
        let (client, present) = bench.connect(&expiring("c", 600)).await;
        assert_eq!(present, after > 0);
        client.disconnect().await;
    }
    ends(&bench, &disconnect(5), PROTOCOL_ERROR).await;
    let mut fine = bench.client(V5, "zero").await;
    fine.send(&disconnect(0)).await;
    fine.expect_closed().await;
}

/// [MQTT-4.1.0-1]
#[tokio::test]
async fn mqtt_4_1_0_1_an_open_connection_keeps_its_session() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&expiring("c", 1)).await;
    client.subscribe("t", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    publisher.tell(&Publish::new("t", 2, 1, "x")).await;
    let delivery = client.delivery().await;
    let other = bench.connect(&expiring("other", 1)).await.0;
    other.cut();
    bench.clients(2).await;
    // By the time a session of one second without a connection is gone, this one is still there.
    while bench.hub.counters().sessions > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.send(&crate::bytes::ack(0x50, delivery.id)).await;
    assert_eq!(client.acked(0x62).await, delivery.id);
    publisher.tell(&Publish::new("t", 1, 2, "y")).await;
    assert_eq!(client.receive().await.text(), "y");
}

/// [MQTT-3.1.2-22]
/// [MQTT-3.2.2-22]
/// [MQTT-3.12.4-1]
#[tokio::test]
async fn mqtt_3_1_2_22_silence_of_one_and_a_half_keep_alives_ends_the_connection() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("will", 0).await;
    let connect = Connect::new(V5, "c").keep_alive(1).will("will", "gone", 0, false);
    let mut client = bench.open(V5).await;
    client.send(&connect.bytes()).await;
    // The hub takes the client's value, so it must not tell another.
    assert_eq!(client.connack().await.properties.get(id::SERVER_KEEP_ALIVE), None);
    client.send_hex("c0 00").await;
    client.expect(&hex("d0 00")).await;
    let start = Instant::now();
    client.expect_reason(0x8d).await;
    let silence = start.elapsed();
    assert!((1400..3000).contains(&silence.as_millis()), "{silence:?}");
    assert_eq!(watcher.delivery().await.text(), "gone");
}

/// [MQTT-3.2.2-21]
/// [MQTT-3.1.2-21]
/// [MQTT-3.1.2-20]
#[tokio::test]
async fn mqtt_3_2_2_21_the_hubs_keep_alive_is_the_one_that_counts() {
    let bench = Bench::limited(Limits { keepalive: Duration::from_secs(1), ..Limits::default() }).await;
    let mut clients = Vec::new();
    for asked in [0, 2, 65_535] {
        let mut client = bench.open(V5).await;
        client.send(&Connect::new(V5, &format!("c{asked}")).keep_alive(asked).bytes()).await;
        assert_eq!(client.connack().await.properties.get(id::SERVER_KEEP_ALIVE), Some(&Value::Two(1)));
        clients.push(client);
    }
    let start = Instant::now();
    for mut client in clients {
        client.expect_reason(0x8d).await;
    }
    assert!((1400..3000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}
