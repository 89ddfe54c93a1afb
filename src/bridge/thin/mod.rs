//! Thinning: before anything is dropped for want of space, old readings become one for each window of time.
//!
//! [`Reducer`] is pure: records in, fewer records out. [`Thinner`] does that with whole segments of the store.
//!
//! What is thinned: readings of our own sensors, of classes telemetry and bulk. What is not: alarms, commands,
//! messages of others, readings marked stale, and measures of which every value counts
//! ([`Measure::exact`](crate::model::Measure::exact)): counters and states.
//!
//! Invariants: of each topic the order stays; count, mean, least and most of a window are those of all readings in
//! it, however often they were thinned; every other record stays as it was, byte for byte.

mod task;
#[cfg(test)]
mod tests;
mod window;

pub use task::Thinner;
pub use window::{Reducer, WINDOWS};
