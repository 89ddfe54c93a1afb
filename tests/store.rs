//! The store from outside: handles, the real disk, what is written and what it costs.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "store/books.rs"]
mod books;
#[path = "store/costs.rs"]
mod costs;
#[path = "store/failing.rs"]
mod failing;
#[path = "store/gaps.rs"]
mod gaps;
#[path = "store/handles.rs"]
mod handles;
#[path = "store/pinned.rs"]
mod pinned;
#[path = "store/real.rs"]
mod real;
#[path = "store/support.rs"]
mod support;
#[path = "store/thinning.rs"]
mod thinning;
