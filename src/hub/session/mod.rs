//! One client's session: what outlives its connection. Pure: acknowledgements in, packets to send out.
//!
//! Invariants: the first `sent` entries of `in_flight` were sent on the present connection, the rest
//! (left over from an earlier one) follow in the same order before anything of the queue, PUBREL before PUBLISH
//! where the window is too small for all; a packet id is in `in_flight` at most once.

mod durable;
mod held;
mod inbound;
mod outbound;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::access::Access;
use super::bell::Bell;
pub(crate) use super::handover::Outgoing;
use super::handover::{Pushed, Taken};
use super::journal::{self, Gate, Place};
use super::memory::Memory;
use super::queue::{Dropped, Parcel, Queue};
use super::settings::Limits;
use crate::model::{Message, Qos, Receipt};
pub(crate) use inbound::Arrival;
use inbound::Inbound;

/// Bytes taken at once.
const BATCH: usize = 64 << 10;
/// A client that has taken nothing for so long while its queue is full is disconnected; its session stays.
const STALLED: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct InFlight {
    id: u16,
    /// Nothing once the client has sent PUBREC: then only PUBREL is repeated.
    parcel: Option<Parcel>,
    /// PUBREL must wait for it.
    gate: Option<Arc<Gate>>,
}

/// Whether a packet id was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

/// When PUBREC or PUBREL is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Now.
    Now(Known),
    /// When this is on the disk.
    When(Receipt),
    /// That is under way.
    UnderWay,
}

/// What the client left for the case that it dies, and when it is due.
#[derive(Debug)]
pub(crate) struct DueWill {
    pub(crate) message: Message,
    pub(crate) at: Instant,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// By the whole filter text, `$share/...` included.
    pub(crate) subscriptions: HashSet<Box<str>>,
    /// What they take in the topic tree.
    subscribed: usize,
    queue: Queue,
    /// How many in front of the queue came in before `access` was in force.
    unjudged: usize,
    access: Option<Arc<Access>>,
    /// Where the owner is, or was.
    pub(crate) peer: Option<SocketAddr>,
    /// The owner is on this machine, or was.
    pub(crate) local: bool,
    /// Messages that the rules took from the queue, until the owner counts them.
    pub(crate) withheld: usize,
    in_flight: VecDeque<InFlight>,
    sent: usize,
    window: usize,
    last_id: u16,
    /// Packet ids that parcels in the queue have already.
    reserved: HashSet<u16>,
    /// QoS 2 packet ids of the client between PUBLISH and PUBREL.
    received: HashMap<u16, Inbound>,
    /// In the journal; nothing when the session ends with its connection, or nothing is kept.
    pub(crate) place: Option<Place>,
    /// Which connection owns the session; each new one has a higher number.
    pub(crate) epoch: u64,
    /// The owner's; nothing without a connection.
    pub(crate) bell: Option<Arc<Bell>>,
    /// The owner has taken everything and waits for the bell.
    asleep: bool,
    /// Packets the owners have taken, and when the last one was.
    taken: u64,
    progress: Instant,
    /// A message was lost although the client is connected, and it takes nothing: its connection has to end.
    too_slow: bool,
    /// Messages with QoS 1 and 2 that found no room, in all; and whether they are dropped just now.
    lost: u64,
    losing: bool,
    /// How long it outlives the connection.
    pub(crate) expiry: Duration,
    /// Without a connection: when it ends.
    pub(crate) expires: Option<Instant>,
    /// Without a connection: the will that waits for its delay.
    pub(crate) will: Option<DueWill>,
}

impl Session {
    pub(crate) fn new(limits: &Limits, memory: &Arc<Memory>) -> Self {
        Self {
            subscriptions: HashSet::new(),
            subscribed: 0,
            queue: Queue::new(limits.queued_messages, limits.queued_bytes, memory),
            unjudged: 0,
            access: None,
            peer: None,
            local: false,
            withheld: 0,
            in_flight: VecDeque::new(),
            sent: 0,
            window: limits.in_flight.into(),
            last_id: 0,
            reserved: HashSet::new(),
            received: HashMap::new(),
            place: None,
            epoch: 0,
            bell: None,
            asleep: false,
            taken: 0,
            progress: Instant::now(),
            too_slow: false,
            lost: 0,
            losing: false,
            expiry: Duration::ZERO,
            expires: None,
            will: None,
        }
    }

    /// A connection takes the session over; `window` bounds what is in flight to the client.
    pub(crate) fn resume(&mut self, bell: Arc<Bell>, window: u16, expiry: Duration) -> u64 {
        if let Some(old) = self.bell.replace(bell) {
            old.ring();
        }
        self.epoch += 1;
        self.window = window.into();
        self.sent = 0;
        if self.in_flight.len() > self.window {
            // PUBREL needs no room in the window (MQTT-3.3.4-10): it must not wait behind PUBLISH packets that do.
            self.in_flight.make_contiguous().sort_by_key(|entry| entry.parcel.is_some());
        }
        self.asleep = false;
        self.progress = Instant::now();
        self.too_slow = false;
        self.expiry = expiry;
        self.expires = None;
        self.will = None;
        self.received.retain(|_, it| !it.is_over());
        if let Some(place) = &self.place {
            place.back(expiry);
        }
        self.settle();
        self.epoch
    }

    /// New rules: what waits is judged by them before it leaves.
    pub(crate) fn judge_by(&mut self, access: &Arc<Access>) {
        self.access = Some(Arc::clone(access));
        self.unjudged = self.queue.len();
    }

    /// Whether the rules forbid a message that has just left the queue.
    fn is_withheld(&mut self, parcel: &Parcel) -> bool {
        // Some may have left from the middle: then one too many is judged, to the same end.
        let old = self.unjudged > 0;
        self.unjudged = self.unjudged.saturating_sub(1);
        let forbidden = |access: &Arc<Access>| !access.may_receive(&parcel.message.topic);
        old && self.access.as_ref().is_some_and(forbidden)
    }

    /// Bounds the queue anew. Returns whom to tell.
    pub(crate) fn reload(&mut self, limits: &Limits) -> Option<Arc<Bell>> {
        self.queue.bound(limits.queued_messages, limits.queued_bytes);
        self.bell.clone()
    }

    /// The connection is gone. Returns how many QoS 0 messages were dropped with it.
    pub(crate) fn suspend(&mut self, expires: Instant, will: Option<DueWill>) -> usize {
        self.bell = None;
        self.expires = Some(expires);
        self.will = will;
        if let Some(place) = &self.place {
            place.away(self.expiry);
        }
        self.settle();
        let dropped = self.queue.drop_qos0();
        self.queue.shrink();
        dropped
    }

    /// Whether there is something to resume: a session that ends with its connection is never another one's
    /// (MQTT-3.1.2-6 of 3.1.1).
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        self.expires.map_or(!self.expiry.is_zero(), |expires| now < expires)
    }

    /// Where the client is, when it is connected.
    pub(crate) fn owner(&self) -> Option<SocketAddr> {
        self.peer.filter(|_| self.is_online())
    }

    pub(crate) fn is_online(&self) -> bool {
        self.bell.is_some()
    }

    /// Messages that wait or are on their way to the client, and their topic and payload bytes.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let on_their_way = self.in_flight.iter().filter_map(|entry| entry.parcel.as_ref());
        let bytes = on_their_way.map(Parcel::size).sum::<usize>();
        (self.queue.len() + self.in_flight.len(), self.queue.size() + bytes)
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.queue.is_half_full()
    }

    /// Packets taken so far: it grows as long as the client makes progress.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Gives back what an idle session does not need.
    pub(crate) fn shrink(&mut self) {
        self.queue.shrink();
    }

    /// Queues a message. A durable session makes the message's entry in the journal, or joins the one that is there.
    pub(crate) fn push(&mut self, parcel: Parcel, kept: &mut Option<Arc<journal::Entry>>) -> Pushed {
        if !self.is_online() && parcel.qos == Qos::AtMostOnce {
            let dropped = Dropped { qos0: 1, ..Dropped::default() };
            return Pushed { dropped, ..Pushed::default() };
        }
        let durable = parcel.qos != Qos::AtMostOnce && self.place.is_some();
        let dropped = if durable { self.push_durably(parcel, kept) } else { self.queue.push(parcel) };
        let begins = dropped.kept > 0 && !std::mem::replace(&mut self.losing, true);
        if dropped.kept > 0 {
            self.lost += dropped.kept as u64;
            self.too_slow = self.is_online() && self.progress.elapsed() >= STALLED;
        }
        let awake = !std::mem::take(&mut self.asleep) && !self.too_slow;
        let wake = if awake { None } else { self.bell.clone() };
        Pushed { dropped, begins, wake }
    }
}

#[cfg(test)]
mod tests;
