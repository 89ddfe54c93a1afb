//! Shared subscriptions (section 4.8.2).

use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, packet};
use crate::client::Client;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;

const SHARED: &str = "$share/group/t/+";

async fn member(bench: &Bench, id: &str, qos: u8) -> Client {
    let (mut client, _) = bench.connect(&Connect { clean: true, ..Connect::kept(V5, id) }).await;
    client.subscribe(SHARED, qos).await;
    client
}

/// How many deliveries are there; they are QoS 0.
async fn count(client: &mut Client) -> usize {
    client.send_hex("c0 00 c0 00").await;
    let (mut deliveries, mut pongs) = (0, 0);
    while pongs < 2 {
        if client.next().await.kind() == 13 { pongs += 1 } else { deliveries += 1 }
    }
    deliveries
}

/// [MQTT-4.8.2-1]
/// [MQTT-4.8.2-2]
#[tokio::test]
async fn mqtt_4_8_2_1_a_share_name_has_a_character_no_wildcard_and_a_filter_behind_it() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    for wrong in [
        "$share/",
        "$share//t",
        "$share/g",
        "$share/g/",
        "$share/+/t",
        "$share/g+/t",
        "$share/#/t",
        "$share/g#/t",
        "$share/g/a#",
    ] {
        assert_eq!(client.subscribe_all(&[(wrong, 0)]).await, [0x8f], "{wrong}");
    }
    for right in ["$share/g/t", "$share/é g/#", "$share/$share/t", "$share/g//", "$share/g/$x"] {
        assert_eq!(client.subscribe_all(&[(right, 0)]).await, [0], "{right}");
    }
}

/// [MQTT-4.8.2-1]
/// [MQTT-4.5.0-1]
#[tokio::test]
async fn mqtt_4_8_2_1_each_message_goes_to_one_member_of_each_group() {
    let bench = Bench::start().await;
    let mut members = Vec::new();
    for id in ["a", "b", "c"] {
        members.push(member(&bench, id, 0).await);
    }
    let mut other = bench.client(V5, "other").await;
    other.subscribe_all(&[("$share/other/t/+", 0), ("t/#", 0)]).await;
    let mut publisher = bench.client(V5, "p").await;
    for _ in 0..30 {
        publisher.tell(&Publish::new("t/x", 1, 1, "x")).await;
    }
    let mut counts = Vec::new();
    for client in &mut members {
        counts.push(count(client).await);
    }
    assert_eq!(counts.iter().sum::<usize>(), 30);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    // Another group and a plain subscription get every message.
    assert_eq!(count(&mut other).await, 60);
    // A member that has gone or unsubscribed gets none; nor does a retained message go to a new one.
    members.remove(0).disconnect().await;
    assert_eq!(members[0].unsubscribe(&[SHARED]).await.codes, [0]);
    for _ in 0..10 {
        publisher.tell(&Publish::new("t/x", 1, 1, "x").retained()).await;
    }
    assert_eq!(count(&mut members[0]).await, 0);
    assert_eq!(count(&mut members[1]).await, 10);
    members[0].subscribe(SHARED, 0).await;
    assert_eq!(count(&mut members[0]).await, 0);
}

/// [MQTT-4.8.2-3]
#[tokio::test]
async fn mqtt_4_8_2_3_each_member_has_its_own_qos() {
    let bench = Bench::start().await;
    let mut members = [member(&bench, "a", 0).await, member(&bench, "b", 1).await, member(&bench, "c", 2).await];
    let mut publisher = bench.client(V5, "p").await;
    for published in 0..3 {
        for _ in 0..3 {
            publisher.tell(&Publish::new("t/x", published, 1, "x")).await;
        }
        for (granted, client) in (0..).zip(&mut members) {
            assert_eq!(client.receive().await.qos, published.min(granted));
            client.expect_silence().await;
        }
    }
}

/// [MQTT-4.8.2-4]
#[tokio::test]
async fn mqtt_4_8_2_4_a_qos_2_delivery_is_completed_with_the_same_member() {
    let bench = Bench::start().await;
    let mut members = [member(&bench, "a", 2).await, member(&bench, "b", 2).await];
    let mut publisher = bench.client(V5, "p").await;
    for _ in 0..4 {
        publisher.tell(&Publish::new("t/x", 2, 1, "x")).await;
    }
    let [a, b] = &mut members;
    let open = [a.delivery().await, a.delivery().await];
    a.send(&ack(PUBREC, open[1].id)).await;
    assert_eq!(a.acked(PUBREL).await, open[1].id);
    for _ in 0..2 {
        b.receive().await;
    }
    let [a, mut b] = members;
    a.cut();
    bench.clients(2).await;
    b.expect_silence().await;
    let (mut a, _) = bench.connect(&Connect::kept(V5, "a")).await;
    let mut packets = [a.next().await, a.next().await];
    packets.sort_by_key(|packet| packet.kind());
    assert_eq!(packets[0].publish(), open[0].clone().again());
    assert_eq!(packets[1].ack(PUBREL).id, open[1].id);
    a.send(&ack(PUBCOMP, open[1].id)).await;
    a.send(&ack(PUBREC, open[0].id)).await;
    assert_eq!(a.acked(PUBREL).await, open[0].id);
}

/// [MQTT-4.8.2-5]
#[tokio::test]
async fn mqtt_4_8_2_5_a_qos_2_delivery_goes_to_nobody_else_when_the_session_ends() {
    let bench = Bench::start().await;
    let mut a = member(&bench, "a", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    for _ in 0..3 {
        publisher.tell(&Publish::new("t/x", 2, 1, "x")).await;
        a.delivery().await;
    }
    let mut b = member(&bench, "b", 2).await;
    a.cut();
    bench.client(V5, "a").await;
    b.expect_silence().await;
    publisher.tell(&Publish::new("t/x", 2, 1, "next")).await;
    assert_eq!(b.receive().await.text(), "next");
}

/// [MQTT-4.8.2-6]
#[tokio::test]
async fn mqtt_4_8_2_6_what_a_member_refuses_goes_to_nobody_else() {
    let bench = Bench::start().await;
    let mut members = [member(&bench, "a", 2).await, member(&bench, "b", 2).await];
    let mut publisher = bench.client(V5, "p").await;
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        for code in [0x80, 0x83, 0x97] {
            for _ in 0..2 {
                publisher.tell(&Publish::new("t/x", qos, 1, "x")).await;
            }
            for client in &mut members {
                let [high, low] = client.delivery().await.id.to_be_bytes();
                client.send(&packet(first, [high, low, code])).await;
            }
            for client in &mut members {
                client.expect_silence().await;
            }
        }
    }
}

/// [MQTT-4.8.2-1]
/// [MQTT-3.1.2-23]
#[tokio::test]
async fn mqtt_4_8_2_1_a_group_that_is_away_keeps_its_messages() {
    let bench = Bench::start().await;
    for id in ["a", "b"] {
        let mut client = member(&bench, id, 1).await;
        client.subscribe("end", 1).await;
        client.disconnect().await;
    }
    let mut publisher = bench.client(V5, "p").await;
    for number in 0..10_u8 {
        publisher.tell(&Publish::new("t/x", 1, 1, [number])).await;
    }
    publisher.tell(&Publish::new("end", 1, 1, "")).await;
    let mut all = Vec::new();
    for id in ["a", "b"] {
        let (mut client, present) = bench.connect(&Connect::kept(V5, id)).await;
        assert!(present);
        loop {
            let delivery = client.receive().await;
            if delivery.topic == "end" {
                break;
            }
            all.push(delivery.payload[0]);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<u8>>());
}
