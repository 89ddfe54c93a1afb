//! What the hub has counted since it started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A look at the hub's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connected clients.
    pub clients: u64,
    /// Sessions, connected or not.
    pub sessions: u64,
    /// Connections accepted since start.
    pub connections: u64,
    /// PUBLISH packets received from clients.
    pub messages_in: u64,
    /// PUBLISH packets sent to clients.
    pub messages_out: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Messages dropped because a receiver's queue was full, or the receiver takes no packet that large.
    pub dropped: u64,
    /// Messages that expired while they waited.
    pub expired: u64,
    /// Retained messages.
    pub retained: u64,
    /// Topic, payload and property bytes of the retained messages.
    pub retained_bytes: u64,
    /// Subscriptions of clients.
    pub subscriptions: u64,
    /// PUBLISH packets to topics that are not open to clients, by reason word.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that the hub closed or refused, by reason word.
    pub closed: BTreeMap<&'static str, u64>,
}

/// The live counters; each is only ever a statistic, so no order between them is needed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) clients: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) subscriptions: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Relaxed);
    }
}

fn bump(map: &Mutex<BTreeMap<&'static str, u64>>, word: &'static str) {
    *map.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
}

impl Tally {
    pub(crate) fn refused(&self, word: &'static str) {
        bump(&self.refused, word);
    }

    pub(crate) fn closed(&self, word: &'static str) {
        bump(&self.closed, word);
    }

    /// A copy; `sessions` and `retained` (messages, bytes) are counted elsewhere.
    pub(crate) fn read(&self, sessions: usize, retained: (usize, usize)) -> Counters {
        let copy = |map: &Mutex<BTreeMap<_, _>>| map.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Counters {
            clients: self.clients.load(Relaxed),
            sessions: sessions as u64,
            connections: self.connections.load(Relaxed),
            messages_in: self.messages_in.load(Relaxed),
            messages_out: self.messages_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            expired: self.expired.load(Relaxed),
            retained: retained.0 as u64,
            retained_bytes: retained.1 as u64,
            subscriptions: self.subscriptions.load(Relaxed),
            refused: copy(&self.refused),
            closed: copy(&self.closed),
        }
    }
}
