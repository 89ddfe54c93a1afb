//! Links that cost money: what they cost, what a budget holds back, and sessions by schedule.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use weir::bridge::{Batch, Budget, Class, Connect, Forward, Options, Settings, Timing};
use weir::format::batch::{self, Compress, Content, Encoding};
use weir::model::{BootId, Filter, Format, Measure, Message, Quality, Sample, Source, Spread, Stamp, TimeQuality};
use weir::runtime::Clock;
use weir::store::Cause;

use crate::common::collector::Collector;
use crate::common::mosquitto::Mosquitto;
use crate::fake::{Fake, Got, kind};
use crate::harness::{Gateway, PATIENCE, forward, message, name, quick, safe, settings};

const HOUR: Duration = Duration::from_secs(3600);

fn with_alarms(fake: &Fake) -> Settings {
    let alarms = Forward { class: Class::Alarm, ..forward("shed/dev/alarm") };
    Settings { forward: vec![alarms, forward("shed/dev/#")], ..settings(fake.address) }
}

/// Sessions end after a tenth of a second of quiet.
fn brief() -> Options {
    Options { timing: Timing { quiet: Duration::from_millis(100), ..quick().timing }, ..Options::default() }
}

fn count(got: &[Got], wanted: impl Fn(&Got) -> bool) -> usize {
    got.iter().filter(|got| wanted(got)).count()
}

fn connects(got: &[Got]) -> usize {
    count(got, |got| matches!(got, Got::Connect(_)))
}

#[tokio::test]
async fn every_byte_on_the_wire_is_counted_handshakes_and_headers_too() {
    let fake = kind().await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    gateway.until_drained().await;
    fake.until("our status", |got| count(got, |got| matches!(got, Got::Publish(..))) == 1).await;
    let before = gateway.bridge.status().wire;
    // SYN, CONNECT, the acknowledgement of each answer, and the status.
    assert!(before.sent > 112 + 5 * 52, "{before:?}");
    gateway.publish("shed/dev/a", &"x".repeat(10_000)).await;
    gateway.until_drained().await;
    let after = gateway.bridge.status().wire;
    let (sent, received) = (after.sent - before.sent, after.received - before.received);
    // Eight segments at least, each with its headers; what the status' PUBACK adds may come late.
    assert!((10_000 + 8 * 52..10_000 + 1200).contains(&sent), "{sent}");
    assert!((4 * 52 + 56..800).contains(&received), "{received}");
}

#[tokio::test]
async fn when_the_budget_is_spent_only_alarms_leave_and_the_rest_waits_in_the_store() {
    let fake = kind().await;
    let dir = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let options = || Options { state_dir: Some(state.path().to_owned()), ..quick() };
    // Less than one connection costs.
    let spent = Some(Budget { per_month: 500, resets_on_day: 1, reserve: 100 });
    let gateway = Gateway::start_in(dir.path(), Settings { budget: spent, ..with_alarms(&fake) }, options()).await;
    let topic = Filter::new("shed/bridge/cloud/budget").unwrap();
    let mut told = gateway.hub.subscribe(vec![topic], 16);
    gateway.until_up().await;
    let urgent = async {
        loop {
            let delivery = told.recv().await.unwrap();
            let document: Value = serde_json::from_slice(&delivery.message.payload).unwrap();
            if document["state"] == "urgent-only" {
                break document;
            }
        }
    };
    let document = tokio::time::timeout(PATIENCE, urgent).await.unwrap();
    assert!(document["used"].as_u64() > document["per_month"].as_u64().map(|bytes| bytes - 100), "{document}");
    gateway.acknowledged("shed/dev/a", 1..=5).await;
    gateway.acknowledged("shed/dev/alarm", [9]).await;
    fake.until("the alarm", |got| {
        count(got, |got| matches!(got, Got::Publish(_, _, topic, _) if topic.ends_with("alarm"))) == 1
    })
    .await;
    assert_eq!(fake.payloads("up/shed/dev/a"), [""; 0]);
    assert_eq!(gateway.bridge.status().backlog, 5);
    gateway.stop().await;
    // It is still spent after a restart; with another month's money everything leaves.
    let gateway = Gateway::start_in(dir.path(), Settings { budget: spent, ..with_alarms(&fake) }, options()).await;
    let status = gateway.bridge.status().budget.unwrap();
    assert!(status.state == "urgent-only" && status.used > 500, "{status:?}");
    gateway.stop().await;
    let plenty = Some(Budget { per_month: 1_000_000_000, resets_on_day: 1, reserve: 0 });
    let gateway = Gateway::start_in(dir.path(), Settings { budget: plenty, ..with_alarms(&fake) }, options()).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/a"), ["1", "2", "3", "4", "5"]);
    gateway.stop().await;
}

#[tokio::test]
async fn while_money_is_short_the_readings_of_a_topic_leave_as_one_with_their_ends_and_count() {
    let fake = kind().await;
    let state = tempfile::tempdir().unwrap();
    // Half the month has passed, and a fifth too much is spent.
    let wall_ms = 1_794_787_200_000; // 2026-11-16T00:00:00Z
    let used = (1.2 * 1e12 * 0.55 / 1.05) as u64;
    let file = format!("{{\"from_ms\":{},\"used\":{used},\"passed\":0.5}}", wall_ms - 15 * 86_400_000_i64);
    std::fs::write(state.path().join("budget-cloud.json"), file).unwrap();
    let stamp = Stamp { wall_ms, mono_ms: 60_000, boot: BootId([1; 16]), quality: TimeQuality::Synced };
    let (clock, _hand) = Clock::by_hand(stamp);
    let options = Options { state_dir: Some(state.path().to_owned()), clock: Some(clock), ..quick() };
    let batch = Batch {
        max_count: 4,
        max_bytes: 1000,
        max_age: HOUR,
        encoding: Encoding::Json,
        compress: Compress::None,
        topic: None,
    };
    let alarms = Forward { class: Class::Alarm, ..forward("shed/dev/alarm") };
    let readings = Forward { batch: Some(batch), ..forward("shed/dev/#") };
    let budget = Some(Budget { per_month: 1_000_000_000_000, resets_on_day: 1, reserve: 0 });
    let settings = Settings { forward: vec![alarms, readings], budget, ..settings(fake.address) };
    let gateway = Gateway::start(settings, options).await;
    assert_eq!(gateway.bridge.status().budget.unwrap().state, "summaries");
    gateway.until_up().await;
    for (sequence, value) in (1..).zip([20.0, 30.0, 25.0, 21.0, 29.0, 25.0]) {
        let reading = Measure::fixed("temperature", "°C", -40.0, 85.0, 1).is(value);
        let stamp = Stamp { wall_ms: wall_ms + sequence as i64 * 1000, ..stamp };
        let sample = Sample { sensor: name("greenhouse"), reading, stamp, quality: Quality::Ok, sequence };
        let source = Some(Arc::new(Source { sample, format: Format::Json }));
        safe(gateway.hub.publish(Message { source, ..message("shed/dev/t", "{}") }).await).await;
    }
    // Of a counter every value counts.
    for sequence in 1..=2 {
        let reading = Measure::fixed("count", "", 0.0, 1e9, 0).exact().is(sequence as f64);
        let sample = Sample { sensor: name("door"), reading, stamp, quality: Quality::Ok, sequence };
        let source = Some(Arc::new(Source { sample, format: Format::Json }));
        safe(gateway.hub.publish(Message { source, ..message("shed/dev/count", "{}") }).await).await;
    }
    gateway.acknowledged("shed/dev/other", [7]).await;
    assert_eq!(fake.payloads("up/shed/batch/telemetry"), [""; 0], "more than max_count wait while money is short");
    gateway.acknowledged("shed/dev/alarm", [9]).await;
    gateway.until_drained().await;
    let payloads = fake.payloads("up/shed/batch/telemetry");
    let entries = batch::decode(payloads.concat().as_bytes(), None).unwrap();
    assert_eq!((payloads.len(), entries.len()), (1, 4), "{payloads:?}");
    let spread = Some(Spread { min: 20.0, max: 30.0, count: 6, over_ms: 5000 });
    let Content::Reading { value, spread: found, .. } = &entries[0].content else { panic!("{entries:?}") };
    assert_eq!((*value, found, entries[0].key.as_ref().unwrap().sequence), (25.0, &spread, 6));
    // The books tell that five of them went into the sixth; the cloud knows it by the count, and is not told once more.
    let books = || {
        let chains = gateway.store.status().chains;
        let chain = chains.into_iter().find(|chain| chain.key.class == Class::Telemetry as u8).unwrap();
        assert_eq!(chain.stored, chain.acknowledged + chain.waiting + chain.dropped.total(), "{chain:?}");
        chain
    };
    let told = async {
        while books().dropped.of(Cause::Thinned) != 5 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!((books().stored, books().acknowledged), (9, 4));
    assert!(books().gaps.iter().all(|gap| gap.told && gap.cause == Cause::Thinned), "{:?}", books().gaps);
    assert_eq!(fake.payloads("up/shed/bridge/cloud/gap"), [""; 0]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_scheduled_session_drains_and_ends_and_comes_again() {
    let fake = kind().await;
    let every = Duration::from_millis(700);
    let settings = Settings { connect: Connect::Scheduled(every), ..with_alarms(&fake) };
    let gateway = Gateway::start(settings, brief()).await;
    gateway.until_condition("asleep", |condition| condition.asleep_until_ms.is_some()).await;
    assert_eq!(connects(&fake.got()), 1);
    let status =
        |got: &[Got]| count(got, |got| matches!(got, Got::Publish(_, _, _, text) if text.contains("scheduled")));
    assert_eq!(status(&fake.got()), 1, "the cloud knows that we sleep");
    fake.until("goodbye", |got| got.contains(&Got::Disconnect)).await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    fake.until("a second session", |got| connects(got) == 2).await;
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/a"), ["1", "2", "3"]);
    gateway.stop().await;
}

#[tokio::test]
async fn an_alarm_wakes_a_scheduled_bridge_at_once_and_takes_along_what_waits() {
    let fake = kind().await;
    let settings = Settings { connect: Connect::Scheduled(HOUR), ..with_alarms(&fake) };
    let gateway = Gateway::start(settings, brief()).await;
    gateway.until_condition("asleep", |condition| condition.asleep_until_ms.is_some()).await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    assert_eq!(connects(&fake.got()), 1);
    gateway.acknowledged("shed/dev/alarm", [9]).await;
    gateway.until_drained().await;
    assert_eq!((fake.payloads("up/shed/dev/alarm").len(), fake.payloads("up/shed/dev/a").len()), (1, 3));
    gateway.until_condition("asleep again", |condition| condition.asleep_until_ms.is_some()).await;
    assert_eq!(connects(&fake.got()), 2);
}

#[tokio::test]
async fn a_scheduled_bridge_gets_what_a_real_broker_kept_for_it() {
    let cloud = Mosquitto::start().await;
    let mut collector = Collector::start(cloud.address(), "up/#");
    let every = Duration::from_millis(900);
    let settings = Settings {
        connect: Connect::Scheduled(every),
        receive: vec![crate::harness::receive("down/cmd/#", "down/")],
        ..settings(cloud.address())
    };
    let gateway = Gateway::start(settings, brief()).await;
    let mut heard = gateway.hub.subscribe(vec![Filter::new("cmd/#").unwrap()], 16);
    gateway.until_condition("asleep", |condition| condition.asleep_until_ms.is_some()).await;
    crate::receive::publish_at(cloud.address(), "down/cmd/pump", "on", &[]);
    gateway.acknowledged("shed/dev/a", [1]).await;
    let command = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    assert_eq!(&*command.message.payload, b"on");
    collector.one("up/shed/dev/a", "1").await;
    gateway.stop().await;
}
