//! The part of a story in which records are thinned, given up, and gaps are told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, promise};
use super::rig::Rig;
use crate::store::gap::{Cause, Gap, beyond};
use crate::store::pending::Cell;
use crate::store::types::{NotReplaced, Sealed, Want};
use crate::store::words::GivenUp;

/// Nothing is dropped so long after somebody was asked to thin.
const PATIENCE: Duration = Duration::from_secs(10);
/// Fewer gaps than this were never joined for want of room.
const NEVER_JOINED: usize = 20;

/// A replacement of which a crash decides whether it was.
pub(super) struct Unsure {
    first: u64,
    last: u64,
    /// New records: sequence, start number and content.
    new: Vec<(u64, u32, Vec<u8>)>,
    /// How many fewer there are.
    thinned: u64,
}

/// What the model knows of gaps and replacements of one chain.
#[derive(Default)]
pub(super) struct Thin {
    pub(super) unsure: Option<Unsure>,
    thinned: u64,
    /// Given up, and the acknowledgement that passed it was said.
    given_up: BTreeSet<u64>,
    told: BTreeSet<u64>,
}

impl Rig {
    /// Puts a few records in the place of some neighbouring sealed segments.
    pub(super) fn thin(&mut self) -> Result<(), String> {
        let index = self.rng.usize(0..self.cells.len());
        if self.book(index).thin.unsure.is_some() {
            return Ok(());
        }
        self.take_acks();
        let listed = self.engine.sealed(index, 0);
        if listed.is_empty() {
            return Ok(());
        }
        let from = self.rng.usize(0..listed.len());
        let chosen = &listed[from..listed.len().min(from + self.rng.usize(1..4))];
        self.replace(index, chosen)
    }

    /// A turn of the owner, and whoever thins does what it wants.
    pub(super) fn turn_and_thin(&mut self) -> Result<(), String> {
        let begun = self.engine.begun;
        self.pump.thinner = self.pump.thinner || self.rng.bool();
        for _ in 0..4 {
            let alarms = |cell: &Arc<Cell>| cell.key.rank() < 2 && cell.with(|state| state.len()) > 0;
            let asked = self.pump.thinner && !self.cells.iter().any(alarms);
            let dropped = self.engine.totals.dropped;
            self.turn_now();
            let waits = self.pump.want(&self.engine) == Want::Now;
            self.wanted = self.wanted.filter(|_| waits).or_else(|| waits.then_some(self.now));
            let patient = asked && self.wanted.is_none_or(|since| self.now < since + PATIENCE);
            let fewer = self.engine.totals.dropped - dropped;
            promise!(!patient || fewer == 0 || self.hurt, "{fewer} segments were dropped though somebody thins");
            if self.pump.want(&self.engine) == Want::Nothing {
                break;
            }
            let before = self.engine.used();
            self.thin_oldest()?;
            if self.engine.used() == before {
                self.pump.no_thinner();
            }
        }
        promise!(self.engine.begun >= begun, "segments were begun, and are not");
        Ok(())
    }

    /// Puts a few small records in the place of the oldest segments of an ordinary chain.
    fn thin_oldest(&mut self) -> Result<(), String> {
        self.take_acks();
        let ordinary = (0..self.cells.len()).filter(|&index| self.cells[index].key.rank() >= 2);
        let listed = ordinary.map(|index| (index, self.engine.sealed(index, 0)));
        let fresh = listed.map(|(index, sealed)| (index, sealed.into_iter().filter(|it| !it.thinned)));
        let first =
            fresh.flat_map(|(index, sealed)| sealed.map(move |sealed| (index, sealed))).min_by_key(|it| it.1.number);
        match first {
            Some((index, sealed)) => self.replace(index, &[sealed]),
            None => Ok(()),
        }
    }

    fn replace(&mut self, index: usize, chosen: &[Sealed]) -> Result<(), String> {
        if self.book(index).thin.unsure.is_some() {
            return Ok(());
        }
        self.book(index).read_mail()?;
        let (old, last) = self.count(index, chosen)?;
        let count = self.rng.usize(1..old.max(2));
        let records: Vec<Arc<[u8]>> = (0..count).map(|_| self.bytes(300).into()).collect();
        let before = self.engine.chains[index].gaps.dropped.of(Cause::Thinned);
        let result = self.engine.replace(index, chosen, &records);
        let after = self.engine.chains[index].gaps.dropped.of(Cause::Thinned);
        match result {
            Ok(gap) => {
                promise!(after == before + gap.records, "{gap:?} is not counted: {before}, {after}");
                let unsure = self.unsure(chosen, gap.last + 1, &records, gap.records);
                let book = self.book(index);
                promise!(unsure.first > book.handed, "{} was in flight and is replaced", unsure.first);
                book.thin.unsure = Some(unsure);
                book.replaced()
            }
            Err(NotReplaced::Disk) => {
                // The power is out, or an error: the next start shows which it is.
                if old > count {
                    let unsure = self.unsure(chosen, last - count as u64 + 1, &records, (old - count) as u64);
                    self.book(index).thin.unsure = Some(unsure);
                }
                Ok(())
            }
            Err(why) => {
                let full = why == NotReplaced::NoRoom && self.setup.thins && !self.hurt && !self.disk.is_out();
                promise!(!full, "a store that thins has no room for a replacement");
                promise!(after == before, "nothing was replaced, and {} counted", after - before);
                Ok(())
            }
        }
    }

    fn unsure(&self, chosen: &[Sealed], next: u64, records: &[Arc<[u8]>], thinned: u64) -> Unsure {
        let start = self.engine.start();
        let new = (next..).zip(records).map(|(sequence, bytes)| (sequence, start, bytes.to_vec())).collect();
        Unsure { first: chosen[0].first, last: next + records.len() as u64 - 1, new, thinned }
    }

    /// How many records there are in some segments, and the last sequence.
    fn count(&mut self, index: usize, chosen: &[Sealed]) -> Result<(usize, u64), String> {
        let (mut count, mut end) = (0, 0);
        for sealed in chosen {
            let mut from = 0;
            while let Ok(records) = self.engine.read_sealed(index, sealed, from, 20_000) {
                let Some(last) = records.last() else { break };
                (from, count, end) = (last.sequence + 1, count + records.len(), last.sequence);
            }
        }
        Ok((count, end))
    }

    /// Gives up some of what is about to be acknowledged.
    pub(super) fn give_up(&mut self, index: usize, from: u64, upto: u64) {
        let mut next = from;
        while next <= upto && self.rng.bool() {
            let first = self.rng.u64(next..=upto);
            let last = self.rng.u64(first..=upto.min(first + 3));
            let cause = Cause::Expired;
            self.cells[index].give_up(GivenUp { first, last, records: last - first + 1, cause, span: None });
            self.book(index).thin.given_up.extend(first..=last);
            next = last + 1;
        }
    }

    /// A consumer reads the gaps and tells some of them.
    pub(super) fn tell(&mut self) {
        let index = self.rng.usize(0..self.cells.len());
        let gaps = self.gaps(index);
        let last = self.engine.chains[index].gaps.last_id;
        self.cells[index].with(|state| state.seen_gap = last);
        for gap in gaps.iter().filter(|gap| !gap.told) {
            if self.rng.bool() {
                self.cells[index].told(gap);
                self.book(index).thin.told.insert(gap.id);
            }
        }
    }

    /// What holds for gaps at every moment.
    pub(super) fn look_at_gaps(&mut self, index: usize) -> Result<(), String> {
        let gaps = self.engine.chains[index].gaps.clone();
        let book = self.book(index);
        let nobody_said = |gap: &&Gap| gap.told && gap.cause != Cause::NotKept && !book.thin.told.contains(&gap.id);
        let strange = gaps.list.iter().find(nobody_said).filter(|_| gaps.list.len() < NEVER_JOINED);
        promise!(strange.is_none(), "{strange:?} was told by nobody");
        let given_up = book.thin.given_up.len() as u64;
        let counted = gaps.dropped.of(Cause::Expired);
        promise!(counted <= given_up, "{counted} of {given_up} expired");
        Ok(())
    }

    /// After a restart: replacements were or were not, and what was given up counts exactly once.
    pub(super) fn reopened(&mut self, index: usize) -> Result<(), String> {
        let (gaps, ack) = (self.engine.chains[index].gaps.clone(), self.engine.chains[index].ack);
        let rots = self.setup.rots;
        let book = self.book(index);
        if rots {
            // A rotten ledger may have forgotten some, and a rotten segment be neither.
            book.forget_unsure();
            book.thin.given_up.extend(0..gaps.dropped.of(Cause::Expired));
            return Ok(());
        }
        book.thin.given_up.retain(|sequence| *sequence <= ack);
        let (counted, said) = (gaps.dropped.of(Cause::Expired), book.thin.given_up.len());
        promise!(counted == said as u64, "{counted} expired, {said} were given up up to {ack}");
        book.decide(gaps.dropped.of(Cause::Thinned))
    }

    /// Every record that the figures say is waiting can be read.
    pub(super) fn adds_up(&self, index: usize, read: u64) -> Result<(), String> {
        let (gaps, cell) = (&self.engine.chains[index].gaps.list, &self.cells[index]);
        let (ack, next) = cell.with(|state| (state.ack, state.next));
        let waiting = (next - 1 - ack).saturating_sub(beyond(gaps, ack));
        promise!(self.hurt || read == waiting, "{read} records, {waiting} are waiting from {ack} to {next}: {gaps:?}");
        Ok(())
    }
}

impl Book {
    /// What is unsure has happened.
    fn replaced(&mut self) -> Result<(), String> {
        let Some(Unsure { first, last, new, thinned }) = self.thin.unsure.take() else { return Ok(()) };
        self.thin.thinned += thinned;
        self.durable.retain(|sequence, _| !(first..=last).contains(sequence));
        for (sequence, start, bytes) in new {
            let key = (self.id, start, sequence);
            self.contents.insert(key, bytes);
            if sequence > self.ack {
                self.durable.insert(sequence, key);
            }
        }
        Ok(())
    }

    fn decide(&mut self, thinned: u64) -> Result<(), String> {
        let expected = self.thin.thinned;
        match &self.thin.unsure {
            Some(unsure) if thinned == expected + unsure.thinned => self.replaced(),
            _ => {
                promise!(thinned == expected, "{thinned} thinned, {expected} expected");
                self.thin.unsure = None;
                Ok(())
            }
        }
    }

    fn forget_unsure(&mut self) {
        if let Some(Unsure { first, last, new, .. }) = self.thin.unsure.take() {
            self.durable.retain(|sequence, _| !(first..=last).contains(sequence));
            for (sequence, start, bytes) in new {
                self.maybe.insert((self.id, start, sequence), bytes);
            }
        }
    }
}
