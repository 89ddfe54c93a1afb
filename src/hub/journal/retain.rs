//! Retained messages; called while they are locked, so that disk and memory see values in one order.

use std::sync::Arc;

use super::outbox::Inner;
use super::{HOLD, Instant, Journal};
use crate::model::{Message, Origin, Ticket, Topic};

impl Journal {
    /// A topic has a new last value, or none any more (`kept` is false). The ticket settles when that is
    /// on the disk; a newer value of the topic that comes before is as good.
    ///
    /// The gateway's own values are not kept: after a restart an old one must not look alive.
    pub(crate) fn retain(
        self: &Arc<Self>,
        message: &Arc<Message>,
        kept: bool,
        expires: Option<Instant>,
        ticket: impl FnOnce() -> Option<Ticket>,
    ) {
        let kept = kept && message.origin != Origin::Gateway && !message.payload.is_empty();
        let value = kept.then(|| (Arc::clone(message), self.known_time(expires)));
        let mut inner = self.lock();
        if value.is_some() || inner.holds(&message.topic) {
            let topic = message.topic.clone();
            self.put(&mut inner, topic, value, ticket());
        }
    }

    /// A topic's value has expired.
    pub(crate) fn expire(self: &Arc<Self>, topic: &Topic) {
        let mut inner = self.lock();
        if inner.holds(topic) {
            self.put(&mut inner, topic.clone(), None, None);
        }
    }

    fn put(
        self: &Arc<Self>,
        inner: &mut Inner,
        topic: Topic,
        value: Option<(Arc<Message>, Option<u64>)>,
        ticket: Option<Ticket>,
    ) {
        let wait = if ticket.is_some() { HOLD.min(self.gather) } else { self.gather };
        inner.window.put(topic, value, ticket);
        let due = Instant::now() + wait;
        let sooner = inner.window.due.is_none_or(|known| due < known);
        if sooner {
            inner.window.due = Some(due);
        }
        if inner.window.is_plenty() && !inner.blocked {
            self.write_window(inner);
        } else if sooner {
            self.wake.notify_one();
        }
    }

    /// Writes what has changed.
    pub(super) fn write_window(self: &Arc<Self>, inner: &mut Inner) {
        inner.flush_window();
        self.pump(inner);
    }
}

impl Inner {
    /// Puts what has changed behind everything that has happened before.
    pub(super) fn flush_window(&mut self) {
        for out in self.window.drain() {
            self.enqueue(out);
        }
    }

    /// Whether the disk has a value of the topic, or is about to.
    fn holds(&self, topic: &Topic) -> bool {
        self.index.retained.contains_key(topic) || self.window.has(topic)
    }
}
