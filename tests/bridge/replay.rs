//! A backlog and what is new beside it: order, rate, age, and the clock.

use std::time::Duration;

use tokio::time::Instant;
use weir::bridge::{Forward, Options, Settings};
use weir::model::{BootId, Format, Measure, Message, Quality, Sample, Source, Stamp, TimeQuality};
use weir::runtime::Clock;
use weir::runtime::clock::Hand;

use crate::common::collector::{Arrived, Collector};
use crate::common::mosquitto::Mosquitto;
use crate::common::proxy::Proxy;
use crate::fake::{Answer, Fake, Got, connack, nothing, puback};
use crate::harness::{Gateway, forward, message, name, quick, safe, settings};

/// A cloud that cannot be reached yet, everything that arrives there, and a bridge to it.
async fn unreachable(options: Options, change: impl FnOnce(&mut Settings)) -> (Mosquitto, Proxy, Collector, Gateway) {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    proxy.refuse(true);
    let collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let mut settings = settings(proxy.address());
    change(&mut settings);
    let gateway = Gateway::start(settings, options).await;
    (cloud, proxy, collector, gateway)
}

/// Where a message first arrived among all.
fn position(collector: &Collector, topic: &str, payload: &str) -> usize {
    let is = |arrived: &Arrived| arrived.topic == topic && arrived.payload == payload;
    collector.all.iter().position(is).unwrap_or_else(|| panic!("{payload} on {topic}"))
}

fn numbers(last: u32) -> Vec<String> {
    (1..=last).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_is_new_passes_the_backlog_of_other_topics_and_no_topic_is_reordered() {
    let (_cloud, proxy, mut collector, gateway) =
        unreachable(quick(), |settings| settings.replay.rate_per_s = 100).await;
    gateway.acknowledged("shed/dev/old", 1..=300).await;
    proxy.refuse(false);
    gateway.until_delivered(1).await;
    let mut receipts = Vec::new();
    for number in 1..=20 {
        receipts.push(gateway.publish("shed/dev/new", &number.to_string()).await);
        receipts.push(gateway.publish("shed/dev/old", &(300 + number).to_string()).await);
    }
    for receipt in receipts {
        safe(receipt).await;
    }
    gateway.until_drained().await;
    collector.one("up/shed/dev/old", "320").await;
    // The backlog takes three seconds from here on.
    assert!(position(&collector, "up/shed/dev/new", "20") < position(&collector, "up/shed/dev/old", "300"));
    let firsts = collector.firsts();
    assert_eq!((&firsts["up/shed/dev/old"], &firsts["up/shed/dev/new"]), (&refs(&numbers(320)), &refs(&numbers(20))));
    gateway.stop().await;
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn without_live_first_a_class_leaves_as_it_came() {
    let (_cloud, proxy, mut collector, gateway) = unreachable(quick(), |settings| {
        settings.replay.rate_per_s = 100;
        settings.replay.live_first = false;
    })
    .await;
    gateway.acknowledged("shed/dev/old", 1..=100).await;
    proxy.refuse(false);
    gateway.until_delivered(1).await;
    gateway.acknowledged("shed/dev/new", 1..=1).await;
    collector.one("up/shed/dev/new", "1").await;
    assert!(position(&collector, "up/shed/dev/new", "1") > position(&collector, "up/shed/dev/old", "100"));
}

#[tokio::test]
async fn cuts_and_restarts_in_the_middle_of_it_lose_nothing_and_keep_the_order() {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    proxy.refuse(true);
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(proxy.address());
    settings.replay.rate_per_s = 200;
    settings.in_flight = 20;
    let mut last = 0;
    let mut gateway = Gateway::start_in(dir.path(), settings.clone(), quick()).await;
    for round in 0..6 {
        proxy.refuse(true);
        proxy.cut();
        for _ in 0..50 {
            last += 1;
            for topic in ["shed/dev/a", "shed/dev/b", "shed/dev/c"] {
                gateway.publish(topic, &last.to_string()).await;
            }
        }
        proxy.refuse(false);
        gateway.until_delivered(10).await;
        // Topics of this round only: they pass.
        for topic in ["shed/dev/a", "shed/dev/d"] {
            last += 1;
            gateway.acknowledged(topic, [last]).await;
        }
        if round % 2 == 1 {
            gateway.stop().await;
            gateway = Gateway::start_in(dir.path(), settings.clone(), quick()).await;
        }
    }
    gateway.until_drained().await;
    last += 1;
    for topic in ["a", "b", "c", "d"] {
        gateway.acknowledged(&format!("shed/dev/{topic}"), [last]).await;
        collector.one(&format!("up/shed/dev/{topic}"), &last.to_string()).await;
    }
    for (topic, payloads) in collector.firsts() {
        let numbers: Vec<u32> = payloads.iter().map(|payload| payload.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{topic}: {numbers:?}");
        let wanted = match topic {
            "up/shed/dev/a" => 300 + 6 + 1,
            "up/shed/dev/d" => 6 + 1,
            _ => 300 + 1,
        };
        assert_eq!(numbers.len(), wanted, "{topic}: {numbers:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn with_fresh_order_the_newest_pass_and_the_rest_is_marked() {
    let (_cloud, proxy, mut collector, gateway) = unreachable(quick(), |settings| {
        settings.replay.rate_per_s = 30;
        settings.forward = vec![Forward { fresh: true, ..forward("shed/dev/a") }];
    })
    .await;
    gateway.acknowledged("shed/dev/a", 1..=100).await;
    proxy.refuse(false);
    gateway.until_delivered(1).await;
    gateway.acknowledged("shed/dev/a", 101..=105).await;
    gateway.until_drained().await;
    collector.one("up/shed/dev/a", "100").await;
    assert!(position(&collector, "up/shed/dev/a", "105") < position(&collector, "up/shed/dev/a", "100"));
    for arrived in &collector.all {
        let old = arrived.payload.parse::<u32>().unwrap() <= 100;
        assert_eq!(arrived.properties.contains("weir-backfill:1"), old, "{arrived:?}");
    }
}

#[tokio::test]
async fn bytes_per_second_are_a_bound_too() {
    let (_cloud, proxy, _collector, gateway) =
        unreachable(quick(), |settings| settings.replay.bytes_per_s = 10_000).await;
    let payload = "x".repeat(1000);
    for _ in 0..12 {
        safe(gateway.publish("shed/dev/a", &payload).await).await;
    }
    proxy.refuse(false);
    gateway.until_up().await;
    let began = Instant::now();
    gateway.until_drained().await;
    // 13 kB with topics and properties, less a burst of 500 and the last message, which is paid for afterwards.
    assert!(began.elapsed() >= Duration::from_millis(1100), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_slow_round_trip_slows_neither_the_backlog_nor_what_is_new() {
    let (_cloud, proxy, mut collector, gateway) =
        unreachable(quick(), |settings| settings.replay.rate_per_s = 600).await;
    let mut receipts = Vec::new();
    for number in 1..=1800 {
        receipts.push(gateway.publish("shed/dev/old", &number.to_string()).await);
    }
    for receipt in receipts {
        safe(receipt).await;
    }
    proxy.delay(Duration::from_millis(50));
    proxy.refuse(false);
    gateway.until_delivered(1).await;
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 1..=10 {
        let sent = Instant::now();
        gateway.publish("shed/dev/new", &number.to_string()).await;
        collector.one("up/shed/dev/new", &number.to_string()).await;
        slowest = slowest.max(sent.elapsed());
    }
    gateway.until_drained().await;
    let drained = began.elapsed();
    // 50 ms of it are the way; the rest is a busy machine.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!((Duration::from_millis(2500)..Duration::from_secs(20)).contains(&drained), "{drained:?}");
}

/// A clock that was never set, ten seconds after boot.
fn unset() -> (Options, Hand) {
    let stamp = Stamp { wall_ms: 10_000, mono_ms: 10_000, boot: BootId([7; 16]), quality: TimeQuality::Unsynced };
    let (clock, hand) = Clock::by_hand(stamp);
    (Options { clock: Some(clock), ..quick() }, hand)
}

/// 2026-11-22T10:15:00Z.
const NOON_MS: i64 = 1_795_342_500_000;

fn set(hand: &Hand) {
    hand.turn(|stamp| (stamp.wall_ms, stamp.quality) = (NOON_MS, TimeQuality::Synced));
}

/// A reading taken so many milliseconds after boot, before the clock was set.
fn reading(mono_ms: u64) -> Message {
    let stamp = Stamp { wall_ms: mono_ms as i64, mono_ms, boot: BootId([7; 16]), quality: TimeQuality::Unsynced };
    let reading = Measure::fixed("temperature", "°C", -40.0, 85.0, 2).is(21.4);
    let sample = Sample { sensor: name("greenhouse"), reading, stamp, quality: Quality::Ok, sequence: mono_ms };
    let source = Source { sample, format: Format::Json };
    Message { source: Some(source.into()), ..message("shed/dev/sensor", "{}") }
}

#[tokio::test]
async fn what_is_older_than_its_rule_allows_is_not_sent_and_counted() {
    let (options, hand) = unset();
    set(&hand);
    let (_cloud, proxy, mut collector, gateway) = unreachable(options, |settings| {
        settings.forward = vec![Forward { ttl: Some(Duration::from_secs(30)), ..forward("shed/dev/#") }];
    })
    .await;
    gateway.acknowledged("shed/dev/a", 1..=5).await;
    hand.advance(Duration::from_secs(29));
    gateway.acknowledged("shed/dev/a", 6..=10).await;
    // The wall clock says nothing about the age of records of this boot.
    hand.turn(|stamp| stamp.wall_ms += 86_400_000);
    hand.advance(Duration::from_secs(1));
    proxy.refuse(false);
    gateway.until_drained().await;
    collector.one("up/shed/dev/a", "10").await;
    assert_eq!(collector.firsts()["up/shed/dev/a"], ["6", "7", "8", "9", "10"]);
    let status = gateway.bridge.status();
    assert_eq!((status.counters.expired, status.dropped), (5, 5));
    let chain = gateway.store.chain(weir::store::ChainKey { queue: name("cloud"), class: 2 });
    tokio::time::timeout(crate::harness::PATIENCE, chain.new_gap(0)).await.ok();
    let gap = chain.gaps()[0];
    assert_eq!((gap.first, gap.last, gap.records, gap.cause), (1, 5, 5, weir::store::Cause::Expired));
    assert_eq!((gap.from_ms, gap.to_ms), (Some(NOON_MS), Some(NOON_MS)));
}

#[tokio::test]
async fn readings_wait_for_the_clock_others_do_not_and_a_clock_that_steps_back_changes_nothing() {
    let (options, hand) = unset();
    let (_cloud, proxy, mut collector, gateway) = unreachable(options, |_| {}).await;
    for mono_ms in [1_000, 2_000, 3_000] {
        safe(gateway.hub.publish(reading(mono_ms)).await).await;
    }
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    proxy.refuse(false);
    collector.one("up/shed/dev/a", "3").await;
    gateway.until_delivered(3).await;
    assert!(!collector.firsts().contains_key("up/shed/dev/sensor"));
    assert_eq!(gateway.bridge.status().backlog, 6, "nothing behind a reading that waits is told to the store");
    set(&hand);
    gateway.until_drained().await;
    hand.turn(|stamp| stamp.wall_ms -= 3_600_000);
    safe(gateway.hub.publish(reading(4_000)).await).await;
    let time = |at: &str| format!(r#"{{"value":21.4,"unit":"°C","time":"2026-11-22T10:14:{at}Z","quality":"ok""#);
    let all = |all: &[Arrived]| all.iter().filter(|arrived| arrived.topic.ends_with("sensor")).count() == 4;
    collector.until("readings", all).await;
    let readings = collector.firsts()["up/shed/dev/sensor"].clone();
    for (payload, at) in readings.iter().zip(["51.000", "52.000", "53.000", "54.000"]) {
        assert!(payload.starts_with(&time(at)) && payload.contains("corrected"), "{payload}");
    }
}

#[tokio::test]
async fn a_clock_that_is_never_set_holds_readings_no_longer_than_configured() {
    let (options, hand) = unset();
    let (_cloud, proxy, mut collector, gateway) = unreachable(options, |_| {}).await;
    safe(gateway.hub.publish(reading(1_000)).await).await;
    safe(gateway.hub.publish(reading(9_000)).await).await;
    proxy.refuse(false);
    gateway.until_up().await;
    hand.turn(|stamp| stamp.mono_ms = 601_000);
    gateway.until_delivered(1).await;
    collector.until("the first reading", |all| !all.is_empty()).await;
    assert!(collector.all[0].payload.contains(r#""time_quality":"unsynced""#), "{:?}", collector.all);
    assert_eq!(gateway.bridge.status().backlog, 1, "the second waits");
}

/// An acknowledgement that ends the wait of the main chain is the last thing that happens: nothing else wakes the link.
#[tokio::test]
async fn a_record_that_waits_for_the_express_chain_goes_as_soon_as_that_is_acknowledged() {
    let mut fresh = None;
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic == "up/shed/dev/new" => {
            fresh = Some(*id);
            nothing()
        }
        // The last record before the one that waits, and with it the one that it waits for.
        Got::Publish(id, _, _, payload) if payload == "100" => {
            let acks = [Some(*id), fresh].into_iter().flatten().flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]);
            Answer::Bytes(acks.collect())
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let proxy = Proxy::start(fake.address).await;
    proxy.refuse(true);
    let mut settings = settings(proxy.address());
    settings.replay.rate_per_s = 100;
    let gateway = Gateway::start(settings, quick()).await;
    gateway.acknowledged("shed/dev/old", 1..=100).await;
    proxy.refuse(false);
    gateway.until_delivered(1).await;
    let receipts = [gateway.publish("shed/dev/new", "1").await, gateway.publish("shed/dev/old", "101").await];
    for receipt in receipts {
        safe(receipt).await;
    }
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/new"), ["1"]);
    assert_eq!(fake.payloads("up/shed/dev/old").last().map(String::as_str), Some("101"));
}
