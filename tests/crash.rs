//! What the hub acknowledged survives: the real program is killed, or loses power, again and again while clients
//! with persistent sessions work.
//!
//! `scripts/crash-rounds` runs more rounds than the few that every test run does.
#![allow(clippy::print_stdout, reason = "what was done is shown with the test")]

#[path = "crash/book.rs"]
mod book;
#[path = "crash/churn.rs"]
mod churn;
mod common;
#[path = "crash/disaster.rs"]
mod disaster;
#[path = "crash/judge.rs"]
mod judge;
#[path = "crash/keep.rs"]
mod keep;
#[path = "crash/machine.rs"]
mod machine;
#[path = "crash/publish.rs"]
mod publish;
#[path = "crash/round.rs"]
mod round;
#[path = "crash/session.rs"]
mod session;
#[path = "crash/subscribe.rs"]
mod subscribe;
#[path = "crash/wire.rs"]
mod wire;
#[path = "crash/world.rs"]
mod world;
