//! What goes in and out of a session.

use std::sync::Arc;

use super::bell::Bell;
use super::queue::{Dropped, Parcel};

/// What goes to the client next.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// A PUBLISH; the packet id is 0 with QoS 0.
    Publish { id: u16, dup: bool, parcel: Parcel },
    /// A PUBREL.
    Release { id: u16 },
}

impl Outgoing {
    /// The bytes of its message.
    pub(crate) fn size(&self) -> usize {
        match self {
            Outgoing::Publish { parcel, .. } => parcel.size(),
            Outgoing::Release { .. } => 0,
        }
    }
}

/// What became of a message that was queued.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    pub(crate) dropped: Dropped,
    /// From now on messages with QoS 1 and 2 are lost, until there is room again.
    pub(crate) begins: bool,
    /// Whom to wake.
    pub(crate) wake: Option<Arc<Bell>>,
}

/// What was taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Messages that had expired.
    pub(crate) expired: usize,
    /// Nothing is left that may be sent now.
    pub(crate) all: bool,
}
