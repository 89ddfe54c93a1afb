//! `[[hub.acl]]` on the wire: publish, subscribe, will, retained and queued messages, and what a reload does to them.

use weir::hub::codec::{Connack, Connect, Notice, Packet, Reason, Version};
use weir::hub::{Rule, Settings};

use crate::bench::{self, Bench, message, until};
use crate::raw::{QOS0, QOS1, Raw, ack, connect, expiring, publish, will};

pub(crate) fn rule(user: &str) -> Rule {
    let (publish, subscribe, deny_publish, deny_subscribe) = Default::default();
    Rule { user: user.into(), publish, subscribe, deny_publish, deny_subscribe }
}

/// Everything but `deny`, which nobody may read or write.
fn all_but(deny: &[&str]) -> Settings {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (publish, subscribe) = (list(&["#"]), list(&["#"]));
    let rule = Rule { publish, subscribe, deny_publish: list(deny), deny_subscribe: list(deny), ..rule("*") };
    Settings { acl: vec![rule], ..bench::settings() }
}

async fn denying(deny: &[&str]) -> Bench {
    bench::start(all_but(deny)).await
}

/// Subscribes a second client and waits until everything before is through.
async fn listener(bench: &Bench, filter: &str) -> Raw {
    let mut listener = Raw::client(bench, Version::V5, "listener").await;
    assert_eq!(listener.subscribe(filter, QOS1).await, Reason::GRANTED_QOS_1);
    listener
}

async fn gets(client: &mut Raw, topic: &str, payload: &str) {
    let bytes = client.next().await.expect("a message");
    let Packet::Publish(publish) = client.parse(&bytes) else { panic!("no PUBLISH: {bytes:?}") };
    assert_eq!((publish.topic, publish.payload), (topic, payload.as_bytes()));
    if publish.packet_id != 0 {
        let id = publish.packet_id;
        client.send(&Packet::Puback(ack(id))).await;
    }
}

#[tokio::test]
async fn publish_is_refused_in_5_and_acknowledged_and_dropped_in_3() {
    let bench = denying(&["no"]).await;
    let mut inside = bench.hub.subscribe(bench::filters(&["#"]), 10);
    let mut new = Raw::client(&bench, Version::V5, "new").await;
    new.publish(publish("no", QOS1, 1, "x")).await;
    new.expect(Packet::Puback(weir::hub::codec::Ack::new(1, Reason::NOT_AUTHORIZED))).await;
    let mut old = Raw::client(&bench, Version::V4, "old").await;
    old.publish(publish("no", QOS1, 1, "x")).await;
    old.expect(Packet::Puback(ack(1))).await;
    old.publish(publish("no", QOS0, 0, "x")).await;
    old.tell("yes", "y").await;
    assert_eq!(bench::soon(inside.recv()).await.unwrap().message.topic.as_str(), "yes");
    assert_eq!(bench.hub.counters().refused["not_authorized"], 3);
}

#[tokio::test]
async fn subscribe_is_refused_only_when_nothing_is_left_of_it() {
    let bench = denying(&["a/b"]).await;
    let mut new = Raw::client(&bench, Version::V5, "new").await;
    let mut old = Raw::client(&bench, Version::V4, "old").await;
    for filter in ["a/b", "$share/g/a/b"] {
        assert_eq!(new.subscribe(filter, QOS1).await, Reason::UNSPECIFIED, "{filter}");
        assert_eq!(old.subscribe(filter, QOS1).await.0, 0x80, "{filter}");
    }
    assert_eq!(new.subscribe("#", QOS1).await, Reason::GRANTED_QOS_1);
    assert_eq!(old.subscribe("$share/g/a/+", QOS1).await, Reason::GRANTED_QOS_1);
    bench.hub.publish(message("a/b", "from the gateway itself")).await;
    bench.hub.publish(message("a/c", "x")).await;
    gets(&mut new, "a/c", "x").await;
    gets(&mut old, "a/c", "x").await;
    assert_eq!(bench.hub.counters().subscriptions, 2);
}

#[tokio::test]
async fn what_no_rule_allows_is_refused() {
    let settings =
        Settings { acl: vec![Rule { subscribe: vec!["dev/%c/#".into()], ..rule("*") }], ..bench::settings() };
    let bench = bench::start(settings).await;
    let mut client = Raw::client(&bench, Version::V5, "c1").await;
    for (filter, reason) in [
        ("dev/c1/+", Reason::GRANTED_QOS_1),
        ("dev/c2/+", Reason::UNSPECIFIED),
        ("dev/+/x", Reason::UNSPECIFIED),
        ("#", Reason::UNSPECIFIED),
    ] {
        assert_eq!(client.subscribe(filter, QOS1).await, reason, "{filter}");
    }
    client.publish(publish("dev/c1/x", QOS1, 1, "")).await;
    client.expect(Packet::Puback(weir::hub::codec::Ack::new(1, Reason::NOT_AUTHORIZED))).await;
    let mut sly = Raw::client(&bench, Version::V5, "+").await;
    assert_eq!(sly.subscribe("dev/+/#", QOS1).await, Reason::UNSPECIFIED);
}

#[tokio::test]
async fn a_shared_message_goes_to_a_member_that_may_have_it() {
    let only = |id: &str, filter: &str| Rule { subscribe: vec![filter.replace("ID", id)], ..rule("*") };
    let deny = Rule { deny_subscribe: vec!["t/%c".into()], publish: vec!["#".into()], ..rule("*") };
    let bench = bench::start(Settings { acl: vec![only("", "t/#"), deny], ..bench::settings() }).await;
    let (mut a, mut b) = (Raw::client(&bench, Version::V5, "a").await, Raw::client(&bench, Version::V5, "b").await);
    a.subscribe("$share/g/t/+", QOS1).await;
    b.subscribe("$share/g/t/+", QOS1).await;
    for n in 0..4 {
        bench.hub.publish(message("t/a", &n.to_string())).await;
        gets(&mut b, "t/a", &n.to_string()).await;
    }
    a.expect_nothing().await;
}

#[tokio::test]
async fn retained_messages_are_withheld() {
    let bench = denying(&["a/b"]).await;
    for topic in ["a/a", "a/b", "a/c"] {
        bench.hub.publish(message(topic, "old").retained()).await;
    }
    let mut client = listener(&bench, "a/#").await;
    gets(&mut client, "a/a", "old").await;
    gets(&mut client, "a/c", "old").await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_will_is_judged_at_connect() {
    let bench = denying(&["no"]).await;
    for (version, code) in [(Version::V5, Reason::NOT_AUTHORIZED.0), (Version::V4, 5)] {
        let mut client = Raw::open(&bench, version).await;
        let dying = Connect { will: Some(will("no", "x")), ..connect(version, "c") };
        client.send(&Packet::Connect(Box::new(dying))).await;
        let bytes = client.next().await.expect("a CONNACK");
        assert_eq!(bytes[3], code);
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn a_will_is_judged_again_when_it_is_sent() {
    let bench = denying(&[]).await;
    let mut inside = bench.hub.subscribe(bench::filters(&["#"]), 10);
    let with_will = |id: &'static str| Connect { will: Some(will("no", id)), ..connect(Version::V5, id) };
    let (allowed, _) = Raw::with(&bench, with_will("allowed")).await;
    allowed.cut();
    assert_eq!(*bench::soon(inside.recv()).await.unwrap().message.payload, *b"allowed");
    let (refused, _) = Raw::with(&bench, with_will("refused")).await;
    bench.hub.reload(all_but(&["no"])).await.unwrap();
    refused.cut();
    until(|| bench.hub.counters().refused.contains_key("not_authorized")).await;
    bench.hub.publish(message("end", "")).await;
    assert_eq!(bench::soon(inside.recv()).await.unwrap().message.topic.as_str(), "end");
}

#[tokio::test]
async fn a_reload_holds_for_live_messages_and_topics_already_used() {
    let bench = denying(&[]).await;
    let mut client = listener(&bench, "t").await;
    let mut sender = Raw::client(&bench, Version::V5, "sender").await;
    sender.tell("t", "1").await;
    gets(&mut client, "t", "1").await;
    bench.hub.reload(all_but(&["t"])).await.unwrap();
    sender.publish(publish("t", QOS1, 3, "2")).await;
    sender.expect(Packet::Puback(weir::hub::codec::Ack::new(3, Reason::NOT_AUTHORIZED))).await;
    bench.hub.publish(message("t", "3")).await;
    client.expect_nothing().await;
    bench.hub.reload(all_but(&[])).await.unwrap();
    sender.tell("t", "4").await;
    gets(&mut client, "t", "4").await;
}

#[tokio::test]
async fn queued_messages_are_judged_again_after_a_reload() {
    let bench = denying(&[]).await;
    let kept = || Connect { clean_start: false, properties: expiring(60), ..connect(Version::V5, "kept") };
    let (mut client, _) = Raw::with(&bench, kept()).await;
    client.subscribe("#", QOS1).await;
    client.disconnect().await;
    for topic in ["a", "no", "b", "no"] {
        bench.hub.publish(message(topic, "x").with_qos(QOS1)).await;
    }
    bench.hub.reload(all_but(&["no"])).await.unwrap();
    bench.hub.publish(message("c", "x").with_qos(QOS1)).await;
    let (mut client, present) = Raw::with(&bench, kept()).await;
    assert!(present);
    for topic in ["a", "b", "c"] {
        gets(&mut client, topic, "x").await;
    }
    client.expect_nothing().await;
    assert_eq!(bench.hub.counters().withheld, 2);
}

#[tokio::test]
async fn a_reload_keeps_connections_and_bounds_the_next_ones() {
    let bench = bench::start(bench::settings()).await;
    let mut first = Raw::client(&bench, Version::V5, "first").await;
    let mut limits = weir::hub::Limits::default();
    (limits.connections, limits.packet_size) = (1, 2000);
    bench.hub.reload(Settings { limits, ..bench::settings() }).await.unwrap();
    first.expect_nothing().await;
    first.tell("t", &"x".repeat(5000)).await;
    let (_, refused) = answered(&bench, "second").await;
    assert_eq!(refused, (Reason::SERVER_BUSY, None), "one client is all there may be");
    first.send(&Packet::Disconnect(Notice { reason: Reason::SUCCESS, properties: None })).await;
    assert_eq!(first.next().await, None);
    // The first one's place is free a moment after its socket is closed.
    let (_third, welcomed) = loop {
        let answer = answered(&bench, "third").await;
        if answer.1.0 != Reason::SERVER_BUSY {
            break answer;
        }
    };
    assert_eq!(welcomed, (Reason::SUCCESS, Some(2000)));
}

/// Connects; gives the reason, and the largest packet that the hub takes.
async fn answered(bench: &bench::Bench, client_id: &str) -> (Raw, (Reason, Option<u32>)) {
    let mut raw = Raw::open(bench, Version::V5).await;
    raw.send(&Packet::Connect(Box::new(connect(Version::V5, client_id)))).await;
    let bytes = raw.next().await.expect("a CONNACK");
    let Packet::Connack(Connack { reason, properties, .. }) = raw.parse(&bytes) else { panic!("{bytes:?}") };
    (raw, (reason, properties.and_then(|it| it.maximum_packet_size)))
}
