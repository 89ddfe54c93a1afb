//! The store on a real directory.

use weir::store::disk::RealDisk;
use weir::store::{OpenError, Settled, Store, inspect, verify};

use crate::support::{all, chain, open, put, settings, soon};

fn disk(dir: &tempfile::TempDir) -> RealDisk {
    RealDisk::new(dir.path()).unwrap()
}

fn files(dir: &tempfile::TempDir) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect()
}

#[tokio::test]
async fn a_directory_has_one_store_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    assert!(matches!(Store::open(Box::new(disk(&dir)), settings()), Err(OpenError::Locked)));
    soon(store.close()).await.unwrap();
    let store = open(disk(&dir), settings());
    assert_eq!(store.start_number(), 2);
}

#[tokio::test]
async fn records_come_back_after_a_restart_and_delivered_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    assert_eq!(files(&dir).len(), 1, "nothing but the ledger before the first record");
    let cloud = chain(&store, "cloud", 2);
    for n in 0..50_u8 {
        assert_eq!(put(&cloud, &[n; 200]).await, Settled::Durable);
    }
    soon(cloud.read(1, 4000)).await.unwrap();
    cloud.ack(20);
    soon(store.close()).await.unwrap();

    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    assert_eq!((cloud.first_unacked(), cloud.next_sequence()), (21, 51));
    let records = all(&cloud).await;
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), (21..=50).collect::<Vec<_>>());
    assert!(records.iter().all(|record| *record.bytes == [record.sequence as u8 - 1; 200] && record.start == 1));
}

#[tokio::test]
async fn segments_are_used_again_and_the_directory_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    for _ in 0..90 {
        assert_eq!(put(&cloud, &[1; 3000]).await, Settled::Durable);
        cloud.ack(cloud.next_sequence() - 1);
    }
    let used: u64 = files(&dir).iter().map(|(_, size)| size).sum();
    assert!(used <= settings().max_size, "{used}");
    assert!(store.status().totals.recycled > 2);
    assert!(all(&cloud).await.is_empty());
    soon(store.close()).await.unwrap();
}

#[tokio::test]
async fn a_store_can_be_looked_at_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    for _ in 0..30 {
        assert_eq!(put(&cloud, &[1; 3000]).await, Settled::Durable);
    }
    let listing = inspect(dir.path()).unwrap();
    assert_eq!(listing.id, Some(store.id()));
    assert_eq!(listing.chains.iter().map(|chain| chain.backlog).sum::<u64>(), 30);
    assert_eq!(verify(dir.path()).unwrap().problems, [""; 0]);
    soon(store.close()).await.unwrap();
    assert_eq!(verify(dir.path()).unwrap().problems, [""; 0]);
}

/// What a list says of segments that it does not read is what a check finds in them.
#[tokio::test]
async fn a_list_reads_the_ends_of_chains_and_knows_what_is_between() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    for _ in 0..60 {
        assert_eq!(put(&cloud, &[1; 3000]).await, Settled::Durable);
    }
    cloud.ack(17);
    soon(store.close()).await.unwrap();
    let (list, check) = (inspect(dir.path()).unwrap(), verify(dir.path()).unwrap().listing);
    assert_eq!((&list.chains, list.chains[0].backlog), (&check.chains, 43));
    let ranges = |listing: &weir::store::Listing| listing.segments.iter().map(|it| it.range).collect::<Vec<_>>();
    assert_eq!(ranges(&list), ranges(&check));
    let read = list.segments.iter().filter(|segment| segment.contents.is_some()).count();
    assert_eq!((read, list.segments.len() > 3), (1, true), "{list:?}");
    assert!(check.segments.iter().all(|segment| segment.contents.is_some()));
}

#[tokio::test]
async fn a_look_tells_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    for n in 0..40_u8 {
        assert_eq!(put(&cloud, &[n; 3000]).await, Settled::Durable);
    }
    soon(store.close()).await.unwrap();
    let mut segments: Vec<String> =
        files(&dir).into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".seg")).collect();
    segments.sort();
    // A whole segment in the middle disappears.
    std::fs::remove_file(dir.path().join(&segments[1])).unwrap();
    let problems = verify(dir.path()).unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("are missing"), "{problems:?}");

    let store = open(disk(&dir), settings());
    let cloud = chain(&store, "cloud", 2);
    let records = all(&cloud).await;
    let lost: u64 = cloud.gaps().iter().map(|gap| gap.last - gap.first + 1).sum();
    assert_eq!((records.len() as u64 + lost, lost > 0), (40, true));
}
