//! What a durable session says to the journal; called while the session is locked.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::routes::Member;
use super::entry::{Ended, Entry};
use super::gate::Gate;
use super::outbox::{Inner, Out, What};
use super::record::{Delivery, Grant, Number, Record};
use super::{Instant, Journal, Parcel, Qos, Relaxed};
use crate::model::{Receipt, Ticket};

/// A session's place in the journal.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    journal: Arc<Journal>,
    pub(crate) number: Number,
    member: Weak<Member>,
}

/// Something that must be on the disk before it is answered: a gate for who comes later, a receipt for now.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) gate: Arc<Gate>,
    pub(crate) receipt: Receipt,
}

impl Place {
    pub(super) fn new(journal: Arc<Journal>, number: Number, member: Weak<Member>) -> Self {
        Self { journal, number, member }
    }

    /// The entry of a message that has none yet.
    pub(crate) fn open(&self, parcel: &Parcel) -> Arc<Entry> {
        self.journal.open(&parcel.message, parcel.expires)
    }

    /// The session has queued a parcel.
    pub(crate) fn deliver(&self, entry: &Entry, parcel: &Parcel) {
        let Parcel { qos, retain, id, ids, .. } = parcel;
        let packet_id = if *qos == Qos::ExactlyOnce { *id } else { 0 };
        let delivery = Delivery { session: self.number, qos: *qos, retain: *retain, packet_id, ids: ids.clone() };
        entry.deliver(delivery, &self.member);
    }

    /// The client has the message, or it is worth nothing any more.
    pub(crate) fn done(&self, entry: &Arc<Entry>) {
        match entry.end(self.number) {
            Ended::Nothing => {}
            Ended::Elided => drop(self.journal.tally.elided.fetch_add(1, Relaxed)),
            Ended::Note => self.gather(|inner| {
                inner.index.recount(entry);
                inner.lazies.dones.entry(self.number).or_default().push(entry.mid);
            }),
        }
    }

    /// The session has ended: its end says it all.
    pub(crate) fn gone(&self, entry: &Arc<Entry>) {
        if entry.end(self.number) == Ended::Note {
            self.journal.lock().index.recount(entry);
        }
    }

    /// PUBREC came. PUBREL leaves when the receipt is safe.
    pub(crate) fn received(&self, id: u16, entry: &Arc<Entry>) -> Pending {
        let ended = entry.end(self.number);
        let record = Record::Received(self.number, id, entry.mid);
        self.pending(record, |inner| {
            if ended == Ended::Note {
                inner.index.recount(entry);
            }
        })
    }

    /// PUBCOMP came.
    pub(crate) fn completed(&self, id: u16) {
        self.gather(|inner| {
            inner.index.apply(&Record::Completed(self.number, vec![id]));
            inner.lazies.completed.entry(self.number).or_default().push(id);
        });
    }

    /// PUBREL came. PUBCOMP leaves when the receipt is safe.
    pub(crate) fn released(&self, id: u16) -> Pending {
        self.pending(Record::Released(self.number, id), |_| {})
    }

    fn pending(&self, record: Record, first: impl FnOnce(&mut Inner)) -> Pending {
        let (gate, receipt) = (Arc::new(Gate::closed()), Receipt::new());
        let mut inner = self.journal.lock();
        first(&mut inner);
        let opens = Some((Arc::clone(&gate), Weak::clone(&self.member)));
        let out = Out { what: What::Record(record), tickets: vec![receipt.ticket()], gate: opens };
        self.enqueue(&mut inner, out);
        Pending { gate, receipt }
    }

    /// When too many records wait, this one is not written, and nothing is answered: the client repeats it.
    fn enqueue(&self, inner: &mut Inner, out: Out) {
        if inner.is_full() {
            self.journal.tally.skipped.fetch_add(1, Relaxed);
            return;
        }
        inner.enqueue(out);
        self.journal.pump(inner);
    }

    /// The client subscribes. Nothing to wait for when it was subscribed like this before.
    ///
    /// # Errors
    /// Too many records wait for the disk.
    pub(crate) fn subscribe(&self, filter: &str, grant: Grant, ticket: impl FnOnce() -> Ticket) -> Result<(), Crowded> {
        let mut inner = self.journal.lock();
        let known = inner.index.sessions.get(&self.number).and_then(|session| session.subscriptions.get(filter));
        if known.is_some_and(|(known, _)| *known == grant) {
            return Ok(());
        }
        if inner.is_full() {
            return Err(Crowded);
        }
        let record = Record::Subscribe(self.number, filter.into(), grant);
        self.enqueue(&mut inner, Out::waited(record, ticket()));
        Ok(())
    }

    /// The client does not subscribe any more.
    pub(crate) fn unsubscribe(&self, filter: &str, ticket: Ticket) {
        let record = Record::Unsubscribe(self.number, filter.into());
        self.enqueue(&mut self.journal.lock(), Out::waited(record, ticket));
    }

    /// A connection has the session now.
    pub(crate) fn back(&self, expiry: Duration) {
        self.head(expiry, None);
    }

    /// Where its client is now.
    pub(crate) fn seen(&self, local: bool) {
        if let Some(session) = self.journal.lock().index.sessions.get_mut(&self.number) {
            session.head.local = local;
        }
    }

    /// No connection has it any more.
    pub(crate) fn away(&self, expiry: Duration) {
        self.head(expiry, Some(self.journal.known.now_ms()));
    }

    fn head(&self, expiry: Duration, away_since: Option<u64>) {
        self.gather(|inner| {
            let Some(session) = inner.index.sessions.get_mut(&self.number) else { return };
            (session.head.expiry_s, session.head.away_since) = (expiry.as_secs(), away_since);
            inner.lazies.heads.insert(self.number);
        });
    }

    /// The session has ended. The receipt is safe when it cannot come back.
    pub(crate) fn end(&self) -> Receipt {
        let receipt = Receipt::new();
        let out = Out::waited(Record::SessionEnd(self.number), receipt.ticket());
        self.enqueue(&mut self.journal.lock(), out);
        receipt
    }

    /// Adds to the small news.
    fn gather(&self, add: impl FnOnce(&mut Inner)) {
        let mut inner = self.journal.lock();
        add(&mut inner);
        if inner.lazies.due.is_none() {
            inner.lazies.due = Some(Instant::now() + self.journal.gather);
            drop(inner);
            self.journal.wake.notify_one();
        }
    }
}

/// Too many records wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowded;
