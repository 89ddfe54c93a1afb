//! The store against a model, on the simulated disk: power cuts, kills, tears, EIO, ENOSPC, rot.
//!
//! One seed is one story. [`story`] ends with the first broken promise, in words; so the same story
//! can be told on a disk that cheats, and has to end badly there.

mod book;
mod rig;

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

/// How many of some stories break a promise on a disk that leaves out some flushes.
fn broken(seeds: u64, skipped: &[Flush]) -> usize {
    let cheats = |seed: &u64| {
        let setup = Setup { skipped: skipped.to_vec(), ..Setup::default() };
        // Nonsense on the disk may trip an assertion first: that counts.
        !matches!(catch_unwind(AssertUnwindSafe(|| story(*seed, setup))), Ok(Ok(())))
    };
    (0..seeds).filter(cheats).count()
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
    let seeds = 60;
    let broken = broken(seeds, &Flush::ALL);
    assert!(broken * 10 >= seeds as usize * 9, "only {broken} of {seeds} stories broke");
}

#[test]
fn the_model_sees_each_kind_of_flush_that_is_left_out() {
    for kind in Flush::ALL {
        let seeds = 400;
        let broken = broken(seeds, &[kind]);
        println!("without {kind:?}: {broken} of {seeds} stories break a promise");
        assert!(broken > 0, "without {kind:?} nothing was noticed");
    }
}
