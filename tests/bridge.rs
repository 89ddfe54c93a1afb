//! Bridges against real brokers, over links that fail.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "bridge/batches.rs"]
mod batches;
#[path = "bridge/certificates.rs"]
mod certificates;
mod common;
#[path = "bridge/endpoints.rs"]
mod endpoints;
#[path = "bridge/fake.rs"]
mod fake;
#[path = "bridge/forward.rs"]
mod forward;
#[path = "bridge/front.rs"]
mod front;
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
#[path = "bridge/roads.rs"]
mod roads;
#[path = "bridge/stored.rs"]
mod stored;
