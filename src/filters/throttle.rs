//! Passes one value per period, the first that is due.
//!
//! A value may come up to a tenth of the period early, so that samples taken once per period with a little
//! jitter all pass; what came early is added to the next wait, so that the mean rate never exceeds one
//! per period.

use super::deadband::milliseconds;
use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::config::units::Every;
use crate::model::Sample;

pub(super) static SPEC: Spec = Spec {
    name: "throttle",
    summary: "passes one value per period",
    keys: &[("throttle", "", "the period, for example \"10s\"")],
    example: "{ throttle = \"10s\" }",
    configure,
};

struct Throttle {
    period_ms: u64,
    due_ms: Option<u64>,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let period_ms = milliseconds(fields.need::<Every>("throttle")?.0);
    if period_ms == 0 {
        fields.wrong("throttle", "`throttle`: must be more than 0", Some("write it as in \"10s\"".into()));
        return None;
    }
    Some(Box::new(move || Box::new(Throttle { period_ms, due_ms: None })))
}

impl Filter for Throttle {
    fn apply(&mut self, sample: Sample) -> Option<Sample> {
        let now_ms = sample.stamp.mono_ms;
        let due_ms = self.due_ms.unwrap_or(now_ms);
        let early_ms = self.period_ms / 10;
        if now_ms.saturating_add(early_ms) < due_ms {
            return None;
        }
        self.due_ms = Some(now_ms.max(due_ms).saturating_add(self.period_ms));
        Some(sample)
    }

    fn reset(&mut self) {
        self.due_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, shown};

    fn passed(taken: &[u64]) -> Vec<u64> {
        let mut chain = chain("{ throttle = \"10s\" }");
        let timed: Vec<_> = taken.iter().map(|&at_ms| (at_ms, 1.0)).collect();
        shown(&mut chain, &timed).into_iter().map(|(at_ms, _)| at_ms).collect()
    }

    #[test]
    fn one_value_per_period() {
        assert_eq!(passed(&[0, 1, 4_000, 8_900, 10_000, 12_000, 50_000, 55_000]), [0, 10_000, 50_000]);
    }

    #[test]
    fn jitter_around_the_period_loses_nothing() {
        let jittery = [0, 9_990, 20_010, 29_995, 40_000];
        assert_eq!(passed(&jittery), jittery);
    }

    #[test]
    fn coming_early_does_not_raise_the_mean_rate() {
        let early: Vec<u64> = (0..1000).map(|n| n * 9_100).collect();
        let kept = passed(&early).len() as u64;
        assert!(kept <= 999 * 9_100 / 10_000 + 1, "{kept}");
    }
}
