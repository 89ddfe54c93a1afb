//! How much of what is read passes the filters: found by running the real ones.

use crate::filters::Recipe;
use crate::model::{BootId, Measure, Name, Quality, Sample, Stamp, TimeQuality};

/// Rounds that are tried at most.
const ROUNDS: u64 = 20_000;
/// Values that pass until the pace is known.
const ENOUGH: u64 = 20;

/// The share of the readings that passes: when the value never changes, and when it does all the time.
pub(super) fn shares(recipe: &Recipe, measure: &Measure, every_ms: u64) -> (f64, f64) {
    let middle = middle(measure);
    let least = share(recipe, measure, every_ms, |_| middle);
    let most = moving(measure).map(|(low, high)| {
        let alternating = |round: u64| if round.is_multiple_of(2) { low } else { high };
        // Up and down in twenty rounds; the average of a few does not flatten it.
        let triangle = |round: u64| low + (high - low) * (10 - (round % 20).abs_diff(10)) as f64 / 10.0;
        share(recipe, measure, every_ms, alternating).max(share(recipe, measure, every_ms, triangle))
    });
    (least, most.into_iter().fold(least, f64::max))
}

/// A value as the measure may well have it.
pub(super) fn middle(measure: &Measure) -> f64 {
    let (low, high) = bounds(measure);
    low + (high - low) * 0.531_27
}

fn bounds(measure: &Measure) -> (f64, f64) {
    let (low, high) = (measure.min, measure.max);
    if high - low < 1e7 { (low, high) } else { (low.max(0.0), low.max(0.0) + 1000.0) }
}

/// Pairs of values between which it may jump: `range` may cut off the wide ones, `deadband` holds back the narrow ones.
fn moving(measure: &Measure) -> [(f64, f64); 4] {
    let (low, high) = bounds(measure);
    let at = |share: f64| low + (high - low) * share;
    [(at(0.0), at(1.0)), (at(0.25), at(0.75)), (at(0.45), at(0.55)), (at(0.0), at(0.02))]
}

fn share(recipe: &Recipe, measure: &Measure, every_ms: u64, value: impl Fn(u64) -> f64) -> f64 {
    let mut chain = recipe.chain();
    let (mut passed, mut last) = (0, 0);
    // What passes because it is the first says nothing about the pace.
    for round in 0..ROUNDS {
        let passes = chain.apply(sample(measure, round * every_ms, value(round))).is_some();
        if passes && round > 0 {
            (passed, last) = (passed + 1, round);
        }
        if passed >= ENOUGH {
            break;
        }
    }
    if passed == 0 { 0.0 } else { passed as f64 / last as f64 }
}

/// A sample in the middle of a gateway's life.
pub(super) fn sample(measure: &Measure, mono_ms: u64, value: f64) -> Sample {
    let stamp = Stamp { wall_ms: 1_795_342_500_123, mono_ms, boot: BootId::default(), quality: TimeQuality::Synced };
    let sensor = Name::new("sensor").expect("a good name");
    Sample { sensor, reading: measure.is(value), stamp, quality: Quality::Ok, sequence: 123_456 }
}
