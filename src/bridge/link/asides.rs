//! Records on their way to the dead letters: each stays in its lane's books until its letter is on the disk.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::Link;
use super::send::taken;
use crate::bridge::core::Core;
use crate::bridge::dead::Letter;
use crate::bridge::lanes::class_of;
use crate::bridge::record::Record;
use crate::store::Cause;

/// When a record was taken, from and to, by the wall clock in milliseconds.
pub(super) type Span = Option<(i64, i64)>;

type Aside = Pin<Box<dyn Future<Output = (usize, u64, Span)> + Send>>;

/// As many as records are remembered in all lanes, at most.
#[derive(Default)]
pub(super) struct Asides(Vec<Aside>);

impl Asides {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one whose letter is kept: lane, sequence, and when it was taken. Dropping this loses nothing.
    pub(super) async fn next(&mut self) -> (usize, u64, Span) {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(end) = self.0[index].as_mut().poll(context) {
                    drop(self.0.swap_remove(index));
                    return Poll::Ready(end);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Link<'_> {
    /// Gives a record up for good: it is counted, logged, and becomes a dead letter.
    pub(super) fn set_aside(&mut self, lane: usize, sequence: u64, why: &str) {
        let Core { settings, outbox, store, .. } = self.core;
        tracing::warn!(bridge = %settings.name, class = class_of(lane), sequence, "a message is set aside: {why}");
        outbox.tally.set_aside.one();
        self.lanes[lane].leave(sequence);
        let (chain, dead) = (outbox.chains[lane].clone(), outbox.dead.clone());
        let (name, why) = (settings.name.clone(), why.to_owned());
        let prefix = store.id().to_string();
        self.asides.0.push(Box::pin(async move {
            let stored = chain.read(sequence, 1).await.unwrap_or_default().into_iter().next();
            let Some(stored) = stored.filter(|stored| stored.sequence == sequence) else {
                return (lane, sequence, None);
            };
            let key = format!("{prefix}/{}/{name}.{}/{sequence}", stored.start, chain.key().class);
            let letter = Letter { class: class_of(lane), key, why, record: stored.bytes.to_vec() };
            if !dead.keep(&letter).await {
                tracing::error!(bridge = %name, sequence, "the store does not keep the dead letter: the message is lost");
            }
            (lane, sequence, Record::decode(&stored.bytes).ok().and_then(|record| taken(&record)))
        }));
    }

    /// A record's letter is kept: the store may forget the record.
    pub(super) fn left(&mut self, (lane, sequence, span): (usize, u64, Span)) {
        self.give_up(lane, sequence, Cause::Refused, span);
    }

    /// A record will not be sent: that is told as a gap.
    pub(super) fn give_up(&mut self, lane: usize, sequence: u64, cause: Cause, span: Span) {
        self.missing[lane].insert(sequence, (cause, span));
        self.lanes[lane].set_aside(sequence);
    }

    /// Tells the store what is done in a lane, and what of it never arrives by itself. Not before: what is not
    /// acknowledged when the connection ends is judged anew on the next one. Says whether there was anything.
    pub(super) fn settle(&mut self, lane: usize) -> bool {
        let chain = &self.core.outbox.chains[lane];
        let Some(done) = self.lanes[lane].newly_done() else { return false };
        let later = self.missing[lane].split_off(&(done + 1));
        for (sequence, (cause, span)) in std::mem::replace(&mut self.missing[lane], later) {
            chain.give_up(sequence, sequence, cause, span);
        }
        chain.ack(done);
        true
    }
}
