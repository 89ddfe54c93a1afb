//! What the asynchronous handles promise.

use std::time::Duration;

use weir::store::disk::sim::SimDisk;
use weir::store::{Cause, CloseError, ReadError, Refused, Settings, Settled, WhenFull};

use crate::support::{all, chain, open, put, settings, settle, soon, until};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_waiting_connection_gets_its_commit_and_an_own_sample_waits_for_the_window() {
    let store = open(SimDisk::new(1), Settings { max_loss: HOUR, ..settings() });
    let chain = chain(&store, "cloud", 2);
    chain.offer(b"own".to_vec(), None).unwrap();
    // Nothing else arrives: fifty milliseconds later both are on the disk.
    assert_eq!(put(&chain, b"published").await, Settled::Durable);
    chain.offer(b"own again".to_vec(), None).unwrap();
    until(|| store.status().totals.records == 2).await;
    assert_eq!(store.status().chains[0].pending, 1);
    let texts: Vec<_> = all(&chain).await.iter().map(|record| record.bytes.to_vec()).collect();
    assert_eq!(texts, [b"own".to_vec(), b"published".to_vec(), b"own again".to_vec()]);
    soon(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_slow_receiver_gets_twice_its_time_before_anything_is_written() {
    let store = open(SimDisk::new(1), Settings { max_loss: HOUR, ..settings() });
    let chain = chain(&store, "cloud", 2);
    chain.hint_round_trip(HOUR);
    let (settle, told) = settle();
    let sequence = chain.offer(b"x".to_vec(), Some(settle)).unwrap();
    assert_eq!(soon(chain.read(1, 100)).await.unwrap().len(), 1);
    chain.ack(sequence);
    assert_eq!(soon(told).await.unwrap(), Settled::Acked);
    assert_eq!(store.status().totals.commits, 0);
    assert_eq!(store.status().chains[0].elided, 1);
}

#[tokio::test]
async fn memory_is_bounded_and_room_comes_with_acknowledgements() {
    let store = open(SimDisk::new(1), Settings { max_commits_per_s: 1, ..settings() });
    let chain = chain(&store, "cloud", 2);
    let full = loop {
        if let Err(full) = chain.offer(vec![7; 50_000], None) {
            break full;
        }
    };
    assert_eq!((full.why, full.record.len()), (Refused::NoRoom, 50_000));
    assert!(store.status().chains[0].pending_bytes <= 1024 * 1024 + 50_064);
    chain.ack(chain.next_sequence() - 1);
    soon(chain.room()).await;
    chain.offer(full.record, full.settle).unwrap();
}

#[tokio::test]
async fn a_record_that_never_fits_is_said_to_be_too_large() {
    let store = open(SimDisk::new(1), settings());
    let chain = chain(&store, "cloud", 2);
    assert_eq!(chain.offer(vec![0; 65_536], None).unwrap_err().why, Refused::TooLarge);
    // The largest that fits is really stored.
    assert_eq!(put(&chain, &[5; 55_000]).await, Settled::Durable);
    assert_eq!(all(&chain).await[0].bytes.len(), 55_000);
}

#[tokio::test]
async fn more_wakes_a_reader() {
    let store = open(SimDisk::new(1), settings());
    let chain = chain(&store, "cloud", 2);
    let reader = chain.clone();
    let waiting = tokio::spawn(async move {
        reader.more(0).await;
        reader.read(1, 100).await.unwrap()
    });
    tokio::task::yield_now().await;
    chain.offer(b"x".to_vec(), None).unwrap();
    assert_eq!(soon(waiting).await.unwrap().len(), 1);
}

#[tokio::test]
async fn at_the_quota_a_store_may_refuse_and_takes_again_after_delivery() {
    let store = open(SimDisk::new(1), Settings { when_full: WhenFull::Reject, ..settings() });
    let chain = chain(&store, "cloud", 2);
    let mut kept = 0;
    while put(&chain, &[7; 3000]).await == Settled::Durable {
        kept += 1;
        assert!(kept < 200, "the quota does not hold");
    }
    assert_eq!(chain.offer(b"x".to_vec(), None).unwrap_err().why, Refused::Quota);
    assert_eq!(all(&chain).await.len(), kept);
    assert!(chain.gaps().iter().all(|gap| gap.cause == Cause::NotKept), "what was kept is there");
    chain.ack(kept as u64);
    soon(chain.room()).await;
    assert_eq!(put(&chain, b"again").await, Settled::Durable);
}

#[tokio::test]
async fn closing_keeps_what_waits_and_ends_every_handle() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), Settings { max_loss: HOUR, ..settings() });
    let (id, start) = (store.id(), store.start_number());
    let chain_before = chain(&store, "cloud", 2);
    chain_before.offer(b"kept".to_vec(), None).unwrap();
    let other = store.clone();
    soon(store.close()).await.unwrap();
    assert_eq!(chain_before.offer(b"late".to_vec(), None).unwrap_err().why, Refused::Closed);
    assert_eq!(soon(chain_before.read(1, 100)).await, Err(ReadError::Closed));
    soon(chain_before.more(99)).await;
    soon(chain_before.room()).await;
    assert!(matches!(soon(other.close()).await, Err(CloseError::Gone)));

    let store = open(disk, settings());
    assert_eq!((store.id(), store.start_number()), (id, start + 1));
    let records = all(&chain(&store, "cloud", 2)).await;
    assert_eq!((records.len(), records[0].start, &*records[0].bytes), (1, start, b"kept".as_slice()));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_too() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), Settings { max_loss: HOUR, ..settings() });
    chain(&store, "cloud", 2).offer(b"kept".to_vec(), None).unwrap();
    drop(store);
    // The lock is free once the thread has ended.
    until(|| weir::store::Store::open(Box::new(disk.clone()), settings()).is_ok()).await;
    let store = soon(async {
        loop {
            match weir::store::Store::open(Box::new(disk.clone()), settings()) {
                Ok(store) => break store,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(all(&chain(&store, "cloud", 2)).await.len(), 1);
}

/// Only the frames of another chain tell of its acknowledgement: after a kill its sequences go on behind that. What got
/// an older one would count as delivered as soon as it is on the disk.
#[tokio::test]
async fn a_chain_that_never_wrote_a_record_goes_on_behind_what_was_delivered_before_a_kill() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), Settings { max_loss: HOUR, ..settings() });
    let [elided, other] = [10, 2].map(|class| chain(&store, "cloud", class));
    for _ in 0..3 {
        elided.offer(b"x".to_vec(), None).unwrap();
    }
    elided.ack(3);
    assert_eq!(put(&other, b"y").await, Settled::Durable);

    let store = open(disk.kill(), settings());
    let elided = chain(&store, "cloud", 10);
    assert_eq!((elided.first_unacked(), elided.next_sequence()), (4, 4));
    assert_eq!(put(&elided, b"new").await, Settled::Durable);
    assert_eq!(all(&elided).await.len(), 1, "it is on the disk and not delivered");
}
