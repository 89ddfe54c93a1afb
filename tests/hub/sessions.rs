//! Sessions: QoS 2, redelivery, take-over, wills, expiry.

use weir::hub::codec::{Ack, Notice, Packet, Properties, Publish, Reason, Version};
use weir::model::Qos;

use crate::bench::{self, until};
use crate::raw::{QOS0, QOS1, QOS2, Raw, ack, connect, expiring, publish, will, with};

const BOTH: [Version; 2] = [Version::V4, Version::V5];

fn again(publish: Publish<'_>) -> Publish<'_> {
    Publish { dup: true, ..publish }
}

#[tokio::test]
async fn a_repeated_qos2_publish_is_routed_once() {
    for version in BOTH {
        let bench = bench::hub().await;
        let mut subscriber = Raw::client(&bench, version, "sub").await;
        subscriber.subscribe("t", QOS0).await;
        let mut client = Raw::client(&bench, version, "pub").await;
        for message in [publish("t", QOS2, 5, "x"), again(publish("t", QOS2, 5, "x"))] {
            client.publish(message).await;
            client.expect(Packet::Pubrec(ack(5))).await;
        }
        client.send(&Packet::Pubrel(ack(5))).await;
        client.expect(Packet::Pubcomp(ack(5))).await;
        client.send(&Packet::Pubrel(ack(5))).await;
        let unknown = if version == Version::V5 { Reason::PACKET_ID_NOT_FOUND } else { Reason::SUCCESS };
        client.expect(Packet::Pubcomp(Ack::new(5, unknown))).await;
        client.publish(publish("t", QOS2, 5, "y")).await;
        client.expect(Packet::Pubrec(ack(5))).await;
        subscriber.expect(Packet::Publish(publish("t", QOS0, 0, "x"))).await;
        subscriber.expect(Packet::Publish(publish("t", QOS0, 0, "y"))).await;
        subscriber.expect_nothing().await;
    }
}

#[tokio::test]
async fn qos2_survives_a_reconnect_of_the_publisher() {
    let bench = bench::hub().await;
    let mut inside = bench.hub.subscribe(bench::filters(&["t"]), 10);
    let kept = || {
        crate::raw::Raw::with(&bench, {
            let mut connect = connect(Version::V5, "pub");
            (connect.clean_start, connect.properties) = (false, expiring(60));
            connect
        })
    };
    let (mut client, _) = kept().await;
    client.publish(publish("t", QOS2, 5, "x")).await;
    client.expect(Packet::Pubrec(Ack::new(5, Reason::SUCCESS))).await;
    client.cut();
    let (mut client, present) = kept().await;
    assert!(present);
    client.publish(again(publish("t", QOS2, 5, "x"))).await;
    client.expect(Packet::Pubrec(ack(5))).await;
    client.send(&Packet::Pubrel(ack(5))).await;
    client.expect(Packet::Pubcomp(ack(5))).await;
    client.tell("t", "end").await;
    for text in ["x", "end"] {
        assert_eq!(*bench::soon(inside.recv()).await.unwrap().message.payload, *text.as_bytes());
    }
}

#[tokio::test]
async fn what_was_in_flight_comes_again_in_order_with_dup() {
    for version in BOTH {
        let bench = bench::hub().await;
        let kept = || {
            let mut connect = connect(version, "sub");
            connect.clean_start = false;
            connect.properties = if version == Version::V5 { expiring(60) } else { None };
            Raw::with(&bench, connect)
        };
        let (mut subscriber, present) = kept().await;
        assert!(!present);
        subscriber.subscribe("t", QOS2).await;
        let mut publisher = Raw::client(&bench, version, "pub").await;
        publisher.tell("t", "1").await;
        publisher.publish(publish("t", QOS2, 8, "2")).await;
        publisher.expect(Packet::Pubrec(ack(8))).await;
        publisher.tell("t", "3").await;
        subscriber.expect(Packet::Publish(publish("t", QOS1, 1, "1"))).await;
        subscriber.expect(Packet::Publish(publish("t", QOS2, 2, "2"))).await;
        subscriber.expect(Packet::Publish(publish("t", QOS1, 3, "3"))).await;
        subscriber.send(&Packet::Pubrec(ack(2))).await;
        subscriber.expect(Packet::Pubrel(ack(2))).await;
        subscriber.cut();
        publisher.tell("t", "4").await;
        let (mut subscriber, present) = kept().await;
        assert!(present);
        subscriber.expect(Packet::Publish(again(publish("t", QOS1, 1, "1")))).await;
        subscriber.expect(Packet::Pubrel(ack(2))).await;
        subscriber.expect(Packet::Publish(again(publish("t", QOS1, 3, "3")))).await;
        subscriber.expect(Packet::Publish(publish("t", QOS1, 4, "4"))).await;
        for packet in [Packet::Puback(ack(1)), Packet::Pubcomp(ack(2)), Packet::Puback(ack(3)), Packet::Puback(ack(4))]
        {
            subscriber.send(&packet).await;
        }
        subscriber.expect_nothing().await;
        subscriber.disconnect().await;
        let (mut subscriber, _) = kept().await;
        subscriber.expect_nothing().await;
    }
}

#[tokio::test]
async fn the_receive_maximum_of_the_client_is_kept() {
    let bench = bench::hub().await;
    let mut connect = connect(Version::V5, "sub");
    connect.properties = with(Properties { receive_maximum: Some(2), ..Properties::default() });
    let (mut subscriber, _) = Raw::with(&bench, connect).await;
    subscriber.subscribe("t", QOS1).await;
    let mut publisher = Raw::client(&bench, Version::V5, "pub").await;
    for n in 1..=4 {
        publisher.tell("t", &n.to_string()).await;
    }
    subscriber.expect(Packet::Publish(publish("t", QOS1, 1, "1"))).await;
    subscriber.expect(Packet::Publish(publish("t", QOS1, 2, "2"))).await;
    subscriber.expect_nothing().await;
    subscriber.send(&Packet::Puback(ack(1))).await;
    subscriber.expect(Packet::Publish(publish("t", QOS1, 3, "3"))).await;
    subscriber.expect_nothing().await;
}

#[tokio::test]
async fn more_than_the_receive_maximum_of_the_hub_is_an_error() {
    let mut settings = bench::settings();
    settings.limits.in_flight = 3;
    let bench = bench::start(settings).await;
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    for id in 1..=3 {
        client.publish(publish("t", QOS2, id, "x")).await;
        client.expect(Packet::Pubrec(Ack::new(id, Reason::NO_MATCHING_SUBSCRIBERS))).await;
    }
    client.publish(publish("t", QOS2, 4, "x")).await;
    client.expect_end(Reason::RECEIVE_MAXIMUM_EXCEEDED).await;
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    for version in BOTH {
        let bench = bench::hub().await;
        let mut first = Raw::client(&bench, version, "a/+#$é").await;
        let mut second = Raw::client(&bench, version, "a/+#$é").await;
        first.expect_end(Reason::SESSION_TAKEN_OVER).await;
        second.expect_nothing().await;
        until(|| bench.hub.counters().clients == 1).await;
        assert_eq!(bench.hub.counters().sessions, 1);
    }
}

#[tokio::test]
async fn a_will_is_sent_unless_the_client_says_good_bye() {
    for version in BOTH {
        let bench = bench::hub().await;
        let mut watcher = Raw::client(&bench, version, "watcher").await;
        watcher.subscribe("w/#", QOS1).await;
        let leaving = |id, topic| {
            let mut connect = connect(version, id);
            connect.will = Some(will(topic, "gone"));
            Raw::with(&bench, connect)
        };
        leaving("polite", "w/polite").await.0.disconnect().await;
        leaving("dead", "w/dead").await.0.cut();
        watcher.expect(Packet::Publish(publish("w/dead", QOS1, 1, "gone"))).await;
        let (mut wrong, _) = leaving("wrong", "w/wrong").await;
        wrong.bytes(&[0]).await;
        watcher.expect(Packet::Publish(publish("w/wrong", QOS1, 2, "gone"))).await;
        let (first, _) = leaving("twin", "w/twin").await;
        let _second = leaving("twin", "w/other").await;
        watcher.expect(Packet::Publish(publish("w/twin", QOS1, 3, "gone"))).await;
        drop(first);
        if version == Version::V5 {
            let (mut insisting, _) = leaving("insisting", "w/insisting").await;
            let notice = Notice { reason: Reason::DISCONNECT_WITH_WILL, properties: None };
            insisting.send(&Packet::Disconnect(notice)).await;
            watcher.expect(Packet::Publish(publish("w/insisting", QOS1, 4, "gone"))).await;
        }
        watcher.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_delayed_will_waits_and_a_reconnect_takes_it_back() {
    let bench = bench::hub().await;
    let mut watcher = Raw::client(&bench, Version::V5, "watcher").await;
    watcher.subscribe("w", QOS0).await;
    let mut last_words = will("w", "gone");
    last_words.properties = with(Properties { will_delay_s: Some(1), ..Properties::default() });
    let leaving = |clean_start| {
        let mut connect = connect(Version::V5, "c");
        (connect.clean_start, connect.properties) = (clean_start, expiring(60));
        connect.will = Some(last_words.clone());
        Raw::with(&bench, connect)
    };
    leaving(true).await.0.cut();
    until(|| bench.hub.counters().clients == 1).await;
    let (back, present) = leaving(false).await;
    assert!(present);
    watcher.expect_nothing().await;
    back.cut();
    watcher.expect(Packet::Publish(publish("w", QOS0, 0, "gone"))).await;
    leaving(false).await.0.cut();
    until(|| bench.hub.counters().clients == 1).await;
    let (_fresh, present) = leaving(true).await;
    assert!(!present);
    watcher.expect(Packet::Publish(publish("w", QOS0, 0, "gone"))).await;
}

#[tokio::test]
async fn sessions_end_when_they_should() {
    let bench = bench::hub().await;
    for (clean, expiry, again) in [(true, None, false), (false, Some(60), true), (false, Some(1), false)] {
        let id = format!("{clean}{expiry:?}");
        let wish = |clean_start| {
            let mut connect = connect(Version::V5, &id);
            (connect.clean_start, connect.properties) = (clean_start, expiry.and_then(expiring));
            Raw::with(&bench, connect)
        };
        wish(clean).await.0.disconnect().await;
        if !again {
            until(|| bench.hub.counters().sessions == u64::from(expiry == Some(1))).await;
        }
        let (client, present) = wish(false).await;
        assert_eq!(present, again, "{id}");
        client.cut();
    }
}

#[tokio::test]
async fn every_qos_meets_every_qos() {
    let bench = bench::hub().await;
    for level in [0, 1, 2].map(|level| Qos::from_level(level).unwrap()) {
        let mut subscriber = Raw::client(&bench, Version::V5, "sub").await;
        assert_eq!(subscriber.subscribe("t", level).await, Reason(level as u8));
        for (id, own) in [(1, QOS0), (2, QOS1), (3, QOS2)] {
            bench.hub.publish(bench::message("t", "x").with_qos(own)).await;
            let bytes = subscriber.next().await.unwrap();
            let Packet::Publish(got) = subscriber.parse(&bytes) else { panic!("{bytes:?}") };
            assert_eq!(got.qos, own.min(level), "{id}");
        }
    }
}
