//! Acknowledgements that wait for durable consumers: they leave in the order of the PUBLISH packets.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::codec::Reason;
use crate::model::{Qos, Receipt, Verdict};

/// One PUBLISH whose acknowledgement waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) qos: Qos,
    pub(super) id: u16,
    /// The answer when the receipt says safe.
    pub(super) reason: Reason,
    /// Nothing: there is nothing to wait for.
    pub(super) receipt: Option<Receipt>,
}

#[derive(Debug, Default)]
pub(super) struct Acks {
    waiting: VecDeque<Waiting>,
}

impl Acks {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// The next acknowledgement in order, with its verdict.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(Waiting, Verdict)>> {
        let Some(front) = self.waiting.front_mut() else { return Poll::Ready(None) };
        let verdict = match &mut front.receipt {
            None => Verdict::Safe,
            Some(receipt) => match Pin::new(receipt).poll(context) {
                Poll::Ready(verdict) => verdict,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(self.waiting.pop_front().map(|front| (front, verdict)))
    }

    /// Everything that was not answered.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiting> + '_ {
        self.waiting.drain(..)
    }
}
