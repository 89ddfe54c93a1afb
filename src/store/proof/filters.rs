//! What a start knows of the labels that wait.

use std::sync::Arc;

use crate::model::Name;
use crate::store::disk::Disk as _;
use crate::store::disk::sim::SimDisk;
use crate::store::engine::Engine;
use crate::store::layout::{BLOCK, filter};
use crate::store::past::Waits;
use crate::store::settings::{Settings, WhenFull};
use crate::store::types::{ChainKey, Label};

const SEGMENT: u64 = 64 * 1024;
/// Where the filter of a segment begins.
const FOOTER: u64 = SEGMENT - BLOCK as u64;
/// Records of this length fill a segment with fewer than twenty.
const LEN: usize = 6000;

fn key() -> ChainKey {
    ChainKey { queue: Name::new("cloud").unwrap(), class: 2 }
}

/// The first eight bytes of a record are its label.
fn label(record: &[u8]) -> Option<u64> {
    record.first_chunk().copied().map(u64::from_le_bytes)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the store's")]
fn labelled(_: &ChainKey) -> Option<Label> {
    Some(label)
}

fn record(of: u64) -> Arc<[u8]> {
    let mut record = vec![7; LEN];
    record[..8].copy_from_slice(&of.to_le_bytes());
    record.into()
}

fn open(disk: &SimDisk) -> (Engine, usize) {
    let settings = Settings {
        dir: std::path::PathBuf::new(),
        max_size: 64 << 20,
        segment_size: SEGMENT,
        max_loss: std::time::Duration::from_secs(1),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 20,
    };
    let mut engine = Engine::open(Box::new(disk.clone()), settings, 1, None, labelled).unwrap();
    let index = engine.chain(&key()).unwrap();
    (engine, index)
}

/// One record, with this label.
fn put(engine: &mut Engine, index: usize, of: u64) {
    let first = engine.chains[index].next();
    engine.append(index, first, &[record(of)]).unwrap();
}

/// Records with labels from `from` on until that many segments are sealed; the next label.
fn fill(engine: &mut Engine, index: usize, from: u64, sealed: usize) -> u64 {
    let wanted = engine.chains[index].segments.len().max(1) + sealed;
    let mut next = from;
    while engine.chains[index].segments.len() < wanted {
        put(engine, index, next);
        next += 1;
    }
    next
}

fn ask(engine: &Engine, index: usize, of: u64) -> Waits {
    let chain = &engine.chains[index];
    chain.past.clone().waits(of, chain.ack, chain.next())
}

fn file(engine: &Engine, index: usize, position: usize) -> String {
    engine.chains[index].segments[position].name.text()
}

#[test]
fn a_start_knows_which_labels_wait_in_which_segment() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = open(&disk);
    let next = fill(&mut engine, index, 1000, 3);
    drop(engine);
    let (mut engine, index) = open(&disk.kill());
    assert!((1000..next).all(|of| ask(&engine, index, of) == Waits::Yes));
    assert!((0..1000).chain(next..3000).all(|of| ask(&engine, index, of) == Waits::No));
    engine.chains[index].ack = engine.chains[index].segments[0].last;
    assert_eq!([1000, next - 1].map(|of| ask(&engine, index, of)), [Waits::No, Waits::Yes]);
}

/// A topic that went elsewhere when all of it was delivered does not come back for the sake of its neighbours.
#[test]
fn of_a_segment_that_is_delivered_in_part_the_rest_alone_waits() {
    let mut disk = SimDisk::new(1);
    let (mut engine, index) = open(&disk);
    let mut next = fill(&mut engine, index, 1000, 1);
    for _ in 0..4 {
        put(&mut engine, index, next);
        next += 1;
    }
    for ack in [5, next - 1000 - 2] {
        engine.chains[index].ack = ack;
        engine.write_ack(index).unwrap();
        drop(engine);
        disk = disk.kill();
        (engine, _) = open(&disk);
        let known = [999 + ack, 1000 + ack].map(|of| ask(&engine, index, of));
        assert_eq!(known, [Waits::No, Waits::Yes], "{ack}");
    }
}

/// A segment whose filter says what it had before more came: the filter of its end was lost with the power.
#[test]
fn a_filter_from_before_the_last_records_is_not_believed() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = open(&disk);
    fill(&mut engine, index, 1000, 1);
    let sealed = file(&engine, index, 0);
    let mut old = vec![0; BLOCK];
    disk.open(&sealed).unwrap().read_at(&mut old, FOOTER).unwrap();
    let upto = engine.chains[index].segments[0].last;
    let epoch = u32::from_le_bytes(old[36..40].try_into().unwrap());
    assert!(filter::judge(&old, epoch, upto).is_some());
    let shorter = filter::encode(epoch, upto - 1, (1000..1000 + upto - 1).map(filter::print));
    for (bytes, known) in [(&old, Waits::No), (&shorter, Waits::Perhaps)] {
        disk.open(&sealed).unwrap().write_at(bytes, FOOTER).unwrap();
        engine.look_back(0);
        assert_eq!(ask(&engine, index, 5), known);
        assert_ne!(ask(&engine, index, 999 + upto), Waits::No);
    }
}

#[test]
fn segments_without_a_filter_are_read_as_far_as_a_start_has_time() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = open(&disk);
    let next = fill(&mut engine, index, 1000, 3);
    let sealed: Vec<String> = (0..3).map(|position| file(&engine, index, position)).collect();
    drop(engine);
    let disk = disk.kill();
    sealed.iter().for_each(|name| disk.open(name).unwrap().write_at(&[0; BLOCK], FOOTER).unwrap());
    let (mut engine, index) = open(&disk);
    assert!((1000..next).all(|of| ask(&engine, index, of) == Waits::Yes) && ask(&engine, index, 5) == Waits::No);
    engine.look_back(0);
    assert_eq!(ask(&engine, index, 5), Waits::Perhaps);
}

#[test]
fn more_labels_than_a_filter_holds_are_anything() {
    let disk = SimDisk::new(1);
    let (mut engine, index) = open(&disk);
    let many: Vec<Arc<[u8]>> = (0..3000_u64).map(|of| of.to_le_bytes().as_slice().into()).collect();
    engine.append(index, 1, &many).unwrap();
    let mut next = fill(&mut engine, index, 5000, 1);
    next = fill(&mut engine, index, next, 1);
    drop(engine);
    let (mut engine, index) = open(&disk.kill());
    // Too many for its filter, few enough to be read.
    assert_eq!([2999, next - 1, 4000].map(|of| ask(&engine, index, of)), [Waits::Yes, Waits::Yes, Waits::No]);
    engine.look_back(0);
    assert_eq!([2999, next - 1, 4000].map(|of| ask(&engine, index, of)), [Waits::Perhaps, Waits::Yes, Waits::Perhaps]);
}
