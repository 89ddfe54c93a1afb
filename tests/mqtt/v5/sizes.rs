//! The client's Maximum Packet Size (section 3.1.2.11.4), and what each packet leaves out for it.

use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex, packet};
use crate::client::Client;
use crate::connect::Connect;
use crate::packet::Version::V5;
use crate::packet::{Packet, Publish};
use crate::properties::{Properties, Value, id};

/// Takes packets up to this size; the session is kept.
fn taking(most: u32) -> Connect<'static> {
    let connect = Connect { clean: true, ..Connect::kept(V5, "taker") };
    let properties = connect.properties.clone().and(id::MAXIMUM_PACKET_SIZE, Value::Four(most));
    connect.carrying(properties)
}

fn size(packet: &Packet) -> usize {
    crate::bytes::packet(packet.first, &packet.body).len()
}

/// Everything the hub sends until it closes, each packet within the size.
async fn all(client: &mut Client, most: usize) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(packet) = client.try_next().await {
        assert!(size(&packet) <= most, "{} of {most} bytes: {packet:?}", size(&packet));
        packets.push(packet);
    }
    packets
}

/// [MQTT-3.1.2-25]
/// [MQTT-3.1.2-24]
#[tokio::test]
async fn mqtt_3_1_2_25_a_message_too_large_for_the_client_counts_as_sent() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&taking(50)).await;
    client.subscribe_all(&[("t", 2)]).await;
    let mut publisher = bench.client(V5, "p").await;
    for qos in 0..3 {
        // Fixed header 2, topic 3, packet id, properties 1.
        let fits = 50 - 6 - if qos > 0 { 2 } else { 0 };
        let dropped = bench.hub.counters().dropped;
        // More than a whole window of them: none may stay in flight.
        for _ in 0..70 {
            publisher.tell(&Publish::new("t", qos, 1, vec![b'x'; fits + 1])).await;
        }
        publisher.tell(&Publish::new("t", qos, 1, vec![b'x'; fits])).await;
        assert_eq!(client.receive().await.payload.len(), fits);
        client.expect_silence().await;
        assert_eq!(bench.hub.counters().dropped, dropped + 70);
    }
    let (mut client, _) = bench.connect(&Connect::kept(V5, "taker")).await;
    client.expect_silence().await;
}

/// [MQTT-3.1.2-24]
#[tokio::test]
async fn mqtt_3_1_2_24_properties_count_and_an_alias_is_left_out_first() {
    let bench = Bench::start().await;
    let mut connect = taking(60);
    connect.properties = connect.properties.and(id::TOPIC_ALIAS_MAXIMUM, Value::Two(5));
    let (mut client, _) = bench.connect(&connect).await;
    client.subscribe_all(&[("t", 0)]).await;
    let mut publisher = bench.client(V5, "p").await;
    let named = Properties::one(id::CONTENT_TYPE, Value::Text("x".repeat(20)));
    let publish = |length: usize| Publish::new("t", 0, 0, vec![b'x'; length]).carrying(named.clone());
    // 2 + 3 + 1 + 23 bytes besides the payload; a new alias takes 3 more, an old one 2 more than this topic.
    for (length, arrives) in [(32, false), (31, true), (29, true), (28, true), (29, true), (31, true), (32, false)] {
        publisher.tell(&publish(length)).await;
        if arrives {
            let delivery = client.next().await;
            assert!(size(&delivery) <= 60);
            let delivery = delivery.publish();
            assert_eq!((delivery.payload.len(), delivery.properties.get(id::CONTENT_TYPE)), (length, named.get(0x03)));
        }
    }
    client.expect_silence().await;
}

/// [MQTT-3.2.2-19]
/// [MQTT-3.2.2-20]
/// [MQTT-3.1.2-24]
#[tokio::test]
async fn mqtt_3_2_2_19_no_connack_is_larger_than_the_client_takes() {
    let bench = Bench::start().await;
    for most in 1..60 {
        // One that is welcome and one that is not.
        let method = taking(most).properties.and(id::AUTH_METHOD, Value::Text("x".into()));
        for connect in [taking(most), Connect { client_id: "", ..taking(most) }, taking(most).carrying(method)] {
            let refused = connect.properties.get(id::AUTH_METHOD).is_some();
            let mut client = bench.open(V5).await;
            client.send(&[&connect.bytes()[..], &[0xe0, 0]].concat()).await;
            let packets = all(&mut client, most as usize).await;
            assert!(packets.len() <= 1);
            match packets.first().map(Packet::connack) {
                None => assert!(most < if refused { 5 } else { 60 }),
                Some(connack) if refused => assert_eq!(connack.code, 0x8c),
                // Without room for what it must say the hub cannot welcome this client.
                Some(connack) => assert!(matches!(connack.code, 0 | 0x95), "{connack:?}"),
            }
        }
    }
}

/// [MQTT-3.4.2-2]
/// [MQTT-3.1.2-24]
/// [MQTT-3.4.2-3]
/// [MQTT-3.5.2-2]
/// [MQTT-3.5.2-3]
/// [MQTT-3.6.2-2]
/// [MQTT-3.6.2-3]
/// [MQTT-3.7.2-2]
/// [MQTT-3.7.2-3]
/// [MQTT-3.9.2-1]
/// [MQTT-3.9.2-2]
/// [MQTT-3.11.2-1]
/// [MQTT-3.11.2-2]
/// [MQTT-3.14.2-3]
/// [MQTT-3.14.2-4]
#[tokio::test]
async fn mqtt_3_4_2_2_no_answer_is_larger_than_the_client_takes() {
    let bench = Bench::start().await;
    let filters = |count: usize| hex("00 01 74 01").repeat(count);
    let questions = [
        Publish::new("shed/gateway/x", 1, 1, "").bytes(V5),
        Publish::new("shed/gateway/x", 2, 1, "").bytes(V5),
        ack(PUBREL, 9),
        ack(PUBREC, 9),
        packet(0x82, [hex("00 01 00"), filters(20)].concat()),
        packet(0xa2, [hex("00 01 00"), hex("00 01 74").repeat(20)].concat()),
        hex("c0 01 00"),
        hex("f0 00"),
    ];
    // A CONNACK of this hub fits into 20 bytes.
    for most in [20, 21, 24, 25, 40, 60, 80] {
        for question in &questions {
            let (mut client, _) = bench.connect(&taking(most)).await;
            client.send(&[&question[..], &[0xe0, 0]].concat()).await;
            let packets = all(&mut client, most as usize).await;
            let answer = packets.first().expect("an answer, or a DISCONNECT that says why there is none");
            if answer.kind() == 14 {
                assert!(answer.notice(0xe0).reason >= 0x80);
            }
        }
    }
    // What fits is said in full.
    let (mut client, _) = bench.connect(&taking(25)).await;
    client.send(&packet(0x82, [hex("00 01 00"), filters(20)].concat())).await;
    assert_eq!(client.next().await.verdicts(0x90).codes.len(), 20);
    client.send(&packet(0x82, [hex("00 01 00"), filters(21)].concat())).await;
    client.expect_reason(0x95).await;
}

/// [MQTT-3.1.2-24]
#[tokio::test]
async fn mqtt_3_1_2_24_all_four_acknowledgements_fit() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&taking(20)).await;
    client.subscribe_all(&[("t", 2)]).await;
    client.publish(&Publish::new("t", 2, 1, "x")).await;
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let packet = client.next().await;
        kinds.push(packet.kind());
        if packet.kind() == 3 {
            client.send(&ack(PUBREC, packet.publish().id)).await;
        }
    }
    let release = client.next().await.ack(PUBREL);
    client.send(&ack(PUBCOMP, release.id)).await;
    client.send(&ack(PUBREL, 1)).await;
    assert_eq!(client.acked(PUBCOMP).await, 1);
    kinds.sort_unstable();
    assert_eq!(kinds, [3, PUBREC >> 4]);
    client.publish(&Publish::new("none", 1, 1, "x")).await;
    assert_eq!(client.acked(PUBACK).await, 1);
}
