//! Flow control both ways (sections 3.3.4 and 4.9).

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::pair;
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};
use weir::hub::{Durable, Full, Limits};
use weir::model::{Filter, Message, Ticket};

/// A durable consumer that takes everything and settles nothing until it is told to.
#[derive(Default)]
struct Slow(Mutex<Vec<Ticket>>);

impl Durable for Slow {
    fn offer(&self, _: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        self.0.lock().unwrap().extend(ticket);
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

/// Takes so many unacknowledged messages; the session is kept.
fn taking(most: u16) -> Connect<'static> {
    let connect = Connect::kept(V5, "taker");
    let properties = connect.properties.clone().and(id::RECEIVE_MAXIMUM, Value::Two(most));
    connect.carrying(properties)
}

/// [MQTT-3.3.4-9]
/// [MQTT-4.9.0-1]
/// [MQTT-4.9.0-2]
#[tokio::test]
async fn mqtt_3_3_4_9_the_hub_holds_the_clients_receive_maximum() {
    let bench = Bench::start().await;
    for (most, window) in [(1, 1), (3, 3), (65_535, 64)] {
        let (mut client, _) = bench.connect(&Connect { clean: true, ..taking(most) }).await;
        client.subscribe("t", 2).await;
        let mut publisher = bench.client(V5, "p").await;
        for number in 0..70_u8 {
            publisher.tell(&Publish::new("t", 1 + number % 2, 1, [number])).await;
        }
        let mut open = Vec::new();
        for number in 0..window {
            let delivery = client.delivery().await;
            assert_eq!(delivery.payload, [number]);
            open.push(delivery);
        }
        client.expect_silence().await;
        // Each that is completed makes room for one; PUBREC does not.
        for number in window..70 {
            let done = open.remove(0);
            if done.qos == 1 {
                client.send(&ack(PUBACK, done.id)).await;
            } else {
                client.send(&ack(PUBREC, done.id)).await;
                assert_eq!(client.acked(PUBREL).await, done.id);
                client.expect_silence().await;
                client.send(&ack(PUBCOMP, done.id)).await;
            }
            let delivery = client.delivery().await;
            assert_eq!(delivery.payload, [number]);
            open.push(delivery);
            client.expect_silence().await;
        }
    }
}

/// [MQTT-3.3.4-10]
/// [MQTT-4.9.0-3]
#[tokio::test]
async fn mqtt_3_3_4_10_a_client_without_quota_gets_everything_else() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect { clean: true, ..taking(1) }).await;
    client.subscribe("t", 2).await;
    client.subscribe("zero", 0).await;
    let mut publisher = bench.client(V5, "p").await;
    for text in ["a", "b"] {
        publisher.tell(&Publish::new("t", 2, 1, text)).await;
    }
    let open = client.delivery().await;
    assert_eq!(client.subscribe_all(&[("u", 1)]).await, [1]);
    assert_eq!(client.unsubscribe(&["u"]).await.codes, [0]);
    client.tell(&Publish::new("v", 1, 1, "x")).await;
    client.tell(&Publish::new("v", 2, 1, "x")).await;
    client.send_hex("62 02 12 34").await;
    client.expect(&hex("70 03 12 34 92")).await;
    client.expect_silence().await;
    client.send(&ack(PUBREC, open.id)).await;
    assert_eq!(client.acked(PUBREL).await, open.id);
    client.send(&ack(PUBCOMP, open.id)).await;
    assert_eq!(client.receive().await.text(), "b");
}

/// [MQTT-3.3.4-10]
/// [MQTT-4.9.0-3]
#[tokio::test]
async fn mqtt_3_3_4_10_pubrel_is_not_held_back_when_a_new_connection_takes_less() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&taking(10)).await;
    client.subscribe("t", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    let mut ids = Vec::new();
    for text in ["a", "b", "c"] {
        publisher.tell(&Publish::new("t", 2, 1, text)).await;
        ids.push(client.delivery().await.id);
    }
    client.send(&ack(PUBREC, ids[2])).await;
    assert_eq!(client.acked(PUBREL).await, ids[2]);
    let (mut client, _) = bench.connect(&taking(1)).await;
    let mut packets = vec![client.next().await];
    client.send_hex("c0 00").await;
    loop {
        let packet = client.next().await;
        if packet.kind() == 13 {
            break;
        }
        packets.push(packet);
    }
    let releases: Vec<u16> = packets.iter().filter(|it| it.kind() == 6).map(|it| it.ack(PUBREL).id).collect();
    let publishes = packets.iter().filter(|it| it.kind() == 3).count();
    assert_eq!(releases, [ids[2]], "{packets:?}");
    assert!(publishes <= 1, "{packets:?}");
    client.send(&ack(PUBCOMP, ids[2])).await;
    for id in ids.into_iter().take(2).skip(publishes) {
        assert_eq!(client.receive().await.id, id);
    }
}

/// [MQTT-3.3.4-7]
/// [MQTT-3.3.4-8]
#[tokio::test]
async fn mqtt_3_3_4_7_a_client_that_exceeds_the_hubs_receive_maximum_is_dismissed() {
    let bench = Bench::limited(Limits { in_flight: 5, ..Limits::default() }).await;
    let mut client = bench.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    assert_eq!(client.connack().await.properties.get(id::RECEIVE_MAXIMUM), Some(&Value::Two(5)));
    for id in 1..=5 {
        client.publish(&Publish::new("t", 2, id, "x")).await;
        assert_eq!(client.acked(PUBREC).await, id);
    }
    // A repetition is none too many, a PUBCOMP makes room, QoS 0 does not count.
    client.publish(&Publish::new("t", 2, 5, "x").again()).await;
    assert_eq!(client.acked(PUBREC).await, 5);
    client.publish(&Publish::new("t", 0, 0, "x")).await;
    client.send(&ack(PUBREL, 1)).await;
    assert_eq!(client.acked(PUBCOMP).await, 1);
    client.publish(&Publish::new("t", 2, 6, "x")).await;
    assert_eq!(client.acked(PUBREC).await, 6);
    client.expect_silence().await;
    client.publish(&Publish::new("t", 2, 7, "x")).await;
    client.expect_reason(0x93).await;
}

/// [MQTT-4.9.0-1]
#[tokio::test]
async fn mqtt_4_9_0_1_every_connection_starts_with_its_own_quota() {
    let bench = Bench::start().await;
    let (_, mut publisher) = pair(&bench).await;
    let (mut client, _) = bench.connect(&taking(1)).await;
    client.subscribe("t", 1).await;
    for text in ["a", "b", "c", "d"] {
        publisher.tell(&Publish::new("t", 1, 1, text)).await;
    }
    for most in [1, 3, 2, 4] {
        client = bench.connect(&taking(most)).await.0;
        for text in &["a", "b", "c", "d"][..most.into()] {
            assert_eq!(client.delivery().await.text(), *text);
        }
        client.expect_silence().await;
    }
    // Without the property it is 65,535, and the hub's own bound counts.
    let (mut client, _) = bench.connect(&Connect::kept(V5, "taker").carrying(Properties::default())).await;
    for text in ["a", "b", "c", "d"] {
        assert_eq!(client.delivery().await.text(), text);
    }
}

/// [MQTT-3.3.4-7]
#[tokio::test]
async fn mqtt_3_3_4_7_messages_whose_acknowledgement_waits_count_whatever_their_qos() {
    let bench = Bench::limited(Limits { in_flight: 4, ..Limits::default() }).await;
    let slow = Arc::new(Slow::default());
    let filter = Filter::new("t").unwrap();
    let _attached = bench.hub.attach(vec![filter], Arc::clone(&slow) as Arc<dyn Durable>);
    let mut client = bench.client(V5, "c").await;
    for id in 1..=4 {
        client.publish(&Publish::new("t", 1 + (id % 2) as u8, id, "x")).await;
    }
    // Nothing is acknowledged, everything else is answered.
    client.expect_silence().await;
    assert_eq!(client.subscribe_all(&[("u", 0)]).await, [0]);
    slow.0.lock().unwrap().drain(..).for_each(Ticket::settle);
    for (id, first) in [(1, PUBREC), (2, PUBACK), (3, PUBREC), (4, PUBACK)] {
        assert_eq!(client.acked(first).await, id);
    }
    // Two PUBREL are missing still: there is room for two.
    for id in 5..=6 {
        client.publish(&Publish::new("t", 1, id, "x")).await;
    }
    client.expect_silence().await;
    client.publish(&Publish::new("t", 1, 7, "x")).await;
    client.expect_reason(0x93).await;
}
