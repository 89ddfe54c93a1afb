//! From the journal to the store: records in the order of what happened, also when the store refuses for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use super::super::routes::Member;
use super::Journal;
use super::entry::{self, Entry};
use super::gate::Gate;
use super::index::Index;
use super::log::Log;
use super::record::{Mid, Moment, Number, Record};
use super::window::Window;
use crate::model::{Refusal, Ticket};
use crate::store::{Full, Refused, Settle, Settled};

/// Records that wait for the store; it has refused for long when there are as many.
const MOST: usize = 10_000;
/// Bytes that wait for the store before publishers are held back.
const MOST_BYTES: usize = 1 << 20;
/// Messages of one `Done` record.
const DONES: usize = 1000;

/// What is to be written.
#[derive(Debug)]
pub(super) enum What {
    /// A message, for the first time.
    Entry(Arc<Entry>),
    /// A message whose record lies in a segment that is to be freed.
    Copy(Arc<Entry>),
    /// Anything else.
    Record(Record),
}

/// Something to be written, and who waits for it.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) what: What,
    pub(super) tickets: Vec<Ticket>,
    /// What opens then, and for whom.
    pub(super) gate: Option<(Arc<Gate>, Weak<Member>)>,
}

impl Out {
    pub(super) fn lazy(record: Record) -> Self {
        Self { what: What::Record(record), tickets: Vec::new(), gate: None }
    }

    pub(super) fn waited(record: Record, ticket: Ticket) -> Self {
        Self { what: What::Record(record), tickets: vec![ticket], gate: None }
    }

    fn record(&self) -> Option<Record> {
        match &self.what {
            What::Entry(entry) => entry.record(true),
            What::Copy(entry) => entry.record(false),
            What::Record(record) => Some(record.clone()),
        }
    }

    fn entry(&self) -> Option<Arc<Entry>> {
        match &self.what {
            What::Entry(entry) | What::Copy(entry) => Some(Arc::clone(entry)),
            What::Record(_) => None,
        }
    }

    /// Whether somebody waits: then the store commits soon.
    fn is_waited_for(&self) -> bool {
        !self.tickets.is_empty() || self.gate.is_some() || matches!(self.what, What::Entry(_))
    }

    /// What it counts in memory, in bytes.
    fn weight(&self) -> usize {
        match &self.what {
            What::Entry(entry) => entry.weight(),
            What::Copy(_) | What::Record(_) => size_of::<Self>(),
        }
    }

    /// It is on the disk.
    pub(super) fn stored(self) {
        if let What::Entry(entry) = &self.what {
            entry.stored();
        }
        if let Some((gate, member)) = self.gate {
            gate.open();
            entry::wake(&[member]);
        }
        self.tickets.into_iter().for_each(Ticket::settle);
    }

    /// It will never be.
    pub(super) fn refused(self, why: Refusal) {
        if let What::Entry(entry) = &self.what {
            entry.refused(why);
        }
        self.tickets.into_iter().for_each(|ticket| ticket.refuse(why));
    }
}

/// Small news that nobody waits for; they are gathered.
#[derive(Debug, Default)]
pub(super) struct Lazies {
    /// Sessions whose head has changed.
    pub(super) heads: BTreeSet<Number>,
    pub(super) dones: BTreeMap<Number, Vec<Mid>>,
    pub(super) completed: BTreeMap<Number, Vec<u16>>,
    /// When they have waited for long enough.
    pub(super) due: Option<Instant>,
}

impl Lazies {
    fn records(&mut self, index: &Index) -> Vec<Record> {
        let Self { heads, dones, completed, .. } = std::mem::take(self);
        let head = |number| Some(Record::Session(number, index.sessions.get(&number)?.head.clone()));
        let mut records: Vec<Record> = heads.into_iter().filter_map(head).collect();
        for (number, mids) in dones {
            records.extend(mids.chunks(DONES).map(|mids| Record::Done(number, mids.to_vec())));
        }
        records.extend(completed.into_iter().map(|(number, ids)| Record::Completed(number, ids)));
        records
    }
}

/// What the journal's lock protects.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) index: Index,
    outbox: VecDeque<Out>,
    /// The weight of what is in it.
    bytes: usize,
    /// What the store took and then refused after all, oldest first.
    returned: VecDeque<Out>,
    /// What is to be refused or let go, outside all locks.
    pub(super) later: Vec<(Out, Option<Refusal>)>,
    pub(super) lazies: Lazies,
    pub(super) window: Window,
    pub(super) log: Log,
    /// Both clocks, to be written before anything that depends on time.
    time: Option<Moment>,
    /// The store has no room: the journal's task waits for it.
    pub(super) blocked: bool,
    /// The store is closed.
    pub(super) closed: bool,
}

impl Inner {
    pub(super) fn new(index: Index, log: Log, time: Moment) -> Self {
        Self { index, log, time: Some(time), ..Self::default() }
    }

    /// Writes the time with what is written next; now when what there is depends on it.
    pub(super) fn set_time(&mut self, time: Moment) {
        self.time = Some(time);
        if !self.index.sessions.is_empty() || !self.index.retained.is_empty() {
            self.push_time();
        }
    }

    fn push_time(&mut self) {
        if let Some(time) = self.time.take() {
            let record = Record::Time(time);
            self.index.apply(&record);
            self.push(Out::lazy(record));
        }
    }

    /// Whether as many records wait as may: small ones are not taken then either.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.len() >= MOST
    }

    /// Whether publishers have to wait.
    pub(super) fn is_pressed(&self) -> bool {
        self.bytes > MOST_BYTES || self.is_full()
    }

    /// Puts something behind everything that has happened before.
    pub(super) fn enqueue(&mut self, out: Out) {
        self.push_time();
        self.drain_lazies();
        if let What::Record(record) = &out.what {
            self.index.apply(record);
        }
        self.push(out);
    }

    /// Puts a copy of what the index knows already behind everything else.
    pub(super) fn enqueue_copy(&mut self, out: Out) {
        self.drain_lazies();
        self.push(out);
    }

    pub(super) fn drain_lazies(&mut self) {
        let records = self.lazies.records(&self.index);
        // The index knows what they say; a head may have changed again since.
        records.into_iter().for_each(|record| self.push(Out::lazy(record)));
    }

    fn push(&mut self, out: Out) {
        if let What::Record(record) = &out.what {
            self.index.supersede(record);
        }
        self.bytes += out.weight();
        self.outbox.push_back(out);
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.outbox.clear();
    }

    /// Offers the front; false when there is none or the store does not take it now.
    fn offer_front(&mut self, journal: &Arc<Journal>) -> bool {
        let Some(out) = self.outbox.pop_front() else { return false };
        self.bytes -= out.weight();
        let Some(record) = out.record() else {
            // Nothing is left to be written: whoever waits has nothing to wait for.
            self.later.push((out, None));
            return true;
        };
        let bytes = record.encode();
        let len = bytes.len();
        let (waited, entry) = (out.is_waited_for(), out.entry());
        let shared = Arc::new(Mutex::new(Some(out)));
        let settle = waited.then(|| journal.settle(Arc::clone(&shared)));
        match journal.chain.offer(bytes, settle) {
            Ok(sequence) => {
                self.offered(&record, entry.as_ref(), sequence, len);
                true
            }
            Err(Full { why, .. }) => take(&shared).is_some_and(|out| self.not_taken(out, why)),
        }
    }

    /// The store has taken it, and may have written it meanwhile.
    fn offered(&mut self, record: &Record, entry: Option<&Arc<Entry>>, sequence: u64, len: usize) {
        self.log.grow(sequence, len);
        let (Record::Message(stored), Some(entry)) = (record, entry) else {
            return self.index.place(record, sequence, len);
        };
        if let Some((number, id)) = stored.inbound {
            let inbound = Record::Inbound(number, id);
            self.index.place(&inbound, sequence, inbound.encode().len());
        }
        entry.set_sequence(sequence);
        self.index.recount(entry);
    }

    /// Says whether to go on with the next one.
    fn not_taken(&mut self, out: Out, why: Refused) -> bool {
        match why {
            Refused::TooLarge => self.later.push((out, Some(Refusal::Failed))),
            Refused::Closed => {
                self.closed = true;
                // Their tickets are dropped: nothing of it is acknowledged.
                self.clear();
            }
            Refused::NoRoom | Refused::Disk | Refused::Quota => {
                self.blocked = true;
                self.put_back(out);
                if why == Refused::Quota {
                    self.refuse_messages();
                }
            }
        }
        why == Refused::TooLarge
    }

    fn put_back(&mut self, out: Out) {
        if let What::Entry(entry) = &out.what {
            entry.wait_again();
        }
        self.bytes += out.weight();
        self.outbox.push_front(out);
    }

    /// The quota is used up: publishers are told, small records wait.
    fn refuse_messages(&mut self) {
        let (messages, others) = std::mem::take(&mut self.outbox)
            .into_iter()
            .partition::<VecDeque<Out>, _>(|out| matches!(out.what, What::Entry(_)));
        self.bytes = others.iter().map(Out::weight).sum();
        self.outbox = others;
        self.later.extend(messages.into_iter().map(|out| (out, Some(Refusal::QuotaExceeded))));
    }
}

fn take(shared: &Mutex<Option<Out>>) -> Option<Out> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Journal {
    /// What happens when the store has decided.
    fn settle(self: &Arc<Self>, shared: Arc<Mutex<Option<Out>>>) -> Settle {
        let journal = Arc::clone(self);
        Box::new(move |settled| {
            let Some(out) = take(&shared) else { return };
            match settled {
                Settled::Durable | Settled::Acked => out.stored(),
                // Its tickets are dropped: nothing of it is acknowledged.
                Settled::Refused(Refused::Closed) => drop(out),
                Settled::Refused(why) => journal.returned(out, why),
            }
        })
    }

    /// The store took it and cannot keep it.
    fn returned(&self, out: Out, why: Refused) {
        let mut inner = self.lock();
        match (&out.what, why) {
            (What::Entry(_), Refused::Quota | Refused::TooLarge) => {
                inner.later.push((out, Some(Refusal::QuotaExceeded)));
            }
            _ => inner.returned.push_back(out),
        }
        inner.blocked = true;
        drop(inner);
        self.wake.notify_one();
    }

    /// Offers what waits, as far as the store takes it.
    pub(super) fn pump(self: &Arc<Self>, inner: &mut Inner) {
        while let Some(out) = inner.returned.pop_back() {
            inner.put_back(out);
        }
        if inner.closed {
            inner.clear();
        }
        while !inner.blocked && inner.offer_front(self) {}
        if inner.blocked || !inner.later.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Refuses what has to be refused; outside all locks.
    pub(super) fn tell_refused(self: &Arc<Self>) {
        let later = std::mem::take(&mut self.lock().later);
        for (out, why) in later {
            let Some(why) = why else {
                out.tickets.into_iter().for_each(Ticket::settle);
                continue;
            };
            if let What::Entry(entry) = &out.what {
                self.tally.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.forget(entry);
            }
            out.refused(why);
        }
    }

    /// A refused message is in no record; its publisher's packet id is free again.
    fn forget(&self, entry: &Arc<Entry>) {
        let mut inner = self.lock();
        if let Some((number, id)) = entry.inbound() {
            inner.index.apply(&Record::Released(number, id));
        }
        entry.retain(|_| false);
        inner.index.recount(entry);
    }
}
