//! The store: durable queues of opaque, versioned records.
//!
//! A queue has classes; each (queue, class) is a *chain* with its own sequence. Offered records wait
//! in memory until they are worth a commit, or until the receiver has them: then they are never
//! written. Commits go to segment files that are used again and again.
//!
//! Reading order: [`types`](ChainKey), `layout` (the bytes), `disk` (the trait, the real one, the
//! simulated one), `engine` (the disk side), `pending` (the memory side), `pump` (when to commit),
//! `handle` (the asynchronous face and its thread), `inspect` (for the command line).
//!
//! What is *not* here: topics, payloads, wall time, networks.

pub mod disk;
mod engine;
mod gap;
mod handle;
mod inspect;
mod layout;
mod leave_out;
mod past;
mod pending;
mod pump;
mod settings;
mod types;
mod words;

#[cfg(test)]
mod proof;

pub use gap::{Cause, Dropped, Gap};
pub use handle::{Chain, Store};
pub use inspect::{ChainInfo, Contents, Listing, Report, SegmentInfo, inspect, verify};
pub use past::Waits;
pub use settings::{Settings, WhenFull};
pub use types::{
    ChainKey, ChainStatus, CloseError, Full, Label, Labelled, NotDropped, NotReplaced, OpenError, ReadError, Record,
    Refused, Sealed, Settle, Settled, Status, StoreId, Totals, Want,
};
