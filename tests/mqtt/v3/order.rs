//! Message ordering (section 4.6).

use super::{kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBREC, PUBREL, ack};
use crate::packet::Publish;
use crate::packet::Version::V311;

/// [MQTT-4.6.0-1]
#[tokio::test]
async fn mqtt_4_6_0_1_repetitions_keep_their_order() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("#", 2).await;
    let texts: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    for (at, text) in texts.iter().enumerate() {
        tell(&bench, &message(["a", "b", "c"][at % 3], 1 + at as u8 % 2, text)).await;
    }
    let mut first = Vec::new();
    for text in &texts {
        first.push(client.delivery().await);
        assert_eq!(first.last().unwrap().text(), text);
    }
    // Those in the middle are acknowledged, and some wait behind.
    for publish in first.drain(10..20) {
        client.send(&ack(if publish.qos == 1 { PUBACK } else { PUBREC }, publish.id)).await;
    }
    for _ in 0..5 {
        client.acked(PUBREL).await;
    }
    client.cut();
    tell(&bench, &message("a", 1, "later")).await;
    let mut client = kept(&bench, "c", true).await;
    let mut again = Vec::new();
    while again.len() < 21 {
        let packet = client.next().await;
        if packet.kind() == 3 {
            again.push(packet.publish());
        }
    }
    assert_eq!(again.pop().unwrap().text(), "later");
    assert_eq!(again, first.into_iter().map(Publish::again).collect::<Vec<_>>());
}

/// [MQTT-4.6.0-2]
#[tokio::test]
async fn mqtt_4_6_0_2_pubacks_come_in_the_order_of_their_publishes() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let ids = [5, 3, 9, 1, 0xffff, 2];
    let burst: Vec<u8> = ids.iter().flat_map(|id| Publish::new("t", 1, *id, "x").bytes(V311)).collect();
    client.send(&burst).await;
    for id in ids {
        client.expect(&ack(PUBACK, id)).await;
    }
}

/// [MQTT-4.6.0-3]
#[tokio::test]
async fn mqtt_4_6_0_3_pubrecs_come_in_the_order_of_their_publishes() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let ids = [5, 3, 9, 1, 0xffff, 2];
    let burst: Vec<u8> = ids.iter().flat_map(|id| Publish::new("t", 2, *id, "x").bytes(V311)).collect();
    client.send(&burst).await;
    for id in ids {
        client.expect(&ack(PUBREC, id)).await;
    }
}

/// [MQTT-4.6.0-4]
#[tokio::test]
async fn mqtt_4_6_0_4_pubrels_come_in_the_order_of_the_pubrecs() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 2).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        tell(&bench, &message("t", 2, "x")).await;
        ids.push(client.delivery().await.id);
    }
    ids.swap(0, 5);
    ids.swap(1, 3);
    client.send(&ids.iter().flat_map(|id| ack(PUBREC, *id)).collect::<Vec<_>>()).await;
    for id in ids {
        client.expect(&ack(PUBREL, id)).await;
    }
}

/// [MQTT-4.6.0-5]
/// [MQTT-4.6.0-6]
#[tokio::test]
async fn mqtt_4_6_0_5_messages_of_a_topic_arrive_in_the_order_of_publishing() {
    let bench = Bench::start().await;
    for qos in 0..=2 {
        let mut client = bench.client(V311, "c").await;
        let mut away = kept(&bench, "away", qos > 0).await;
        client.subscribe("t/+", qos).await;
        away.subscribe("t/+", qos).await;
        away.disconnect().await;
        let mut publisher = bench.client(V311, "p").await;
        for number in 0..200_u16 {
            let topic = format!("t/{}", number % 3);
            publisher.publish(&Publish::new(&topic, qos, number + 1, number.to_string())).await;
        }
        for number in 0..200 {
            assert_eq!(client.receive().await.text(), number.to_string());
        }
        client.disconnect().await;
        let mut away = kept(&bench, "away", true).await;
        for number in (0..200).filter(|_| qos > 0) {
            assert_eq!(away.receive().await.text(), number.to_string());
        }
        away.unsubscribe(&["t/+"]).await;
        away.disconnect().await;
    }
}
