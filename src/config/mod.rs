//! The configuration: text in, checked values out, every problem with its place.

pub mod fields;
mod nearest;
pub mod units;

pub use fields::{Fields, Place, Problem, Problems, Severity, Table, Value};
pub use nearest::nearest;
