//! The part of a chain that is in memory: what was offered and is neither on the disk nor delivered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::gap::Gap;
use super::past::Past;
use super::types::{ChainKey, Full, Record, Refused, Settle, Settled};
use super::words::{GivenUp, Words};

/// The bytes that may wait in memory in one chain.
pub(crate) const MOST: usize = 1024 * 1024;
/// What an empty record costs in memory.
const OVERHEAD: usize = 64;
/// As many bytes are worth a commit at once.
pub(crate) const PLENTY: usize = 64 * 1024;
/// A waiting connection waits at least this long before a commit for it alone.
const PATIENCE: Duration = Duration::from_millis(50);

struct Item {
    bytes: Arc<[u8]>,
    settle: Option<Settle>,
    at: Duration,
}

/// A chain in memory; the lock is held for moments only, never during I/O or callbacks.
pub(crate) struct Cell {
    pub(crate) key: ChainKey,
    /// See [`crate::store::Store::pinned`].
    pinned: AtomicBool,
    state: Mutex<Pending>,
    past: Mutex<Past>,
    /// Something new can be read.
    pub(crate) more: Notify,
    /// Something was refused before and may be taken now.
    pub(crate) room: Notify,
    /// The ledger has another gap.
    pub(crate) gap: Notify,
    /// Somebody has asked for this chain in this run.
    in_use: AtomicBool,
}

/// What the lock protects.
pub(crate) struct Pending {
    items: VecDeque<Item>,
    /// The sequence the next record gets.
    pub(crate) next: u64,
    /// Cost of all items, in bytes.
    pub(crate) bytes: usize,
    /// Everything up to here is delivered.
    pub(crate) ack: u64,
    /// The last sequence that is on the disk.
    pub(crate) stored: u64,
    /// The last sequence that was read.
    pub(crate) handed: u64,
    /// The acknowledgement that is worth waking the owner for.
    pub(crate) wake_at: u64,
    /// Items somebody waits for.
    waiting: usize,
    last_offer: Duration,
    refusing: Option<Refused>,
    round_trip: Duration,
    max_record: usize,
    pub(crate) refused: u64,
    pub(crate) elided: u64,
    /// What the consumer said and the ledger does not have yet.
    pub(crate) words: Words,
    /// The last gap that the consumer has read.
    pub(crate) seen_gap: u64,
}

/// Callbacks to be made once the lock is free, all with one outcome.
#[must_use]
pub(crate) struct Settles(Vec<Settle>, Settled);

impl Settles {
    /// Makes the calls.
    pub(crate) fn call(self) {
        let Self(settles, outcome) = self;
        settles.into_iter().for_each(|settle| settle(outcome));
    }
}

/// What an offer or an acknowledgement wants of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing: it looks by itself in time.
    Not,
    /// To look now.
    Now,
}

impl Cell {
    pub(crate) fn new(key: ChainKey, next: u64, stored: u64, ack: u64, max_record: usize) -> Self {
        let state = Pending {
            items: VecDeque::new(),
            next,
            bytes: 0,
            ack,
            stored,
            handed: ack,
            wake_at: u64::MAX,
            waiting: 0,
            last_offer: Duration::ZERO,
            refusing: None,
            round_trip: Duration::ZERO,
            max_record,
            refused: 0,
            elided: 0,
            words: Words::default(),
            seen_gap: 0,
        };
        Self {
            key,
            pinned: AtomicBool::new(false),
            state: Mutex::new(state),
            past: Mutex::default(),
            more: Notify::new(),
            room: Notify::new(),
            gap: Notify::new(),
            in_use: AtomicBool::new(false),
        }
    }

    /// What waits since an earlier run.
    pub(crate) fn past<T>(&self, act: impl FnOnce(&mut Past) -> T) -> T {
        act(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn use_it(&self) {
        self.in_use.store(true, Ordering::Release);
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Acquire)
    }

    pub(crate) fn pin(&self) {
        self.pinned.store(true, Ordering::Release);
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.load(Ordering::Acquire)
    }

    /// When a commit is due: as [`Pending::due`] says. A pinned chain's is as soon as somebody waits, and else
    /// after three quarters of `max_loss`: its owner gathers for the first quarter.
    pub(crate) fn due(&self, max_loss: Duration) -> Option<Duration> {
        self.with(|state| match self.is_pinned() {
            true if state.waiting > 0 => state.oldest(),
            true => state.due(max_loss - max_loss / 4),
            false => state.due(max_loss),
        })
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Pending) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a record, if there is room; says its sequence and whether the owner has to look.
    pub(crate) fn offer(&self, record: Vec<u8>, settle: Option<Settle>, now: Duration) -> Result<(u64, Wake), Full> {
        let taken = self.with(|state| match state.room_for(record.len()) {
            Ok(()) => Ok(state.push(record, settle, now)),
            Err(why) => {
                state.refused += u64::from(why != Refused::NoRoom);
                Err(Full { record, settle, why })
            }
        })?;
        self.more.notify_waiters();
        Ok(taken)
    }

    /// Notes a delivered prefix; what of it is not written yet never will be.
    pub(crate) fn ack(&self, upto: u64) -> Wake {
        let (settles, wake, freed) = self.with(|state| {
            let before = state.ack;
            state.ack = state.ack.max(upto.min(state.next - 1));
            let settles = state.pop(state.ack);
            state.elided += settles.1 as u64;
            let wake = before < state.wake_at && state.ack >= state.wake_at;
            (Settles(settles.0, Settled::Acked), wake, settles.1 > 0)
        });
        settles.call();
        if freed {
            self.room.notify_waiters();
        }
        if wake { Wake::Now } else { Wake::Not }
    }

    /// Notes what is given up; it counts as soon as an acknowledgement passes it.
    pub(crate) fn give_up(&self, given: GivenUp) {
        self.with(|state| {
            state.words.give_up(given);
            state.wake_at = state.wake_at.min(given.last).max(state.ack + 1);
        });
    }

    /// Notes that the receiver knows of a gap.
    pub(crate) fn told(&self, gap: &Gap) {
        self.with(|state| state.words.tell(gap));
    }

    /// Notes that everything up to `last` is on the disk.
    pub(crate) fn committed(&self, last: u64) {
        let settles = self.with(|state| {
            state.stored = last;
            Settles(state.pop(last).0, Settled::Durable)
        });
        settles.call();
        self.room.notify_waiters();
    }

    /// Lets go of everything that waits, and takes nothing more until [`Cell::accept`].
    pub(crate) fn refuse(&self, why: Refused) -> usize {
        let (settles, count) = self.with(|state| {
            state.refusing = Some(why);
            let (settles, count) = state.pop(u64::MAX);
            state.refused += count as u64;
            (Settles(settles, Settled::Refused(why)), count)
        });
        settles.call();
        if why == Refused::Closed {
            [&self.room, &self.more, &self.gap].into_iter().for_each(Notify::notify_waiters);
        }
        count
    }

    /// Takes records again.
    pub(crate) fn accept(&self) {
        if self.with(|state| state.refusing.take()).is_some() {
            self.room.notify_waiters();
        }
    }
}

impl Pending {
    fn room_for(&self, len: usize) -> Result<(), Refused> {
        if let Some(why) = self.refusing {
            return Err(why);
        }
        if len > self.max_record {
            return Err(Refused::TooLarge);
        }
        if !self.items.is_empty() && self.bytes + len + OVERHEAD > MOST {
            return Err(Refused::NoRoom);
        }
        Ok(())
    }

    /// Whether an offer of an ordinary record has a chance, or will never have one again.
    pub(crate) fn has_room(&self) -> bool {
        self.refusing.map_or(self.items.is_empty() || self.bytes < MOST / 2, |why| why == Refused::Closed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.refusing == Some(Refused::Closed)
    }

    fn push(&mut self, record: Vec<u8>, settle: Option<Settle>, now: Duration) -> (u64, Wake) {
        let first_waiting = self.waiting == 0 && settle.is_some();
        let before = self.bytes;
        self.bytes += record.len() + OVERHEAD;
        self.waiting += usize::from(settle.is_some());
        self.last_offer = now;
        let wakes = self.items.is_empty() || first_waiting || (before < PLENTY && self.bytes >= PLENTY);
        self.items.push_back(Item { bytes: record.into(), settle, at: now });
        self.next += 1;
        (self.next - 1, if wakes { Wake::Now } else { Wake::Not })
    }

    /// The sequence of the oldest item; the next one without items.
    pub(crate) fn first(&self) -> u64 {
        self.next - self.items.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Since when the oldest item waits.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.items.front().map(|item| item.at)
    }

    /// Removes items up to a sequence; returns their callbacks and how many items those were.
    fn pop(&mut self, upto: u64) -> (Vec<Settle>, usize) {
        let mut settles = Vec::new();
        let mut count = 0;
        while self.first() <= upto {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes -= item.bytes.len() + OVERHEAD;
            count += 1;
            if let Some(settle) = item.settle {
                self.waiting -= 1;
                settles.push(settle);
            }
        }
        (settles, count)
    }

    /// The oldest items for one frame: the first sequence, and records of `budget` bytes at most but one at least.
    pub(crate) fn batch(&self, budget: usize) -> (u64, Vec<Arc<[u8]>>) {
        let mut room = budget;
        let fits = |item: &&Item| {
            let len = super::layout::frame::record_len(item.bytes.len());
            let first = room == budget;
            let fits = len <= room || first;
            room = room.saturating_sub(len);
            fits
        };
        (self.first(), self.items.iter().take_while(fits).map(|item| Arc::clone(&item.bytes)).collect())
    }

    /// Items from `from` on; nothing when `from` lies before them.
    pub(crate) fn read(&mut self, from: u64, max_bytes: usize, start: u32) -> Vec<Record> {
        let Some(skip) = from.checked_sub(self.first()).and_then(|skip| usize::try_from(skip).ok()) else {
            return Vec::new();
        };
        let mut room = max_bytes;
        let mut records = Vec::new();
        for (sequence, item) in (from..).zip(self.items.iter().skip(skip)) {
            if item.bytes.len() > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(item.bytes.len());
            records.push(Record { sequence, start, bytes: Arc::clone(&item.bytes) });
            self.handed = self.handed.max(sequence);
        }
        records
    }

    /// Like [`Pending::read`], when nothing that is asked for can be on the disk; else nothing. What is missing here
    /// although it has got a sequence is the owner's to tell.
    pub(crate) fn read_newest(&mut self, from: u64, max_bytes: usize, start: u32) -> Option<Vec<Record>> {
        let from = from.max(self.ack + 1);
        let newest = (self.stored < from).then(|| self.read(from.max(self.first()), max_bytes, start));
        newest.filter(|records| !records.is_empty() || from >= self.next)
    }

    /// The oldest item, which is not handed out by that.
    pub(crate) fn peek(&self, start: u32) -> Option<Record> {
        let item = self.items.front()?;
        Some(Record { sequence: self.first(), start, bytes: Arc::clone(&item.bytes) })
    }

    /// Like [`Pending::peek`], when nothing that is not delivered can be on the disk; else nothing.
    pub(crate) fn peek_newest(&self, start: u32) -> Option<Option<Record>> {
        (self.stored <= self.ack).then(|| self.peek(start))
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// When a commit is due: at once with plenty pending, else when the oldest is `max_loss` old, or
    /// when somebody waits and nothing else has arrived for longer than the receiver needs to answer.
    pub(crate) fn due(&self, max_loss: Duration) -> Option<Duration> {
        let oldest = self.oldest()?;
        if self.bytes >= PLENTY {
            return Some(Duration::ZERO);
        }
        let patience = PATIENCE.max(2 * self.round_trip);
        let lonely = (self.waiting > 0).then(|| self.last_offer + patience);
        Some(lonely.unwrap_or(Duration::MAX).min(oldest + max_loss))
    }
}
