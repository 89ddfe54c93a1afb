//! What waits for one receiver: bounded in messages and in bytes, QoS 0 gives way first. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::{Message, Qos};

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
}

impl Parcel {
    /// What it counts against a byte bound: the message and the place it takes.
    fn weight(&self) -> usize {
        self.size() + size_of::<Self>()
    }

    /// The bytes of the message.
    pub(crate) fn size(&self) -> usize {
        self.message.weight()
    }
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
}

impl Queue {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { parcels: VecDeque::new(), bytes: 0, droppable: 0, max_messages, max_bytes }
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
        self.parcels.len() > self.max_messages / 2 || self.bytes > self.max_bytes / 2
    }

    /// Appends `parcel`. When a bound is hit the oldest QoS 0 messages go; when there are none, `parcel` goes.
    /// Returns how many messages were dropped.
    pub(crate) fn push(&mut self, parcel: Parcel) -> usize {
        let weight = parcel.weight();
        let mut dropped = 0;
        while self.parcels.len() >= self.max_messages || self.bytes + weight > self.max_bytes {
            dropped += 1;
            if !self.drop_oldest_qos0() {
                return dropped;
            }
        }
        self.bytes += weight;
        self.droppable += usize::from(parcel.qos == Qos::AtMostOnce);
        self.parcels.push_back(parcel);
        dropped
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
        before - self.parcels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Properties, Topic};

    fn parcel(qos: Qos, text: &str) -> Parcel {
        let message = Arc::new(Message::own(Topic::new("t").unwrap(), text.as_bytes()));
        Parcel { message, qos, retain: false, expires: None, ids: None }
    }

    fn texts(queue: &mut Queue) -> String {
        let mut all = String::new();
        while let Some(parcel) = queue.pop() {
            all.push_str(std::str::from_utf8(&parcel.message.payload).unwrap());
        }
        assert_eq!((queue.bytes, queue.droppable), (0, 0));
        all
    }

    #[test]
    fn the_oldest_qos0_gives_way_then_the_newcomer() {
        let mut queue = Queue::new(3, 1 << 20);
        let pushes = [(1, "a", 0), (0, "b", 0), (0, "c", 0), (0, "d", 1), (1, "e", 1), (1, "f", 1), (1, "g", 1)];
        for (level, text, dropped) in pushes {
            assert_eq!(queue.push(parcel(Qos::from_level(level).unwrap(), text)), dropped, "{text}");
        }
        assert_eq!(texts(&mut queue), "aef");
    }

    #[test]
    fn bytes_are_bounded() {
        let one = parcel(Qos::AtLeastOnce, "12345").weight();
        let mut queue = Queue::new(100, 2 * one);
        assert_eq!(queue.push(parcel(Qos::AtMostOnce, "12345")), 0);
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "12345")), 0);
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "67890")), 1);
        assert_eq!(queue.push(parcel(Qos::AtLeastOnce, "x")), 1);
        assert_eq!(texts(&mut queue), "1234567890");
    }

    /// A message can be all properties: they count too.
    #[test]
    fn user_properties_cannot_get_past_the_bound() {
        let mut queue = Queue::new(1000, 10_000);
        for _ in 0..1000 {
            let mut parcel = parcel(Qos::AtLeastOnce, "");
            let user = vec![(Arc::from("k"), "v".repeat(1000).into())];
            let properties = Properties { user, ..Properties::default() };
            Arc::get_mut(&mut parcel.message).unwrap().properties = Some(Box::new(properties));
            queue.push(parcel);
        }
        assert!(queue.len() < 10, "{} messages of 1000 bytes", queue.len());
    }

    #[test]
    fn a_session_without_connection_keeps_no_qos0() {
        let mut queue = Queue::new(10, 1 << 20);
        for (level, text) in [(0, "a"), (1, "b"), (0, "c"), (2, "d")] {
            queue.push(parcel(Qos::from_level(level).unwrap(), text));
        }
        assert_eq!(queue.drop_qos0(), 2);
        assert_eq!(texts(&mut queue), "bd");
    }
}
