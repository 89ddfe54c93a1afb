//! The real store with too little room: detail goes, counts and means stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Thinner;
use crate::bridge::record::{Body, Record};
use crate::model::{BootId, Format, Measure, Name, Qos, Quality, Sample, Source, Spread, Stamp, TimeQuality, Topic};
use crate::store::disk::sim::SimDisk;
use crate::store::{Cause, Chain, ChainKey, ChainStatus, Full, Refused, Settings, Store, WhenFull};

const BOOT: BootId = BootId([3; 16]);

fn open(disk: SimDisk) -> Store {
    let settings = Settings {
        dir: std::path::PathBuf::new(),
        max_size: 1 << 20,
        segment_size: 64 << 10,
        max_loss: Duration::from_millis(5),
        when_full: WhenFull::Thin,
        max_commits_per_s: 1000,
    };
    Store::open(Box::new(disk), settings).unwrap()
}

fn cloud() -> Name {
    Name::new("cloud").unwrap()
}

fn chain(store: &Store, class: u8) -> Chain {
    store.chain(ChainKey { queue: cloud(), class })
}

/// The reading number `n` of a sensor that is read ten times a second; every seventh is of a counter.
fn reading(n: u64) -> Record {
    let (stamp_ms, exact) = (n * 100, n.is_multiple_of(7));
    let stamp = Stamp {
        wall_ms: 1_795_342_440_000 + stamp_ms as i64,
        mono_ms: stamp_ms,
        boot: BOOT,
        quality: TimeQuality::Synced,
    };
    let measure = Measure { exact, ..Measure::named("t", "°C", 2) };
    let value = (n % 1000) as f64 / 10.0;
    let sample = Sample {
        sensor: Name::new("s").unwrap(),
        reading: measure.is(value),
        stamp,
        quality: Quality::Ok,
        sequence: n,
    };
    let topic = Topic::new(if exact { "shed/s/count" } else { "shed/s/t" }).unwrap();
    let body = Body::Sample(Source { sample, format: Format::Json });
    Record { topic, prefix_len: 0, qos: Qos::AtLeastOnce, retain: false, stamp, body }
}

async fn offer(chain: &Chain, record: &Record) {
    let mut bytes = record.encode();
    loop {
        match chain.offer(bytes, None) {
            Ok(_) => return,
            Err(Full { record, why: Refused::NoRoom | Refused::Quota, .. }) => bytes = record,
            Err(full) => panic!("{full:?}"),
        }
        tokio::time::timeout(Duration::from_secs(60), chain.room()).await.expect("there is room again");
    }
}

async fn all(chain: &Chain) -> Vec<Record> {
    let (mut records, mut from) = (Vec::new(), chain.first_unacked());
    loop {
        let more = chain.read(from, 200_000).await.unwrap();
        let Some(last) = more.last() else { return records };
        from = last.sequence + 1;
        records.extend(more.iter().map(|record| Record::decode(&record.bytes).unwrap()));
    }
}

/// Count, sum, least and most.
fn total(records: &[Record]) -> (u64, f64, f64, f64) {
    let mut total = (0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for record in records {
        let Body::Sample(Source { sample, .. }) = &record.body else { panic!("{record:?}") };
        let value = sample.reading.value;
        let spread = sample.reading.spread.unwrap_or(Spread::of(value));
        total.0 += u64::from(spread.count);
        total.1 += value * f64::from(spread.count);
        (total.2, total.3) = (total.2.min(spread.min), total.3.max(spread.max));
    }
    total
}

/// Waits until nothing is in memory only.
async fn written(store: &Store, class: u8) {
    let settled = async {
        while status(store, class).pending > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled).await.expect("the disk is good");
}

fn status(store: &Store, class: u8) -> ChainStatus {
    store.status().chains.into_iter().find(|chain| chain.key.class == class).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_too_small_loses_detail_and_nothing_else() {
    const COUNT: u64 = 30_000;
    let disk = SimDisk::new(7);
    let store = open(disk.clone());
    let (telemetry, alarms) = (chain(&store, 2), chain(&store, 0));
    let stop = CancellationToken::new();
    let thinner = tokio::spawn(Thinner::new(&store).run(stop.clone()));
    let offered: Vec<_> = (0..COUNT).map(reading).collect();
    for (n, record) in offered.iter().enumerate() {
        offer(&telemetry, record).await;
        if n % 100 == 0 {
            offer(&alarms, record).await;
        }
    }
    written(&store, 2).await;
    stop.cancel();
    thinner.await.unwrap();
    store.close().await.unwrap();

    // As it is after a power cut, so that nothing in memory helps.
    let store = open(disk.crash(1));
    let (telemetry, alarms) = (chain(&store, 2), chain(&store, 0));
    let left = all(&telemetry).await;
    let of = |records: &[Record], topic: &str| {
        records.iter().filter(|it| it.topic.as_str() == topic).cloned().collect::<Vec<_>>()
    };
    let (before, after) = (total(&of(&offered, "shed/s/t")), total(&of(&left, "shed/s/t")));
    assert_eq!((before.0, before.2, before.3), (after.0, after.2, after.3));
    assert!((before.1 - after.1).abs() < 1e-6 * before.1, "{} {}", before.1, after.1);
    assert!(of(&left, "shed/s/count") == of(&offered, "shed/s/count"), "every value of a counter is there");
    let kept: Vec<_> = offered.iter().step_by(100).cloned().collect();
    assert!(all(&alarms).await == kept, "alarms are as they were");
    for topic in ["shed/s/t", "shed/s/count"] {
        assert!(of(&left, topic).is_sorted_by_key(|record| record.stamp.mono_ms), "{topic}");
    }
    let status = status(&store, 2);
    let thinned = status.dropped.of(Cause::Thinned);
    assert_eq!((status.dropped.total(), status.stored), (thinned, COUNT), "{status:?}");
    assert_eq!(thinned, COUNT - left.len() as u64);
    let listed: u64 = status.gaps.iter().filter(|gap| gap.cause == Cause::Thinned).map(|gap| gap.records).sum();
    assert_eq!(listed, thinned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_thinned_is_dropped_when_there_is_no_more_room() {
    let store = open(SimDisk::new(8));
    let telemetry = chain(&store, 2);
    let stop = CancellationToken::new();
    let thinner = tokio::spawn(Thinner::new(&store).run(stop.clone()));
    for n in 0..15_000 {
        // Counters only.
        offer(&telemetry, &reading(n * 7)).await;
    }
    written(&store, 2).await;
    stop.cancel();
    thinner.await.unwrap();
    // The handle that is left still tells how it ended.
    store.clone().close().await.unwrap();
    let dropped = status(&store, 2).dropped;
    assert!(dropped.of(Cause::Quota) > 0 && dropped.of(Cause::Thinned) == 0, "{dropped:?}");
}
