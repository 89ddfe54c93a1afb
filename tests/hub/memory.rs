//! What happens as the memory of the hub is used up.

use weir::hub::codec::{Ack, Connack, Packet, Reason, Version};

use crate::bench::{self, Bench, until};
use crate::raw::{QOS0, QOS1, Raw, ack, connect, expiring, publish};

/// A hub with little memory.
async fn small() -> Bench {
    let mut settings = bench::settings();
    settings.limits.memory = 4 << 20;
    bench::start(settings).await
}

/// Fills the memory up with retained messages.
async fn fill(bench: &Bench) -> Raw {
    let mut filler = Raw::client(bench, Version::V5, "filler").await;
    let payload = "x".repeat(50_000);
    for number in 0..90 {
        let topic = format!("fill/{number}");
        let mut message = publish(&topic, QOS0, 0, &payload);
        message.retain = true;
        filler.publish(message).await;
    }
    until(|| bench.hub.counters().memory_level == "full").await;
    filler.expect_nothing().await;
    filler
}

async fn make_room(filler: &mut Raw) {
    for number in 0..90 {
        let topic = format!("fill/{number}");
        let mut message = publish(&topic, QOS0, 0, "");
        message.retain = true;
        filler.publish(message).await;
    }
    filler.expect_nothing().await;
}

#[tokio::test]
async fn publishers_are_refused_or_held_back_until_there_is_room() {
    let bench = small().await;
    let mut filler = fill(&bench).await;
    let counters = bench.hub.counters();
    assert!(counters.retained < 90 && counters.refused["retained_full"] > 0, "{counters:?}");
    assert!(counters.memory <= counters.memory_bound, "{counters:?}");
    filler.publish(publish("t", QOS1, 5, "x")).await;
    filler.expect(Packet::Puback(Ack::new(5, Reason::QUOTA_EXCEEDED))).await;
    make_room(&mut filler).await;
    until(|| bench.hub.counters().memory_level == "free").await;
    filler.tell("t", "x").await;
}

#[tokio::test]
async fn an_old_publisher_is_not_read_until_there_is_room() {
    let bench = small().await;
    let mut old = Raw::client(&bench, Version::V4, "old").await;
    let mut filler = fill(&bench).await;
    let mut inside = bench.hub.subscribe(bench::filters(&["t"]), 9);
    old.publish(publish("t", QOS1, 5, "held")).await;
    let packets = bench.hub.counters().packets_in;
    filler.expect_nothing().await;
    assert_eq!(bench.hub.counters().packets_in, packets + 1, "the PUBLISH is not taken");
    make_room(&mut filler).await;
    old.expect(Packet::Puback(ack(5))).await;
    assert_eq!(*bench::soon(inside.recv()).await.unwrap().message.payload, *b"held");
}

#[tokio::test]
async fn only_sessions_that_are_there_are_let_in_when_it_is_full() {
    let bench = small().await;
    let mut filler = fill(&bench).await;
    for (version, wanted) in [(Version::V5, Reason::QUOTA_EXCEEDED), (Version::V4, Reason::SERVER_UNAVAILABLE)] {
        let mut late = Raw::open(&bench, version).await;
        late.send(&Packet::Connect(Box::new(connect(version, "late")))).await;
        let bytes = late.next().await.expect("a CONNACK");
        assert!(matches!(late.parse(&bytes), Packet::Connack(Connack { reason, .. }) if reason == wanted), "{bytes:?}");
        assert_eq!(late.next().await, None);
    }
    assert_eq!(filler.subscribe("new", QOS1).await, Reason::QUOTA_EXCEEDED);
    // The same client id again is a session that is there.
    Raw::client(&bench, Version::V5, "filler").await.disconnect().await;
}

/// A client that takes nothing while its queue is full is disconnected and told; its session stays.
#[tokio::test]
async fn a_client_that_stands_still_with_a_full_queue_is_disconnected() {
    let mut settings = bench::settings();
    settings.limits.queued_messages = 20;
    let bench = bench::start(settings).await;
    let asleep = || {
        let mut connect = connect(Version::V5, "asleep");
        (connect.clean_start, connect.properties) = (false, expiring(60));
        connect
    };
    let (mut sleeper, _) = Raw::with(&bench, asleep()).await;
    sleeper.subscribe("t", QOS1).await;
    let mut publisher = Raw::client(&bench, Version::V5, "pub").await;
    let mut sent = 0;
    while !bench.hub.counters().closed.contains_key("quota_exceeded") {
        publisher.tell("t", &sent.to_string()).await;
        sent += 1;
    }
    // 64 were in flight and 20 waited; what came then was lost, and is counted.
    let counters = bench.hub.counters();
    assert!(counters.dropped_by["slow"] > 0 && counters.sessions == 2, "{counters:?}");
    let laggard = &counters.laggards[0];
    assert_eq!((&*laggard.client_id, laggard.messages), ("asleep", 84));
    assert_eq!(laggard.lost, sent - 84);
    let mut told = false;
    while let Some(bytes) = sleeper.next().await {
        told |= matches!(sleeper.parse(&bytes), Packet::Disconnect(it) if it.reason == Reason::QUOTA_EXCEEDED);
    }
    assert!(told);
    let (mut awake, present) = Raw::with(&bench, asleep()).await;
    assert!(present);
    for number in 0..84 {
        let bytes = awake.next().await.expect("what waited");
        let Packet::Publish(it) = awake.parse(&bytes) else { panic!("{bytes:?}") };
        assert_eq!(it.payload, number.to_string().as_bytes());
        let id = it.packet_id;
        awake.send(&Packet::Puback(ack(id))).await;
    }
    awake.expect_nothing().await;
}

#[tokio::test]
async fn limits_of_topics_and_subscriptions_hold() {
    let mut settings = bench::settings();
    (settings.limits.topic_levels, settings.limits.subscriptions) = (3, 2);
    (settings.limits.retained_messages, settings.limits.retained_bytes) = (1, 100);
    let bench = bench::start(settings).await;
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    assert_eq!(client.subscribe("a/b/c/d", QOS1).await, Reason::TOPIC_FILTER_INVALID);
    assert_eq!(client.subscribe("a/b/c", QOS1).await, Reason::GRANTED_QOS_1);
    assert_eq!(client.subscribe("a", QOS1).await, Reason::GRANTED_QOS_1);
    assert_eq!(client.subscribe("b", QOS1).await, Reason::QUOTA_EXCEEDED);
    assert_eq!(client.subscribe("a", QOS0).await, Reason::SUCCESS, "one that is there may be replaced");
    for (topic, payload, reason) in [
        ("r/1", "x", Reason::NO_MATCHING_SUBSCRIBERS),
        ("r/2", "x", Reason::QUOTA_EXCEEDED),
        ("r/1", "y", Reason::NO_MATCHING_SUBSCRIBERS),
        ("r/1", &"y".repeat(100), Reason::QUOTA_EXCEEDED),
        ("r/1", "", Reason::NO_MATCHING_SUBSCRIBERS),
        ("r/2", "x", Reason::NO_MATCHING_SUBSCRIBERS),
    ] {
        let mut message = publish(topic, QOS1, 1, payload);
        message.retain = true;
        client.publish(message).await;
        let bytes = client.next().await.expect("a PUBACK");
        let Packet::Puback(answer) = client.parse(&bytes) else { panic!("{bytes:?}") };
        assert_eq!(answer.reason.is_error(), reason.is_error(), "{topic} {payload} {answer:?}");
    }
    client.publish(publish("a/b/c/d", QOS0, 0, "x")).await;
    client.expect_end(Reason::TOPIC_NAME_INVALID).await;
    // A CONNECT larger than it can mean is not waited for.
    let mut huge = Raw::open(&bench, Version::V5).await;
    huge.bytes(&[0x10, 0x80, 0x80, 0x10]).await;
    assert_eq!(huge.next().await, None);
}
