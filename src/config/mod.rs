//! The configuration: text in, checked values out, every problem with its place.

mod fields;
mod merge;
mod nearest;
mod problems;
mod render;
mod report;
mod secret;
mod sources;
mod table;
pub mod units;
mod words;

pub use fields::Fields;
pub use merge::{changed_tables, parse};
pub use nearest::nearest;
pub use problems::{Place, Problem, Problems, Severity};
pub use render::render;
pub use report::Report;
pub use secret::{secret, secret_path};
pub use sources::{ReadError, Source, Sources, Spot};
pub use table::{Table, Value};
pub use words::suggest;
