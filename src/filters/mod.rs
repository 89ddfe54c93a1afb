//! Filters: a pure chain of values inside the sampler, one chain per measure, applied in the order written.
//!
//! Invariants: a filter knows no clock but the sample's own stamp, gives at most one sample for each it takes,
//! and gives it with the stamp of the one it took, so that a chain keeps time order. A value that is not
//! finite never leaves a [`Chain`].

mod average;
mod chain;
mod deadband;
mod median;
mod offset;
mod range;
mod recipe;
mod round;
mod scale;
mod throttle;
mod window;

pub use chain::{Chain, Counts};
pub use recipe::{Recipe, configure};

use crate::config::Fields;
use crate::model::Sample;

/// One step of a chain.
pub trait Filter: Send {
    /// The sample to pass on, if any.
    fn apply(&mut self, sample: Sample) -> Option<Sample>;

    /// Forgets earlier samples, because the sensor was away.
    fn reset(&mut self) {}
}

/// Makes a fresh filter: at start, and for every other sensor that shares the recipe.
pub type Make = Box<dyn Fn() -> Box<dyn Filter> + Send + Sync>;

/// What one filter does and how it is configured.
pub struct Spec {
    /// The key that names the filter in its step.
    pub name: &'static str,
    /// One line: what it does.
    pub summary: &'static str,
    /// Its keys as documentation: key, default (empty = must be given), meaning.
    pub keys: &'static [(&'static str, &'static str, &'static str)],
    /// A working step as TOML.
    pub example: &'static str,
    /// Checks a step; `None` when a problem was noted.
    pub configure: fn(&mut Fields<'_, '_>) -> Option<Make>,
}

/// All filters.
pub static FILTERS: &[&Spec] = &[
    &offset::SPEC,
    &scale::SPEC,
    &round::SPEC,
    &range::SPEC,
    &median::SPEC,
    &average::SPEC,
    &deadband::SPEC,
    &throttle::SPEC,
];

/// The filter called `name`.
pub fn find(name: &str) -> Option<&'static Spec> {
    FILTERS.iter().copied().find(|spec| spec.name == name)
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::testing::{chain, problems, sample, shown};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_filter_is_documented_and_its_example_works() {
        for spec in FILTERS {
            assert_eq!(problems(spec.example), [""; 0], "{}", spec.name);
            assert!(spec.keys.iter().any(|(key, default, _)| key == &spec.name && default.is_empty()), "{}", spec.name);
            assert!(spec.example.contains(spec.name), "{}", spec.name);
            assert_eq!(FILTERS.iter().filter(|other| other.name == spec.name).count(), 1, "{}", spec.name);
        }
    }

    #[test]
    fn the_order_written_is_the_order_applied() {
        let run = |text| shown(&mut chain(text), &[(0, 10.0)]);
        assert_eq!(run("[{ offset = 1 }, { scale = 2 }]"), [(0, 22.0)]);
        assert_eq!(run("[{ scale = 2 }, { offset = 1 }]"), [(0, 21.0)]);
    }

    #[test]
    fn what_a_chain_takes_is_passed_or_filtered() {
        let mut chain = chain("[{ range = [0, 50] }, { deadband = 1 }]");
        let taken = [(0, 20.0), (1, 20.5), (2, 99.0), (3, f64::NAN), (4, 22.0)];
        assert_eq!(shown(&mut chain, &taken), [(0, 20.0), (4, 22.0)]);
        assert_eq!(chain.counts(), Counts { taken: 5, passed: 2, filtered: 3 });
        let by: Vec<_> = chain.filtered_by().collect();
        assert_eq!(by, [("not_finite", 1), ("range", 1), ("deadband", 1)]);
    }

    #[test]
    fn an_overflow_inside_the_chain_does_not_pass() {
        let mut chain = chain("[{ scale = 1e300 }, { range = [-1e308, 1e308], outside = \"mark\" }]");
        assert_eq!(shown(&mut chain, &[(0, 1e300), (1, 1.0)]), [(1, 1e300)]);
    }

    #[test]
    fn a_wrong_chain_is_told_with_the_right_spelling() {
        for (text, message) in [
            ("{ medain = 5 }", "unknown filter `medain`: did you mean `median`?"),
            ("{ at_least = \"5m\" }", "unknown filter `at_least`: known here: offset"),
            ("{ deadband = 0.1, at_lest = \"5m\" }", "unknown key `at_lest`: did you mean `at_least`?"),
            ("{ median = 5, offset = 1 }", "two filters in one step"),
            ("{}", "a step names one filter"),
            ("5", "a step is a table"),
            ("{ median = 2 }", "`median`: 2 is not"),
            ("{ average = 100000 }", "`average`: 100000 is not"),
            ("{ round = 12 }", "`round`: 12 is not"),
            ("{ scale = 0 }", "`scale`: 0 would"),
            ("{ offset = nan }", "`offset`: NaN is not"),
            ("{ range = [85, -40] }", "`range`: the lower limit"),
            ("{ range = [1, 2], outside = \"keep\" }", "`outside`: unknown variant `keep`"),
            ("{ deadband = -1 }", "`deadband`: -1 is not"),
            ("{ throttle = \"0s\" }", "`throttle`: must be"),
            ("{ throttle = \"10\" }", "`throttle`: \"10\" is not a time"),
        ] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(message), "{text}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn every_filter_keeps_time_order_and_lets_nothing_through_that_is_not_finite(
            steps in prop::collection::vec(0..FILTERS.len(), 0..5),
            values in prop::collection::vec((0_u64..100_000, prop_oneof![
                4 => -100.0..100.0, 1 => prop::num::f64::ANY,
            ]), 0..60),
        ) {
            let examples: Vec<_> = steps.iter().map(|&step| FILTERS[step].example).collect();
            let mut chain = chain(&format!("[{}]", examples.join(",")));
            let (mut now, mut last) = (0, 0);
            for (pause, value) in values {
                now += pause;
                if let Some(given) = chain.apply(sample(now, value)) {
                    prop_assert!(given.reading.value.is_finite());
                    prop_assert_eq!(given.stamp.mono_ms, now);
                    prop_assert!(given.stamp.mono_ms >= last);
                    last = given.stamp.mono_ms;
                }
            }
            let counts = chain.counts();
            prop_assert_eq!(counts.taken, counts.passed + counts.filtered);
            prop_assert_eq!(counts.filtered, chain.filtered_by().map(|(_, count)| count).sum::<u64>());
        }
    }
}
