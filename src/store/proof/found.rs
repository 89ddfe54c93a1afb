//! Stories that once ended badly, and the shortest form of each.

use super::rig::Setup;
use super::story;
use crate::store::disk::sim::SimDisk;
use crate::store::engine::Engine;
use crate::store::settings::{Settings, WhenFull};

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
