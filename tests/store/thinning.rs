//! Fewer records in the place of many.

use std::time::Duration;

use weir::store::disk::sim::SimDisk;
use weir::store::{Cause, Chain, NotReplaced, Sealed, Settings, Settled, Store, Want, WhenFull};

use crate::support::{all, chain, open, put, settings, soon, until};

/// Records of 3,000 bytes, each with its number in front.
async fn fill(chain: &Chain, numbers: std::ops::Range<u8>) {
    for number in numbers {
        assert_eq!(put(chain, &[number; 3000]).await, Settled::Durable);
    }
}

/// Everything in a segment.
async fn read(chain: &Chain, segment: &Sealed) -> Vec<u8> {
    let mut seen: Vec<u8> = Vec::new();
    let mut from = 0;
    loop {
        let records = soon(chain.read_sealed(segment, from, 7000)).await.unwrap();
        let Some(last) = records.last() else { return seen };
        from = last.sequence + 1;
        seen.extend(records.iter().map(|record| record.bytes[0]));
    }
}

fn used(disk: &SimDisk) -> u64 {
    disk.sizes().iter().map(|(_, size)| size).sum()
}

async fn sealed(chain: &Chain) -> Vec<Sealed> {
    soon(chain.sealed(0)).await.unwrap()
}

#[tokio::test]
async fn a_few_records_take_the_place_of_neighbouring_segments() {
    let disk = SimDisk::new(1);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    fill(&cloud, 0..60).await;
    let before = sealed(&cloud).await;
    assert!(before.len() >= 4, "{before:?}");
    assert!(before.iter().all(|segment| !segment.thinned));
    let used_before = used(&disk);
    let (three, records) = (&before[..3], (before[2].last - before[0].first + 1) as usize);
    assert_eq!(read(&cloud, &three[0]).await.len() as u64, three[0].last - three[0].first + 1);

    let gap = soon(cloud.replace(three, vec![vec![200; 500], vec![201; 500]])).await.unwrap();
    assert_eq!((gap.first, gap.records, gap.cause), (1, records as u64 - 2, Cause::Thinned));
    assert!(used(&disk) < used_before - 2 * 64 * 1024, "{} of {used_before}", used(&disk));
    let after = sealed(&cloud).await;
    assert_eq!((after.len(), after[0].thinned, after[0].number), (before.len() - 2, true, before[0].number));
    assert_eq!(read(&cloud, &after[0]).await, [200, 201]);
    // What was listed before is not there any more.
    assert_eq!(soon(cloud.replace(three, vec![vec![1]])).await, Err(NotReplaced::Busy));
    assert!(soon(cloud.read_sealed(&three[1], 0, 100)).await.unwrap().is_empty());

    for power in [false, true] {
        let store = open(if power { disk.crash(7) } else { disk.kill() }, settings());
        let cloud = chain(&store, "cloud", 2);
        let found = all(&cloud).await;
        assert_eq!(found.iter().map(|it| it.bytes[0]).take(3).collect::<Vec<_>>(), [200, 201, records as u8]);
        assert_eq!(found.len(), 60 - records + 2);
        assert_eq!(found[1].sequence, three[2].last, "the last sequences of the old ones");
        assert!(cloud.gaps().iter().all(|gap| gap.cause == Cause::Thinned), "{:?}", cloud.gaps());
        let status = store.status().chains.remove(0);
        assert_eq!((status.waiting, status.dropped.total()), (found.len() as u64, records as u64 - 2));
        soon(store.close()).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_replaced_stays_as_it_is() {
    let disk = SimDisk::new(2);
    let store = open(disk.clone(), settings());
    let cloud = chain(&store, "cloud", 2);
    fill(&cloud, 0..60).await;
    let segments = sealed(&cloud).await;
    let many = vec![vec![0; 10]; 60];
    assert_eq!(soon(cloud.replace(&segments[..1], many)).await, Err(NotReplaced::NotFewer));
    assert_eq!(soon(cloud.replace(&segments[..1], Vec::new())).await, Err(NotReplaced::Empty));
    assert_eq!(soon(cloud.replace(&[], vec![vec![1]])).await, Err(NotReplaced::Empty));
    let apart = [segments[0].clone(), segments[2].clone()];
    assert_eq!(soon(cloud.replace(&apart, vec![vec![1]])).await, Err(NotReplaced::Busy));
    assert_eq!(soon(cloud.replace(&segments[..1], vec![vec![1; 59_000]])).await, Err(NotReplaced::TooLarge));
    // What was read is in flight.
    soon(cloud.read(1, 100)).await.unwrap();
    assert_eq!(soon(cloud.replace(&segments[..1], vec![vec![1]])).await, Err(NotReplaced::Busy));
    assert_eq!(sealed(&cloud).await, segments[1..]);
    assert_eq!(all(&cloud).await.len(), 60);
    assert!(cloud.gaps().is_empty());
}

fn thin() -> Settings {
    Settings { when_full: WhenFull::Thin, ..settings() }
}

#[tokio::test]
async fn at_the_quota_who_thins_is_asked_before_anything_is_dropped() {
    let store = open(SimDisk::new(3), thin());
    let cloud = chain(&store, "cloud", 2);
    let thinner = tokio::spawn({
        let (store, cloud) = (store.clone(), cloud.clone());
        async move {
            loop {
                store.wants_room().await;
                let segments = cloud.sealed(0).await.unwrap();
                let fresh: Vec<Sealed> = segments.into_iter().filter(|segment| !segment.thinned).take(2).collect();
                let done = !fresh.is_empty() && cloud.replace(&fresh, vec![vec![255; 9]]).await.is_ok();
                if !done {
                    store.no_more_room();
                }
            }
        }
    });
    for round in 0..200_u8 {
        assert_eq!(put(&cloud, &[round; 3000]).await, Settled::Durable);
    }
    thinner.abort();
    let dropped = store.status().chains.remove(0).dropped;
    assert_eq!((dropped.of(Cause::Quota), dropped.of(Cause::Thinned) > 100), (0, true), "{dropped:?}");
    let status = store.status().chains.remove(0);
    assert_eq!(all(&cloud).await.len() as u64, status.waiting);
}

#[tokio::test]
async fn a_store_that_is_full_to_the_brim_has_room_for_one_replacement_of_a_segments_size() {
    let disk = SimDisk::new(6);
    let store = open(disk.clone(), thin());
    let cloud = chain(&store, "cloud", 2);
    // Nobody thins: the oldest is dropped, and the store stays full.
    fill(&cloud, 0..200).await;
    let Settings { max_size, segment_size, .. } = thin();
    let full = max_size - 2 * segment_size..=max_size - segment_size;
    assert!(full.contains(&used(&disk)), "{} of {max_size}", used(&disk));
    let segments = sealed(&cloud).await;
    let records = segments[1].last - segments[0].first + 1;
    // Two of them are as large as one can be.
    let new = vec![vec![200; 3500]; (segment_size / 4096) as usize - 1];
    let gap = soon(cloud.replace(&segments[..2], new.clone())).await.unwrap();
    assert_eq!((gap.cause, gap.records), (Cause::Thinned, records - new.len() as u64));
    // What does not fit into a segment is refused, whatever it saves.
    let segments = sealed(&cloud).await;
    let large = vec![vec![201; 3900]; (segment_size / 4096) as usize];
    assert_eq!(soon(cloud.replace(&segments[..3], large)).await, Err(NotReplaced::TooLarge));
    assert!(used(&disk) < max_size);
}

#[tokio::test]
async fn with_nothing_to_thin_or_nobody_who_thins_the_oldest_is_dropped_at_once() {
    for somebody in [false, true] {
        let store = open(SimDisk::new(4), thin());
        let cloud = chain(&store, "cloud", 2);
        let task = somebody.then(|| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    store.wants_room().await;
                    store.no_more_room();
                    tokio::task::yield_now().await;
                }
            })
        });
        for number in 0..150 {
            let began = tokio::time::Instant::now();
            fill(&cloud, number..number + 1).await;
            assert!(began.elapsed() < Duration::from_secs(8), "it waits though nobody brings room");
        }
        assert!(store.status().chains[0].dropped.of(Cause::Quota) > 0);
        task.into_iter().for_each(|task| task.abort());
    }
}

#[tokio::test]
async fn an_alarm_does_not_wait_for_who_thins() {
    let store = open(SimDisk::new(5), thin());
    let (alarm, bulk) = (chain(&store, "cloud", 0), chain(&store, "cloud", 3));
    let asked: Store = store.clone();
    let silent = tokio::spawn(async move {
        asked.wants_room().await;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    let filling = tokio::spawn(async move { fill(&bulk, 0..100).await });
    let waits = async {
        while soon(store.wants_room()).await != Want::Now {
            tokio::task::yield_now().await
        }
    };
    soon(waits).await;
    until(|| store.status().chains.iter().any(|chain| chain.key.class == 3 && chain.pending > 0)).await;
    assert_eq!(soon(put(&alarm, b"fire")).await, Settled::Durable);
    assert_eq!(store.status().chains.iter().find(|chain| chain.key.class == 0).unwrap().dropped.total(), 0);
    filling.abort();
    silent.abort();
}
