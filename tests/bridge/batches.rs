//! Several records in one message: when they leave, and what a peer may do about them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use weir::bridge::{Batch, Class, Forward, Settings};
use weir::format::batch::{Compress, Content, Encoding, Entry, decode};
use weir::model::{Message, Properties};

use crate::fake::{Answer, Fake, Got, connack, kind, nothing, puback};
use crate::harness::{Gateway, forward, message, quick, safe, settings};

const BATCHES: &str = "up/shed/batch/telemetry";
const HOUR: Duration = Duration::from_secs(3600);

fn batch(max_count: usize, max_age: Duration) -> Option<Batch> {
    let (encoding, compress) = (Encoding::Json, Compress::None);
    Some(Batch { max_count, max_bytes: 32 << 10, max_age, encoding, compress, topic: None })
}

/// Alarms by themselves; everything else in batches.
fn batching(fake: &Fake, max_count: usize, max_age: Duration) -> Settings {
    let alarms = Forward { class: Class::Alarm, ..forward("shed/dev/alarm") };
    let rest = Forward { batch: batch(max_count, max_age), ..forward("shed/dev/#") };
    Settings { forward: vec![alarms, rest], ..settings(fake.address) }
}

/// Topic, payload and key of all records in a batch.
fn records(payload: &str) -> Vec<(String, String, String)> {
    let record = |entry: Entry| {
        let Content::Payload(payload) = entry.content else { panic!("a message: {:?}", entry.content) };
        (entry.topic.to_string(), String::from_utf8(payload).unwrap(), entry.key.unwrap().to_string())
    };
    decode(payload.as_bytes(), None).unwrap().into_iter().map(record).collect()
}

/// The payloads of each batch so far, in order of arrival.
fn contents(fake: &Fake) -> Vec<Vec<String>> {
    let contents = |payload: &String| records(payload).into_iter().map(|(_, payload, _)| payload).collect();
    fake.payloads(BATCHES).iter().map(contents).collect()
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn records_leave_together_when_a_batch_is_full_or_its_oldest_is_old_enough() {
    let fake = kind().await;
    let gateway = Gateway::start(batching(&fake, 5, Duration::from_millis(300)), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=7).await;
    gateway.until_drained().await;
    assert_eq!(contents(&fake), [numbers(1..=5), numbers(6..=7)]);
    let counters = gateway.bridge.status().counters;
    assert_eq!((counters.sent, counters.batches, counters.delivered, counters.repeated), (2, 2, 7, 0));
    let all: Vec<_> = fake.payloads(BATCHES).iter().flat_map(|payload| records(payload)).collect();
    let store = gateway.store.id();
    let key = |number: u32| format!("{store}/{}/cloud.2/{number}", gateway.store.start_number());
    for (number, record) in (1..).zip(all) {
        assert_eq!(record, ("up/shed/dev/a".into(), number.to_string(), key(number)));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_alarm_takes_what_waits_along() {
    let fake = kind().await;
    let gateway = Gateway::start(batching(&fake, 50, HOUR), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    assert_eq!(gateway.bridge.status().counters.sent, 0, "nothing is due");
    gateway.acknowledged("shed/dev/alarm", [9]).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/alarm"), ["9"]);
    assert_eq!(contents(&fake), [numbers(1..=3)]);
}

#[tokio::test]
async fn alarms_in_batches_wait_for_nobody() {
    let fake = kind().await;
    let alarms = Forward { class: Class::Alarm, batch: batch(50, HOUR), ..forward("shed/dev/#") };
    let settings = Settings { forward: vec![alarms], ..settings(fake.address) };
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", [1]).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/batch/alarm").len(), 1);
}

#[tokio::test]
async fn a_stop_lets_go_what_waits() {
    let fake = kind().await;
    let gateway = Gateway::start(batching(&fake, 50, HOUR), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    gateway.stop().await;
    fake.until("goodbye", |got| got.contains(&Got::Disconnect)).await;
    assert_eq!(contents(&fake), [numbers(1..=3)]);
}

#[tokio::test]
async fn a_backlog_fills_batches_at_once() {
    let fake = kind().await;
    let dir = tempfile::tempdir().unwrap();
    let mut away = batching(&fake, 50, Duration::from_millis(100));
    away.endpoints[0].host = "127.0.0.1".into();
    away.endpoints[0].port = crate::common::mosquitto::free_address().port();
    let gateway = Gateway::start_in(dir.path(), away, quick()).await;
    gateway.acknowledged("shed/dev/a", 1..=120).await;
    gateway.stop().await;
    let gateway = Gateway::start_in(dir.path(), batching(&fake, 50, Duration::from_millis(100)), quick()).await;
    gateway.until_drained().await;
    assert_eq!(contents(&fake), [numbers(1..=50), numbers(51..=100), numbers(101..=120)]);
}

#[tokio::test]
async fn only_the_guilty_record_of_a_refused_batch_is_set_aside() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        // A word that the digits of a key cannot be.
        Got::Publish(id, _, _, payload) if payload.contains("guilty") => puback(*id, 0x99),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(batching(&fake, 10, Duration::from_millis(200)), quick()).await;
    gateway.until_up().await;
    let mut receipts = Vec::new();
    for number in 1..=10 {
        let payload = if number == 4 { "\"guilty\"".to_owned() } else { number.to_string() };
        receipts.push(gateway.publish(&format!("shed/dev/{}", number % 3), &payload).await);
    }
    for receipt in receipts {
        safe(receipt).await;
    }
    gateway.acknowledged("shed/dev/0", 11..=15).await;
    gateway.until_drained().await;
    let counters = gateway.bridge.status().counters;
    assert_eq!((counters.set_aside, counters.connects), (1, 1), "{counters:?}");
    let mut firsts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut known = HashSet::new();
    let accepted = fake.payloads(BATCHES).into_iter().filter(|payload| !payload.contains("guilty"));
    for (topic, payload, key) in accepted.flat_map(|payload| records(&payload)) {
        if known.insert(key) {
            firsts.entry(topic).or_default().push(payload);
        }
    }
    let on = |topic: &str| firsts[&format!("up/shed/dev/{topic}")].clone();
    assert_eq!((on("1").concat(), on("2").concat()), ("1710".into(), "258".into()));
    assert_eq!(on("0"), ["3", "6", "9", "11", "12", "13", "14", "15"]);
}

#[tokio::test]
async fn a_batch_that_is_not_wanted_now_goes_again_as_it_is() {
    let mut refused = false;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic == BATCHES && !std::mem::replace(&mut refused, true) => {
            puback(*id, 0x97)
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(batching(&fake, 5, HOUR), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=5).await;
    gateway.until_drained().await;
    assert_eq!(contents(&fake), [numbers(1..=5), numbers(1..=5)]);
    let [first, again] = [0, 1].map(|index| records(&fake.payloads(BATCHES)[index]));
    assert_eq!(first, again, "the same keys");
    let counters = gateway.bridge.status().counters;
    assert_eq!((counters.refused, counters.repeated, counters.set_aside), (1, 1, 0));
}

#[tokio::test]
async fn a_batch_that_is_larger_than_the_peer_takes_is_split_and_a_record_that_is_is_set_aside() {
    // Maximum Packet Size of 600 bytes.
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[0x27, 0, 0, 2, 88]),
        Got::Publish(id, _, _, payload) => {
            assert!(payload.len() < 600, "{payload}");
            puback(*id, 0)
        }
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(batching(&fake, 9, HOUR), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=4).await;
    safe(gateway.publish("shed/dev/b", &"9".repeat(700)).await).await;
    gateway.acknowledged("shed/dev/a", 5..=8).await;
    gateway.until_drained().await;
    assert_eq!(contents(&fake).concat(), numbers(1..=8));
    assert!(contents(&fake).len() >= 3);
    assert_eq!(gateway.bridge.status().counters.set_aside, 1);
}

#[tokio::test]
async fn a_kill_in_mid_batch_repeats_under_the_same_keys() {
    let mut mute = true;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        // The first connection never acknowledges a batch.
        Got::End => nothing(),
        Got::Publish(_, _, topic, _) if topic == BATCHES && mute => {
            mute = false;
            Answer::Close
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(batching(&fake, 5, Duration::from_millis(200)), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=8).await;
    gateway.until_drained().await;
    let mut payload_of: BTreeMap<String, String> = BTreeMap::new();
    let mut order = Vec::new();
    for (_, payload, key) in fake.payloads(BATCHES).iter().flat_map(|payload| records(payload)) {
        let known = payload_of.insert(key, payload.clone());
        assert!(known.as_ref().is_none_or(|known| *known == payload), "one key, two payloads");
        if known.is_none() {
            order.push(payload);
        }
    }
    assert_eq!(order, numbers(1..=8), "a cloud that drops repeats by key has each once, in order");
    assert!(fake.payloads(BATCHES).len() >= 3);
}

#[tokio::test]
async fn what_a_batch_has_no_place_for_goes_by_itself_behind_what_waits() {
    let fake = kind().await;
    let gateway = Gateway::start(batching(&fake, 50, HOUR), quick()).await;
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=2).await;
    let properties = Properties { user: vec![("colour".into(), "blue".into())], ..Properties::default() };
    let message = Message { properties: Some(Box::new(properties)), ..message("shed/dev/a", "3") };
    safe(gateway.hub.publish(message).await).await;
    gateway.until_drained().await;
    let order: Vec<String> = fake
        .got()
        .into_iter()
        .filter_map(|got| match got {
            Got::Publish(_, _, topic, payload) if !topic.ends_with("/status") => Some(format!("{topic} {payload}")),
            _ => None,
        })
        .collect();
    assert_eq!(order.len(), 2, "{order:?}");
    assert!(order[0].starts_with(BATCHES) && order[1] == "up/shed/dev/a 3", "{order:?}");
}

#[tokio::test]
async fn rules_of_one_class_do_not_wait_for_each_other() {
    let fake = kind().await;
    let mut settings = batching(&fake, 3, HOUR);
    settings.forward.insert(0, forward("shed/dev/single/#"));
    let elsewhere =
        Some(Batch { topic: Some(weir::model::Topic::new("else/where").unwrap()), ..batch(2, HOUR).unwrap() });
    settings.forward.insert(1, Forward { batch: elsewhere, ..forward("shed/dev/pair/#") });
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_up().await;
    for number in 1..=6 {
        for topic in ["single/a", "pair/a", "b"] {
            gateway.publish(&format!("shed/dev/{topic}"), &number.to_string()).await;
        }
    }
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/single/a"), numbers(1..=6));
    assert_eq!(contents(&fake), [numbers(1..=3), numbers(4..=6)]);
    assert_eq!(fake.payloads("else/where").len(), 3);
}
