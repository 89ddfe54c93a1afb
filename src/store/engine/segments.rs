//! Getting segments and giving them back: reuse first, then grow, then drop at the quota.

use std::cmp::Reverse;
use std::io;

use super::labels::Labels;
use super::scan::Run;
use super::tail::Tail;
use super::{Chain, Engine, FileOf, NoCommit, SPARES, Segment, living};
use crate::store::disk::{DiskFile, Flush};
use crate::store::gap::Cause;
use crate::store::layout::header::{self, Found, Header, Thinned};
use crate::store::layout::ledger;
use crate::store::layout::name::SegmentName;
use crate::store::layout::{BLOCK, filter};
use crate::store::leave_out::{Step, is_left_out};
use crate::store::settings::WhenFull;

/// Who thins is asked when ordinary chains may take only so many more segments, or so large a part of the quota.
const LOW_SEGMENTS: u64 = 2;
const LOW_PART: u64 = 10;

/// Chains of this rank and above leave a tenth of the quota to the others.
const ORDINARY_RANK: u8 = 2;
/// In a smaller quota, in segments, there is no such share.
const SHARED_FROM: u64 = 8;

impl Engine {
    /// Gives a chain an empty segment to write to; the one before it counts as sealed.
    pub(super) fn acquire(&mut self, index: usize, first: u64) -> Result<(), NoCommit> {
        self.seal(index);
        loop {
            self.trim();
            let has_share = self.has_share(index);
            if let Some(spare) = self.spares.pop_front_if(|_| has_share) {
                return self.recycle(index, first, spare);
            }
            if has_share && self.may_grow() {
                match self.grow(index, first) {
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => self.crowded = true,
                    result => return result.map_err(|_| NoCommit::Disk),
                }
            }
            self.make_way(index)?;
        }
    }

    /// Whether a chain may have one more segment without taking the share that important ones have for themselves.
    fn has_share(&self, index: usize) -> bool {
        !is_ordinary(&&self.chains[index]) || self.segment_size() <= self.share_left()
    }

    /// What is left of the bytes that ordinary chains may have.
    fn share_left(&self) -> u64 {
        let (size, quota) = (self.segment_size(), self.limit().saturating_sub(ledger::SIZE));
        let reserved = if quota / size < SHARED_FROM { 0 } else { (quota / size / 10).max(1) };
        let segments = self.chains.iter().filter(is_ordinary).flat_map(|chain| &chain.segments);
        (quota - reserved * size).saturating_sub(segments.map(|segment| segment.size).sum())
    }

    /// What segments and spares may have of the quota. Where it is met by thinning, one segment is kept free: that is
    /// the room for a replacement beside what it replaces, when everything else is full.
    pub(super) fn limit(&self) -> u64 {
        let thins = self.settings.when_full == WhenFull::Thin && !is_left_out(Step::Room);
        self.settings.max_size.saturating_sub(if thins { self.segment_size() } else { 0 })
    }

    fn name_next(&mut self, index: usize, first: u64) -> SegmentName {
        let number = self.next_number;
        self.next_number += 1;
        SegmentName { key: self.chains[index].key.clone(), number, first, stands: None }
    }

    /// Uses a spare again: rename, directory, then a header with a new epoch; each flushed.
    fn recycle(&mut self, index: usize, first: u64, spare: FileOf) -> Result<(), NoCommit> {
        let name = self.name_next(index, first);
        let result = self.disk.rename(&spare.name, &name.text());
        let mut file = spare;
        if self.noted(result).is_ok() {
            file.name = name.text();
            let synced = self.disk.sync_dir(Flush::Renamed);
            let opened = self.flushed(synced).and_then(|()| {
                let opened = self.disk.open(&file.name);
                self.noted(opened)
            });
            if let Ok(opened) = opened
                && self.begin(index, &name, opened, file.size).is_ok()
            {
                self.totals.recycled += 1;
                return Ok(());
            }
        }
        self.condemned.push(file);
        Err(NoCommit::Disk)
    }

    /// Makes a new file; its space is reserved before anything is in it.
    fn grow(&mut self, index: usize, first: u64) -> io::Result<()> {
        let (name, size) = (self.name_next(index, first), self.segment_size());
        let created = self.disk.create(&name.text());
        let file = self.noted(created)?;
        let begun = file.allocate(size).and_then(|()| self.begin(index, &name, file, size)).and_then(|()| {
            let synced = self.disk.sync_dir(Flush::Created);
            self.flushed(synced)
        });
        if begun.is_err() {
            self.chains[index].tail = None;
            self.chains[index].segments.retain(|segment| segment.name != name);
            self.condemned.push(FileOf { name: name.text(), size });
            self.trim();
        }
        begun
    }

    /// Writes the header and makes the file the chain's tail.
    fn begin(&mut self, index: usize, name: &SegmentName, file: Box<dyn DiskFile>, size: u64) -> io::Result<()> {
        let epoch = if is_left_out(Step::Epoch) { 1 } else { self.rng.u32(1..) };
        let (after, begun_ms, footer) = (self.chains[index].written, self.wall_ms, filter::room(size));
        let header =
            Header { name: name.clone(), after, epoch, footer, begun_ms, thinned: Thinned::default() }.encode();
        let written = file.write_at(&header, 0);
        self.noted(written)?;
        self.totals.bytes_written += header.len() as u64;
        let synced = file.sync_data(Flush::Header);
        self.flushed(synced)?;
        let chain = &mut self.chains[index];
        let segment =
            Segment { name: name.clone(), size, last: name.first.saturating_sub(1), filled: false, kept: None };
        chain.segments.push_back(segment);
        chain.tail = Some(Tail::new(file, epoch, size, footer, Labels::new(chain.label)));
        self.begun += 1;
        Ok(())
    }

    /// Whether so little of the quota is left that who thins should begin; spares count as left.
    pub(crate) fn is_nearly_full(&self) -> bool {
        let spare: u64 = self.spares.iter().map(|file| file.size).sum();
        let left = (self.limit() + spare).saturating_sub(self.used()).min(self.share_left());
        left < (LOW_SEGMENTS * self.segment_size()).max(self.limit() / LOW_PART)
    }

    /// Whether one more segment keeps to the quota and leaves a twentieth of the file system free.
    fn may_grow(&mut self) -> bool {
        let size = self.segment_size();
        if self.used() + size > self.limit() {
            return false;
        }
        let leaves = |space: crate::store::disk::Space| space.free.saturating_sub(size) >= space.total / 20;
        self.crowded = !self.disk.space().map_or(true, leaves);
        !self.crowded
    }

    /// Removes condemned files, spares beyond what is kept, and spares above the quota.
    pub(super) fn trim(&mut self) {
        let condemned = std::mem::take(&mut self.condemned);
        for file in condemned {
            self.remove(file);
        }
        while self.spares.len() > SPARES || (self.used() > self.limit() && !self.spares.is_empty()) {
            let Some(spare) = self.spares.pop_front() else { return };
            self.remove(spare);
        }
    }

    /// Without a directory flush: what comes back after a power cut is still acknowledged or told.
    fn remove(&mut self, file: FileOf) {
        match self.disk.remove(&file.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.condemned.push(file),
            _ => {}
        }
    }

    /// Turns segments whose records are all delivered into spares. Returns how many.
    pub(crate) fn free_acked(&mut self) -> usize {
        let mut freed = 0;
        let mut retired = Vec::new();
        for chain in &mut self.chains {
            // A new segment's first frame repeats all acknowledgements; until then the old ones keep them.
            let safe = |segments: &std::collections::VecDeque<Segment>| segments.back().is_some_and(|last| last.filled);
            while chain.segments.len() > 1 && safe(&chain.segments) && chain.segments[0].last <= chain.durable {
                let name = chain.file_name(0);
                if let Some(segment) = chain.segments.pop_front() {
                    retired.push(FileOf { name, size: segment.size });
                    freed += 1;
                }
            }
        }
        retired.into_iter().for_each(|file| self.retire(file));
        if freed > 0 {
            self.trim();
        }
        freed
    }

    /// Keeps a file whose records are delivered or told as lost for its next use, if it has the size for it.
    pub(super) fn retire(&mut self, file: FileOf) {
        let spare = file.size == self.segment_size();
        if spare { self.spares.push_back(file) } else { self.condemned.push(file) }
    }

    /// Makes a spare: out of a segment that is delivered already, else out of the oldest segment
    /// of the least important class, told as a gap first.
    fn make_way(&mut self, index: usize) -> Result<(), NoCommit> {
        if let Some((spent, position)) = self.spent() {
            // The ledger takes over every acknowledgement, those that only this segment carried too.
            self.write_ledger().map_err(|_| NoCommit::Disk)?;
            self.give_up(spent, position);
            return Ok(());
        }
        if self.settings.when_full == WhenFull::Reject {
            return Err(NoCommit::Quota);
        }
        if self.patient {
            return Err(NoCommit::Thinning);
        }
        let (victim, position) = self.victim(index).ok_or(NoCommit::Quota)?;
        let last = self.chains[victim].segments[position].last;
        let (first, records) = (self.begins(victim, position), self.living(victim, position));
        let told = is_left_out(Step::Gap)
            || self.tell(victim, (first, last), Cause::Quota, records).map_err(|_| NoCommit::Disk)?;
        if !told {
            // All of it was told before or delivered; that it was has to be on the disk.
            self.write_ledger().map_err(|_| NoCommit::Disk)?;
        }
        self.give_up(victim, position);
        self.totals.dropped += 1;
        Ok(())
    }

    /// The sequence behind everything that was stored before a segment.
    fn begins(&self, index: usize, position: usize) -> u64 {
        let first = self.chains[index].segments[position].name.first;
        self.header(index, position).map_or(first, |header| header.after + 1)
    }

    pub(super) fn header(&self, index: usize, position: usize) -> Option<Header> {
        let name = &self.chains[index].segments[position].name;
        let mut block = vec![0; BLOCK];
        self.disk.open(&name.text()).and_then(|file| file.read_at(&mut block, 0)).ok()?;
        match header::judge(&block, name) {
            Found::Header(header) => Some(header),
            _ => None,
        }
    }

    /// How many records of a segment are still to be delivered; nothing when it cannot be read. One that was sealed in
    /// this run need not be: a large one would keep the disk from all chains meanwhile.
    fn living(&mut self, index: usize, position: usize) -> Option<u64> {
        let Segment { last, kept, .. } = &self.chains[index].segments[position];
        if let Some(kept) = kept {
            return Some(living(kept.ranges(), self.chains[index].ack, *last));
        }
        // What is damaged in it is told as that, first.
        self.load(index, position, false).ok()?;
        let chain = &self.chains[index];
        let behind = if position + 1 < chain.segments.len() { self.header(index, position + 1) } else { None };
        let stored = behind.map_or(chain.segments[position].last.min(chain.written), |header| header.after);
        let (_, _, runs) = self.parts(index, position);
        // Frames at its end that cannot be read go with the others.
        let readable = runs.last()?.last.max(chain.ack);
        let lost = stored.saturating_sub(readable);
        let last = chain.segments[position].last;
        Some(
            living(runs.iter().map(Run::range), chain.ack, last)
                + lost.saturating_sub(chain.gaps.within(readable + 1, stored)),
        )
    }

    /// A segment with nothing in it that is still to be delivered, of any chain.
    fn spent(&self) -> Option<(usize, usize)> {
        self.chains.iter().enumerate().find_map(|(index, chain)| {
            let position = chain.segments.iter().position(|segment| segment.last <= chain.ack)?;
            Some((index, position))
        })
    }

    /// Takes a segment from its chain; when it is the one being written, that seals it.
    pub(super) fn give_up(&mut self, index: usize, position: usize) {
        let chain = &mut self.chains[index];
        if position + 1 == chain.segments.len() {
            chain.tail = None;
        }
        let name = chain.file_name(position);
        if let Some(segment) = chain.segments.remove(position) {
            chain.loaded.retain(|loaded| loaded.number != segment.name.number);
            self.retire(FileOf { name, size: segment.size });
        }
    }

    /// The segment that goes first to make room in a chain: of the highest rank not below its own, sealed before
    /// open, the oldest. Never one of a pinned chain, or of which something is in flight; the only segment of
    /// another chain, which is still written, only when there is no other.
    fn victim(&self, wants: usize) -> Option<(usize, usize)> {
        let rank = self.chains[wants].key.rank();
        let mut best = None;
        for (index, chain) in self.chains.iter().enumerate().filter(|(_, it)| it.key.rank() >= rank && !it.pinned) {
            for (position, segment) in chain.segments.iter().enumerate() {
                let in_flight = segment.name.first <= chain.handed && segment.last > chain.ack;
                if in_flight {
                    continue;
                }
                let open = position + 1 == chain.segments.len() && chain.tail.is_some();
                let only = open && chain.segments.len() == 1;
                let order = (only, Reverse(chain.key.rank()), chain.key.class, open, segment.name.number);
                if best.as_ref().is_none_or(|(other, _, _)| order < *other) {
                    best = Some((order, index, position));
                }
            }
        }
        best.map(|(_, index, position)| (index, position))
    }
}

/// Whether a chain leaves a share of the quota to the others.
fn is_ordinary(chain: &&Chain) -> bool {
    chain.key.rank() >= ORDINARY_RANK && !chain.pinned
}
