//! The configuration: text in, checked values out, every problem with its place.

pub mod fields;
mod nearest;
mod problems;
pub mod units;

pub use fields::{Fields, Table, Value, suggest};
pub use nearest::nearest;
pub use problems::{Place, Problem, Problems, Severity};
