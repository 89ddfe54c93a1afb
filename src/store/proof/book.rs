//! What the model knows: every record that was ever offered, and what was said about it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::thin::Thin;
use crate::store::gap::{Cause, Gap};
use crate::store::types::{Record, Settled, StoreId};

/// What names a record for ever.
type Key = (StoreId, u32, u64);

/// What settle callbacks said: sequence and outcome.
pub(super) type Mail = Arc<Mutex<Vec<(Key, Settled)>>>;

/// The model of one chain.
#[derive(Default)]
pub(super) struct Book {
    pub(super) contents: HashMap<Key, Vec<u8>>,
    /// What a rotten disk may have instead.
    pub(super) maybe: HashMap<Key, Vec<u8>>,
    pub(super) id: StoreId,
    pub(super) thin: Thin,
    settled: HashMap<Key, Settled>,
    /// What has to be there: said to be durable, and not delivered.
    pub(super) durable: BTreeMap<u64, Key>,
    /// Everything up to here was acknowledged.
    pub(super) ack: u64,
    /// When the acknowledgements of this run came.
    acks: Vec<(Duration, u64)>,
    /// What was delivered so long before this run that it may not come back.
    stale: u64,
    /// The last sequence read in this run.
    pub(super) handed: u64,
    pub(super) mail: Mail,
    /// Told gaps that were there at the last look.
    gaps: Vec<Gap>,
}

/// Fails a promise.
macro_rules! promise {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}
pub(super) use promise;

impl Book {
    pub(super) fn offered(&mut self, key: Key, bytes: Vec<u8>) -> Result<(), String> {
        let before = self.contents.insert(key, bytes);
        promise!(before.is_none(), "{key:?} was given out twice");
        Ok(())
    }

    /// Takes the callbacks that came.
    pub(super) fn read_mail(&mut self) -> Result<(), String> {
        let mail = std::mem::take(&mut *self.mail.lock().unwrap());
        for (key, outcome) in mail {
            promise!(self.settled.insert(key, outcome).is_none(), "{key:?} settled twice");
            match outcome {
                Settled::Durable if key.2 > self.ack => drop(self.durable.insert(key.2, key)),
                Settled::Acked => promise!(key.2 <= self.ack, "{key:?} settled as delivered at {}", self.ack),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn acked(&mut self, upto: u64, now: Duration) {
        self.ack = self.ack.max(upto);
        self.acks.push((now, upto));
        self.durable = self.durable.split_off(&(self.ack + 1));
    }

    /// Judges what a read from `from` gave; `last` says that there was no more.
    pub(super) fn read(
        &mut self,
        from: u64,
        records: &[Record],
        (id, start): (StoreId, u32),
        gaps: &[Gap],
        rots: bool,
        last: bool,
    ) -> Result<(), String> {
        let mut next = from;
        for record in records {
            promise!(record.sequence >= next, "{} came after {next}", record.sequence);
            let repeats = record.start < start && record.sequence <= self.stale;
            promise!(!repeats, "{} is back, {} was delivered long ago", record.sequence, self.stale);
            next = record.sequence + 1;
            let key = (id, record.start, record.sequence);
            // Rot of both copies of the ledger costs the id; the contents still have to be right.
            let content = self.contents.get(&key).or_else(|| {
                self.contents
                    .iter()
                    .find(|(other, _)| rots && (other.1, other.2) == (key.1, key.2))
                    .map(|(_, bytes)| bytes)
            });
            let either = rots && self.maybe.get(&key).is_some_and(|bytes| **bytes == *record.bytes);
            promise!(either || content.is_some_and(|bytes| **bytes == *record.bytes), "{key:?} has another content");
        }
        self.handed = self.handed.max(next - 1);
        let end = if last { u64::MAX } else { next };
        let lost = |gap: &&Gap| matches!(gap.cause, Cause::Quota | Cause::Damage | Cause::Several);
        let told = |sequence: u64| gaps.iter().filter(lost).any(|gap| (gap.first..=gap.last).contains(&sequence));
        let there = |sequence: u64| records.binary_search_by_key(&sequence, |record| record.sequence).is_ok();
        for &sequence in self.durable.range(from..end).map(|(sequence, _)| sequence) {
            promise!(there(sequence) || told(sequence), "{sequence} was durable and is gone");
        }
        Ok(())
    }

    /// Drops what is told as lost from what has to be there; checks that it may be lost.
    pub(super) fn gaps(&mut self, gaps: &[Gap], drops: bool, damages: bool) -> Result<(), String> {
        for gap in gaps.iter().filter(|gap| !self.gaps.contains(gap)) {
            let may = match gap.cause {
                Cause::Quota => drops,
                Cause::Damage => damages,
                Cause::Several => drops || damages,
                Cause::Expired | Cause::Thinned => true,
                Cause::NotKept => self.durable.range(gap.first..=gap.last).next().is_none(),
                _ => false,
            };
            promise!(may, "{gap:?} cannot be");
        }
        self.gaps = gaps.to_vec();
        // What was given up is acknowledged, and what was thinned is known to have been.
        for gap in gaps.iter().filter(|gap| !matches!(gap.cause, Cause::Expired | Cause::Thinned | Cause::NotKept)) {
            self.durable.retain(|sequence, _| !(gap.first..=gap.last).contains(sequence));
        }
        Ok(())
    }

    /// What of the told gaps is new and was in flight.
    pub(super) fn in_flight(&self, gaps: &[Gap]) -> Option<u64> {
        let quota = gaps.iter().filter(|gap| gap.cause == Cause::Quota);
        let mut lost = quota.flat_map(|gap| self.durable.range(gap.first..=gap.last));
        lost.find(|(sequence, _)| **sequence <= self.handed).map(|(sequence, _)| *sequence)
    }

    /// A new run found `ack` as what is delivered.
    pub(super) fn reopened(&mut self, ack: u64, now: Duration, window: Option<Duration>) -> Result<(), String> {
        promise!(ack <= self.ack, "{ack} counts as delivered, {} is", self.ack);
        let old = |window| self.acks.iter().rev().find(|(at, _)| *at + window <= now).map_or(0, |(_, ack)| *ack);
        self.stale = window.map_or(0, old);
        // Repeats are allowed now; what was delivered need not be there.
        self.acks.clear();
        self.handed = ack;
        *self.mail.lock().unwrap() = Vec::new();
        Ok(())
    }
}
