//! Chains of which nothing is dropped.

use std::time::Duration;

use weir::model::Name;
use weir::store::disk::sim::SimDisk;
use weir::store::{Cause, ChainKey, Settings, Settled};

use crate::support::{all, chain, open, put, settings, settle, soon};

fn key(class: u8) -> ChainKey {
    ChainKey { queue: Name::new("hub").unwrap(), class }
}

/// Three times the quota goes through a chain of the same class: only that one loses records.
#[tokio::test]
async fn at_the_quota_a_pinned_chain_loses_nothing() {
    let store = open(SimDisk::new(1), settings());
    let pinned = store.pinned(key(0));
    let other = chain(&store, "cloud", 0);
    for number in 0..20_u8 {
        assert_eq!(put(&pinned, &[number; 3000]).await, Settled::Durable);
    }
    for _ in 0..60 {
        assert_eq!(put(&other, &[7; 30_000]).await, Settled::Durable);
    }
    assert!(other.gaps().iter().all(|gap| gap.cause == Cause::Quota) && !other.gaps().is_empty());
    assert!(pinned.gaps().is_empty());
    let records = all(&pinned).await;
    assert_eq!(records.iter().map(|record| record.bytes[0]).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

/// Others wait until nothing more arrives, up to `max_loss`; whoever waits for a pinned chain does not.
#[tokio::test]
async fn a_pinned_chain_commits_while_more_arrives() {
    let hour = Duration::from_secs(3600);
    let store = open(SimDisk::new(1), Settings { max_loss: hour, ..settings() });
    let pinned = store.pinned(key(0));
    let (settle, mut told) = settle();
    pinned.offer(b"waited for".to_vec(), Some(settle)).unwrap();
    let outcome = soon(async {
        loop {
            tokio::select! {
                biased;
                outcome = &mut told => break outcome.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(1)) => drop(pinned.offer(b"more".to_vec(), None)),
            }
        }
    });
    assert_eq!(outcome.await, Settled::Durable);
}

/// A chain that always has something due leaves the disk to others in time.
#[tokio::test]
async fn a_busy_pinned_chain_does_not_starve_others() {
    let store = open(SimDisk::new(1), Settings { max_commits_per_s: 20, ..settings() });
    let (pinned, other) = (store.pinned(key(0)), chain(&store, "cloud", 2));
    let busy = async {
        loop {
            put(&pinned, b"again and again").await;
        }
    };
    tokio::select! {
        () = busy => unreachable!("it never ends"),
        outcome = put(&other, b"now and then") => assert_eq!(outcome, Settled::Durable),
    }
}
