//! The bridge and its store under disaster, as the real program: the cable is cut, then the power, at random moments;
//! a fleet loses its broker and gets it back.
//!
//! `scripts/crash-rounds` runs more rounds, `scripts/bench/outage` and `scripts/bench/fleet` measure.
#![allow(clippy::print_stdout, reason = "what was done is shown with the test")]

mod common;
#[path = "outage/crowd.rs"]
mod crowd;
#[path = "outage/kit/mod.rs"]
mod kit;
#[path = "outage/rounds.rs"]
mod rounds;
#[path = "outage/site.rs"]
mod site;
#[path = "outage/wear.rs"]
mod wear;
