//! Keeping the ledger, and the gaps in it.

use std::io;

use super::Engine;
use crate::store::disk::{DiskFile, Flush};
use crate::store::gap::{Cause, Gap, Gaps, Span};
use crate::store::layout::BLOCK;
use crate::store::layout::ledger::{self, Entry, Ledger};
use crate::store::layout::name::LEDGER;
use crate::store::leave_out::{Step, is_left_out};
use crate::store::words::Words;

impl Engine {
    /// Puts the start number of this run on the disk, if it is not there yet.
    ///
    /// # Errors
    /// When the disk refuses; nothing may be appended then.
    pub(crate) fn get_ready(&mut self) -> io::Result<()> {
        if !self.ready {
            self.write_ledger()?;
            let synced = self.disk.sync_dir(Flush::Created);
            self.flushed(synced)?;
            self.ready = true;
        }
        Ok(())
    }

    /// Counts a flush and passes its result on.
    pub(super) fn flushed(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.totals.flushes += 1;
        self.noted(result)
    }

    /// Counts an error and passes it on.
    pub(super) fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.totals.errors += 1;
            tracing::warn!(%error, "the store's disk failed");
        }
        result
    }

    fn ledger_file(&mut self) -> io::Result<Box<dyn DiskFile>> {
        if let Some(file) = self.ledger.take() {
            return Ok(file);
        }
        let file = match self.disk.open(LEDGER) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.create(LEDGER)?,
            other => other?,
        };
        file.allocate(ledger::SIZE)?;
        Ok(file)
    }

    /// Writes both copies, the sure one last, each flushed before the other is touched. Acknowledgements become
    /// durable by it.
    pub(super) fn write_ledger(&mut self) -> io::Result<()> {
        let file = self.ledger_file();
        let file = self.noted(file)?;
        let most = ledger::gaps_of_each(self.chains.len());
        let entry = |chain: &mut super::Chain| {
            chain.gaps.squeeze(most, chain.ack);
            Entry { key: chain.key.clone(), ack: chain.ack, gaps: chain.gaps.clone() }
        };
        let chains = self.chains.iter_mut().map(entry).collect();
        let mut ledger = Ledger { generation: self.generation, id: self.id, start: self.start, chains };
        // A whole copy that is on the disk for sure is the last one to be touched, whatever happened before.
        let turned = u64::from(is_left_out(Step::SureCopy));
        for slot in [1 - self.sure_slot, self.sure_slot].map(|slot| slot ^ turned) {
            self.generation += 1;
            ledger.generation = self.generation;
            let mut bytes = ledger.encode();
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            let written = file.write_at(&bytes, slot * ledger::SLOT as u64);
            self.noted(written)?;
            self.totals.bytes_written += bytes.len() as u64;
            let synced = file.sync_data(Flush::Ledger);
            self.flushed(synced)?;
            self.sure_slot = slot;
        }
        self.ledger = Some(file);
        self.chains.iter_mut().for_each(|chain| chain.durable = chain.ack);
        let outdated = std::mem::take(&mut self.outdated);
        if !outdated.is_empty() {
            self.retire_for_good(outdated);
        }
        Ok(())
    }

    /// Notes a gap: on the disk before this returns. What was noted or delivered already is not noted
    /// again. `records` is how many are missing, where that is not all between both ends. Says whether
    /// anything had to be noted.
    ///
    /// # Errors
    /// When the disk refuses; the gap is not noted then.
    pub(super) fn tell(
        &mut self,
        index: usize,
        (first, last): (u64, u64),
        cause: Cause,
        records: Option<u64>,
    ) -> io::Result<bool> {
        let chain = &self.chains[index];
        let (first, last) = chain.gaps.news(first.max(chain.ack + 1), last, cause);
        if first > last {
            return Ok(false);
        }
        let missing = records.unwrap_or_else(|| (last - first + 1).saturating_sub(chain.gaps.within(first, last)));
        let span = self.span(index, first, last);
        let chain = &mut self.chains[index];
        let before = chain.gaps.clone();
        let gap = new_gap((first, last), missing, cause, span, self.wall_ms);
        chain.gaps.add(gap, chain.seen_gap);
        tracing::warn!(chain = %chain.key, first, last, records = missing, %cause, "records are lost");
        // What is damaged of a segment does not count again when it is dropped.
        let touched = chain.segments.iter_mut().filter(|it| it.name.first <= last && first <= it.last);
        touched.for_each(|segment| segment.kept = None);
        let written = self.write_ledger();
        if written.is_err() {
            self.chains[index].gaps = before;
        }
        written.map(|()| true)
    }

    /// Notes what will never be in this chain, because it was refused after it had got its sequences. Nobody
    /// was told that it is safe, so the receiver need not hear of it.
    ///
    /// # Errors
    /// When the disk refuses; nothing is noted then.
    pub(crate) fn tell_not_kept(&mut self, index: usize, first: u64, last: u64) -> io::Result<()> {
        let chain = &mut self.chains[index];
        let before = chain.gaps.clone();
        let span = Span::of(None, self.wall_ms);
        let gap = new_gap((first, last), last - first + 1, Cause::NotKept, span, self.wall_ms);
        chain.gaps.add(Gap { told: true, ..gap }, chain.seen_gap);
        let written = self.write_ledger();
        if written.is_err() {
            self.chains[index].gaps = before;
        }
        written
    }

    /// Takes what consumers have said, with the acknowledgements that pass it, in one write.
    ///
    /// # Errors
    /// When the disk refuses; nothing is taken then.
    pub(crate) fn take_words(&mut self, words: &[(usize, Words)]) -> io::Result<()> {
        let before: Vec<(u64, Gaps)> = self.chains.iter().map(|chain| (chain.ack, chain.gaps.clone())).collect();
        for (index, words) in words {
            let wall_ms = self.wall_ms;
            let own: Vec<Span> = words.given_up.iter().map(|it| self.span(*index, it.first, it.last)).collect();
            let chain = &mut self.chains[*index];
            for (given, own) in words.given_up.iter().zip(own) {
                let span = given.span.unwrap_or(own);
                let gap = new_gap((given.first, given.last), given.records, given.cause, span, wall_ms);
                let exact = given.records == given.last - given.first + 1;
                // Who makes fewer of them tells its receiver so by what it sends.
                let told = given.cause == Cause::Thinned;
                chain.gaps.add(Gap { exact, told, ..gap }, chain.seen_gap);
            }
            words.told.iter().for_each(|(id, records)| chain.gaps.told(*id, *records));
            chain.ack = chain.ack.max(words.ack);
        }
        let written = self.write_ledger();
        if written.is_err() {
            for (chain, (ack, gaps)) in self.chains.iter_mut().zip(before) {
                (chain.ack, chain.gaps) = (ack, gaps);
            }
        }
        written
    }

    /// About when the records between two sequences were stored: from the beginning of the segment that
    /// holds the first one to the beginning of the one behind the last.
    pub(super) fn span(&self, index: usize, first: u64, last: u64) -> Span {
        let segments = &self.chains[index].segments;
        let begun = |position: Option<usize>| self.header(index, position?).and_then(|header| header.begun_ms);
        let from = segments.iter().rposition(|segment| segment.name.first <= first);
        let behind = segments.iter().position(|segment| segment.name.first > last);
        Span::of(begun(from), if behind.is_some() { begun(behind) } else { self.wall_ms })
    }
}

pub(super) fn new_gap((first, last): (u64, u64), records: u64, cause: Cause, span: Span, noted_ms: Option<i64>) -> Gap {
    let Span { from_ms, to_ms } = span;
    Gap { id: 0, first, last, records, cause, from_ms, to_ms, noted_ms, told: false, exact: true }
}
