//! What the hub must still know after a power cut: durable sessions and retained messages, in one chain of
//! the store.
//!
//! The chain is a log of small records with keys; all that lives is in memory too, so the log is read at
//! start only. What is dead in it is freed by copying what still lives to its end ([`clean`]).
//!
//! Reading order: [`record`] (the bytes), [`index`] and [`fold`] (what lives), [`entry`] (a message on its
//! way), [`outbox`] (to the store, in order), [`place`] (what a session says), [`clean`], [`restore`].
//!
//! Locks, in this order: retained messages, a session, the journal, an entry. Whoever waits for the disk
//! holds none of them. Invariants: records reach the store in the order of what happened; nothing is
//! acknowledged, and no QoS 2 message sent, before its record is on the disk, or before every durable
//! session has acknowledged it.

mod clean;
mod entry;
mod fold;
mod gate;
mod index;
mod known;
mod log;
mod outbox;
mod place;
mod record;
mod restore;
mod retain;
mod task;
#[cfg(test)]
mod tests;
mod values;
mod window;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::JournalCounters;
use super::queue::Parcel;
use super::routes::Member;
use crate::model::{Message, Name, Qos, Ticket};
use crate::store::{Chain, ChainKey};
use entry::Sealed;
use known::Known;
use outbox::{Inner, Out, What};
use record::Head;

pub(crate) use entry::Entry;
pub(crate) use gate::Gate;
pub(crate) use place::{Pending, Place};
pub(crate) use record::{Grant, Number};
pub(crate) use restore::{Found, Restored};

/// How long a message may be acknowledged by its sessions before it is written.
const HOLD: Duration = Duration::from_millis(25);
/// Small news are gathered for this long at most, and for a quarter of the store's `max_loss`.
const GATHER: Duration = Duration::from_millis(200);
/// Bytes of messages that are held before publishers wait.
const MOST_YOUNG: usize = 4 << 20;
/// How long an answer waits for the disk that is not about a message: a dead card must not silence the LAN.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What the journal has counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages that every session acknowledged before they had to be written.
    pub(crate) elided: AtomicU64,
    /// Messages that the store refused.
    pub(crate) refused: AtomicU64,
    /// Records copied so that old ones could be freed.
    pub(crate) copied: AtomicU64,
    /// Answers that left before what they say was on the disk.
    pub(crate) hasty: AtomicU64,
    /// Records that were not written because too many waited.
    pub(crate) skipped: AtomicU64,
    /// Records found at start that cannot be read.
    pub(crate) strange: AtomicU64,
}

/// The journal as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    /// Bytes of all records that are not freed.
    pub(crate) log: usize,
    /// Bytes of those that live.
    pub(crate) live: usize,
    /// Sequences lost to damage since the store was made.
    pub(crate) lost: u64,
}

/// The hub's durable memory.
pub(crate) struct Journal {
    chain: Chain,
    known: Known,
    next_mid: AtomicU64,
    next_session: AtomicU64,
    gather: Duration,
    young: Mutex<VecDeque<(Instant, Arc<Entry>)>>,
    young_bytes: AtomicUsize,
    inner: Mutex<Inner>,
    /// The hub stops: nothing is held any more.
    closing: AtomicBool,
    /// The task has something to do.
    wake: Notify,
    /// Publishers may go on.
    room: Notify,
    pub(crate) tally: Tally,
}

/// Whether a chain of the store is the hub's own.
pub fn is_own_chain(chain: &ChainKey) -> bool {
    *chain == key()
}

/// The chain of the hub.
fn key() -> ChainKey {
    ChainKey { queue: Name::new("hub").expect("a good name"), class: 0 }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn young(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<Entry>)>> {
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new durable session; `member` is the one it belongs to.
    pub(crate) fn admit(self: &Arc<Self>, member: &Arc<Member>, local: bool, expiry: Duration) -> Place {
        let number = self.next_session.fetch_add(1, Relaxed);
        let (client_id, user) = (Arc::clone(&member.client_id), member.user.clone());
        let head = Head { client_id, user, local, expiry_s: expiry.as_secs(), away_since: None };
        self.write(Out::lazy(record::Record::Session(number, head)));
        Place::new(Arc::clone(self), number, Arc::downgrade(member))
    }

    /// A message that durable sessions are about to get, or that its QoS 2 publisher must not send again.
    pub(crate) fn open(&self, message: &Arc<Message>, expires: Option<Instant>) -> Arc<Entry> {
        let mid = self.next_mid.fetch_add(1, Relaxed);
        Arc::new(Entry::open(mid, Arc::clone(message), self.known_time(expires)))
    }

    /// All sessions have their parcels; `ticket` settles when the message is safe with all of them.
    pub(crate) fn seal(
        self: &Arc<Self>,
        entry: Arc<Entry>,
        inbound: Option<(Number, u16)>,
        ticket: impl FnOnce() -> Option<Ticket>,
    ) {
        match entry.seal(inbound, ticket) {
            Sealed::Nothing => {}
            Sealed::Hold if !self.closing.load(Relaxed) => self.hold(entry),
            Sealed::Hold => self.ripe([entry]),
            Sealed::Offer => self.ripe([entry]),
        }
    }

    fn hold(&self, entry: Arc<Entry>) {
        self.young_bytes.fetch_add(entry.weight(), Relaxed);
        let mut young = self.young();
        let first = young.is_empty();
        young.push_back((Instant::now() + HOLD, entry));
        drop(young);
        if first {
            self.wake.notify_one();
        }
    }

    /// Writes entries that have been held for long enough, or must not be.
    fn ripe(self: &Arc<Self>, entries: impl IntoIterator<Item = Arc<Entry>>) {
        let mut inner = self.lock();
        for entry in entries.into_iter().filter(|entry| entry.ripen()) {
            if let Some((number, id)) = entry.inbound() {
                if entry.message.retain {
                    // Once its packet id is on the disk a repetition is not routed: its value has to be there before.
                    inner.flush_window();
                }
                inner.index.apply(&record::Record::Inbound(number, id));
            }
            inner.enqueue(Out { what: What::Entry(entry), tickets: Vec::new(), gate: None });
        }
        self.pump(&mut inner);
    }

    fn write(self: &Arc<Self>, out: Out) {
        let mut inner = self.lock();
        inner.enqueue(out);
        self.pump(&mut inner);
    }

    /// Whether publishers to durable sessions should wait for [`Journal::room`].
    pub(crate) fn is_pressed(&self) -> bool {
        self.young_bytes.load(Relaxed) > MOST_YOUNG || self.lock().is_pressed()
    }

    /// Resolves when publishers may go on.
    pub(crate) fn room(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let journal = Arc::clone(self);
        async move {
            loop {
                let mut room = std::pin::pin!(journal.room.notified());
                // Registered before the look, so that no change falls between.
                room.as_mut().enable();
                if !journal.is_pressed() || journal.lock().closed {
                    return;
                }
                room.await;
            }
        }
    }

    /// A moment that lies ahead, on the known time.
    fn known_time(&self, at: Option<Instant>) -> Option<u64> {
        let left = at?.saturating_duration_since(Instant::now());
        Some(self.known.now_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long the log is, and how much of it lives.
    pub(crate) fn extent(&self) -> Extent {
        let inner = self.lock();
        let (log, live) = (inner.log.bytes(), inner.index.live);
        drop(inner);
        let lost = self.chain.gaps().iter().map(|gap| gap.last - gap.first + 1).sum();
        Extent { log, live, lost }
    }
}

impl Journal {
    pub(crate) fn counters(&self) -> JournalCounters {
        let (Extent { log, live, lost }, tally) = (self.extent(), &self.tally);
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        JournalCounters {
            log: log as u64,
            live: live as u64,
            elided: read(&tally.elided),
            copied: read(&tally.copied),
            refused: read(&tally.refused),
            hasty: read(&tally.hasty),
            skipped: read(&tally.skipped),
            strange: read(&tally.strange),
            lost,
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Journal").field(&self.extent()).finish()
    }
}
