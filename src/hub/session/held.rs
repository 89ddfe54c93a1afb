//! What a session holds beside messages: it counts against the memory of the hub.

use std::sync::Arc;

use super::super::bell::Bell;
use super::super::tree::levels;
use super::Session;

/// What a session without anything takes, what a QoS 2 packet id takes, and a level of a subscription.
const SELF: usize = 1 << 10;
const RECEIVED: usize = 64;
const LEVEL: usize = 256;

/// What a subscription takes: its text here and its branch in the topic tree.
fn subscription(text: &str) -> usize {
    2 * text.len() + levels(text) * LEVEL
}

impl Session {
    /// Adds a subscription; false when there was one with this filter.
    pub(crate) fn subscribe(&mut self, text: &str) -> bool {
        let new = self.subscriptions.insert(text.into());
        self.subscribed += if new { subscription(text) } else { 0 };
        self.settle();
        new
    }

    /// Removes a subscription; false when there was none.
    pub(crate) fn unsubscribe(&mut self, text: &str) -> bool {
        let gone = self.subscriptions.remove(text);
        self.subscribed -= if gone { subscription(text) } else { 0 };
        self.settle();
        gone
    }

    /// Tells how much is held beside messages.
    pub(super) fn settle(&mut self) {
        let will = self.will.as_ref().map_or(0, |will| will.message.weight());
        self.queue.hold(SELF + self.subscribed + will + self.received.len() * RECEIVED);
    }

    /// Whether the client is connected and takes nothing while messages for it are lost.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.too_slow
    }

    /// There may be something to send that had to wait: whom to wake.
    pub(crate) fn stir(&mut self) -> Option<Arc<Bell>> {
        if std::mem::take(&mut self.asleep) { self.bell.clone() } else { None }
    }

    /// Messages with QoS 1 and 2 that found no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}
