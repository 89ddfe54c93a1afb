//! What a commit costs, counted on the simulated disk.

use weir::store::disk::Flush;
use weir::store::disk::sim::SimDisk;
use weir::store::{Settings, Settled};

use crate::support::{all, chain, open, put, settings, soon};

fn flushes(disk: &SimDisk) -> u64 {
    disk.counts().flushes.values().sum()
}

#[tokio::test]
async fn a_commit_is_one_flush_and_one_block_in_new_and_in_used_segments() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), settings());
    let chain = chain(&store, "cloud", 2);
    // 3,000 bytes share no block: 14 commits fill a segment.
    for round in 0..60 {
        let (before, bytes, totals) = (flushes(&disk), disk.counts().bytes_written, store.status().totals);
        assert_eq!(put(&chain, &[7; 3000]).await, Settled::Durable);
        let now = store.status().totals;
        let quiet = now.commits == totals.commits + 1 && now.recycled == totals.recycled;
        let segments = disk.sizes().len();
        if quiet && flushes(&disk) == before + 1 {
            assert_eq!(disk.counts().bytes_written - bytes, 4096, "round {round} with {segments} files");
        }
        chain.ack(chain.next_sequence() - 1);
    }
    let totals = store.status().totals;
    assert!(totals.recycled >= 2, "{totals:?}");
    soon(store.close()).await.unwrap();
    let counts = disk.counts();
    let commits = counts.flushes[&Flush::Frame];
    assert_eq!(commits, 60);
    // Beside them only what a segment costs once: header, directory, acknowledgement.
    let uses = counts.flushes[&Flush::Header];
    let others: u64 = counts.flushes.iter().filter(|(kind, _)| **kind != Flush::Frame).map(|(_, count)| count).sum();
    assert!(others <= 4 * uses + 8, "{counts:?}");
}

#[tokio::test]
async fn what_the_receiver_has_in_time_is_never_written() {
    let disk = SimDisk::new(2);
    let store = open(disk.clone(), Settings { max_loss: std::time::Duration::from_secs(3600), ..settings() });
    let chain = chain(&store, "cloud", 2);
    let before = disk.counts();
    for _ in 0..500 {
        let sequence = chain.offer(vec![1; 64], None).unwrap();
        chain.ack(sequence);
    }
    soon(store.close()).await.unwrap();
    assert_eq!(disk.counts().bytes_written, before.bytes_written);
    assert_eq!(disk.sizes().len(), 1, "only the ledger: {:?}", disk.sizes());
}

#[tokio::test]
async fn a_batch_costs_little_more_than_its_bytes() {
    let disk = SimDisk::new(3);
    let long = Settings {
        max_loss: std::time::Duration::from_secs(3600),
        max_size: 1 << 22,
        segment_size: 1 << 20,
        ..settings()
    };
    let store = open(disk.clone(), long);
    let chain = chain(&store, "cloud", 2);
    for _ in 0..500 {
        chain.offer(vec![1; 90], None).unwrap();
    }
    let before = disk.counts().bytes_written;
    soon(store.close()).await.unwrap();
    let per_record = (disk.counts().bytes_written - before - 4096) / 500;
    assert!(per_record <= 120, "{per_record} bytes a record of 90");
}

#[tokio::test]
async fn the_quota_holds_and_what_it_cost_is_told() {
    let disk = SimDisk::new(4);
    let store = open(disk.clone(), settings());
    let (alarm, bulk) = (chain(&store, "cloud", 0), chain(&store, "cloud", 3));
    assert_eq!(put(&alarm, b"fire").await, Settled::Durable);
    for _ in 0..200 {
        assert_eq!(put(&bulk, &[7; 3000]).await, Settled::Durable);
    }
    let used: u64 = disk.sizes().iter().map(|(_, size)| size).sum();
    assert!(used <= settings().max_size, "{used}");
    assert_eq!(all(&alarm).await.len(), 1);
    assert!(alarm.gaps().is_empty());
    let (records, gaps) = (all(&bulk).await, bulk.gaps());
    let lost: u64 = gaps.iter().map(|gap| gap.last - gap.first + 1).sum();
    assert_eq!(gaps.first().map(|gap| gap.first), Some(1), "{gaps:?}");
    assert_eq!(records.len() as u64 + lost, 200);
    soon(store.close()).await.unwrap();
}

/// Telemetry fills all it may have; alarms have a tenth of the quota for themselves, and take more only from it.
#[tokio::test]
async fn important_records_have_a_share_that_others_cannot_take() {
    let disk = SimDisk::new(5);
    let large = Settings { max_size: 128 * 1024 + 20 * 64 * 1024, ..settings() };
    let store = open(disk.clone(), large.clone());
    let (alarm, telemetry) = (chain(&store, "cloud", 0), chain(&store, "cloud", 2));
    for _ in 0..70 {
        assert_eq!(put(&telemetry, &[7; 30_000]).await, Settled::Durable);
    }
    crate::support::until(|| store.status().totals.commits == 70).await;
    let lost = |store: &weir::store::Store| store.status().chains.iter().map(|chain| chain.lost).sum::<u64>();
    let before = lost(&store);
    assert!(before > 0);
    // Each of these records fills a segment.
    for _ in 0..2 {
        assert_eq!(put(&alarm, &[1; 30_000]).await, Settled::Durable);
    }
    crate::support::until(|| store.status().totals.commits == 72).await;
    assert_eq!(lost(&store), before, "two segments of alarms cost nobody anything");
    for _ in 0..6 {
        assert_eq!(put(&alarm, &[1; 30_000]).await, Settled::Durable);
    }
    crate::support::until(|| lost(&store) > before).await;
    assert!(alarm.gaps().is_empty());
    let used: u64 = disk.sizes().iter().map(|(_, size)| size).sum();
    assert!(used <= large.max_size, "{used}");
}

/// A drop at the quota keeps the disk from everybody: what was written in this run is not read for it.
#[tokio::test]
async fn what_is_dropped_is_not_read() {
    let disk = SimDisk::new(7);
    let store = open(disk.clone(), Settings { max_size: 5 << 20, segment_size: 1 << 20, ..settings() });
    let bulk = chain(&store, "cloud", 3);
    let fill = async |upto| {
        // So many bytes are committed at once.
        for _ in 0..50 {
            bulk.offer(vec![7; 30_000], None).unwrap();
            bulk.offer(vec![7; 30_000], None).unwrap();
            assert_eq!(put(&bulk, &[7; 30_000]).await, Settled::Durable);
        }
        crate::support::until(|| store.status().totals.records == upto).await;
    };
    fill(150).await;
    let (reads, lost) = (disk.counts().reads, store.status().chains[0].lost);
    fill(300).await;
    // A whole segment takes 16 reads.
    let (reads, lost) = (disk.counts().reads - reads, store.status().chains[0].lost - lost);
    assert!(lost >= 100 && reads < 10 * (lost / 30), "{reads} reads for {lost} records");
    let waiting = all(&bulk).await.len() as u64;
    assert_eq!(bulk.gaps().iter().map(|gap| gap.records).sum::<u64>() + waiting, 300);
    soon(store.close()).await.unwrap();
}

/// A chain with a few records in its only segment keeps them while others have older segments to give.
#[tokio::test]
async fn the_only_segment_of_a_chain_stays_while_others_have_more() {
    let store = open(SimDisk::new(6), settings());
    let (telemetry, bulk) = (chain(&store, "cloud", 2), chain(&store, "cloud", 3));
    assert_eq!(put(&bulk, b"few").await, Settled::Durable);
    for _ in 0..40 {
        assert_eq!(put(&telemetry, &[7; 30_000]).await, Settled::Durable);
    }
    assert!(bulk.gaps().is_empty() && !telemetry.gaps().is_empty());
    assert_eq!(all(&bulk).await.len(), 1);
}

/// Bytes and flushes for a record of 100 bytes (64 of payload, the rest topic and head), 500 in a commit: with new
/// segments, and with used ones.
#[tokio::test]
async fn an_outage_costs_little_more_than_its_records_and_a_flush_a_commit() {
    for (recycled, most_bytes) in [(false, 165), (true, 150)] {
        let disk = SimDisk::new(7);
        let roomy = Settings { max_size: 64 << 20, segment_size: 1 << 20, ..settings() };
        let store = open(disk.clone(), roomy);
        let chain = chain(&store, "cloud", 2);
        let round = async || {
            for _ in 1..500 {
                chain.offer(vec![7; 100], None).unwrap();
            }
            assert_eq!(put(&chain, &[7; 100]).await, Settled::Durable);
        };
        // Enough to have some used segments.
        for _ in 0..if recycled { 60 } else { 0 } {
            round().await;
            chain.ack(chain.next_sequence() - 1);
        }
        crate::support::until(|| store.status().chains.iter().all(|chain| chain.pending == 0)).await;
        let (before, totals) = (disk.counts(), store.status().totals);
        for _ in 0..60 {
            round().await;
            if recycled {
                chain.ack(chain.next_sequence() - 1);
            }
        }
        let (after, now) = (disk.counts(), store.status().totals);
        let bytes = (after.bytes_written - before.bytes_written) / (60 * 500);
        assert!(bytes <= most_bytes, "{bytes} bytes a record, recycled: {recycled}");
        assert!(!recycled || now.recycled > totals.recycled);
        let (commits, flushes) = (now.commits - totals.commits, now.flushes - totals.flushes);
        assert!(flushes * 10 <= commits * 14, "{flushes} flushes for {commits} commits, recycled: {recycled}");
    }
}
