//! Holds back values that hardly differ from the last one passed, with a heartbeat.
//!
//! The heartbeat comes with the first sample that is within a tenth of `at_least` of being due, because a
//! sample that comes a moment early would otherwise put it off by a whole interval.

use std::time::Duration;

use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::config::units::Every;
use crate::model::{Quality, Sample};

pub(super) static SPEC: Spec = Spec {
    name: "deadband",
    summary: "passes a value only when it differs from the last one passed",
    keys: &[
        ("deadband", "", "the least difference, in the measure's unit; 0 passes every change"),
        ("at_least", "never", "pass a value after this time even without a change, for example \"5m\""),
    ],
    example: "{ deadband = 0.1, at_least = \"5m\" }",
    configure,
};

struct Deadband {
    width: f64,
    at_least_ms: Option<u64>,
    last: Option<(f64, Quality, u64)>,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let at_least_ms = fields.maybe::<Every>("at_least").map(|every| milliseconds(every.0));
    let width: f64 = fields.need("deadband")?;
    if !(width >= 0.0 && width.is_finite()) {
        fields.wrong("deadband", format!("`deadband`: {width} is not a difference, which is 0 or more"), None);
        return None;
    }
    Some(Box::new(move || Box::new(Deadband { width, at_least_ms, last: None })))
}

/// A duration read from the configuration in milliseconds; at most some 3000 years there.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Deadband {
    fn passes(&self, sample: &Sample) -> bool {
        let Some((value, quality, at_ms)) = self.last else { return true };
        let difference = (sample.reading.value - value).abs();
        // 21.4 - 21.3 is a hair less than 0.1 in binary, and still a change of 0.1.
        let hair = (sample.reading.value.abs() + value.abs()) * f64::EPSILON;
        let due = |at_least_ms: u64| {
            let waited_ms = sample.stamp.mono_ms.saturating_sub(at_ms);
            waited_ms >= at_least_ms - at_least_ms / 10
        };
        quality != sample.quality
            || (difference > 0.0 && difference + hair >= self.width)
            || self.at_least_ms.is_some_and(due)
    }
}

impl Filter for Deadband {
    fn apply(&mut self, sample: Sample) -> Option<Sample> {
        if !self.passes(&sample) {
            return None;
        }
        self.last = Some((sample.reading.value, sample.quality, sample.stamp.mono_ms));
        Some(sample)
    }

    fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, shown, values};
    use crate::model::Quality;

    #[test]
    fn small_changes_wait_until_they_add_up() {
        let taken = [21.3, 21.35, 21.4, 21.45, 21.3, 21.2];
        assert_eq!(values("{ deadband = 0.1 }", &taken), [21.3, 21.4, 21.3, 21.2]);
        assert_eq!(values("{ deadband = 0 }", &[1.0, 1.0, 1.001, 1.001]), [1.0, 1.001]);
    }

    #[test]
    fn the_heartbeat_comes_without_a_change() {
        let mut chain = chain("{ deadband = 1, at_least = \"60s\" }");
        let taken = [(0, 5.0), (30_000, 5.0), (59_900, 5.0), (90_000, 5.0), (100_000, 9.0), (150_000, 9.0)];
        assert_eq!(shown(&mut chain, &taken), [(0, 5.0), (59_900, 5.0), (100_000, 9.0)]);
    }

    #[test]
    fn a_change_of_quality_is_a_change() {
        let mut chain = chain("{ deadband = 1 }");
        assert!(chain.apply(sample(0, 5.0)).is_some());
        let suspect = crate::model::Sample { quality: Quality::Suspect, ..sample(1, 5.0) };
        assert!(chain.apply(suspect.clone()).is_some());
        assert!(chain.apply(suspect).is_none());
    }

    #[test]
    fn the_first_value_after_a_reset_passes() {
        let mut chain = chain("{ deadband = 1 }");
        assert!(chain.apply(sample(0, 5.0)).is_some());
        chain.reset();
        assert!(chain.apply(sample(1, 5.0)).is_some());
    }
}
