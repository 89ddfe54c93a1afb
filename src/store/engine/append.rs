//! Commits: records with acknowledgements, or acknowledgements alone.

use std::io;
use std::sync::Arc;

use super::{Engine, NoCommit};
use crate::store::disk::Flush;
use crate::store::layout::frame::{self, ACK, HEAD, Head};

impl Engine {
    /// Puts records on the disk: one frame, one flush. When this returns `Ok` they are durable.
    ///
    /// `records` follow each other from `first`, behind everything this chain has on the disk.
    ///
    /// # Errors
    /// [`NoCommit::Quota`] when there is no space to be had, [`NoCommit::Disk`] when two segments
    /// failed; the records are not durable then, and may be offered again unchanged.
    pub(crate) fn append(&mut self, index: usize, first: u64, records: &[Arc<[u8]>]) -> Result<(), NoCommit> {
        debug_assert!(self.ready && first > self.chains[index].written, "sequences only grow");
        let bytes: usize = records.iter().map(|record| frame::record_len(record.len())).sum();
        for _ in 0..2 {
            match self.make_room(index, first, bytes).map(|()| self.write(index, first, records)) {
                Ok(Ok(())) => {
                    self.failing = false;
                    return Ok(());
                }
                // The next turn takes another segment; what was committed in this one stays readable.
                Ok(Err(_)) => self.chains[index].tail = None,
                Err(why @ (NoCommit::Quota | NoCommit::Thinning)) => return Err(why),
                Err(NoCommit::Disk) => {}
            }
        }
        self.failing = true;
        Err(NoCommit::Disk)
    }

    /// Makes sure that the chain writes to a segment which takes `bytes` of records.
    fn make_room(&mut self, index: usize, first: u64, bytes: usize) -> Result<(), NoCommit> {
        let len = HEAD + self.acks(index).len() * ACK + bytes;
        if self.chains[index].tail.as_ref().is_some_and(|tail| tail.fits(len)) {
            return Ok(());
        }
        self.acquire(index, first)
    }

    /// What a frame of this chain says of others: what is news, or everything in a new segment.
    fn acks(&self, index: usize) -> Vec<(u64, u64)> {
        let filled = self.chains[index].segments.back().is_some_and(|segment| segment.filled);
        let others = self.chains.iter().enumerate().filter(|(other, _)| *other != index);
        let news = others.filter(|(_, chain)| if filled { chain.owes_ack() } else { chain.ack > 0 });
        news.map(|(_, chain)| (chain.mark, chain.ack)).collect()
    }

    fn write(&mut self, index: usize, first: u64, records: &[Arc<[u8]>]) -> io::Result<()> {
        let acks = self.acks(index);
        let start = self.start;
        let chain = &mut self.chains[index];
        let count = u32::try_from(records.len()).expect("a frame is bounded");
        let head = Head { count, start, first, after: chain.written, ack: chain.ack };
        let tail = chain.tail.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let bytes = frame::encode(tail.epoch, &head, &acks, records);
        let why = if count > 0 { Flush::Frame } else { Flush::Ack };
        let written = tail.write(&bytes, &head, why);
        (first..).zip(records).for_each(|(sequence, record)| tail.labels.note(sequence, record));
        self.totals.flushes += 1;
        let written = self.noted(written)?;
        self.totals.commits += 1;
        self.totals.records += u64::from(count);
        self.totals.bytes_written += written as u64;
        self.committed(index, &head, &acks);
        Ok(())
    }

    fn committed(&mut self, index: usize, head: &Head, acks: &[(u64, u64)]) {
        let chain = &mut self.chains[index];
        chain.durable = head.ack;
        if head.count > 0 {
            chain.written = head.last();
        }
        if let Some(segment) = chain.segments.back_mut() {
            segment.filled = true;
            segment.last = segment.last.max(chain.written);
        }
        for (mark, ack) in acks {
            if let Some(other) = self.chains.iter_mut().find(|other| other.mark == *mark) {
                other.durable = other.durable.max(*ack);
            }
        }
    }

    /// Puts the acknowledgement of a chain on the disk by itself: a frame where there is room for
    /// one, else the ledger.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost by that but repeats after a restart.
    pub(crate) fn write_ack(&mut self, index: usize) -> io::Result<()> {
        let len = HEAD + self.acks(index).len() * ACK;
        if self.chains[index].tail.as_ref().is_some_and(|tail| tail.fits(len)) {
            let first = self.chains[index].written + 1;
            if self.write(index, first, &[]).is_ok() {
                return Ok(());
            }
            self.chains[index].tail = None;
        }
        self.write_ledger()
    }
}
