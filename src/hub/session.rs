//! One client's session: what outlives its connection. Pure: acknowledgements in, packets to send out.
//!
//! Invariants: the first `sent` entries of `in_flight` were sent on the present connection, the rest
//! (left over from an earlier one) follow in the same order before anything of the queue, PUBREL before PUBLISH
//! where the window is too small for all; a packet id is in `in_flight` at most once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::access::Access;
use super::bell::Bell;
use super::queue::{Parcel, Queue};
use super::settings::Limits;
use crate::model::{Message, Qos, Receipt};

/// What goes to the client next.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// A PUBLISH; the packet id is 0 with QoS 0.
    Publish { id: u16, dup: bool, parcel: Parcel },
    /// A PUBREL.
    Release { id: u16 },
}

#[derive(Debug)]
struct InFlight {
    id: u16,
    /// Nothing once the client has sent PUBREC: then only PUBREL is repeated.
    parcel: Option<Parcel>,
}

/// Whether a packet id was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

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
enum Inbound {
    /// The connection with this epoch will send PUBREC.
    UnderWay(u64),
    /// That connection has ended; the next one asks this receipt.
    Left(Receipt),
    /// PUBREC was sent.
    Answered,
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
    queue: Queue,
    /// How many in front of the queue came in before `access` was in force.
    unjudged: usize,
    access: Option<Arc<Access>>,
    /// The owner is on this machine, or was.
    pub(crate) local: bool,
    /// Messages that the rules took from the queue, until the owner counts them.
    pub(crate) withheld: usize,
    in_flight: VecDeque<InFlight>,
    sent: usize,
    window: usize,
    last_id: u16,
    /// QoS 2 packet ids of the client between PUBLISH and PUBREL.
    received: HashMap<u16, Inbound>,
    /// Which connection owns the session; each new one has a higher number.
    pub(crate) epoch: u64,
    /// The owner's; nothing without a connection.
    pub(crate) bell: Option<Arc<Bell>>,
    /// The owner has taken everything and waits for the bell.
    asleep: bool,
    /// Packets the owners have taken.
    taken: u64,
    /// How long it outlives the connection.
    pub(crate) expiry: Duration,
    /// Without a connection: when it ends.
    pub(crate) expires: Option<Instant>,
    /// Without a connection: the will that waits for its delay.
    pub(crate) will: Option<DueWill>,
}

impl Session {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            subscriptions: HashSet::new(),
            queue: Queue::new(limits.queued_messages, limits.queued_bytes),
            unjudged: 0,
            access: None,
            local: false,
            withheld: 0,
            in_flight: VecDeque::new(),
            sent: 0,
            window: limits.in_flight.into(),
            last_id: 0,
            received: HashMap::new(),
            epoch: 0,
            bell: None,
            asleep: false,
            taken: 0,
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
        self.expiry = expiry;
        self.expires = None;
        self.will = None;
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
        self.queue.drop_qos0()
    }

    /// Whether there is something to resume: a session that ends with its connection is never another one's
    /// (MQTT-3.1.2-6 of 3.1.1).
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        self.expires.map_or(!self.expiry.is_zero(), |expires| now < expires)
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

    /// Queues a message. Returns how many messages were dropped for it, and whom to wake.
    pub(crate) fn push(&mut self, parcel: Parcel) -> (usize, Option<Arc<Bell>>) {
        if !self.is_online() && parcel.qos == Qos::AtMostOnce {
            return (1, None);
        }
        let dropped = self.queue.push(parcel);
        let wake = if std::mem::take(&mut self.asleep) { self.bell.clone() } else { None };
        (dropped, wake)
    }

    /// Moves what may be sent now into `out`, at most `count`. Returns how many messages had expired.
    /// When less than `count` comes out, the next push rings the bell.
    pub(crate) fn take(&mut self, count: usize, now: Instant, out: &mut Vec<Outgoing>) -> usize {
        let mut expired = 0;
        let before = out.len();
        let enough = before + count;
        while out.len() < enough {
            let Some(front) = self.next_ready() else {
                self.asleep = true;
                break;
            };
            match front {
                Ready::Repeat => out.push(self.repeat()),
                Ready::Fresh => expired += self.fresh(now, out),
            }
        }
        self.taken += (out.len() - before) as u64;
        expired
    }

    fn next_ready(&self) -> Option<Ready> {
        if let Some(next) = self.in_flight.get(self.sent) {
            return (next.parcel.is_none() || self.sent < self.window).then_some(Ready::Repeat);
        }
        let front = self.queue.front()?;
        (front.qos == Qos::AtMostOnce || self.sent < self.window).then_some(Ready::Fresh)
    }

    fn repeat(&mut self) -> Outgoing {
        let entry = &mut self.in_flight[self.sent];
        self.sent += 1;
        match &entry.parcel {
            Some(parcel) => Outgoing::Publish { id: entry.id, dup: true, parcel: parcel.clone() },
            None => Outgoing::Release { id: entry.id },
        }
    }

    /// Sends the front of the queue, unless it has expired; returns 1 then.
    fn fresh(&mut self, now: Instant, out: &mut Vec<Outgoing>) -> usize {
        let Some(parcel) = self.queue.pop() else { return 0 };
        if self.is_withheld(&parcel) {
            self.withheld += 1;
            return 0;
        }
        if parcel.expires.is_some_and(|expires| expires <= now) {
            return 1;
        }
        if parcel.qos == Qos::AtMostOnce {
            out.push(Outgoing::Publish { id: 0, dup: false, parcel });
            return 0;
        }
        let id = self.free_id();
        self.in_flight.push_back(InFlight { id, parcel: Some(parcel.clone()) });
        self.sent += 1;
        out.push(Outgoing::Publish { id, dup: false, parcel });
        0
    }

    /// The next packet id that is not in flight; the window is smaller than the number of ids.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            // Ids are given in rising order, so that one in use is met only after a full turn.
            if self.last_id != 0 && !self.in_flight.iter().any(|entry| entry.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Where `id` is among what was sent on this connection; nearly always in front.
    fn find(&self, id: u16) -> Option<usize> {
        self.in_flight.iter().take(self.sent).position(|entry| entry.id == id)
    }

    fn finish(&mut self, at: usize) {
        self.in_flight.remove(at);
        self.sent -= 1;
    }

    /// PUBACK.
    pub(crate) fn acknowledged(&mut self, id: u16) -> Known {
        let qos1 = |entry: &InFlight| entry.parcel.as_ref().is_some_and(|it| it.qos == Qos::AtLeastOnce);
        match self.find(id).filter(|&at| qos1(&self.in_flight[at])) {
            Some(at) => {
                self.finish(at);
                Known::Yes
            }
            None => Known::No,
        }
    }

    /// PUBREC. With `Known::Yes` the answer is PUBREL, unless the client refused the message.
    pub(crate) fn received_by_client(&mut self, id: u16, refused: bool) -> Known {
        let qos2 = |entry: &InFlight| entry.parcel.as_ref().is_none_or(|it| it.qos == Qos::ExactlyOnce);
        match self.find(id).filter(|&at| qos2(&self.in_flight[at])) {
            Some(at) if refused => {
                self.finish(at);
                Known::Yes
            }
            Some(at) => {
                self.in_flight[at].parcel = None;
                Known::Yes
            }
            None => Known::No,
        }
    }

    /// PUBCOMP.
    pub(crate) fn completed(&mut self, id: u16) -> Known {
        match self.find(id).filter(|&at| self.in_flight[at].parcel.is_none()) {
            Some(at) => {
                self.finish(at);
                Known::Yes
            }
            None => Known::No,
        }
    }

    /// A message that cannot be sent to this client counts as delivered (MQTT-3.1.2-25).
    pub(crate) fn skip(&mut self, id: u16) {
        if let Some(at) = self.find(id) {
            self.finish(at);
        }
    }

    /// A QoS 2 PUBLISH of the client arrived on the present connection.
    pub(crate) fn arrived(&mut self, id: u16) -> Arrival {
        let mine = Inbound::UnderWay(self.epoch);
        match self.received.entry(id) {
            Entry::Vacant(place) => {
                place.insert(mine);
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
            },
        }
    }

    /// PUBREC has been sent for the QoS 2 PUBLISH `id`; a connection that ends first leaves its receipt.
    pub(crate) fn answered(&mut self, id: u16, left: Option<Receipt>) {
        if let Some(place) = self.received.get_mut(&id) {
            *place = left.map_or(Inbound::Answered, Inbound::Left);
        }
    }

    /// PUBREL, or a PUBREC that refused.
    pub(crate) fn released(&mut self, id: u16) -> Known {
        if self.received.remove(&id).is_some() { Known::Yes } else { Known::No }
    }

    /// The connection `epoch` has ended: what it took and will not route counts as new when it is repeated.
    pub(crate) fn forget_under_way(&mut self, epoch: u64, still_held: impl Fn(u16) -> bool) {
        self.received.retain(|id, it| !matches!(it, Inbound::UnderWay(of) if *of == epoch) || still_held(*id));
    }

    /// QoS 2 messages of the client between PUBLISH and PUBREL.
    pub(crate) fn receiving(&self) -> usize {
        self.received.len()
    }
}

enum Ready {
    Repeat,
    Fresh,
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
