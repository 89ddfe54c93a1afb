//! QoS 1 (section 4.3.2) and the order of messages (section 4.6).

use super::pair;
use crate::bench::Bench;
use crate::bytes::{PUBACK, ack, packet};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;

/// [MQTT-4.3.2-3]
/// [MQTT-4.4.0-1]
#[tokio::test]
async fn mqtt_4_3_2_3_a_delivery_is_open_until_its_puback() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 1).await;
    let mut publisher = bench.client(V5, "p").await;
    for text in ["a", "b", "c"] {
        publisher.tell(&Publish::new("t", 1, 1, text)).await;
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.delivery().await.id);
    }
    // The second one only; what does not fit acknowledges nothing.
    client.send(&ack(PUBACK, ids[1])).await;
    client.send(&ack(PUBACK, ids[1])).await;
    client.send(&ack(PUBACK, 999)).await;
    client.send(&ack(0x70, ids[0])).await;
    client.expect_silence().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    for (text, id) in [("a", ids[0]), ("c", ids[2])] {
        let again = client.receive().await;
        assert_eq!((again.text(), again.id, again.dup), (text, id, true));
    }
    client.expect_silence().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.expect_silence().await;
}

/// [MQTT-4.3.2-5]
/// [MQTT-4.3.2-4]
#[tokio::test]
async fn mqtt_4_3_2_5_after_the_puback_the_same_id_is_a_new_message() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for (text, dup) in [("a", false), ("b", false), ("c", true)] {
        publisher.tell(&Publish { dup, ..Publish::new("t", 1, 65_535, text) }).await;
        assert_eq!(subscriber.receive().await.text(), text);
    }
}

/// [MQTT-4.4.0-2]
#[tokio::test]
async fn mqtt_4_4_0_2_a_refusing_puback_or_pubrec_ends_the_delivery() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    for (qos, first) in [(1, 0x40), (2, 0x50)] {
        for code in [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
            publisher.tell(&Publish::new("t", qos, 1, "x")).await;
            let [high, low] = client.delivery().await.id.to_be_bytes();
            client.send(&packet(first, [high, low, code])).await;
            // No PUBREL follows.
            client.expect_silence().await;
        }
    }
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.expect_silence().await;
}

/// [MQTT-4.6.0-5]
/// [MQTT-4.6.0-6]
#[tokio::test]
async fn mqtt_4_6_0_5_messages_of_one_client_and_topic_arrive_in_order() {
    let bench = Bench::start().await;
    for qos in 0..3 {
        let mut subscriber = bench.client(V5, "s").await;
        subscriber.subscribe("t/#", 2).await;
        let mut publisher = bench.client(V5, "p").await;
        for number in 0..300_u16 {
            publisher.tell(&Publish::new("t/x", qos, 1, number.to_be_bytes())).await;
            if number % 50 == 49 {
                for expected in number - 49..=number {
                    assert_eq!(subscriber.receive().await.payload, expected.to_be_bytes());
                }
            }
        }
    }
}

/// [MQTT-4.6.0-5]
#[tokio::test]
async fn mqtt_4_6_0_5_the_order_survives_a_queue_and_repetitions() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 1).await;
    let mut publisher = bench.client(V5, "p").await;
    for number in 0..100_u8 {
        publisher.tell(&Publish::new("t", 1, 1, [number])).await;
    }
    // Nothing is acknowledged: the first ones come again, the others behind them.
    for number in 0..10 {
        assert_eq!(client.delivery().await.payload, [number]);
    }
    client.cut();
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    for number in 0..100 {
        assert_eq!(client.receive().await.payload, [number]);
    }
    client.expect_silence().await;
}

/// [MQTT-4.6.0-2]
/// [MQTT-4.6.0-3]
/// [MQTT-4.6.0-4]
#[tokio::test]
async fn mqtt_4_6_0_2_a_client_that_acknowledges_in_another_order_is_served_all_the_same() {
    let bench = Bench::start().await;
    let (mut subscriber, mut publisher) = pair(&bench).await;
    for qos in [1, 2] {
        let mut open = Vec::new();
        for number in 0..10_u8 {
            publisher.tell(&Publish::new("t", qos, 1, [number])).await;
            open.push(subscriber.delivery().await.id);
        }
        open.reverse();
        open.swap(2, 7);
        for id in open {
            if qos == 2 {
                subscriber.send(&ack(0x50, id)).await;
                assert_eq!(subscriber.acked(0x62).await, id);
            }
            subscriber.send(&ack(if qos == 1 { PUBACK } else { 0x70 }, id)).await;
        }
        subscriber.expect_silence().await;
    }
    // Nothing is open any more: a whole window fits.
    for number in 0..64_u8 {
        publisher.tell(&Publish::new("t", 1, 1, [number])).await;
        assert_eq!(subscriber.delivery().await.payload, [number]);
    }
}
