//! Retained messages on their way to the disk: of each topic only the last value of a while is written.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::outbox::{Out, What};
use super::record::Record;
use crate::model::{Message, Ticket, Topic};

/// A topic's value that is to be written.
#[derive(Debug)]
struct Waiting {
    /// Nothing: the topic has no value any more.
    value: Option<(Arc<Message>, Option<u64>)>,
    /// Of all values of this while.
    tickets: Vec<Ticket>,
}

/// What has changed and is not written.
#[derive(Debug, Default)]
pub(super) struct Window {
    topics: HashMap<Topic, Waiting>,
    bytes: usize,
    /// When it is to be written.
    pub(super) due: Option<Instant>,
}

impl Window {
    /// Topics and bytes that are worth writing before the time is over.
    const PLENTY: (usize, usize) = (1000, 256 << 10);

    pub(super) fn has(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    pub(super) fn is_plenty(&self) -> bool {
        self.topics.len() >= Self::PLENTY.0 || self.bytes >= Self::PLENTY.1
    }

    pub(super) fn put(&mut self, topic: Topic, value: Option<(Arc<Message>, Option<u64>)>, ticket: Option<Ticket>) {
        self.bytes += value.as_ref().map_or(0, |(message, _)| message.payload.len());
        let waiting = self.topics.entry(topic).or_insert(Waiting { value: None, tickets: Vec::new() });
        self.bytes -= waiting.value.as_ref().map_or(0, |(message, _)| message.payload.len());
        waiting.value = value;
        waiting.tickets.extend(ticket);
    }

    /// Everything, in order of the topics.
    pub(super) fn drain(&mut self) -> Vec<Out> {
        let mut topics: Vec<_> = std::mem::take(self).topics.into_iter().collect();
        topics.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let out = |(topic, Waiting { value, tickets })| {
            let record = match value {
                Some((message, expires)) => Record::Retain(message, expires),
                None => Record::Forget(topic),
            };
            Out { what: What::Record(record), tickets, gate: None }
        };
        topics.into_iter().map(out).collect()
    }
}
