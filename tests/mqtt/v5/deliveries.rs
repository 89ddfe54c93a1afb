//! What a delivery looks like when several subscriptions match (section 3.3.4), and who gets it.

use super::pair;
use crate::bench::Bench;
use crate::client::Client;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};

fn number(value: usize) -> Properties {
    Properties::one(id::SUBSCRIPTION_ID, Value::Var(value))
}

/// Every delivery that is there, with its QoS and its subscription identifiers in rising order.
async fn deliveries(client: &mut Client) -> Vec<(u8, Vec<usize>)> {
    client.send_hex("c0 00 c0 00").await;
    let (mut all, mut pongs) = (Vec::new(), 0);
    while pongs < 2 {
        let packet = client.next().await;
        if packet.kind() == 13 {
            pongs += 1;
            continue;
        }
        let publish = packet.publish();
        let ids = publish.properties.all(id::SUBSCRIPTION_ID);
        let mut ids: Vec<usize> = ids.into_iter().map(|it| if let Value::Var(it) = it { *it } else { 0 }).collect();
        ids.sort_unstable();
        all.push((publish.qos, ids));
    }
    all
}

/// [MQTT-3.3.4-2]
/// [MQTT-3.3.4-3]
/// [MQTT-3.3.4-4]
#[tokio::test]
async fn mqtt_3_3_4_2_overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_identifiers() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_with(&number(1), &[("a/#", 0)]).await;
    client.subscribe_with(&number(268_435_455), &[("a/+", 2)]).await;
    client.subscribe_with(&Properties::default(), &[("+/b", 1)]).await;
    client.subscribe_with(&number(300), &[("a/b", 1), ("x", 0)]).await;
    let mut publisher = bench.client(V5, "p").await;
    for qos in 0..3 {
        publisher.tell(&Publish::new("a/b", qos, 1, "x")).await;
        assert_eq!(deliveries(&mut client).await, [(qos, vec![1, 300, 268_435_455])]);
    }
    publisher.tell(&Publish::new("x", 2, 1, "x")).await;
    assert_eq!(deliveries(&mut client).await, [(0, vec![300])]);
    // A subscription that is replaced loses its identifier, or gets another.
    client.subscribe_with(&number(5), &[("x", 0)]).await;
    publisher.tell(&Publish::new("x", 0, 0, "x")).await;
    assert_eq!(deliveries(&mut client).await, [(0, vec![5])]);
    client.subscribe_with(&Properties::default(), &[("x", 0)]).await;
    publisher.tell(&Publish::new("x", 0, 0, "x")).await;
    assert_eq!(deliveries(&mut client).await, [(0, vec![])]);
}

/// [MQTT-3.3.4-5]
#[tokio::test]
async fn mqtt_3_3_4_5_several_copies_carry_the_identifier_of_their_own_subscription() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_with(&number(1), &[("a", 1)]).await;
    client.subscribe_with(&number(2), &[("$share/g/a", 0)]).await;
    client.subscribe_with(&number(3), &[("$share/h/+", 2)]).await;
    let mut publisher = bench.client(V5, "p").await;
    publisher.tell(&Publish::new("a", 2, 1, "x")).await;
    let mut copies = deliveries(&mut client).await;
    copies.sort();
    assert_eq!(copies, [(0, vec![2]), (1, vec![1]), (2, vec![3])]);
}

/// [MQTT-3.8.3-3]
#[tokio::test]
async fn mqtt_3_8_3_3_no_local_keeps_a_clients_own_messages_from_it() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_all(&[("a/+", 0x06), ("b", 0x02)]).await;
    let mut other = bench.client(V5, "other").await;
    for qos in 0..3 {
        client.tell(&Publish::new("a/x", qos, 1, "own")).await;
        other.tell(&Publish::new("a/x", qos, 1, "other's")).await;
        let delivery = client.receive().await;
        assert_eq!((delivery.text(), delivery.qos), ("other's", qos));
        client.expect_silence().await;
    }
    // Where another subscription of the client matches too, that one counts.
    client.publish(&Publish::new("b", 0, 0, "own")).await;
    assert_eq!(client.receive().await.text(), "own");
    client.subscribe_all(&[("a/#", 0x01)]).await;
    client.publish(&Publish::new("a/x", 0, 0, "own")).await;
    assert_eq!(client.receive().await.text(), "own");
    client.expect_silence().await;
    // By client id, not by connection.
    let mut same = bench.client(V5, "c").await;
    same.subscribe_all(&[("a/+", 0x04)]).await;
    same.publish(&Publish::new("a/x", 0, 0, "own")).await;
    same.expect_silence().await;
}

/// [MQTT-3.8.4-8]
#[tokio::test]
async fn mqtt_3_8_4_8_a_delivery_has_the_lower_qos_of_publish_and_subscription() {
    let bench = Bench::start().await;
    let mut publisher = bench.client(V5, "p").await;
    for granted in 0..3 {
        let mut client = bench.client(V5, "c").await;
        client.subscribe("t", granted).await;
        for published in 0..3 {
            publisher.tell(&Publish::new("t", published, 1, "x")).await;
            assert_eq!(client.receive().await.qos, granted.min(published));
        }
    }
}

/// [MQTT-4.5.0-1]
/// [MQTT-3.3.2-3]
#[tokio::test]
async fn mqtt_4_5_0_1_every_session_that_subscribed_gets_the_message() {
    let bench = Bench::start().await;
    let (mut first, mut publisher) = pair(&bench).await;
    let mut second = bench.client(V5, "second").await;
    second.subscribe("a/+/c", 1).await;
    let mut third = bench.client(V5, "third").await;
    third.subscribe("a/b/d", 1).await;
    publisher.tell(&Publish::new("a/b/c", 1, 1, "x")).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.receive().await.topic, "a/b/c");
    }
    third.expect_silence().await;
}
