//! What waits for one receiver: bounded in messages and in bytes, QoS 0 gives way first. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::journal::Entry;
use super::memory::{Memory, Share};
use crate::model::{Message, Qos};

/// What a message takes beside its own bytes: itself, its reference counts and those of the allocator.
const OVERHEAD: usize = size_of::<Message>() + 64;
/// What the journal takes in memory for a message that it keeps; measured, and taken for all that it might keep.
const KEPT: usize = 320;

/// A message on its way to one receiver.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) message: Arc<Message>,
    /// The lower one of the publisher's and the subscription's.
    pub(crate) qos: Qos,
    /// The RETAIN flag it is delivered with.
    pub(crate) retain: bool,
    /// When the message is worth nothing any more.
    pub(crate) expires: Option<Instant>,
    /// Subscription identifiers of the receiver.
    pub(crate) ids: Option<Arc<[u32]>>,
    /// The packet id, if it is known already: with QoS 2 in a durable session.
    pub(crate) id: u16,
    /// It may have been sent before.
    pub(crate) dup: bool,
    /// In a durable session: what the journal knows of it.
    pub(crate) kept: Option<Arc<Entry>>,
}

impl Parcel {
    /// One that nothing is known of yet.
    pub(crate) fn new(
        message: Arc<Message>,
        qos: Qos,
        retain: bool,
        expires: Option<Instant>,
        ids: Option<Arc<[u32]>>,
    ) -> Self {
        Self { message, qos, retain, expires, ids, id: 0, dup: false, kept: None }
    }

    /// Whether it must wait until the journal has it on the disk.
    pub(crate) fn is_gated(&self) -> bool {
        self.qos == Qos::ExactlyOnce && self.kept.as_ref().is_some_and(|entry| entry.gate().is_closed())
    }

    /// Whether the journal could not keep it, so that it must not be sent.
    pub(crate) fn is_refused(&self) -> bool {
        self.qos == Qos::ExactlyOnce && self.kept.as_ref().is_some_and(|entry| entry.gate().is_refused())
    }

    /// What it counts against a byte bound: the message and the place it takes.
    fn weight(&self) -> usize {
        self.size() + size_of::<Self>()
    }

    /// What it counts against the memory of the hub; a message that waits for several receivers counts for each.
    pub(crate) fn cost(&self) -> usize {
        self.weight() + OVERHEAD + if self.qos == Qos::AtMostOnce { 0 } else { KEPT }
    }

    /// The bytes of the message.
    pub(crate) fn size(&self) -> usize {
        self.message.weight()
    }
}

/// What did not find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dropped {
    /// Messages with QoS 0.
    pub(crate) qos0: usize,
    /// Messages with QoS 1 or 2.
    pub(crate) kept: usize,
    /// The queue itself had room: it was the memory of the hub that had none.
    pub(crate) by_memory: bool,
}

/// A bounded queue of parcels.
#[derive(Debug)]
pub(crate) struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// How many of `parcels` have QoS 0.
    droppable: usize,
    max_messages: usize,
    max_bytes: usize,
    /// Bytes of messages that have left the queue and are not done with.
    on_their_way: usize,
    /// Bytes that its owner holds for other things.
    fixed: usize,
    share: Share,
}

impl Queue {
    pub(crate) fn new(max_messages: usize, max_bytes: usize, memory: &Arc<Memory>) -> Self {
        let share = Share::new(memory);
        let (parcels, bytes, droppable, on_their_way, fixed) = (VecDeque::new(), 0, 0, 0, 0);
        Self { parcels, bytes, droppable, max_messages, max_bytes, on_their_way, fixed, share }
    }

    /// A message that was taken out is on its way; the owner keeps it until [`Queue::done`].
    pub(crate) fn sent(&mut self, parcel: &Parcel) {
        self.on_their_way += parcel.cost();
        self.settle();
    }

    /// The owner has let go of a message that was on its way.
    pub(crate) fn done(&mut self, parcel: &Parcel) {
        self.on_their_way -= parcel.cost();
        self.settle();
    }

    /// The owner holds so many bytes for other things.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.fixed = bytes;
        self.settle();
    }

    /// What its messages cost, waiting or on their way.
    pub(crate) fn cost(&self) -> usize {
        let (all, kept) = (self.parcels.len(), self.parcels.len() - self.droppable);
        self.bytes + all * OVERHEAD + kept * KEPT + self.on_their_way
    }

    fn settle(&mut self) {
        let spare = (self.parcels.capacity() - self.parcels.len()) * size_of::<Parcel>();
        self.share.set(self.cost() + spare + self.fixed);
    }

    /// Gives back places that it does not need now.
    pub(crate) fn shrink(&mut self) {
        self.parcels.shrink_to_fit();
        self.settle();
    }

    /// Whether it holds more than half of what the memory of the hub allows it now.
    fn is_half_allowed(&self) -> bool {
        self.cost() > self.share.memory().allowance(Qos::AtLeastOnce) / 2
    }

    /// New bounds; what waits already may stay above them.
    pub(crate) fn bound(&mut self, max_messages: usize, max_bytes: usize) {
        (self.max_messages, self.max_bytes) = (max_messages, max_bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    /// The bytes of all messages.
    pub(crate) fn size(&self) -> usize {
        self.bytes - self.parcels.len() * size_of::<Parcel>()
    }

    pub(crate) fn front(&self) -> Option<&Parcel> {
        self.parcels.front()
    }

    /// Whether more than half of a bound is used.
    pub(crate) fn is_half_full(&self) -> bool {
        self.parcels.len() > self.max_messages / 2 || self.bytes > self.max_bytes / 2 || self.is_half_allowed()
    }

    /// Appends `parcel`. When a bound is hit the oldest QoS 0 messages go; when there are none, `parcel` goes.
    pub(crate) fn push(&mut self, parcel: Parcel) -> Dropped {
        let mut dropped = Dropped::default();
        loop {
            let full = self.parcels.len() >= self.max_messages || self.bytes + parcel.weight() > self.max_bytes;
            dropped.by_memory = !full && self.cost() + parcel.cost() > self.share.memory().allowance(parcel.qos);
            if !full && !dropped.by_memory {
                break;
            }
            if !self.drop_oldest_qos0() {
                let qos0 = parcel.qos == Qos::AtMostOnce;
                *(if qos0 { &mut dropped.qos0 } else { &mut dropped.kept }) += 1;
                return dropped;
            }
            dropped.qos0 += 1;
        }
        self.bytes += parcel.weight();
        self.droppable += usize::from(parcel.qos == Qos::AtMostOnce);
        self.parcels.push_back(parcel);
        self.settle();
        dropped
    }

    /// As [`Queue::push`], whatever the bounds: nothing of an earlier run is lost because they are narrower now.
    pub(crate) fn restore(&mut self, parcel: Parcel) {
        self.bytes += parcel.weight();
        self.parcels.push_back(parcel);
        self.settle();
    }

    pub(crate) fn back(&self) -> Option<&Parcel> {
        self.parcels.back()
    }

    /// All parcels, the next one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Parcel> {
        self.parcels.iter()
    }

    fn drop_oldest_qos0(&mut self) -> bool {
        if self.droppable == 0 {
            return false;
        }
        let at = self.parcels.iter().position(|parcel| parcel.qos == Qos::AtMostOnce);
        let gone = at.and_then(|at| self.parcels.remove(at));
        gone.as_ref().inspect(|parcel| self.forget(parcel)).is_some()
    }

    pub(crate) fn pop(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        self.forget(&parcel);
        self.settle();
        Some(parcel)
    }

    fn forget(&mut self, parcel: &Parcel) {
        self.bytes -= parcel.weight();
        self.droppable -= usize::from(parcel.qos == Qos::AtMostOnce);
    }

    /// Drops everything with QoS 0: a session without a connection keeps none. Returns how many.
    pub(crate) fn drop_qos0(&mut self) -> usize {
        let before = self.parcels.len();
        let (mut bytes, mut droppable) = (0, 0);
        self.parcels.retain(|parcel| {
            let stays = parcel.qos != Qos::AtMostOnce;
            if !stays {
                bytes += parcel.weight();
                droppable += 1;
            }
            stays
        });
        self.bytes -= bytes;
        self.droppable -= droppable;
        self.settle();
        before - self.parcels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Properties, Topic};

    fn parcel(qos: Qos, text: &str) -> Parcel {
        let message = Arc::new(Message::own(Topic::new("t").unwrap(), text.as_bytes()));
        Parcel::new(message, qos, false, None, None)
    }

    fn texts(queue: &mut Queue) -> String {
        let mut all = String::new();
        while let Some(parcel) = queue.pop() {
            all.push_str(std::str::from_utf8(&parcel.message.payload).unwrap());
        }
        assert_eq!((queue.bytes, queue.droppable, queue.cost()), (0, 0, 0));
        all
    }

    fn queue(max_messages: usize, max_bytes: usize) -> Queue {
        Queue::new(max_messages, max_bytes, &Arc::default())
    }

    fn count(dropped: Dropped) -> usize {
        dropped.qos0 + dropped.kept
    }

    #[test]
    fn the_oldest_qos0_gives_way_then_the_newcomer() {
        let mut queue = queue(3, 1 << 20);
        let pushes = [(1, "a", 0), (0, "b", 0), (0, "c", 0), (0, "d", 1), (1, "e", 1), (1, "f", 1), (1, "g", 1)];
        for (level, text, dropped) in pushes {
            assert_eq!(count(queue.push(parcel(Qos::from_level(level).unwrap(), text))), dropped, "{text}");
        }
        assert_eq!(texts(&mut queue), "aef");
    }

    #[test]
    fn bytes_are_bounded() {
        let one = parcel(Qos::AtLeastOnce, "12345").weight();
        let mut queue = queue(100, 2 * one);
        assert_eq!(queue.push(parcel(Qos::AtMostOnce, "12345")), Dropped::default());
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "12345")), Dropped::default());
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "67890")), Dropped { qos0: 1, ..Dropped::default() });
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "x")), Dropped { kept: 1, ..Dropped::default() });
        assert_eq!(texts(&mut queue), "1234567890");
    }

    /// A message can be all properties: they count too.
    #[test]
    fn user_properties_cannot_get_past_the_bound() {
        let mut queue = queue(1000, 10_000);
        for _ in 0..1000 {
            let mut parcel = parcel(Qos::AtLeastOnce, "");
            let user = vec![(Arc::from("k"), "v".repeat(1000).into())];
            let properties = Properties { user, ..Properties::default() };
            Arc::get_mut(&mut parcel.message).unwrap().properties = Some(Box::new(properties));
            queue.push(parcel);
        }
        assert!(queue.len() < 10, "{} messages of 1000 bytes", queue.len());
    }

    /// One receiver cannot take everything: it may hold as much as is left for the others.
    #[test]
    fn little_memory_bounds_a_queue_before_its_own_bounds_do() {
        let memory = Arc::new(Memory::default());
        memory.set_bound(1 << 20);
        let mut queues = [0, 1, 2].map(|_| Queue::new(10_000, 1 << 20, &memory));
        let text = "x".repeat(1000);
        let lost = queues.iter_mut().map(|queue| {
            let lost = (0..2000).map(|_| queue.push(parcel(Qos::AtLeastOnce, &text)));
            lost.filter(|dropped| dropped.kept == 1 && dropped.by_memory).count()
        });
        assert!(lost.map(|lost| assert!(lost > 1000)).count() == 3);
        let costs = queues.each_ref().map(Queue::cost);
        assert!(costs[0] > 400_000 && costs[1] > 200_000 && costs[2] > 100_000, "{costs:?}");
        assert!(memory.used() < (1 << 20) * 7 / 8 + 20_000, "{}", memory.used());
        assert!(queues[2].is_half_full(), "publishers wait for it");
        // QoS 0 is dropped before, but everybody gets something.
        let dropped = queues[2].push(parcel(Qos::AtMostOnce, "x"));
        assert_eq!(dropped, Dropped { qos0: 1, kept: 0, by_memory: true });
        let mut idle = Queue::new(10, 1 << 20, &memory);
        assert_eq!(idle.push(parcel(Qos::AtMostOnce, "x")), Dropped::default());
        drop((queues, idle));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_is_on_its_way_is_held() {
        let memory = Arc::new(Memory::default());
        let mut queue = Queue::new(10, 1 << 20, &memory);
        queue.push(parcel(Qos::AtLeastOnce, &"x".repeat(50_000)));
        let sent = queue.pop().unwrap();
        queue.sent(&sent);
        assert!(memory.used() > 50_000);
        queue.done(&sent);
        assert!(memory.used() < 20_000);
    }

    #[test]
    fn a_session_without_connection_keeps_no_qos0() {
        let mut queue = queue(10, 1 << 20);
        for (level, text) in [(0, "a"), (1, "b"), (0, "c"), (2, "d")] {
            queue.push(parcel(Qos::from_level(level).unwrap(), text));
        }
        assert_eq!(queue.drop_qos0(), 2);
        assert_eq!(texts(&mut queue), "bd");
    }
}
