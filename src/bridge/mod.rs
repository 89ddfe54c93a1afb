//! Bridges: chosen topics to and from a cloud broker, through outages.
//!
//! ```text
//! hub -> outbox -> store -> link -> uplink -> cloud      the PUBACK travels back to the store, and from there to the hub
//! hub <- inbound <--------- link <- uplink <- cloud      the cloud is acknowledged when the hub's consumers have it
//! ```
//! Invariants: the hub never waits for the cloud; nothing is removed from the store before the cloud's
//! PUBACK, unless it is given up for good, which is counted and logged; a connection owns no message.

// The room's main type has the room's name.
#[expect(clippy::module_inception)]
mod bridge;
pub mod budget;
mod connect;
mod core;
mod dead;
mod gaps;
mod hops;
mod inbound;
mod lanes;
mod link;
mod outbox;
mod past;
mod place;
#[cfg(test)]
mod proof;
pub mod record;
mod roster;
pub mod rules;
mod schedule;
mod settings;
mod status;
mod strays;
mod switch;
mod tally;
pub mod thin;
pub mod uplink;

pub use bridge::{Bridge, Costs, Options, Status};
pub use core::Timing;
pub use dead::DeadLetter;
pub use hops::HOP;
pub use lanes::labelled;
pub use link::{BACKFILL, DEDUPE_KEY};
pub use settings::{
    Batch, Budget, Class, Connect, Endpoint, Forward, Proxy, ProxyKind, Receive, Replay, Settings, Tls, Transport,
    Version,
};
pub use status::Condition;
pub use tally::Counters;
