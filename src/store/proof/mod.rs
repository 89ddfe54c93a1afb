//! The store against a model, on the simulated disk: power cuts, kills, tears, EIO, ENOSPC, rot.
//!
//! One seed is one story. [`story`] ends with the first broken promise, in words; so the same story
//! can be told on a disk that cheats, and has to end badly there.

mod book;
mod rig;
mod thin;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::rig::{Rig, Setup};
use super::disk::Flush;

/// Stories per test run.
const SEEDS: u64 = 2_400;

/// Plays one story.
fn story(seed: u64, setup: Setup) -> Result<(), String> {
    let mut rig = Rig::new(seed, setup)?;
    for step in 0..120 {
        rig.step().map_err(|broken| format!("seed {seed} step {step}: {broken}"))?;
    }
    rig.end().map_err(|broken| format!("seed {seed} at the end: {broken}"))
}

/// Whether a story breaks a promise on a disk that leaves out some flushes.
fn breaks(seed: u64, skipped: &[Flush]) -> bool {
    let setup = Setup { skipped: skipped.to_vec(), ..Setup::default() };
    // Nonsense on the disk may trip an assertion first: that counts.
    !matches!(catch_unwind(AssertUnwindSafe(|| story(seed, setup))), Ok(Ok(())))
}

fn all_keep(seeds: std::ops::Range<u64>, setup: impl Fn() -> Setup) {
    for seed in seeds {
        if let Err(broken) = story(seed, setup()) {
            panic!("{broken}");
        }
    }
}

#[test]
fn every_promise_is_kept_over_power_cuts_and_kills() {
    all_keep(0..SEEDS / 2, Setup::default);
}

#[test]
fn every_promise_is_kept_on_a_failing_or_full_disk() {
    all_keep(0..SEEDS / 4, || Setup { fails: true, ..Setup::default() });
}

#[test]
fn rot_costs_no_more_than_what_is_told() {
    all_keep(0..SEEDS / 4, || Setup { rots: true, ..Setup::default() });
}

#[test]
fn the_model_sees_a_disk_that_never_flushes() {
    let broken = (0..60).filter(|&seed| breaks(seed, &Flush::ALL)).count();
    assert!(broken >= 54, "only {broken} of 60 stories broke");
}

#[test]
fn the_model_sees_each_kind_of_flush_that_is_left_out() {
    // The flush of the first frame covers the header before it: the one in between keeps the order
    // on the disk, but nothing that was promised hangs on it. Removed segments must come back after their
    // replacement has been used up to be noticed, which takes longer than a story.
    for kind in Flush::ALL.into_iter().filter(|kind| ![Flush::Header, Flush::Removed].contains(kind)) {
        let first = (0..800).find(|&seed| breaks(seed, &[kind]));
        assert!(first.is_some(), "without {kind:?} 800 stories ended well");
    }
}
