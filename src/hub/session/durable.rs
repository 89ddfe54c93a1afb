//! The part of a session that the journal keeps: it tells what has to be on the disk, and waits where it must.

use std::sync::Arc;

use super::journal::{Entry, Pending};
use super::{Answer, Dropped, InFlight, Inbound, Known, Parcel, Session};
use crate::model::{Qos, Receipt};

/// Packet ids that are left for what is sent without a reservation.
const SPARE_IDS: usize = 1024;

impl Inbound {
    /// PUBREL came and is on the disk: PUBCOMP has left, or may.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Inbound::Released(gate) if !gate.is_closed())
    }
}

impl Session {
    /// Queues a QoS 1 or 2 message of a durable session.
    pub(super) fn push_durably(&mut self, mut parcel: Parcel, kept: &mut Option<Arc<Entry>>) -> Dropped {
        if parcel.qos == Qos::ExactlyOnce && !self.reserve(&mut parcel) {
            return Dropped { kept: 1, ..Dropped::default() };
        }
        let Some(place) = &self.place else { return self.queue.push(parcel) };
        let entry = kept.get_or_insert_with(|| place.open(&parcel));
        parcel.kept = Some(Arc::clone(entry));
        let id = parcel.id;
        let dropped = self.queue.push(parcel);
        match self.queue.back().filter(|_| dropped.kept == 0) {
            Some(parcel) => place.deliver(entry, parcel),
            None => drop(self.reserved.remove(&id)),
        }
        dropped
    }

    /// Gives a QoS 2 parcel its packet id: that is written with the message. False when there is none.
    fn reserve(&mut self, parcel: &mut Parcel) -> bool {
        if self.reserved.len() + self.in_flight.len() + self.window + SPARE_IDS > u16::MAX.into() {
            return false;
        }
        parcel.id = self.free_id();
        self.reserved.insert(parcel.id)
    }

    /// The client has it, or it is worth nothing any more.
    pub(super) fn is_over(&self, parcel: &Parcel) {
        if let (Some(place), Some(entry)) = (&self.place, &parcel.kept) {
            place.done(entry);
        }
    }

    /// PUBREC came for what is at `at`.
    pub(super) fn note_received(&mut self, at: usize) -> Answer {
        let InFlight { id, parcel, gate } = &mut self.in_flight[at];
        let parcel = parcel.take().inspect(|parcel| self.queue.done(parcel));
        let kept = parcel.and_then(|parcel| parcel.kept);
        match (&self.place, kept) {
            (Some(place), Some(entry)) => {
                let Pending { gate: closed, receipt } = place.received(*id, &entry);
                *gate = Some(closed);
                Answer::When(receipt)
            }
            _ if gate.as_ref().is_some_and(|gate| gate.is_closed()) => Answer::UnderWay,
            _ => Answer::Now(Known::Yes),
        }
    }

    /// PUBREL came for a QoS 2 PUBLISH of the client.
    pub(crate) fn released_by_client(&mut self, id: u16) -> Answer {
        let Some(inbound) = self.received.get_mut(&id) else { return Answer::Now(Known::No) };
        match &self.place {
            Some(place) if !inbound.is_over() => {
                let Pending { gate, receipt } = place.released(id);
                *inbound = Inbound::Released(gate);
                Answer::When(receipt)
            }
            _ => {
                self.released(id);
                Answer::Now(Known::Yes)
            }
        }
    }

    /// A message that was queued in an earlier run.
    pub(crate) fn restore(&mut self, parcel: Parcel) {
        if parcel.id != 0 {
            self.reserved.insert(parcel.id);
        }
        self.queue.restore(parcel);
    }

    /// A PUBREL that was owed in an earlier run.
    pub(crate) fn restore_release(&mut self, id: u16) {
        self.in_flight.push_back(InFlight { id, parcel: None, gate: None });
    }

    /// A QoS 2 PUBLISH that was routed in an earlier run.
    pub(crate) fn restore_received(&mut self, id: u16) {
        self.received.insert(id, Inbound::Answered);
        self.settle();
    }

    /// The session ends. Nothing when it was not durable; else the receipt is safe when it cannot come back.
    pub(crate) fn leave_journal(&mut self) -> Option<Receipt> {
        let place = self.place.take()?;
        let sent = self.in_flight.iter().filter_map(|item| item.parcel.as_ref());
        let kept = sent.chain(self.queue.iter()).filter_map(|parcel| parcel.kept.as_ref());
        kept.for_each(|entry| place.gone(entry));
        Some(place.end())
    }
}
