//! One message with the durable sessions it waits for.
//!
//! It is *open* while it is routed, then *young*: if every session acknowledges it now, it never touches
//! the disk. Else it is *queued*, and at last *offered* to the store. Its parcels in the sessions' queues
//! hold it; the journal holds it once it is offered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::super::routes::Member;
use super::gate::Gate;
use super::record::{Delivery, Mid, Number, Record, Stored, delivery_size};
use crate::model::{Message, Qos, Refusal, Ticket};

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Young,
    Queued,
    Offered,
    /// Delivered everywhere, or refused: nothing of it is written any more.
    Gone,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    deliveries: Vec<Delivery>,
    /// Sessions that must not send it before it is on the disk.
    gated: Vec<Weak<Member>>,
    inbound: Option<(Number, u16)>,
    ticket: Option<Ticket>,
    /// Of its newest record.
    sequence: u64,
    /// What the journal counts for it, in bytes.
    counted: usize,
}

/// One message that durable sessions wait for.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) mid: Mid,
    pub(crate) message: Arc<Message>,
    /// When on the known time it is worth nothing any more.
    pub(super) expires: Option<u64>,
    gate: Gate,
    state: Mutex<State>,
}

/// What a sealed entry needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    /// Nothing: no durable session got it, or all have acknowledged it.
    Nothing,
    /// A place among the young.
    Hold,
    /// To be offered now.
    Offer,
}

/// What the end of a delivery means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing to write.
    Nothing,
    /// The last one ended before the entry was written.
    Elided,
    /// The store has to hear of it.
    Note,
}

impl Entry {
    pub(super) fn open(mid: Mid, message: Arc<Message>, expires: Option<u64>) -> Self {
        Self::new(mid, message, expires, Gate::closed(), Phase::Open)
    }

    fn new(mid: Mid, message: Arc<Message>, expires: Option<u64>, gate: Gate, phase: Phase) -> Self {
        let (deliveries, gated, inbound, ticket) = (Vec::new(), Vec::new(), None, None);
        let state = State { phase, deliveries, gated, inbound, ticket, sequence: 0, counted: 0 };
        Self { mid, message, expires, gate, state: Mutex::new(state) }
    }

    /// One that comes from the disk.
    pub(super) fn restored(stored: Stored, sequence: u64) -> Self {
        let Stored { mid, message, expires, deliveries, .. } = stored;
        let entry = Self::new(mid, message, expires, Gate::opened(), Phase::Offered);
        let mut state = entry.lock();
        (state.deliveries, state.sequence) = (deliveries, sequence);
        drop(state);
        entry
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closed as long as its QoS 2 deliveries must wait for the disk.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// One more session gets it; `member` is woken when the gate opens.
    pub(super) fn deliver(&self, delivery: Delivery, member: &Weak<Member>) {
        let mut state = self.lock();
        if delivery.qos == Qos::ExactlyOnce {
            state.gated.push(Weak::clone(member));
        }
        state.deliveries.push(delivery);
    }

    /// All sessions have it. The ticket settles when it is safe.
    pub(super) fn seal(&self, inbound: Option<(Number, u16)>, ticket: impl FnOnce() -> Option<Ticket>) -> Sealed {
        let mut state = self.lock();
        state.inbound = inbound;
        if state.deliveries.is_empty() && inbound.is_none() {
            state.phase = Phase::Gone;
            return Sealed::Nothing;
        }
        state.ticket = ticket();
        let at_once = inbound.is_some() || !state.gated.is_empty();
        state.phase = if at_once { Phase::Queued } else { Phase::Young };
        if at_once { Sealed::Offer } else { Sealed::Hold }
    }

    /// It has been young for long enough; false when there is nothing to write any more.
    pub(super) fn ripen(&self) -> bool {
        let mut state = self.lock();
        if state.phase == Phase::Young {
            state.phase = Phase::Queued;
        }
        state.phase == Phase::Queued
    }

    /// The session has it, or needs it no more.
    pub(super) fn end(&self, session: Number) -> Ended {
        let mut state = self.lock();
        let Some(at) = state.deliveries.iter().position(|it| it.session == session) else { return Ended::Nothing };
        state.deliveries.swap_remove(at);
        let over = state.deliveries.is_empty() && state.inbound.is_none();
        let ended = match state.phase {
            Phase::Open | Phase::Gone => Ended::Nothing,
            Phase::Young | Phase::Queued if over => Ended::Elided,
            Phase::Young | Phase::Queued => Ended::Nothing,
            Phase::Offered => Ended::Note,
        };
        let ticket = if over { state.ticket.take() } else { None };
        if ended == Ended::Elided {
            state.phase = Phase::Gone;
        }
        drop(state);
        // Everybody has it: that is as good as the disk.
        ticket.into_iter().for_each(Ticket::settle);
        ended
    }

    /// Its record for the store, first time or copied; nothing when there is nothing to write.
    pub(super) fn record(&self, first: bool) -> Option<Record> {
        let mut state = self.lock();
        let wanted = if first { Phase::Queued } else { Phase::Offered };
        if state.phase != wanted || (!first && state.deliveries.is_empty()) {
            return None;
        }
        state.phase = Phase::Offered;
        let (mid, message, expires) = (self.mid, Arc::clone(&self.message), self.expires);
        let inbound = state.inbound.filter(|_| first);
        let deliveries = state.deliveries.clone();
        Some(Record::Message(Box::new(Stored { mid, message, expires, inbound, deliveries })))
    }

    /// The store did not take it yet.
    pub(super) fn wait_again(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Offered {
            state.phase = Phase::Queued;
        }
    }

    pub(super) fn set_sequence(&self, sequence: u64) {
        self.lock().sequence = sequence;
    }

    pub(super) fn sequence(&self) -> u64 {
        self.lock().sequence
    }

    pub(super) fn inbound(&self) -> Option<(Number, u16)> {
        self.lock().inbound
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.lock().deliveries.clone()
    }

    /// Keeps only the deliveries that `keep` wants; says whether any is left.
    pub(super) fn retain(&self, keep: impl FnMut(&Delivery) -> bool) -> bool {
        let mut state = self.lock();
        state.deliveries.retain(keep);
        !state.deliveries.is_empty()
    }

    /// What the journal should count for it, and what it has counted so far.
    pub(super) fn recount(&self) -> (usize, usize) {
        let mut state = self.lock();
        let each: usize = state.deliveries.iter().map(delivery_size).sum();
        let size = if state.deliveries.is_empty() { 0 } else { self.weight() + each };
        (size, std::mem::replace(&mut state.counted, size))
    }

    /// About the bytes of its body.
    pub(super) fn weight(&self) -> usize {
        48 + self.message.topic.as_str().len() + self.message.payload.len()
    }

    /// It is on the disk: acknowledge it, and let its sessions send it.
    pub(super) fn stored(&self) {
        let mut state = self.lock();
        let (ticket, gated) = (state.ticket.take(), std::mem::take(&mut state.gated));
        self.gate.open();
        drop(state);
        ticket.into_iter().for_each(Ticket::settle);
        wake(&gated);
    }

    /// It is not kept. QoS 1 deliveries go on from memory; those with QoS 2 are dropped, because the publisher
    /// is told that its message was not taken.
    pub(super) fn refused(&self, why: Refusal) {
        let mut state = self.lock();
        state.phase = Phase::Gone;
        state.deliveries.clear();
        let (ticket, gated) = (state.ticket.take(), std::mem::take(&mut state.gated));
        self.gate.refuse();
        drop(state);
        if let Some(ticket) = ticket {
            ticket.refuse(why);
        }
        wake(&gated);
    }
}

/// Lets sessions look at their queues again.
pub(super) fn wake(members: &[Weak<Member>]) {
    for member in members.iter().filter_map(Weak::upgrade) {
        let bell = member.lock().stir();
        if let Some(bell) = bell {
            bell.ring();
        }
    }
}
