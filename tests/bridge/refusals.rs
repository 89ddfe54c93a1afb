//! Peers that say no, or nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use weir::bridge::{Forward, Options, Settings, Version};

use crate::fake::{Answer, Fake, Got, connack, nothing, puback, puback_v4};
use crate::harness::{Gateway, forward, name, open_store, quick, settings};

/// Whether this is the bridge's own state and not a record.
fn is_status(topic: &str) -> bool {
    topic.ends_with("/status")
}

#[tokio::test]
async fn a_message_refused_for_good_is_set_aside_after_three_tries() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic.ends_with("/bad") => puback(*id, 0x87),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    for number in 1..=3 {
        gateway.publish("shed/dev/good", &number.to_string()).await;
        gateway.publish("shed/dev/bad", &number.to_string()).await;
    }
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/good"), ["1", "2", "3"], "never held up, never repeated");
    let bad = fake.payloads("up/shed/dev/bad");
    for number in ["1", "2", "3"] {
        assert_eq!(bad.iter().filter(|payload| *payload == number).count(), 3, "{bad:?}");
    }
    let status = gateway.bridge.status();
    assert_eq!((status.counters.set_aside, status.counters.refused, status.dropped), (3, 9, 3));
    assert_eq!(status.counters.connects, 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_that_is_not_wanted_now_goes_again_and_the_newest_stays_last() {
    let mut refused = 0;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, payload) if !is_status(topic) && payload == "2" && refused < 2 => {
            refused += 1;
            puback(*id, if refused == 1 { 0x97 } else { 0x88 })
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    gateway.until_drained().await;
    let payloads = fake.payloads("up/shed/dev/a");
    assert_eq!(payloads.last().map(String::as_str), Some("3"), "{payloads:?}");
    assert_eq!(payloads.iter().filter(|payload| *payload == "1").count(), 1);
    let counters = gateway.bridge.status().counters;
    assert_eq!((counters.refused, counters.set_aside, counters.connects), (2, 0, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn never_more_is_on_its_way_than_the_peer_takes() {
    let mut waiting: Vec<u16> = Vec::new();
    let mut most = 0;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => {
            waiting.clear();
            connack(&[0x21, 0, 3])
        }
        // Acknowledges only when three wait; a fourth would be a violation.
        Got::Publish(id, _, topic, _) => {
            if is_status(topic) {
                return puback(*id, 0);
            }
            waiting.push(*id);
            most = most.max(waiting.len());
            assert!(most <= 3, "Receive Maximum is 3");
            if waiting.len() < 3 {
                return nothing();
            }
            Answer::Bytes(waiting.drain(..).flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]).collect())
        }
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=30).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/a").len(), 30);
}

#[tokio::test]
async fn a_peer_that_takes_as_much_as_there_are_packet_ids_is_sent_what_the_books_hold() {
    // Of one lane: all eight together stay below the number of packet ids.
    const MOST: usize = 4096;
    let (mut open, mut came, most) = (Vec::new(), 0, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => Answer::Bytes(vec![0x20, 2, 0, 0]),
        Got::Publish(id, _, topic, _) if is_status(topic) => puback_v4(*id),
        Got::Publish(id, ..) => {
            open.push(*id);
            came += 1;
            counted.fetch_max(open.len(), Ordering::Relaxed);
            nothing()
        }
        // It has nothing more to say: now it gets what it waits for.
        Got::Ping => {
            let landed = if came < MOST { 0 } else { open.len() };
            let acks = open.drain(..landed).flat_map(|id: u16| [0x40, 2, (id >> 8) as u8, id as u8]);
            Answer::Bytes([0xd0, 0].into_iter().chain(acks).collect())
        }
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(
        Settings {
            version: Version::V4,
            in_flight: u16::MAX,
            keepalive: Duration::from_secs(1),
            ..settings(fake.address)
        },
        Options::default(),
    )
    .await;
    gateway.until_up().await;
    for _ in 0..MOST + 100 {
        gateway.publish("shed/dev/a", "1").await;
    }
    gateway.until_drained().await;
    assert_eq!(most.load(Ordering::Relaxed), MOST);
    assert_eq!(gateway.bridge.status().counters.connects, 1);
}

#[tokio::test]
async fn a_peer_that_accepts_and_never_acknowledges_is_probed_with_one_message() {
    is_probed(true).await;
}

#[tokio::test]
async fn the_one_message_does_not_wait_until_the_greeting_is_answered() {
    is_probed(false).await;
}

async fn is_probed(answers_status: bool) {
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if is_status(topic) && answers_status => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=10).await;
    let records_per_connection = |got: &[Got]| -> Vec<usize> {
        let records = |got: &&Got| matches!(got, Got::Publish(_, _, topic, _) if !is_status(topic));
        got.split(|got| *got == Got::End).map(|packets| packets.iter().filter(records).count()).collect()
    };
    fake.until("three connections", |got| got.iter().filter(|got| **got == Got::End).count() >= 3).await;
    let records = records_per_connection(&fake.got());
    assert_eq!(records[..3], [10, 1, 1], "{records:?}");
    assert!(fake.got().iter().any(|got| matches!(got, Got::Publish(_, true, _, payload) if payload == "1")), "repeat");
    assert_eq!(gateway.bridge.status().backlog, 10);
}

#[tokio::test]
async fn a_peer_that_does_not_know_mqtt_5_is_spoken_to_in_3_1_1() {
    let fake = Fake::start(|got| match got {
        Got::Connect(5) => Answer::Bytes(vec![0x20, 2, 0, 1]),
        Got::Connect(_) => Answer::Bytes(vec![0x20, 2, 0, 0]),
        Got::Publish(id, ..) => puback_v4(*id),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    let condition = gateway.until_condition("a session", |condition| condition.is_up()).await;
    assert_eq!(condition.version, Some(4));
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/a"), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_peer_that_closes_on_mqtt_5_without_a_word_is_tried_in_3_1_1() {
    let fake = Fake::start(|got| match got {
        Got::Connect(5) => Answer::Close,
        Got::Connect(_) => Answer::Bytes(vec![0x20, 2, 0, 0]),
        Got::Publish(id, ..) => puback_v4(*id),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    let connects: Vec<Got> = fake.got().into_iter().filter(|got| matches!(got, Got::Connect(_))).collect();
    assert_eq!(connects, [5, 5, 5, 4].map(Got::Connect));
}

#[tokio::test]
async fn with_3_1_1_a_message_on_which_the_peer_always_closes_is_set_aside_when_it_was_alone_five_times() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => Answer::Bytes(vec![0x20, 2, 0, 0]),
        Got::Publish(_, _, topic, payload) if !is_status(topic) && payload == "2" => Answer::Close,
        Got::Publish(id, ..) => puback_v4(*id),
        _ => nothing(),
    })
    .await;
    let mut settings = settings(fake.address);
    settings.version = Version::V4;
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=4).await;
    gateway.until_drained().await;
    let counters = gateway.bridge.status().counters;
    assert_eq!(counters.set_aside, 1, "{counters:?}");
    let mut times: HashMap<String, usize> = HashMap::new();
    fake.payloads("up/shed/dev/a").into_iter().for_each(|payload| *times.entry(payload).or_default() += 1);
    assert!(times["2"] >= 5 && times["1"] == 1 && times.contains_key("3") && times.contains_key("4"), "{times:?}");
}

#[tokio::test]
async fn with_mqtt_5_a_connection_that_just_ends_is_retried_for_ever() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(_, _, topic, _) if !is_status(topic) => Answer::Close,
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.acknowledged("shed/dev/a", 1..=1).await;
    fake.until("nine tries", |got| got.iter().filter(|got| **got == Got::End).count() >= 9).await;
    let status = gateway.bridge.status();
    assert_eq!((status.backlog, status.counters.set_aside), (1, 0));
}

#[tokio::test]
async fn a_stop_waits_a_moment_for_acknowledgements_and_says_goodbye() {
    let mut withheld = None;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        // The record is acknowledged only together with the farewell, which comes after the stop.
        Got::Publish(id, _, topic, _) if !is_status(topic) => {
            withheld = Some(*id);
            nothing()
        }
        Got::Publish(id, _, _, payload) if payload.contains("down") => {
            let ids = [withheld.expect("the record came first"), *id];
            Answer::Bytes(ids.into_iter().flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]).collect())
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_in(dir.path(), settings(fake.address), Options::default()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=1).await;
    fake.until("the record", |got| {
        got.iter().any(|got| matches!(got, Got::Publish(_, _, _, payload) if payload == "1"))
    })
    .await;
    gateway.stop().await;
    fake.until("goodbye", |got| got.contains(&Got::Disconnect)).await;
    let store = open_store(dir.path());
    let chain = store.chain(weir::store::ChainKey { queue: name("cloud"), class: 2 });
    assert_eq!(chain.first_unacked(), chain.next_sequence(), "acknowledged in the last moment");
}

#[tokio::test]
async fn an_idle_connection_is_kept_alive_as_the_peer_wants() {
    // Server Keep Alive of one second.
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[0x13, 0, 1]),
        Got::Publish(id, ..) => puback(*id, 0),
        Got::Ping => Answer::Bytes(vec![0xd0, 0]),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    fake.until("two pings", |got| got.iter().filter(|got| **got == Got::Ping).count() >= 2).await;
    assert_eq!(gateway.bridge.status().counters.connects, 1);
}

#[tokio::test]
async fn a_ping_that_is_not_answered_ends_the_connection() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[0x13, 0, 1]),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let _gateway = Gateway::start(settings(fake.address), quick()).await;
    fake.until("the end", |got| got.contains(&Got::End)).await;
    assert!(fake.got().contains(&Got::Ping));
}

#[tokio::test]
async fn a_twin_with_our_client_id_is_named() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(..) => Answer::Bytes(vec![0xe0, 1, 0x8e]),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    let twin =
        |condition: &weir::bridge::Condition| condition.reason.as_deref().is_some_and(|r| r.contains("client id"));
    gateway.until_condition("named", twin).await;
}

#[tokio::test]
async fn one_bad_topic_does_not_slow_the_others_of_its_class_down() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic.ends_with("/bad") => puback(*id, 0x87),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let mut settings = settings(fake.address);
    settings.forward = vec![Forward { ..forward("shed/#") }];
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_up().await;
    let began = tokio::time::Instant::now();
    for number in 1..=40 {
        gateway.publish("shed/dev/bad", &number.to_string()).await;
        gateway.publish("shed/dev/good", &number.to_string()).await;
    }
    gateway.until_drained().await;
    // Two pauses of a second for the first verdict, none for the forty that follow it.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(fake.payloads("up/shed/dev/good").len(), 40);
    assert_eq!(gateway.bridge.status().counters.set_aside, 40);
}
