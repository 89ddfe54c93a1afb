//! What the hub has counted since it started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::rivals::Duplicate;

/// A look at the hub's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// How long the hub has been there, in seconds.
    pub uptime_s: u64,
    /// Bytes of memory that the whole process uses.
    pub heap: u64,
    /// Connected clients.
    pub clients: u64,
    /// The most clients that were connected at once.
    pub clients_most: u64,
    /// Sessions, connected or not.
    pub sessions: u64,
    /// Sessions whose time was over before their client came back.
    pub sessions_expired: u64,
    /// Connections accepted since start.
    pub connections: u64,
    /// CONNECT packets received.
    pub connects: u64,
    /// Packets of every kind received from clients.
    pub packets_in: u64,
    /// Packets of every kind sent to clients.
    pub packets_out: u64,
    /// PUBLISH packets received from clients.
    pub messages_in: u64,
    /// PUBLISH packets sent to clients.
    pub messages_out: u64,
    /// Payload bytes of the PUBLISH packets received.
    pub payload_in: u64,
    /// Payload bytes of the PUBLISH packets sent.
    pub payload_out: u64,
    /// Bytes received from clients.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Messages that wait for sessions, those on their way to a client included.
    pub queued: u64,
    /// Their topic and payload bytes; a message counts once for each session it waits for.
    pub queued_bytes: u64,
    /// The sessions for which most waits or most was lost, at most [`Counters::LAGGARDS`], the worst first.
    pub laggards: Vec<Laggard>,
    /// Client ids that two devices use, which throw each other out.
    pub duplicates: Vec<Duplicate>,
    /// Bytes that clients make the hub hold; a message counts once for each session it waits for.
    pub memory: u64,
    /// The most they were.
    pub memory_most: u64,
    /// The most they may be.
    pub memory_bound: u64,
    /// `free`, `tight` (QoS 0 and those who lag behind most lose messages), `full` (publishers and new sessions are
    /// refused) or `exhausted` (buffers do not grow any more).
    pub memory_level: &'static str,
    /// Messages dropped because a receiver's queue was full, or the receiver takes no packet that large.
    pub dropped: u64,
    /// The same by cause.
    pub dropped_by: BTreeMap<&'static str, u64>,
    /// Messages that expired while they waited.
    pub expired: u64,
    /// Queued messages that new rules took from their receivers.
    pub withheld: u64,
    /// Retained messages.
    pub retained: u64,
    /// Topic, payload and property bytes of the retained messages.
    pub retained_bytes: u64,
    /// What the hub keeps on the disk.
    pub journal: JournalCounters,
    /// Subscriptions of clients, shared ones included.
    pub subscriptions: u64,
    /// Shared subscriptions of clients.
    pub shared_subscriptions: u64,
    /// PUBLISH packets to topics that are not open to clients, by reason word.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that the hub closed or refused, by reason word.
    pub closed: BTreeMap<&'static str, u64>,
}

/// What the hub keeps on the disk: durable sessions and retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalCounters {
    /// Bytes of its records, dead ones included.
    pub log: u64,
    /// Bytes of those that live.
    pub live: u64,
    /// Messages that every session acknowledged before they had to be written.
    pub elided: u64,
    /// Records copied, so that the space of dead ones could be used again.
    pub copied: u64,
    /// Messages that the store refused; their publishers were told.
    pub refused: u64,
    /// Answers to SUBSCRIBE, UNSUBSCRIBE and CONNECT that left before what they say was on the disk.
    pub hasty: u64,
    /// Records not written because too many waited for the disk; what they were about was not answered.
    pub skipped: u64,
    /// Records that could not be read at the start.
    pub strange: u64,
    /// Records lost to damage since the store was made.
    pub lost: u64,
}

impl Counters {
    /// How many laggards are listed at most.
    pub const LAGGARDS: usize = 10;
}

/// A session for which messages wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Laggard {
    /// Its client id.
    pub client_id: String,
    /// Whether its client is connected.
    pub connected: bool,
    /// Messages that wait or are on their way.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages with QoS 1 and 2 that found no room, since the session began or the hub started.
    pub lost: u64,
}

/// The live counters; each is only ever a statistic, so no order between them is needed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    clients: AtomicU64,
    clients_most: AtomicU64,
    pub(crate) sessions_expired: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) packets_in: AtomicU64,
    pub(crate) packets_out: AtomicU64,
    pub(crate) messages_in: AtomicU64,
    pub(crate) messages_out: AtomicU64,
    pub(crate) payload_in: AtomicU64,
    pub(crate) payload_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    dropped: [AtomicU64; Cause::ALL.len()],
    pub(crate) expired: AtomicU64,
    pub(crate) withheld: AtomicU64,
    subscriptions: AtomicU64,
    shared_subscriptions: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

/// Why a message did not reach a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// QoS 0 for a session whose client is not connected.
    Qos0Offline,
    /// QoS 0 that made room in the queue of a client that lags behind.
    Qos0Slow,
    /// The queue of a connected client is full.
    Slow,
    /// The queue of a session whose client is not connected is full.
    Offline,
    /// The memory of the hub is nearly used up, and this receiver holds more of it than others.
    Memory,
    /// The client takes no packet that large.
    TooLarge,
    /// QoS 0 behind messages that a durable consumer has no room for.
    HeldBack,
    /// The queue of a part of this process is full.
    Inside,
}

impl Cause {
    /// All of them.
    pub(crate) const ALL: [Cause; 8] = [
        Cause::Qos0Offline,
        Cause::Qos0Slow,
        Cause::Slow,
        Cause::Offline,
        Cause::Memory,
        Cause::TooLarge,
        Cause::HeldBack,
        Cause::Inside,
    ];

    /// A stable word for figures.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Cause::Qos0Offline => "qos0_offline",
            Cause::Qos0Slow => "qos0_slow",
            Cause::Slow => "slow",
            Cause::Offline => "offline",
            Cause::Memory => "memory",
            Cause::TooLarge => "too_large",
            Cause::HeldBack => "held_back",
            Cause::Inside => "inside",
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Relaxed);
    }
}

fn is_shared(text: &str) -> u64 {
    text.starts_with("$share/").into()
}

fn bump(map: &Mutex<BTreeMap<&'static str, u64>>, word: &'static str) {
    *map.lock().unwrap_or_else(PoisonError::into_inner).entry(word).or_default() += 1;
}

impl Tally {
    /// One more client is connected.
    pub(crate) fn arrived(&self) {
        let clients = self.clients.fetch_add(1, Relaxed) + 1;
        self.clients_most.fetch_max(clients, Relaxed);
    }

    /// One client less is connected.
    pub(crate) fn left(&self) {
        self.clients.fetch_sub(1, Relaxed);
    }

    /// A session has one more subscription: `text` is the filter as its client wrote it.
    pub(crate) fn subscribed(&self, text: &str) {
        self.subscriptions.fetch_add(1, Relaxed);
        self.shared_subscriptions.fetch_add(is_shared(text), Relaxed);
    }

    /// A session has one subscription less.
    pub(crate) fn unsubscribed(&self, text: &str) {
        self.subscriptions.fetch_sub(1, Relaxed);
        self.shared_subscriptions.fetch_sub(is_shared(text), Relaxed);
    }

    pub(crate) fn refused(&self, word: &'static str) {
        bump(&self.refused, word);
    }

    pub(crate) fn closed(&self, word: &'static str) {
        bump(&self.closed, word);
    }

    /// Messages did not reach a receiver.
    pub(crate) fn dropped(&self, cause: Cause, count: usize) {
        add(&self.dropped[cause as usize], count);
    }

    fn dropped_by(&self) -> BTreeMap<&'static str, u64> {
        let count = |cause: &Cause| self.dropped[*cause as usize].load(Relaxed);
        Cause::ALL.iter().map(|cause| (cause.word(), count(cause))).filter(|(_, count)| *count > 0).collect()
    }

    /// A copy; zero is what others count: uptime, sessions and what waits for them, retained messages.
    pub(crate) fn read(&self) -> Counters {
        let copy = |map: &Mutex<BTreeMap<_, _>>| map.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Counters {
            clients: self.clients.load(Relaxed),
            clients_most: self.clients_most.load(Relaxed),
            sessions_expired: self.sessions_expired.load(Relaxed),
            connections: self.connections.load(Relaxed),
            connects: self.connects.load(Relaxed),
            packets_in: self.packets_in.load(Relaxed),
            packets_out: self.packets_out.load(Relaxed),
            messages_in: self.messages_in.load(Relaxed),
            messages_out: self.messages_out.load(Relaxed),
            payload_in: self.payload_in.load(Relaxed),
            payload_out: self.payload_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            dropped: self.dropped.iter().map(|count| count.load(Relaxed)).sum(),
            dropped_by: self.dropped_by(),
            expired: self.expired.load(Relaxed),
            withheld: self.withheld.load(Relaxed),
            subscriptions: self.subscriptions.load(Relaxed),
            shared_subscriptions: self.shared_subscriptions.load(Relaxed),
            refused: copy(&self.refused),
            closed: copy(&self.closed),
            ..Counters::default()
        }
    }
}
