//! Sessions: Clean Session (section 3.1.2.4) and state (4.1).

use super::{kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBCOMP, PUBREC, PUBREL, ack};
use crate::connect::Connect;
use crate::packet::Version::V311;

/// [MQTT-3.1.2-4]
#[tokio::test]
async fn mqtt_3_1_2_4_clean_session_0_creates_or_resumes() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 1).await;
    for how in ["disconnect", "cut"] {
        if how == "cut" {
            client.cut()
        } else {
            client.disconnect().await
        }
        client = kept(&bench, "c", true).await;
        tell(&bench, &message("t", 1, how)).await;
        assert_eq!(client.receive().await.text(), how, "the subscription is still there");
    }
}

/// [MQTT-3.1.2-5]
#[tokio::test]
async fn mqtt_3_1_2_5_messages_wait_for_a_client_that_is_away() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    client.disconnect().await;
    for (qos, text) in [(1, "one"), (2, "two"), (1, "three")] {
        tell(&bench, &message("t", qos, text)).await;
    }
    let mut client = kept(&bench, "c", true).await;
    for (qos, text) in [(1, "one"), (2, "two"), (1, "three")] {
        let publish = client.receive().await;
        assert_eq!((publish.qos, publish.text(), publish.dup, publish.retain), (qos, text, false, false));
    }
    client.expect_silence().await;
}

/// [MQTT-3.1.2-6]
/// [MQTT-3.1.4-3]
#[tokio::test]
async fn mqtt_3_1_2_6_clean_session_1_discards_and_leaves_nothing() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    tell(&bench, &message("t", 1, "waiting")).await;
    let (mut client, present) = bench.connect(&Connect::new(V311, "c")).await;
    assert!(!present);
    tell(&bench, &message("t", 1, "new")).await;
    client.expect_silence().await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    tell(&bench, &message("t", 1, "away")).await;
    let mut client = kept(&bench, "c", false).await;
    tell(&bench, &message("t", 1, "back")).await;
    client.expect_silence().await;
}

/// [MQTT-4.1.0-1]
#[tokio::test]
async fn mqtt_4_1_0_1_state_lives_as_long_as_its_session() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    // Half of a QoS 2 exchange each way, one delivery under way, and one waiting.
    client.publish(&message("other", 2, "x")).await;
    assert_eq!(client.acked(PUBREC).await, 7);
    tell(&bench, &message("t", 2, "half")).await;
    tell(&bench, &message("t", 1, "sent")).await;
    let (half, sent) = (client.delivery().await.id, client.delivery().await.id);
    client.send(&ack(PUBREC, half)).await;
    client.expect(&ack(PUBREL, half)).await;
    for _ in 0..3 {
        client.cut();
        client = kept(&bench, "c", true).await;
        client.wait_for(&ack(PUBREL, half)).await;
        assert_eq!(client.delivery().await.id, sent);
        client.publish(&message("other", 2, "x").again()).await;
        assert_eq!(client.acked(PUBREC).await, 7);
    }
    client.send(&[ack(PUBREL, 7), ack(PUBCOMP, half), ack(0x40, sent)].concat()).await;
    client.expect(&ack(PUBCOMP, 7)).await;
    client.disconnect().await;
    kept(&bench, "c", true).await.expect_silence().await;
}

/// [MQTT-4.1.0-2]
#[tokio::test]
async fn mqtt_4_1_0_2_a_session_lasts_as_long_as_its_connection() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe("t", 1).await;
    let mut other = bench.client(V311, "other").await;
    for round in 0..50 {
        other.tell(&message("t", 1, "x")).await;
        assert_eq!(client.receive().await.text(), "x", "round {round}");
        bench.client(V311, "passing").await.disconnect().await;
    }
    assert_eq!(bench.hub.counters().sessions, 2);
}
