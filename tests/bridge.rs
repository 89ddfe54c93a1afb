//! Bridges against real brokers, over links that fail.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "bridge/batches.rs"]
mod batches;
mod common;
#[path = "bridge/fake.rs"]
mod fake;
#[path = "bridge/forward.rs"]
mod forward;
#[path = "bridge/gaps.rs"]
mod gaps;
#[path = "bridge/harness.rs"]
mod harness;
#[path = "bridge/links.rs"]
mod links;
#[path = "bridge/metered.rs"]
mod metered;
#[path = "bridge/receive.rs"]
mod receive;
#[path = "bridge/refusals.rs"]
mod refusals;
#[path = "bridge/replay.rs"]
mod replay;
#[path = "bridge/rings.rs"]
mod rings;
#[path = "bridge/stored.rs"]
mod stored;
