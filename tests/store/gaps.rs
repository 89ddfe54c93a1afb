//! What is missing: told with its time and cause, counted, and remembered until the receiver knows.

use std::time::{SystemTime, UNIX_EPOCH};

use weir::store::disk::sim::SimDisk;
use weir::store::{Cause, Chain, ChainStatus, Gap, NotDropped, Settings, Settled, Store, WhenFull};

use crate::support::{all, chain, open, put, settings, soon, until};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Writes far more than the quota holds, and waits until what that cost is known.
async fn overflow(store: &Store, chain: &Chain) {
    let commits = store.status().totals.commits + 60;
    for _ in 0..60 {
        assert_eq!(put(chain, &[7; 30_000]).await, Settled::Durable);
    }
    until(|| store.status().totals.commits == commits).await;
}

fn status(store: &Store) -> ChainStatus {
    store.status().chains.remove(0)
}

/// Every sequence is acknowledged, waiting or dropped.
fn adds_up(store: &Store) -> ChainStatus {
    let status = status(store);
    assert_eq!(status.stored, status.acknowledged + status.waiting + status.dropped.total(), "{status:?}");
    status
}

#[tokio::test]
async fn what_the_quota_took_is_told_with_its_time_until_the_receiver_knows() {
    let (began, disk) = (now_ms(), SimDisk::new(1));
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    let waiting = tokio::spawn({
        let cloud = cloud.clone();
        async move { cloud.new_gap(0).await }
    });
    overflow(&store, &cloud).await;
    soon(waiting).await.unwrap();
    let gaps = cloud.untold();
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert_eq!((gap.first, gap.records, gap.cause, gap.told), (1, gap.last, Cause::Quota, false));
    for time in [gap.from_ms, gap.to_ms, gap.noted_ms] {
        assert!(time.is_some_and(|time| (began..=now_ms()).contains(&time)), "{gap:?}");
    }
    // What was read does not grow: the next loss is another gap.
    overflow(&store, &cloud).await;
    let later: Vec<Gap> = cloud.untold();
    assert_eq!((later.len(), later[0], later[1].first), (2, *gap, gap.last + 1));
    cloud.told(gap);
    until(|| cloud.untold() == later[1..]).await;
    let status = adds_up(&store);
    assert_eq!(status.dropped.of(Cause::Quota), later[1].last);
    soon(store.close()).await.unwrap();

    // What the receiver knows is known after a power cut too, and what it does not know is not forgotten.
    let store = open(disk.crash(3), settings());
    let cloud = chain(&store, "cloud", 2);
    until(|| cloud.gaps().len() == 2).await;
    assert_eq!(cloud.untold(), later[1..]);
    assert_eq!(adds_up(&store).dropped, status.dropped);
    assert_eq!(all(&cloud).await.len() as u64, status.waiting);
}

#[tokio::test]
async fn a_look_at_the_oldest_record_does_not_keep_it_while_the_next_ones_go() {
    let store = open(SimDisk::new(8), settings());
    let cloud = chain(&store, "cloud", 2);
    assert_eq!(soon(cloud.oldest()).await.unwrap(), None);
    assert!(cloud.offer(vec![1; 10], None).is_ok());
    assert_eq!(soon(cloud.oldest()).await.unwrap().unwrap().sequence, 1, "it is in memory only");
    overflow(&store, &cloud).await;
    for round in 0..5 {
        let gaps = cloud.gaps();
        let [gap] = gaps.as_slice() else { panic!("round {round}: {gaps:?}") };
        assert_eq!((gap.first, gap.records), (1, gap.last), "round {round}");
        assert_eq!(soon(cloud.oldest()).await.unwrap().unwrap().sequence, gap.last + 1);
        overflow(&store, &cloud).await;
    }
    cloud.ack(cloud.next_sequence() - 1);
    assert_eq!(soon(cloud.oldest()).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_consumer_gives_up_counts_once_whatever_happens() {
    let disk = SimDisk::new(2);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    for n in 1..=20_u8 {
        assert_eq!(put(&cloud, &[n]).await, Settled::Durable);
    }
    // 3, 5 and 7 to 9 expire, the others arrive.
    for (first, last) in [(3, 3), (5, 5), (7, 9)] {
        cloud.give_up(first, last, Cause::Expired, Some((1_790_000_000_000, 1_790_000_000_900)));
    }
    cloud.ack(10);
    until(|| status(&store).dropped.of(Cause::Expired) == 5).await;
    let gaps = cloud.untold();
    assert_eq!(gaps.iter().map(|gap| (gap.first, gap.last, gap.records)).collect::<Vec<_>>(), [(3, 9, 5)]);
    assert_eq!((gaps[0].from_ms, gaps[0].exact), (Some(1_790_000_000_000), false));
    let now = adds_up(&store);
    assert_eq!((now.stored, now.acknowledged, now.waiting), (20, 5, 10));

    // Given up, but not acknowledged before the power fails: it comes back and is not counted.
    cloud.give_up(11, 20, Cause::Refused, None);
    let store = open(disk.crash(1), settings());
    let cloud = chain(&store, "cloud", 2);
    assert_eq!(all(&cloud).await.first().map(|record| record.sequence), Some(11));
    let now = adds_up(&store);
    assert_eq!((now.dropped.total(), now.waiting), (5, 10));
    assert_eq!(cloud.untold().len(), 1);
}

#[tokio::test]
async fn closing_keeps_what_was_given_up_a_moment_ago() {
    let disk = SimDisk::new(3);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    for n in 1..=4_u8 {
        assert_eq!(put(&cloud, &[n]).await, Settled::Durable);
    }
    cloud.give_up(1, 4, Cause::Refused, None);
    cloud.ack(4);
    soon(store.close()).await.unwrap();
    let store = open(disk.crash(1), settings());
    until(|| status(&store).dropped.of(Cause::Refused) == 4).await;
    let now = adds_up(&store);
    assert_eq!((now.stored, now.acknowledged, now.waiting), (4, 0, 0));
    let gap = chain(&store, "cloud", 2).untold()[0];
    assert_eq!((gap.first, gap.last, gap.cause), (1, 4, Cause::Refused));
    assert!(gap.from_ms.is_some(), "the store knows when they were taken: {gap:?}");
}

#[tokio::test]
async fn what_was_refused_after_it_was_taken_is_counted_and_nobody_need_hear_of_it() {
    let disk = SimDisk::new(4);
    disk.set_capacity(128 * 1024);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    cloud.offer(b"a".to_vec(), None).unwrap();
    assert_ne!(put(&cloud, b"b").await, Settled::Durable);
    disk.set_capacity(10 << 20);
    soon(cloud.room()).await;
    assert_eq!(put(&cloud, b"c").await, Settled::Durable);
    until(|| status(&store).dropped.of(Cause::NotKept) == 2).await;
    let now = adds_up(&store);
    assert_eq!((now.stored, now.waiting, now.lost), (3, 1, 0));
    assert!(cloud.untold().is_empty());
    let records = all(&cloud).await;
    assert_eq!((records.len(), records[0].sequence), (1, 3));
}

#[tokio::test]
async fn what_a_removed_bridge_left_behind_is_deleted_for_good_and_told() {
    let disk = SimDisk::new(5);
    let store = open(disk.clone(), settings());
    let (old, kept) = (chain(&store, "old", 2), chain(&store, "kept", 2));
    for n in 0..40_u8 {
        assert_eq!(put(&old, &[n; 3000]).await, Settled::Durable);
    }
    assert_eq!(put(&kept, b"kept").await, Settled::Durable);
    let name = |name: &str| weir::model::Name::new(name).unwrap();
    assert_eq!(soon(store.drop_queue(&name("old"))).await, Err(NotDropped::InUse));
    soon(store.close()).await.unwrap();

    let store = open(disk.clone(), settings());
    let of = |store: &Store, queue: &str| {
        store.status().chains.into_iter().find(|chain| chain.key.queue.as_str() == queue).unwrap()
    };
    assert!(!of(&store, "old").in_use && of(&store, "old").waiting == 40);
    assert_eq!(soon(store.drop_queue(&name("other"))).await, Err(NotDropped::Unknown));
    assert_eq!(soon(store.drop_queue(&name("old"))).await, Ok(40));
    until(|| of(&store, "old").dropped.of(Cause::ByHand) == 40 && of(&store, "old").waiting == 0).await;
    assert_eq!(soon(store.drop_queue(&name("old"))).await, Ok(0));
    soon(store.close()).await.unwrap();

    let store = open(disk.crash(2), settings());
    let (old, kept) = (chain(&store, "old", 2), chain(&store, "kept", 2));
    assert!(all(&old).await.is_empty());
    assert_eq!(all(&kept).await.len(), 1);
    assert_eq!(put(&old, b"a new bridge of that name").await, Settled::Durable);
    assert_eq!(all(&old).await.iter().map(|it| it.sequence).collect::<Vec<_>>(), [41]);
}

/// The last records of a chain may be refused after they have got their sequences. Nothing comes behind them that would
/// show the hole: whoever reads on is told of it all the same.
#[tokio::test]
async fn what_was_refused_at_the_end_of_a_chain_is_known_to_be_missing() {
    let store = open(SimDisk::new(1), Settings { when_full: WhenFull::Reject, ..settings() });
    let chain = chain(&store, "cloud", 2);
    let mut kept = 0;
    while put(&chain, &[7; 3000]).await == Settled::Durable {
        kept += 1;
    }
    assert_eq!((chain.next_sequence(), chain.last_missing()), (kept + 2, 0));
    assert_eq!(soon(chain.read(kept + 1, 1000)).await.unwrap(), []);
    assert_eq!(chain.last_missing(), kept + 1);
    let gap = chain.gaps()[0];
    assert_eq!((gap.first, gap.last, gap.cause), (kept + 1, kept + 1, Cause::NotKept));
    chain.ack(kept + 1);
    let books = || store.status().chains[0].clone();
    until(|| books().acknowledged == kept).await;
    assert_eq!((books().stored, books().waiting, books().dropped.total()), (kept + 1, 0, 1));
}
