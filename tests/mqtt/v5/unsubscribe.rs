//! UNSUBSCRIBE and UNSUBACK (sections 3.10 and 3.11).

use super::{PROTOCOL_ERROR, ends};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack};
use crate::connect::Connect;
use crate::packet::Version::V5;
use crate::packet::{Publish, unsubscribe};
use crate::properties::Properties;

/// [MQTT-3.10.3-2]
#[tokio::test]
async fn mqtt_3_10_3_2_unsubscribe_without_a_filter_is_a_protocol_error() {
    let bench = Bench::start().await;
    ends(&bench, &unsubscribe(V5, 1, &Properties::default(), &[]), PROTOCOL_ERROR).await;
}

/// [MQTT-3.10.4-1]
/// [MQTT-3.10.4-4]
/// [MQTT-3.10.4-5]
/// [MQTT-3.11.3-1]
#[tokio::test]
async fn mqtt_3_10_4_1_only_the_very_same_filter_is_deleted_and_each_has_its_code() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    client.subscribe_all(&[("a/+", 0), ("A/+", 0), ("$share/g/a/+", 0), ("b", 0)]).await;
    let filters = ["a/b", "a/#", "a/+/", "x", "b", "$share/h/a/+", "#/x", "", "b"];
    for packet_id in [1, 0xffff] {
        client.send(&unsubscribe(V5, packet_id, &Properties::default(), &filters)).await;
        let answer = client.next().await.verdicts(0xb0);
        let known = if packet_id == 1 { 0 } else { 0x11 };
        assert_eq!(answer.id, packet_id);
        assert_eq!(answer.codes, [0x11, 0x11, 0x11, 0x11, known, 0x11, 0x8f, 0x8f, 0x11]);
    }
    assert_eq!(client.unsubscribe(&["$share/g/a/+"]).await.codes, [0]);
    client.publish(&Publish::new("a/b", 0, 0, "x")).await;
    assert_eq!(client.delivery().await.topic, "a/b");
    client.publish(&Publish::new("b", 0, 0, "x")).await;
    client.expect_silence().await;
}

/// [MQTT-3.10.4-2]
/// [MQTT-3.10.4-6]
#[tokio::test]
async fn mqtt_3_10_4_2_nothing_new_is_sent_after_unsubscribe() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe_all(&[("a", 1), ("b", 1), ("c", 1), ("$share/g/d", 1)]).await;
    assert_eq!(client.unsubscribe(&["a", "b", "$share/g/d"]).await.codes, [0, 0, 0]);
    let mut publisher = bench.client(V5, "p").await;
    let publish = async |publisher: &mut crate::client::Client| {
        for topic in ["a", "b", "d", "c"] {
            publisher.tell(&Publish::new(topic, 1, 1, "x")).await;
        }
    };
    publish(&mut publisher).await;
    assert_eq!(client.receive().await.topic, "c");
    client.expect_silence().await;
    // The session has forgotten them as well.
    client.disconnect().await;
    publish(&mut publisher).await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    assert_eq!(client.receive().await.topic, "c");
    client.expect_silence().await;
}

/// [MQTT-3.10.4-3]
#[tokio::test]
async fn mqtt_3_10_4_3_deliveries_under_way_are_completed() {
    let bench = Bench::start().await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.subscribe("t", 2).await;
    let mut publisher = bench.client(V5, "p").await;
    let mut open = Vec::new();
    for qos in [1, 2, 2] {
        publisher.tell(&Publish::new("t", qos, 1, "x")).await;
        open.push(client.delivery().await);
    }
    client.send(&ack(PUBREC, open[2].id)).await;
    assert_eq!(client.acked(PUBREL).await, open[2].id);
    assert_eq!(client.unsubscribe(&["t"]).await.codes, [0]);
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    // In any order: PUBREL of the one, the other two again.
    let mut packets = [client.next().await, client.next().await, client.next().await];
    packets.sort_by_key(|packet| packet.kind());
    for (packet, first) in packets.iter().zip(&open[..2]) {
        assert_eq!(packet.publish(), first.clone().again());
    }
    assert_eq!(packets[2].ack(PUBREL).id, open[2].id);
    client.send(&ack(PUBACK, open[0].id)).await;
    client.send(&ack(PUBREC, open[1].id)).await;
    assert_eq!(client.acked(PUBREL).await, open[1].id);
    client.send(&ack(PUBCOMP, open[1].id)).await;
    client.send(&ack(PUBCOMP, open[2].id)).await;
    let (mut client, _) = bench.connect(&Connect::kept(V5, "c")).await;
    client.expect_silence().await;
}
