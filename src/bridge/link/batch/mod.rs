//! Several records in one publish: what waits for company, and what is ready to go. Pure, the caller brings time.
//!
//! Invariants: a record in a batch is still in the store and in its lane's books, so that an open batch
//! may be forgotten at any time; the records of a rule leave in the order in which they came.

mod pack;
mod serve;
mod summary;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::bridge::record::Record;

pub(super) use serve::cargo;

/// A batch whose oldest record is due waits so long for records that are known to be there.
const GRACE: Duration = Duration::from_secs(1);

/// A record that waits in a batch.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) sequence: u64,
    /// The run that took it.
    pub(super) start: u32,
    /// Of its topic.
    pub(super) hash: u64,
    pub(super) record: Record,
    /// What it will add to the batch, roughly, before compression.
    pub(super) bytes: usize,
}

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// Records of one rule, ready to leave together.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The rule, counted from 0.
    pub(super) rule: usize,
    /// At least one.
    pub(super) records: Vec<Held>,
}

#[derive(Debug)]
struct Open {
    rule: usize,
    records: Vec<Held>,
    bytes: usize,
    opened: Instant,
    /// When its oldest record has waited for long enough.
    due: Instant,
}

/// How a record travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// By itself.
    None,
    /// With others of this rule.
    Batch(usize),
    /// By itself, behind what waits for this rule: it says something that a batch has no place for.
    Behind(usize),
}

/// The batches of one lane.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// At most one of each rule.
    open: Vec<Open>,
    ready: VecDeque<Parcel>,
}

impl Batches {
    /// Puts a record into the batch of its rule, in which it waits until `due` at the longest.
    pub(super) fn hold(&mut self, rule: usize, held: Held, limits: Limits, due: Instant, now: Instant) {
        let crowded = |open: &Open| open.rule == rule && open.bytes + held.bytes > limits.bytes;
        if self.open.iter().any(crowded) {
            self.close(rule);
        }
        let bytes = held.bytes;
        let index = self.open.iter().position(|open| open.rule == rule).unwrap_or_else(|| {
            self.open.push(Open { rule, records: Vec::new(), bytes: 0, opened: now, due });
            self.open.len() - 1
        });
        let open = &mut self.open[index];
        open.records.push(held);
        open.bytes += bytes;
        open.due = open.due.min(due);
        if open.records.len() >= limits.count || open.bytes >= limits.bytes {
            self.close(rule);
        }
    }

    /// What waits for a rule is ready now. True if there was anything.
    pub(super) fn close(&mut self, rule: usize) -> bool {
        let Some(index) = self.open.iter().position(|open| open.rule == rule) else { return false };
        let Open { rule, records, .. } = self.open.remove(index);
        self.ready.push_back(Parcel { rule, records });
        true
    }

    /// Everything that waits is ready now. True if there was anything.
    pub(super) fn close_all(&mut self) -> bool {
        let any = !self.open.is_empty();
        self.ready.extend(self.open.drain(..).map(|Open { rule, records, .. }| Parcel { rule, records }));
        any
    }

    /// What has waited for long enough is ready now; `dry` when nothing more is there to fill it up with.
    /// True if there was anything.
    pub(super) fn ripen(&mut self, dry: bool, now: Instant) -> bool {
        let ripe = self.open.extract_if(.., |open| open.ripe_at(dry) <= now);
        let before = self.ready.len();
        self.ready.extend(ripe.map(|Open { rule, records, .. }| Parcel { rule, records }));
        self.ready.len() > before
    }

    /// When to look again, if nothing else happens.
    pub(super) fn next_ripe(&self, dry: bool) -> Option<Instant> {
        self.open.iter().map(|open| open.ripe_at(dry)).min()
    }

    /// The parcel that leaves next.
    pub(super) fn ready(&self) -> Option<&Parcel> {
        self.ready.front()
    }

    /// Takes the parcel of [`Batches::ready`].
    pub(super) fn take(&mut self) -> Option<Parcel> {
        self.ready.pop_front()
    }

    /// A parcel that leaves before all others.
    pub(super) fn put_first(&mut self, parcel: Parcel) {
        self.ready.push_front(parcel);
    }

    /// Nothing waits, and nothing is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.ready.is_empty()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Open {
    fn ripe_at(&self, dry: bool) -> Instant {
        if dry { self.due } else { self.due.max(self.opened + GRACE) }
    }
}

impl Parcel {
    /// Two halves of a parcel of several records.
    pub(super) fn split(mut self) -> (Self, Self) {
        let second = self.records.split_off(self.records.len().div_ceil(2));
        let rule = self.rule;
        (self, Self { rule, records: second })
    }
}

#[cfg(test)]
mod tests;
