//! The whole gateway, as its own process or in this one, over real sockets and with a real cloud broker.

#![allow(clippy::print_stdout, reason = "what was measured is shown with the test")]

#[path = "gateway/books.rs"]
mod books;
#[path = "gateway/classes.rs"]
mod classes;
#[path = "gateway/cloud.rs"]
mod cloud;

#[path = "gateway/commands.rs"]
mod commands;
mod common;
#[path = "gateway/dead.rs"]
mod dead;
#[path = "gateway/down.rs"]
mod down;
#[path = "gateway/dropped.rs"]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
mod dropped;
#[path = "gateway/lan.rs"]
mod lan;
#[path = "gateway/outage.rs"]
mod outage;
#[path = "gateway/powercut.rs"]
mod powercut;
#[path = "gateway/process.rs"]
mod process;
#[path = "gateway/reload.rs"]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
mod reload;
#[path = "gateway/second_broker.rs"]
mod second_broker;
#[path = "gateway/thinning.rs"]
mod thinning;
#[path = "gateway/typed.rs"]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
mod typed;
#[path = "gateway/unhurried.rs"]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
mod unhurried;
