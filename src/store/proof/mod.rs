//! The store against a model, on the simulated disk: power cuts, kills, tears, EIO, ENOSPC, rot.
//!
//! One seed is one story. [`story`] ends with the first broken promise, in words; so the same story
//! can be told on a disk that cheats, or by a store that leaves a step out, and has to end badly there.
//!
//! `WEIR_STORE_SEEDS=10000 cargo test --profile fuzz --lib store::proof` plays more of them; with
//! `-- the_model_sees --show-output` the list of what is left out is printed, with the seed that notices.

mod book;
mod filters;
mod found;
mod rig;
mod thin;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::rig::{Rig, Setup};
use super::disk::Flush;
use super::leave_out::{STEPS, Step, leave_out};

/// Stories per test run, unless `WEIR_STORE_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;
/// Stories in which something that is left out has to show, most of them at once.
const PATIENCE: u64 = 800;

fn seeds() -> u64 {
    std::env::var("WEIR_STORE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// Plays one story.
fn story(seed: u64, setup: Setup) -> Result<(), String> {
    play(seed, setup).map(drop)
}

fn play(seed: u64, setup: Setup) -> Result<Rig, String> {
    let mut rig = Rig::new(seed, setup)?;
    for step in 0..120 {
        rig.step().map_err(|broken| format!("seed {seed} step {step}: {broken}"))?;
    }
    rig.end().map_err(|broken| format!("seed {seed} at the end: {broken}"))?;
    Ok(rig)
}

/// How a story ends badly, if it does. Nonsense on the disk may trip an assertion first: that counts.
fn broken(seed: u64, setup: Setup, left_out: Option<Step>) -> Option<String> {
    leave_out(left_out);
    let end = catch_unwind(AssertUnwindSafe(|| story(seed, setup)));
    leave_out(None);
    end.unwrap_or_else(|_| Err(format!("seed {seed}: an assertion fails"))).err()
}

fn without(kind: &[Flush]) -> Setup {
    Setup { skipped: kind.to_vec(), ..Setup::default() }
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
    all_keep(0..seeds() / 2, Setup::default);
}

#[test]
fn every_promise_is_kept_on_a_failing_or_full_disk() {
    all_keep(0..seeds() / 4, || Setup { fails: true, ..Setup::default() });
}

#[test]
fn a_full_store_is_thinned_and_drops_nothing_that_somebody_still_thins() {
    all_keep(0..seeds() / 4, || Setup { thins: true, ..Setup::default() });
}

#[test]
fn a_full_store_is_thinned_on_a_failing_or_full_disk() {
    all_keep(0..seeds() / 4, || Setup { thins: true, fails: true, ..Setup::default() });
}

#[test]
fn rot_costs_no_more_than_what_is_told() {
    all_keep(0..seeds() / 4, || Setup { rots: true, ..Setup::default() });
}

#[test]
fn the_model_sees_a_disk_that_never_flushes() {
    let seen = (0..60).filter(|&seed| broken(seed, without(&Flush::ALL), None).is_some()).count();
    assert!(seen >= 54, "only {seen} of 60 stories broke");
}

/// After power cuts too, most of what does not wait is known not to.
#[test]
fn filters_tell_what_does_not_wait() {
    let asked = |seed| play(seed, Setup::default()).unwrap().asked;
    let (all, absent) = (0..200).map(asked).fold((0, 0), |sum, (all, absent)| (sum.0 + all, sum.1 + absent));
    assert!(all > 500 && absent > all / 10 * 9, "{absent} of {all}");
}

/// What is left out, and the first story that breaks by it.
fn list_entry(what: &str, mut broken: impl FnMut(u64) -> Option<String>) -> Option<String> {
    (0..PATIENCE).find_map(&mut broken).map(|how| format!("without {what}: {how}"))
}

#[test]
fn the_model_sees_each_kind_of_flush_that_is_left_out() {
    // The flush of the first frame covers the header before it: the one in between keeps the order
    // on the disk, but nothing that was promised hangs on it. Removed segments must come back after their
    // replacement has been used up to be noticed, which takes longer than a story.
    for kind in Flush::ALL.into_iter().filter(|kind| ![Flush::Header, Flush::Removed].contains(kind)) {
        let found = list_entry(&format!("the flush {kind:?}"), |seed| broken(seed, without(&[kind]), None));
        note(found.as_deref());
        assert!(found.is_some(), "without {kind:?} {PATIENCE} stories ended well");
    }
}

#[test]
fn the_model_sees_each_step_that_is_left_out() {
    // Checksums and links answer rot, the others power cuts.
    let rots = |step| matches!(step, Step::FrameSum | Step::SealSum | Step::Links);
    for step in STEPS {
        let setup = || Setup { rots: rots(step), thins: step == Step::Room, ..Setup::default() };
        let found = list_entry(&format!("the step {step:?}"), |seed| broken(seed, setup(), Some(step)));
        note(found.as_deref());
        assert!(found.is_some(), "without {step:?} {PATIENCE} stories ended well");
    }
}

/// Shown by the test runner when it is asked to show the output.
#[allow(clippy::print_stdout, reason = "the list is for whoever runs the test")]
fn note(found: Option<&str>) {
    println!("{}", found.unwrap_or("not seen"));
}
