//! Subscriptions: options, identifiers, shared ones, retained messages, topic aliases, expiry.

use std::time::Duration;

use weir::hub::codec::{Options, Packet, Properties, Publish, Reason, RetainHandling, Unsubscribe, Verdicts, Version};

use crate::bench::{self, Bench, message};
use crate::raw::{QOS0, QOS1, QOS2, Raw, connect, publish, with};

async fn v5(bench: &Bench, id: &str) -> Raw {
    Raw::client(bench, Version::V5, id).await
}

fn retained(publish: Publish<'_>) -> Publish<'_> {
    Publish { retain: true, ..publish }
}

#[tokio::test]
async fn no_local_and_retain_as_published() {
    let bench = bench::hub().await;
    let mut client = v5(&bench, "c").await;
    let options = Options { no_local: true, retain_as_published: true, ..Options::plain(QOS0) };
    client.subscribe_with("t", options, None).await;
    client.publish(retained(publish("t", QOS0, 0, "mine"))).await;
    client.expect_nothing().await;
    bench.hub.publish(message("t", "others").retained()).await;
    client.expect(Packet::Publish(retained(publish("t", QOS0, 0, "others")))).await;
    client.subscribe_with("t", Options { retain_handling: RetainHandling::Never, ..Options::plain(QOS0) }, None).await;
    client.publish(retained(publish("t", QOS0, 0, "mine"))).await;
    client.expect(Packet::Publish(publish("t", QOS0, 0, "mine"))).await;
}

#[tokio::test]
async fn retain_handling_decides_when_retained_messages_come() {
    let bench = bench::hub().await;
    bench.hub.publish(message("t", "last").with_qos(QOS1).retained()).await;
    let mut client = v5(&bench, "c").await;
    let with = |retain_handling| Options { retain_handling, ..Options::plain(QOS0) };
    let last = || Packet::Publish(retained(publish("t", QOS0, 0, "last")));
    client.subscribe_with("t", with(RetainHandling::Never), None).await;
    client.expect_nothing().await;
    client.subscribe_with("t", with(RetainHandling::IfNew), None).await;
    client.expect_nothing().await;
    client.subscribe_with("t", with(RetainHandling::Always), None).await;
    client.expect(last()).await;
    client.subscribe_with("+", with(RetainHandling::IfNew), None).await;
    client.expect(last()).await;
}

#[tokio::test]
async fn all_retained_messages_come_however_many() {
    let mut settings = bench::settings();
    settings.limits.queued_messages = 100;
    let bench = bench::start(settings).await;
    for n in 0..1000 {
        bench.hub.publish(message(&format!("r/{n:04}"), "x").with_qos(QOS1).retained()).await;
    }
    for (version, qos) in [(Version::V4, QOS0), (Version::V5, QOS1)] {
        let mut client = Raw::client(&bench, version, "c").await;
        client.subscribe("#", qos).await;
        for n in 0..1000 {
            let bytes = client.next().await.unwrap();
            let Packet::Publish(got) = client.parse(&bytes) else { panic!("{bytes:?}") };
            assert_eq!((got.topic, got.retain), (&*format!("r/{n:04}"), true));
            if qos == QOS1 {
                let id = got.packet_id;
                client.send(&Packet::Puback(crate::raw::ack(id))).await;
            }
        }
    }
}

#[tokio::test]
async fn an_empty_retained_message_deletes_and_a_plain_empty_one_does_not() {
    let bench = bench::hub().await;
    let mut client = v5(&bench, "c").await;
    client.publish(retained(publish("t", QOS0, 0, "last"))).await;
    client.publish(publish("t", QOS0, 0, "")).await;
    client.expect_nothing().await;
    assert_eq!(bench.hub.counters().retained, 1);
    client.publish(retained(publish("t", QOS0, 0, ""))).await;
    client.expect_nothing().await;
    assert_eq!(bench.hub.counters().retained, 0);
}

#[tokio::test]
async fn overlapping_subscriptions_give_one_copy_with_all_identifiers() {
    let bench = bench::hub().await;
    let mut client = v5(&bench, "c").await;
    client.subscribe_with("a/+", Options::plain(QOS0), Some(7)).await;
    client.subscribe_with("a/#", Options::plain(QOS2), Some(300)).await;
    client.subscribe("#", QOS1).await;
    bench.hub.publish(message("a/b", "x").with_qos(QOS2)).await;
    let bytes = client.next().await.unwrap();
    let Packet::Publish(got) = client.parse(&bytes) else { panic!("{bytes:?}") };
    let mut ids = got.properties.unwrap().subscription_ids;
    ids.sort_unstable();
    assert_eq!((got.qos, ids), (QOS2, vec![7, 300]));
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_shared_subscription_serves_its_members_in_turn() {
    for version in [Version::V4, Version::V5] {
        let bench = bench::hub().await;
        let mut members = [Raw::client(&bench, version, "a").await, Raw::client(&bench, version, "b").await];
        let mut alone = Raw::client(&bench, version, "alone").await;
        for member in &mut members {
            member.subscribe("$share/g/t/#", QOS0).await;
        }
        alone.subscribe("t/#", QOS0).await;
        for n in 0..4 {
            bench.hub.publish(message("t/1", &n.to_string())).await;
        }
        for n in 0..4 {
            let text = n.to_string();
            members[n % 2].expect(Packet::Publish(publish("t/1", QOS0, 0, &text))).await;
            alone.expect(Packet::Publish(publish("t/1", QOS0, 0, &text))).await;
        }
        let [first, mut second] = members;
        first.disconnect().await;
        for text in ["x", "y"] {
            bench.hub.publish(message("t/1", text)).await;
            second.expect(Packet::Publish(publish("t/1", QOS0, 0, text))).await;
        }
    }
}

#[tokio::test]
async fn filters_are_judged_one_by_one() {
    let bench = bench::hub().await;
    let mut client = v5(&bench, "c").await;
    for bad in ["a/#/b", "a+", "$share/g", "$share//t", "$share/+/t", &"/".repeat(500)] {
        assert_eq!(client.subscribe(bad, QOS0).await, Reason::TOPIC_FILTER_INVALID, "{bad}");
    }
    assert_eq!(client.subscribe("é/+", QOS1).await, Reason::GRANTED_QOS_1);
    let filters = vec!["é/+", "never", "a#"];
    client.send(&Packet::Unsubscribe(Unsubscribe { packet_id: 4, properties: None, filters })).await;
    let reasons = vec![Reason::SUCCESS, Reason::NO_SUBSCRIPTION_EXISTED, Reason::TOPIC_FILTER_INVALID];
    client.expect(Packet::Unsuback(Verdicts { packet_id: 4, properties: None, reasons })).await;
    bench.hub.publish(message("é/t", "x")).await;
    client.expect_nothing().await;
    client.publish(publish("a/+", QOS0, 0, "x")).await;
    client.expect_end(Reason::TOPIC_NAME_INVALID).await;
}

#[tokio::test]
async fn topic_aliases_work_both_ways() {
    let bench = bench::hub().await;
    let mut asking = connect(Version::V5, "sub");
    asking.properties = with(Properties { topic_alias_maximum: Some(1), ..Properties::default() });
    let (mut subscriber, _) = Raw::with(&bench, asking).await;
    subscriber.subscribe("#", QOS0).await;
    let mut publisher = v5(&bench, "pub").await;
    let alias = |alias| with(Properties { topic_alias: Some(alias), ..Properties::default() });
    for (topic, number, text) in [("a/1", 1, "x"), ("a/2", 2, "y"), ("", 1, "z"), ("a/3", 1, "u"), ("", 1, "v")] {
        publisher.publish(Publish { properties: alias(number), ..publish(topic, QOS0, 0, text) }).await;
    }
    // One alias only: the first topic gets it, the others go in full.
    for (topic, number, text) in
        [("a/1", Some(1), "x"), ("a/2", None, "y"), ("", Some(1), "z"), ("a/3", None, "u"), ("a/3", None, "v")]
    {
        let properties = number.and_then(alias);
        subscriber.expect(Packet::Publish(Publish { properties, ..publish(topic, QOS0, 0, text) })).await;
    }
    publisher.publish(Publish { properties: alias(9), ..publish("", QOS0, 0, "?") }).await;
    publisher.expect_end(Reason::TOPIC_ALIAS_INVALID).await;
    let mut publisher = v5(&bench, "pub").await;
    publisher.publish(Publish { properties: alias(17), ..publish("a", QOS0, 0, "?") }).await;
    publisher.expect_end(Reason::TOPIC_ALIAS_INVALID).await;
}

#[tokio::test]
async fn properties_travel_and_expiry_counts_down() {
    let bench = bench::hub().await;
    let mut subscriber = v5(&bench, "sub").await;
    subscriber.subscribe("t", QOS0).await;
    let mut publisher = v5(&bench, "pub").await;
    let sent = Properties {
        payload_format: Some(true),
        message_expiry_s: Some(100),
        content_type: Some("text/plain"),
        response_topic: Some("answer/é"),
        correlation: Some(b"\0\x01"),
        user: vec![("k", "1"), ("k", "2")],
        ..Properties::default()
    };
    publisher.publish(Publish { properties: with(sent.clone()), ..publish("t", QOS0, 0, "x") }).await;
    let bytes = subscriber.next().await.unwrap();
    let Packet::Publish(got) = subscriber.parse(&bytes) else { panic!("{bytes:?}") };
    let mut properties = *got.properties.unwrap();
    assert!((80..=100).contains(&properties.message_expiry_s.take().unwrap()));
    assert_eq!(properties, Properties { message_expiry_s: None, ..sent });
    publisher
        .publish(Publish {
            properties: with(Properties { response_topic: Some("a/+"), ..Properties::default() }),
            ..publish("t", QOS0, 0, "x")
        })
        .await;
    publisher.expect_end(Reason::PROTOCOL_ERROR).await;
}

#[tokio::test]
async fn an_expired_message_is_not_delivered() {
    let bench = bench::hub().await;
    let asleep = || {
        let mut connect = connect(Version::V4, "sub");
        connect.clean_start = false;
        Raw::with(&bench, connect)
    };
    let (mut subscriber, _) = asleep().await;
    subscriber.subscribe("t", QOS1).await;
    subscriber.disconnect().await;
    let mut publisher = v5(&bench, "pub").await;
    let properties = with(Properties { message_expiry_s: Some(1), ..Properties::default() });
    publisher.publish(Publish { properties, retain: true, ..publish("t", QOS1, 1, "short") }).await;
    publisher.next().await.unwrap();
    publisher.tell("t", "long").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (mut subscriber, _) = asleep().await;
    subscriber.expect(Packet::Publish(publish("t", QOS1, 1, "long"))).await;
    subscriber.expect_nothing().await;
    assert_eq!(bench.hub.counters().expired, 1);
}
