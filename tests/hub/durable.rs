//! PUBACK and PUBREC of messages with durable consumers.

use weir::hub::codec::{Ack, Packet, Publish, Reason, Version};
use weir::model::{Refusal, Ticket};

use crate::bench::{self, filters, until};
use crate::raw::{QOS0, QOS1, QOS2, Raw, ack, connect, expiring, publish};
use crate::shelf::Shelf;

#[tokio::test]
async fn acknowledgements_wait_for_their_tickets_and_keep_their_order() {
    for version in [Version::V4, Version::V5] {
        let bench = bench::hub().await;
        let shelf = Shelf::new(9);
        let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
        let _heard = bench.hub.subscribe(filters(&["#"]), 9);
        let mut client = Raw::client(&bench, version, "c").await;
        client.publish(publish("safe", QOS1, 1, "a")).await;
        client.publish(publish("plain", QOS1, 2, "b")).await;
        client.publish(publish("safe", QOS2, 3, "c")).await;
        client.expect_nothing().await;
        shelf.ticket(1).settle();
        client.expect_nothing().await;
        shelf.ticket(0).settle();
        client.expect(Packet::Puback(ack(1))).await;
        client.expect(Packet::Puback(ack(2))).await;
        client.expect(Packet::Pubrec(ack(3))).await;
    }
}

#[tokio::test]
async fn a_full_consumer_holds_publishes_but_nothing_else() {
    for version in [Version::V4, Version::V5] {
        let bench = bench::hub().await;
        let shelf = Shelf::new(1);
        let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
        let mut client = Raw::client(&bench, version, "c").await;
        let mut other = Raw::client(&bench, version, "other").await;
        client.subscribe("answer", QOS0).await;
        for (id, text) in [(1, "a"), (2, "b"), (3, "c")] {
            client.publish(publish("safe", QOS1, id, text)).await;
        }
        client.publish(publish("answer", QOS0, 0, "behind")).await;
        client.expect_nothing().await;
        other.tell("answer", "free").await;
        client.expect(Packet::Publish(publish("answer", QOS0, 0, "free"))).await;
        assert_eq!(shelf.texts(), ["a"]);
        shelf.add_places(2);
        client.expect(Packet::Publish(publish("answer", QOS0, 0, "behind"))).await;
        assert_eq!(shelf.texts(), ["a", "b", "c"]);
        shelf.settle_all();
        for id in 1..=3 {
            client.expect(Packet::Puback(ack(id))).await;
        }
    }
}

#[tokio::test]
async fn a_refusal_has_its_reason_and_frees_the_packet_id() {
    let bench = bench::hub().await;
    let shelf = Shelf::new(9);
    let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    client.publish(publish("safe", QOS1, 1, "a")).await;
    client.publish(publish("safe", QOS2, 2, "b")).await;
    until(|| shelf.texts().len() == 2).await;
    shelf.ticket(0).refuse(Refusal::QuotaExceeded);
    client.expect(Packet::Puback(Ack::new(1, Reason::QUOTA_EXCEEDED))).await;
    shelf.ticket(1).refuse(Refusal::Failed);
    client.expect(Packet::Pubrec(Ack::new(2, Reason::IMPLEMENTATION_ERROR))).await;
    client.publish(publish("safe", QOS2, 2, "c")).await;
    until(|| shelf.texts().len() == 3).await;
    shelf.settle_all();
    client.expect(Packet::Pubrec(ack(2))).await;
}

#[tokio::test]
async fn an_abandoned_message_is_never_acknowledged() {
    for version in [Version::V4, Version::V5] {
        let bench = bench::hub().await;
        let shelf = Shelf::new(9);
        let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
        let mut client = Raw::client(&bench, version, "c").await;
        client.publish(publish("safe", QOS1, 1, "a")).await;
        until(|| shelf.texts().len() == 1).await;
        drop::<Ticket>(shelf.ticket(0));
        client.expect_end(Reason::SERVER_BUSY).await;
    }
}

#[tokio::test]
async fn a_reconnected_publisher_gets_the_pubrec_of_its_first_connection() {
    let bench = bench::hub().await;
    let shelf = Shelf::new(9);
    let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
    let kept = || {
        let mut connect = connect(Version::V5, "c");
        (connect.clean_start, connect.properties) = (false, expiring(60));
        Raw::with(&bench, connect)
    };
    let (mut client, _) = kept().await;
    client.publish(publish("safe", QOS2, 1, "a")).await;
    until(|| shelf.texts().len() == 1).await;
    client.cut();
    until(|| bench.hub.counters().clients == 0).await;
    let (mut client, present) = kept().await;
    assert!(present);
    client.publish(Publish { dup: true, ..publish("safe", QOS2, 1, "a") }).await;
    client.expect_nothing().await;
    shelf.settle_all();
    client.expect(Packet::Pubrec(ack(1))).await;
    assert_eq!(shelf.texts(), ["a"], "it was routed once");
}

#[tokio::test]
async fn a_flood_behind_a_full_consumer_stays_within_its_bound() {
    let bench = bench::hub().await;
    let shelf = Shelf::new(0);
    let _place = bench.hub.attach(filters(&["safe"]), shelf.clone());
    let mut client = Raw::client(&bench, Version::V4, "c").await;
    client.publish(publish("safe", QOS1, 1, "a")).await;
    let payload = "x".repeat(10_000);
    for _ in 0..1000 {
        client.publish(publish("other", QOS0, 0, &payload)).await;
    }
    client.expect_nothing().await;
    let dropped = bench.hub.counters().dropped;
    assert!((900..1000).contains(&dropped), "{dropped} of 10 MB are dropped, half a megabyte is held");
    shelf.add_places(1);
    shelf_settles(&shelf).await;
    client.expect(Packet::Puback(ack(1))).await;
}

async fn shelf_settles(shelf: &Shelf) {
    until(|| shelf.texts().len() == 1).await;
    shelf.settle_all();
}
