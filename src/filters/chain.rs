//! The filters of one measure, in order, and what they held back.

use super::Filter;
use crate::model::Sample;

struct Step {
    name: &'static str,
    filter: Box<dyn Filter>,
    filtered: u64,
}

/// The filters of one measure of one sensor.
#[derive(Default)]
pub struct Chain {
    steps: Vec<Step>,
    taken: u64,
    passed: u64,
    not_finite: u64,
}

/// What a [`Chain`] did since it was made: `taken = passed + filtered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Samples given to the chain.
    pub taken: u64,
    /// Samples that came out of it.
    pub passed: u64,
    /// Samples it held back.
    pub filtered: u64,
}

impl Chain {
    pub(super) fn push(&mut self, name: &'static str, filter: Box<dyn Filter>) {
        self.steps.push(Step { name, filter, filtered: 0 });
    }

    /// The sample after all filters, unless one held it back or it is not a finite number.
    pub fn apply(&mut self, sample: Sample) -> Option<Sample> {
        self.taken += 1;
        let mut sample = self.finite(sample)?;
        for step in &mut self.steps {
            let Some(given) = step.filter.apply(sample) else {
                step.filtered += 1;
                return None;
            };
            sample = given;
        }
        let sample = self.finite(sample)?;
        self.passed += 1;
        Some(sample)
    }

    /// Forgets earlier samples, because the sensor was away; the counters stay.
    pub fn reset(&mut self) {
        self.steps.iter_mut().for_each(|step| step.filter.reset());
    }

    /// What was taken, passed and held back so far.
    pub fn counts(&self) -> Counts {
        Counts { taken: self.taken, passed: self.passed, filtered: self.taken - self.passed }
    }

    /// What was held back by each step, after `not_finite` for values that are no numbers.
    pub fn filtered_by(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let steps = self.steps.iter().map(|step| (step.name, step.filtered));
        std::iter::once(("not_finite", self.not_finite)).chain(steps)
    }

    fn finite(&mut self, sample: Sample) -> Option<Sample> {
        let finite = sample.reading.value.is_finite();
        self.not_finite += u64::from(!finite);
        finite.then_some(sample)
    }
}
