//! What the client sends with QoS 2.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::Session;
use crate::hub::journal::Gate;
use crate::model::Receipt;

/// What a QoS 2 PUBLISH is.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// New: route it.
    New,
    /// Routed before; PUBREC will follow.
    UnderWay,
    /// An earlier connection has not handed it over yet.
    Elsewhere,
    /// Routed by an earlier connection, which did not send PUBREC.
    Left(Receipt),
    /// Routed and answered.
    Answered,
}

/// How far a QoS 2 message of the client has come.
#[derive(Debug)]
pub(super) enum Inbound {
    /// The connection with this epoch will send PUBREC.
    UnderWay(u64),
    /// That connection has ended; the next one asks this receipt.
    Left(Receipt),
    /// PUBREC was sent.
    Answered,
    /// PUBREL came; PUBCOMP must wait for the gate.
    Released(Arc<Gate>),
}

impl Session {
    /// A QoS 2 PUBLISH of the client arrived on the present connection.
    pub(crate) fn arrived(&mut self, id: u16) -> Arrival {
        let mine = Inbound::UnderWay(self.epoch);
        match self.received.entry(id) {
            Entry::Vacant(place) => {
                place.insert(mine);
                self.settle();
                Arrival::New
            }
            Entry::Occupied(mut place) => match place.get() {
                Inbound::UnderWay(epoch) if *epoch == self.epoch => Arrival::UnderWay,
                Inbound::UnderWay(_) => Arrival::Elsewhere,
                Inbound::Answered => Arrival::Answered,
                Inbound::Left(_) => match place.insert(mine) {
                    Inbound::Left(receipt) => Arrival::Left(receipt),
                    _ => Arrival::UnderWay,
                },
                // The exchange before is over for the client: the id is free.
                Inbound::Released(_) => {
                    place.insert(mine);
                    Arrival::New
                }
            },
        }
    }

    /// PUBREC has been sent for the QoS 2 PUBLISH `id`; a connection that ends first leaves its receipt.
    pub(crate) fn answered(&mut self, id: u16, left: Option<Receipt>) {
        if let Some(place) = self.received.get_mut(&id) {
            *place = left.map_or(Inbound::Answered, Inbound::Left);
        }
    }

    /// A PUBREC that refused: the id is free, and nothing of it is kept.
    pub(crate) fn released(&mut self, id: u16) {
        self.received.remove(&id);
        self.settle();
    }

    /// The connection `epoch` has ended: what it took and will not route counts as new when it is repeated.
    pub(crate) fn forget_under_way(&mut self, epoch: u64, still_held: impl Fn(u16) -> bool) {
        self.received.retain(|id, it| !matches!(it, Inbound::UnderWay(of) if *of == epoch) || still_held(*id));
    }

    /// QoS 2 messages of the client between PUBLISH and PUBCOMP.
    pub(crate) fn receiving(&self) -> usize {
        self.received.values().filter(|it| !it.is_over()).count()
    }
}
