//! Keeping the ledger, and telling gaps in it.

use std::io;

use super::Engine;
use crate::store::disk::{DiskFile, Flush};
use crate::store::layout::BLOCK;
use crate::store::layout::ledger::{self, Entry, Ledger};
use crate::store::layout::name::LEDGER;
use crate::store::types::{Cause, Gap};

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

    /// Writes both copies, the older one first, flushed before the other is touched. Acknowledgements become durable by it.
    pub(super) fn write_ledger(&mut self) -> io::Result<()> {
        let file = self.ledger_file();
        let file = self.noted(file)?;
        self.generation += 1;
        let chains: Vec<Entry> =
            self.chains.iter().map(|chain| Entry { ack: chain.ack, ..chain.entry.clone() }).collect();
        let ledger = Ledger { generation: self.generation, id: self.id, start: self.start, chains };
        let mut bytes = ledger.encode();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        // The newest whole copy is the last one to be touched, whatever happened before.
        for slot in [1 - self.newest_slot, self.newest_slot] {
            let written = file.write_at(&bytes, slot * ledger::SLOT as u64);
            self.noted(written)?;
            self.totals.bytes_written += bytes.len() as u64;
            let synced = file.sync_data(Flush::Ledger);
            self.flushed(synced)?;
            self.newest_slot = slot;
        }
        self.ledger = Some(file);
        self.chains.iter_mut().for_each(|chain| chain.durable = chain.ack);
        Ok(())
    }

    /// Tells a gap: on the disk before this returns. What was told or delivered already is not told
    /// again. Says whether anything had to be told.
    ///
    /// # Errors
    /// When the disk refuses; the gap is not told then.
    pub(super) fn tell(&mut self, index: usize, first: u64, last: u64, cause: Cause) -> io::Result<bool> {
        let chain = &mut self.chains[index];
        let (first, last) = chain.entry.news(first.max(chain.ack + 1), last);
        if first > last {
            return Ok(false);
        }
        let before = chain.entry.clone();
        chain.entry.tell(Gap { first, last, cause });
        tracing::warn!(chain = %chain.key, first, last, ?cause, "records are lost");
        let written = self.write_ledger();
        if written.is_err() {
            self.chains[index].entry = before;
        }
        written.map(|()| true)
    }
}
