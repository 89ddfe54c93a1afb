//! The hub over real sockets: independent clients, raw bytes, hostile clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(clippy::print_stdout, reason = "what was measured is shown with the test")]

#[path = "hub/acl.rs"]
mod acl;
#[path = "hub/bench.rs"]
mod bench;
#[path = "hub/durable.rs"]
mod durable;
#[path = "hub/found.rs"]
mod found;
#[path = "hub/hostile.rs"]
mod hostile;
#[path = "hub/inside.rs"]
mod inside;
#[path = "hub/kept.rs"]
mod kept;
#[path = "hub/login.rs"]
mod login;
#[path = "hub/memory.rs"]
mod memory;
#[path = "common/mosquitto.rs"]
#[allow(dead_code, reason = "other test programs use more of it")]
mod mosquitto_broker;
#[path = "hub/program.rs"]
#[allow(dead_code, reason = "the clients' tests use the rest")]
mod program;
#[path = "hub/raw.rs"]
mod raw;
#[path = "hub/sessions.rs"]
mod sessions;
#[path = "hub/shelf.rs"]
mod shelf;
#[path = "hub/siege.rs"]
mod siege;
#[path = "hub/subscriptions.rs"]
mod subscriptions;
#[path = "hub/sys.rs"]
mod sys;
#[path = "hub/twins.rs"]
mod twins;
