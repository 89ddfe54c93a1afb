//! The books against a cloud that counts for itself: through drops at the quota, what the consumer gives up,
//! restarts and power cuts, `stored` = `acknowledged` + `waiting` + `dropped`, and each of them is true.

use std::collections::BTreeSet;
use std::time::Duration;

use weir::store::disk::sim::SimDisk;
use weir::store::{Cause, Chain, ChainStatus, Settings, Settled, Store};

use crate::support::{all, chain, open, put, settings, soon, until};

/// Stories per run of the test.
const SEEDS: u64 = 24;
/// Things that happen in each.
const STEPS: usize = 14;

/// What the cloud and the consumer know for themselves.
#[derive(Default)]
struct Known {
    /// Records that were durable.
    stored: u64,
    /// Sequences that the cloud has.
    delivered: BTreeSet<u64>,
    /// Sequences that were given up.
    given_up: BTreeSet<u64>,
}

struct Story {
    rng: fastrand::Rng,
    disk: SimDisk,
    store: Store,
    chain: Chain,
    known: Known,
}

/// Commits at once.
fn quick() -> Settings {
    Settings { max_loss: Duration::from_millis(1), ..settings() }
}

impl Story {
    fn begin(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let store = open(disk.clone(), quick());
        let chain = chain(&store, "cloud", 2);
        Self { rng: fastrand::Rng::with_seed(seed), disk, store, chain, known: Known::default() }
    }

    fn status(&self) -> ChainStatus {
        self.store.status().chains.into_iter().find(|chain| chain.key.class == 2).expect("it was asked for")
    }

    async fn step(&mut self) {
        match self.rng.u8(0..10) {
            0..=4 => self.store_some().await,
            5 | 6 => self.deliver(false).await,
            7 => self.deliver(true).await,
            8 => self.restart().await,
            _ => self.cut(),
        }
        self.judge().await;
    }

    async fn store_some(&mut self) {
        for _ in 0..self.rng.u64(1..25) {
            let len = self.rng.usize(1..30_000);
            assert_eq!(put(&self.chain, &vec![7; len]).await, Settled::Durable);
            self.known.stored += 1;
        }
    }

    /// The cloud gets the oldest records; when `half`, every second of them is given up instead.
    async fn deliver(&mut self, half: bool) {
        // Not all of them: what was read is in flight, and the quota has to find something.
        let records = soon(self.chain.read(self.chain.first_unacked(), 40_000)).await.expect("a good disk");
        let Some(last) = records.last().map(|record| record.sequence) else { return };
        for sequence in records.iter().map(|record| record.sequence) {
            if half && sequence.is_multiple_of(2) {
                self.chain.give_up(sequence, sequence, Cause::Expired, None);
                self.known.given_up.insert(sequence);
            } else {
                self.known.delivered.insert(sequence);
            }
        }
        self.chain.ack(last);
    }

    async fn restart(&mut self) {
        self.store.clone().close().await.expect("a good disk");
        self.open(self.disk.clone());
    }

    /// Acknowledgements that were not on the disk are forgotten: those records come again.
    fn cut(&mut self) {
        let seed = self.rng.u64(..);
        self.open(self.disk.crash(seed));
        let first = self.chain.first_unacked();
        self.known.delivered.retain(|sequence| *sequence < first);
        self.known.given_up.retain(|sequence| *sequence < first);
    }

    fn open(&mut self, disk: SimDisk) {
        self.disk = disk.clone();
        self.store = open(disk, quick());
        self.chain = chain(&self.store, "cloud", 2);
    }

    /// What is known without the store against what it says, as soon as it has counted the last step.
    async fn judge(&self) {
        until(|| {
            let status = self.status();
            let (delivered, given_up) = (self.known.delivered.len() as u64, self.known.given_up.len() as u64);
            let same = [status.stored, status.acknowledged, status.dropped.of(Cause::Expired)];
            let listed: u64 = status.gaps.iter().map(|gap| gap.records).sum();
            same == [self.known.stored, delivered, given_up]
                && status.stored == status.acknowledged + status.waiting + status.dropped.total()
                && listed == status.dropped.total()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_are_true_through_drops_restarts_and_power_cuts() {
    let mut dropped = 0;
    for seed in 0..SEEDS {
        let mut story = Story::begin(seed);
        for _ in 0..STEPS {
            story.step().await;
        }
        let there = all(&story.chain).await.len() as u64;
        until(|| story.status().waiting == there).await;
        dropped += story.status().dropped.of(Cause::Quota);
    }
    assert!(dropped > 0, "no story was long enough for the quota");
}
