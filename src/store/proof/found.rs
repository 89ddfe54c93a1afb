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

const SEGMENT: u64 = 32 * 1024;
/// The length of a record that shares no block.
const LEN: usize = 5000;

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
    Engine::open(Box::new(disk.clone()), settings(), seed, None, |_| None).expect("it is not locked")
}

/// A store with so many records in one chain, each in blocks of its own.
fn filled(disk: &SimDisk, records: u64) -> (Engine, usize) {
    let mut engine = open(disk, 1);
    let index = engine.chain(&ChainKey { queue: Name::new("cloud").unwrap(), class: 2 }).unwrap();
    for sequence in 1..=records {
        engine.append(index, sequence, &[Arc::from([sequence as u8; LEN])]).unwrap();
    }
    (engine, index)
}

/// Flips a bit of one of those records.
fn rot(disk: &SimDisk, sequence: u64) {
    let place = |image: &[u8]| image.windows(100).position(|window| window == [sequence as u8; 100]);
    let (name, at) = disk.image().iter().find_map(|(name, image)| Some((name.clone(), place(image)?))).unwrap();
    disk.flip_at(&name, at as u64);
}

/// The sequences a receiver gets until it has `last`.
fn read_all(engine: &mut Engine, index: usize, last: u64) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    while seen.last() != Some(&last) {
        let from = seen.last().map_or(1, |sequence| sequence + 1);
        let more = engine.read(index, from, 10_000).unwrap();
        assert!(!more.is_empty(), "{last} is not there: {seen:?}");
        seen.extend(more.iter().map(|record| record.sequence));
    }
    seen
}

fn gaps(engine: &Engine, index: usize) -> Vec<(u64, u64, Cause)> {
    engine.chains[index].gaps.list.iter().map(|gap| (gap.first, gap.last, gap.cause)).collect()
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
    let (mut engine, index) = filled(&disk, 16);
    let (ends, last) = (engine.chains[index].segments.iter().map(|it| it.last).collect::<Vec<_>>(), 16);
    assert!(ends.len() > 4, "{ends:?}");
    // The receiver reads the first, who thins the fourth, the receiver the second: the first is forgotten.
    assert_eq!(engine.read(index, 1, 1).unwrap()[0].sequence, 1);
    let fourth = engine.sealed(index, 0).into_iter().find(|it| it.last == ends[3]).unwrap();
    assert!(!engine.read_sealed(index, &fourth, 0, 1).unwrap().is_empty());
    assert_eq!(engine.read(index, ends[0] + 1, 1).unwrap()[0].sequence, ends[0] + 1);
    rot(&disk, ends[0]);
    // Its connection was lost, it reads again from the first.
    let seen = read_all(&mut engine, index, last);
    assert_eq!(seen, (1..=last).filter(|sequence| *sequence != ends[0]).collect::<Vec<_>>());
    assert_eq!(gaps(&engine, index), [(ends[0], ends[0], Cause::Damage)]);
}

/// Rot in the last frame with records, when acknowledgements behind it still showed that it had been there, was
/// told only until something was written behind it.
#[test]
fn seed_31911_rot_behind_the_last_record_is_told() {
    story(31_911, Setup { rots: true, ..Setup::default() }).unwrap();
}

#[test]
fn a_rotten_last_frame_is_told_when_acknowledgements_show_that_it_was_there() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = filled(&disk, 2);
    engine.chains[index].ack = 1;
    engine.write_ack(index).unwrap();
    drop(engine);
    rot(&disk, 2);
    let mut engine = open(&disk.kill(), 2);
    assert_eq!(gaps(&engine, index), [(2, 2, Cause::Damage)]);
    engine.append(index, 3, &[Arc::from([3; LEN])]).unwrap();
    assert_eq!(read_all(&mut engine, index, 3), [3]);
    assert_eq!(gaps(&engine, index), [(2, 2, Cause::Damage)]);
}
/// A replacement, made beside the newer copy of a ledger of which a cut left only the older one, was counted by
/// two starts.
#[test]
fn seed_50224_a_replacement_counts_once() {
    story(50_224, Setup::default()).unwrap();
}

/// Records that a segment and, after a failed flush, the next one have too were read by who thins in both.
#[test]
fn seed_10608_who_thins_reads_each_record_once() {
    story(10_608, Setup { fails: true, ..Setup::default() }).unwrap();
}

/// Records that were thinned again took sequences that had been told as missing.
#[test]
fn seed_35243_what_is_thinned_twice_is_told_where_it_is() {
    story(35_243, Setup::default()).unwrap();
}

/// A segment still had, behind its end, what the next one had got again: that came back though it was replaced there.
#[test]
fn seed_6275_what_was_replaced_does_not_come_back_from_the_segment_before() {
    story(6275, Setup { fails: true, ..Setup::default() }).unwrap();
}

/// An acknowledgement of a chain that had nothing else on the disk was forgotten by one start and believed by the
/// next: by then it spoke of other records.
#[test]
fn seed_14112_acknowledgements_speak_of_the_records_they_were_made_for() {
    story(14_112, Setup::default()).unwrap();
}

/// A file that a kill had left without a frame in it stayed there under its name, and the segment before it, which was
/// written on, counted as ended where that one began.
#[test]
fn seed_332_what_a_kill_left_empty_ends_no_segment() {
    story(332, Setup { thins: true, ..Setup::default() }).unwrap();
}

#[test]
fn an_empty_file_with_a_name_ends_no_segment() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = filled(&disk, 0);
    let put =
        |engine: &mut Engine, sequence, len: usize| engine.append(index, sequence, &[vec![sequence as u8; len].into()]);
    put(&mut engine, 1, 100).unwrap();
    put(&mut engine, 2, LEN).unwrap();
    put(&mut engine, 3, LEN).unwrap();
    // The power fails while the next segment gets its header.
    disk.fail_after(1);
    put(&mut engine, 4, LEN).unwrap_err();
    drop(engine);
    let disk = disk.kill();
    let named = || disk.sizes().iter().filter(|(name, _)| name.ends_with(".seg")).count();
    assert_eq!(named(), 2, "{:?}", disk.sizes());
    let mut engine = open(&disk, 2);
    assert_eq!(named(), 1);
    // A small one has room in the first.
    put(&mut engine, 4, 100).unwrap();
    put(&mut engine, 5, LEN).unwrap();
    drop(engine);
    let mut engine = open(&disk.kill(), 3);
    assert_eq!(read_all(&mut engine, index, 5), [1, 2, 3, 4, 5]);
    assert_eq!(gaps(&engine, index), []);
}

/// A segment still had, behind its end, what the next one had got again; when that one was dropped, which was told, the
/// record came back, and its label had been said to be absent.
#[test]
fn seed_6415_what_was_dropped_does_not_come_back_from_the_segment_before() {
    story(6415, Setup { fails: true, ..Setup::default() }).unwrap();
}

/// A gap that a replacement had cut grew by what was dropped next, and did not know any more that all of it was missing:
/// the next look at the links told that once more, as damage.
#[test]
fn seed_9314_what_was_dropped_is_not_told_again_as_damage() {
    story(9314, Setup { thins: true, ..Setup::default() }).unwrap();
}

/// Of a gap that a replacement had cut more counted as missing than there was behind an acknowledgement in its middle.
#[test]
fn seed_33851_no_more_is_missing_than_there_was() {
    story(33_851, Setup { thins: true, ..Setup::default() }).unwrap();
}

/// The model did not know that ordinary chains leave a share of the quota to the others when the store closes.
#[test]
fn seed_13868_the_share_of_important_chains_stays_free_at_close() {
    story(13_868, Setup::default()).unwrap();
}

#[test]
fn a_chain_with_nothing_but_an_acknowledgement_goes_on_behind_it() {
    let disk = SimDisk::new(1);
    let hub = ChainKey { queue: Name::new("hub").unwrap(), class: 3 };
    let (mut engine, cloud) = filled(&disk, 0);
    let index = engine.chain(&hub).unwrap();
    // Delivered before they were written.
    engine.chains[index].ack = 4;
    engine.append(cloud, 1, &[Arc::from([1; LEN])]).unwrap();
    drop(engine);
    let disk = disk.kill();
    let mut engine = open(&disk, 2);
    let index = engine.chain(&hub).unwrap();
    let first = engine.chains[index].next();
    engine.append(index, first, &[Arc::from([2; LEN])]).unwrap();
    drop(engine);
    let mut engine = open(&disk.kill(), 3);
    let index = engine.chain(&hub).unwrap();
    assert_eq!((first, read_all(&mut engine, index, first)), (5, vec![5]));
}
