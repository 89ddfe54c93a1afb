//! Many sequences, on all cores; a failure is made small.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fastrand::Rng;
use tokio::runtime::Builder;

use super::steps::{Step, sequence};
use super::world::World;

/// Sequences of a run that is not told how many.
const BOUNDED: u64 = 1000;

/// Failures after which a run ends.
const ENOUGH: u64 = 8;

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs one sequence in a runtime of its own.
pub(super) fn run(steps: &[Step]) -> Result<(), String> {
    let one = || {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async { World::new().run(steps).await })
    };
    catch_unwind(AssertUnwindSafe(one)).unwrap_or_else(|_| Err("panicked".into()))
}

#[test]
#[allow(clippy::print_stderr, reason = "a long run reports what it has done")]
fn sessions_do_what_the_specification_says() {
    let count = number_from("WEIR_FUZZ_SEQUENCES", BOUNDED);
    let seed = number_from("WEIR_FUZZ_SEED", 1).wrapping_mul(1 << 32);
    let began = tokio::time::Instant::now();
    let (next, steps, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Relaxed)).filter(|number| *number < count) {
                    let sequence = sequence(&mut Rng::with_seed(seed + number));
                    steps.fetch_add(sequence.len() as u64, Relaxed);
                    if let Err(what) = run(&sequence) {
                        eprintln!("{}", complaint(seed + number, sequence, &what));
                        if failed.fetch_add(1, Relaxed) + 1 >= ENOUGH {
                            next.store(count, Relaxed);
                        }
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let failed = failed.into_inner();
    eprintln!("sessions: {count} sequences of {} steps in {seconds:.1} s, {failed} failed", steps.into_inner());
    assert_eq!(failed, 0, "what failed is told above");
}

fn complaint(seed: u64, steps: Vec<Step>, what: &str) -> String {
    let small = minimised(steps);
    let last = run(&small).err();
    let lines: Vec<String> = small.iter().map(|step| format!("    {step:?},")).collect();
    format!("seed {seed}: {what}\nas small as it gets:\n{}\n{last:?}", lines.join("\n"))
}

/// Takes away the steps that are not needed for the failure.
fn minimised(mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            if run(&fewer).is_err() {
                steps = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    steps
}
