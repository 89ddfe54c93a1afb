//! Stories that once ended badly, and the shortest form of each.

use std::sync::Arc;

use super::rig::Setup;
use super::story;
use crate::model::Name;
use crate::store::disk::sim::SimDisk;
use crate::store::engine::Engine;
use crate::store::gap::Cause;
use crate::store::settings::{Settings, WhenFull};
use crate::store::types::ChainKey;

const SEGMENT: u64 = 16 * 1024;

fn settings() -> Settings {
    Settings {
        dir: std::path::PathBuf::new(),
        max_size: 128 * 1024 + 16 * SEGMENT,
        segment_size: SEGMENT,
        max_loss: std::time::Duration::from_secs(1),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 20,
    }
}

fn open(disk: &SimDisk, seed: u64) -> Engine {
    Engine::open(Box::new(disk.clone()), settings(), seed, None).expect("it is not locked")
}

/// A kill while the ledger was written, then a power cut while the next run wrote it: both copies were torn, and
/// with them went gaps, counters and the store's id.
#[test]
fn seed_2323_a_kill_and_a_power_cut_leave_a_ledger() {
    story(2323, Setup::default()).unwrap();
}

#[test]
fn a_kill_and_a_power_cut_in_the_middle_of_two_ledgers_leave_one() {
    for seed in 0..40 {
        for (killed, cut) in (1..5).flat_map(|killed| (1..5).map(move |cut| (killed, cut))) {
            let disk = SimDisk::new(seed);
            let id = open(&disk, 1).id();
            let disk = disk.kill();
            disk.fail_after(killed);
            drop(open(&disk, 2));
            let disk = disk.kill();
            disk.fail_after(cut);
            drop(open(&disk, 3));
            let disk = disk.crash(seed);
            assert_eq!(open(&disk, 4).id(), id, "seed {seed}, killed at {killed}, cut at {cut}");
        }
    }
}

/// What rots in a segment that is read once more, while the one behind it was still known from the first time, was
/// skipped and told to nobody.
#[test]
fn seed_1666_rot_is_told_also_when_the_next_segment_was_read_before() {
    story(1666, Setup { rots: true, ..Setup::default() }).unwrap();
}

#[test]
fn rot_at_the_end_of_a_segment_is_told_also_when_the_next_one_was_read_before() {
    let disk = SimDisk::new(1);
    let mut engine = open(&disk, 1);
    let index = engine.chain(&ChainKey { queue: Name::new("cloud").unwrap(), class: 2 }).unwrap();
    for sequence in 1..=20 {
        engine.append(index, sequence, &[Arc::from([sequence as u8; 3000])]).unwrap();
    }
    let (ends, last) = (engine.chains[index].segments.iter().map(|it| it.last).collect::<Vec<_>>(), 20);
    assert!(ends.len() > 4, "{ends:?}");
    // The receiver reads the first, who thins the fourth, the receiver the second: the first is forgotten.
    assert_eq!(engine.read(index, 1, 1).unwrap()[0].sequence, 1);
    let fourth = engine.sealed(index).into_iter().find(|it| it.last == ends[3]).unwrap();
    assert!(!engine.read_sealed(index, &fourth, 0, 1).unwrap().is_empty());
    assert_eq!(engine.read(index, ends[0] + 1, 1).unwrap()[0].sequence, ends[0] + 1);
    let (name, image) = disk.image().into_iter().find(|(name, _)| name.ends_with("~0000000000000001.seg")).unwrap();
    let rotten = image.windows(100).position(|window| window == [ends[0] as u8; 100]).unwrap();
    disk.flip_at(&name, rotten as u64);
    // Its connection was lost, it reads again from the first.
    let mut seen: Vec<u64> = Vec::new();
    while seen.last() != Some(&last) {
        let from = seen.last().map_or(1, |sequence| sequence + 1);
        seen.extend(engine.read(index, from, 10_000).unwrap().iter().map(|record| record.sequence));
    }
    assert_eq!(seen, (1..=last).filter(|sequence| *sequence != ends[0]).collect::<Vec<_>>());
    let gaps: Vec<_> = engine.chains[index].gaps.list.iter().map(|gap| (gap.first, gap.last, gap.cause)).collect();
    assert_eq!(gaps, [(ends[0], ends[0], Cause::Damage)]);
}
