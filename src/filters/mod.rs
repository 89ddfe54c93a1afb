//! Filters: a pure chain of values inside the sampler, one chain per measure.

use crate::model::Sample;

/// One step of a chain.
pub trait Filter: Send {
    /// The sample to pass on, if any.
    fn apply(&mut self, sample: Sample) -> Option<Sample>;
}
