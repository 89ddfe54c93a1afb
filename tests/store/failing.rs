//! Disks that fail, fill up, rot, or come from the future.

use weir::store::disk::sim::{Faults, SimDisk};
use weir::store::disk::{Disk, Flush};
use weir::store::{OpenError, Refused, Settings, Settled, Store};

use crate::support::{all, chain, open, put, settings, settle, soon, until};

/// Every write fails.
const BROKEN: Faults = Faults { write: 1, sync: 0, read: 0 };

#[tokio::test]
async fn a_disk_that_refuses_acknowledges_nothing_and_loses_nothing() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), settings());
    let chain = chain(&store, "cloud", 2);
    assert_eq!(put(&chain, b"before").await, Settled::Durable);
    disk.set_faults(BROKEN);
    let (settle, mut told) = settle();
    chain.offer(b"meanwhile".to_vec(), Some(settle)).unwrap();
    until(|| store.status().failing).await;
    assert!(told.try_recv().is_err(), "nothing may be said yet");
    // The receiver can still have it, from memory.
    assert_eq!(soon(chain.read(2, 100)).await.unwrap().len(), 1);
    disk.set_faults(Faults::default());
    assert_eq!(soon(told).await.unwrap(), Settled::Durable);
    until(|| !store.status().failing).await;
    let texts: Vec<_> = all(&chain).await.iter().map(|record| record.bytes.to_vec()).collect();
    assert_eq!(texts, [b"before".to_vec(), b"meanwhile".to_vec()]);
}

#[tokio::test]
async fn one_failed_flush_moves_the_window_to_another_segment() {
    let disk = SimDisk::new(5);
    let store = open(disk.clone(), settings());
    let chain = chain(&store, "cloud", 2);
    assert_eq!(put(&chain, b"before").await, Settled::Durable);
    // Frames fail now and then: the store answers each failure with a new segment.
    disk.set_faults(Faults { sync: 4, ..Faults::default() });
    for n in 0..20_u8 {
        assert_eq!(put(&chain, &[n]).await, Settled::Durable);
    }
    let status = store.status();
    assert!(status.totals.errors > 0 && status.chains[0].segments > 1, "{status:?}");
    disk.set_faults(Faults::default());
    let disk = disk.crash(9);
    drop((store, chain));
    let store = open(disk, settings());
    let records = all(&crate::support::chain(&store, "cloud", 2)).await;
    assert_eq!(records.len(), 21);
}

#[tokio::test]
async fn without_space_nothing_is_taken_for_good_until_there_is_some() {
    let disk = SimDisk::new(1);
    disk.set_capacity(128 * 1024);
    let store = open(disk.clone(), settings());
    let chain = chain(&store, "cloud", 2);
    assert_eq!(put(&chain, b"x").await, Settled::Refused(Refused::Quota));
    disk.set_capacity(10 << 20);
    soon(chain.room()).await;
    assert_eq!(put(&chain, b"y").await, Settled::Durable);
}

#[tokio::test]
async fn no_number_of_the_run_no_records() {
    let disk = SimDisk::new(1);
    disk.set_faults(BROKEN);
    let store = open(disk.clone(), settings());
    let chain = chain(&store, "cloud", 2);
    assert_eq!(chain.offer(b"x".to_vec(), None).unwrap_err().why, Refused::Disk);
    disk.set_faults(Faults::default());
    soon(chain.room()).await;
    assert_eq!(put(&chain, b"x").await, Settled::Durable);
}

#[tokio::test]
async fn a_rotten_frame_costs_itself_and_is_told() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), settings());
    let key = chain(&store, "cloud", 2);
    for n in 0..6_u8 {
        assert_eq!(put(&key, &[n; 3000]).await, Settled::Durable);
    }
    soon(store.close()).await.unwrap();
    let (name, _) = disk.sizes().into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    let image = disk.image();
    let bytes = &image.iter().find(|(other, _)| *other == name).unwrap().1;
    let at = bytes.windows(100).position(|window| window == [3; 100]).unwrap();
    disk.flip_at(&name, at as u64);
    let store = open(disk, settings());
    let chain = chain(&store, "cloud", 2);
    let sequences: Vec<u64> = all(&chain).await.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 5, 6]);
    until(|| chain.gaps().iter().map(|gap| (gap.first, gap.last)).eq([(4, 4)])).await;
}

#[tokio::test]
async fn a_newer_format_is_refused_untouched() {
    let disk = SimDisk::new(1);
    soon(open(disk.clone(), settings()).close()).await.unwrap();
    let file = disk.open("ledger").unwrap();
    for slot in [0_u64, 64 * 1024] {
        let mut bytes = vec![0; 4096];
        file.read_at(&mut bytes, slot).unwrap();
        bytes[8..12].copy_from_slice(&3_u32.to_le_bytes());
        let len = u32::from_le_bytes(bytes[28..32].try_into().unwrap()) as usize;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..32]), &bytes[36..36 + len]);
        bytes[32..36].copy_from_slice(&sum.to_le_bytes());
        file.write_at(&bytes, slot).unwrap();
    }
    file.sync_data(Flush::Ledger).unwrap();
    let before = disk.image();
    let refused = Store::open(Box::new(disk.clone()), settings());
    let Err(OpenError::Newer { version, writer }) = refused else { panic!("it opened") };
    assert_eq!((version, writer.starts_with("weir 0.")), (3, true));
    assert_eq!(disk.image(), before);
}

#[tokio::test]
async fn the_simulated_disk_lets_one_in_at_a_time() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), Settings { ..settings() });
    assert!(matches!(Store::open(Box::new(disk.clone()), settings()), Err(OpenError::Locked)));
    let after = disk.crash(1);
    drop(open(after, settings()));
    drop(store);
}

#[tokio::test]
async fn a_file_system_that_turns_read_only_and_back_costs_nothing() {
    let disk = SimDisk::new(8);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    assert_eq!(put(&cloud, b"before").await, Settled::Durable);
    disk.set_read_only(true);
    let (settle, mut told) = settle();
    cloud.offer(b"meanwhile".to_vec(), Some(settle)).unwrap();
    until(|| store.status().failing).await;
    assert!(told.try_recv().is_err(), "nothing may be said yet");
    // What is there can still be read and delivered.
    assert_eq!(all(&cloud).await.len(), 2);
    cloud.ack(1);
    disk.set_read_only(false);
    assert_eq!(soon(told).await.unwrap(), Settled::Durable);
    until(|| !store.status().failing).await;
    soon(store.close()).await.unwrap();
    let store = open(disk.crash(4), settings());
    assert_eq!(all(&chain(&store, "cloud", 2)).await.iter().map(|it| it.sequence).collect::<Vec<_>>(), [2]);
    assert!(store.status().chains[0].gaps.is_empty());
}

#[tokio::test]
async fn on_a_disk_that_others_fill_old_records_make_room_and_it_is_told() {
    let disk = SimDisk::new(9);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    assert_eq!(put(&cloud, &[0; 30_000]).await, Settled::Durable);
    assert_eq!(put(&cloud, &[1; 30_000]).await, Settled::Durable);
    assert!(!store.status().crowded);
    // Nothing is left for another segment, though the quota has room for many.
    disk.set_capacity(disk.sizes().iter().map(|(_, size)| size).sum::<u64>() + 10_000);
    for number in 2..10_u8 {
        assert_eq!(put(&cloud, &[number; 30_000]).await, Settled::Durable);
    }
    until(|| store.status().crowded && store.status().chains[0].lost > 0).await;
    let status = store.status().chains.remove(0);
    assert_eq!(status.stored, status.acknowledged + status.waiting + status.dropped.total());
    disk.set_capacity(1 << 30);
    cloud.ack(cloud.next_sequence() - 1);
    for number in 10..20_u8 {
        assert_eq!(put(&cloud, &[number; 30_000]).await, Settled::Durable);
    }
    until(|| !store.status().crowded).await;
}
