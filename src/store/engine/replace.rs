//! Putting fewer records in the place of sealed segments.
//!
//! The new segment is written whole under another name and flushed, then renamed, and the directory flushed:
//! from then on it stands for the old ones, whose files recovery ignores. The ledger hears of what is
//! missing next, and last the old files go. Whatever happens in between, the old records are there or the
//! new ones, never both and never neither.

use std::io;

use super::scan::Run;
use super::{Engine, FileOf, SPARES, Segment, living};
use crate::store::disk::{DiskFile, Flush};
use crate::store::gap::{Cause, Gap, beyond};
use crate::store::layout::BLOCK;
use crate::store::layout::frame::{self, HEAD, Head};
use crate::store::layout::header::{Header, Thinned};
use crate::store::layout::name::{SegmentName, Stands, spare};
use crate::store::leave_out::{Step, is_left_out};
use crate::store::settings::WhenFull;
use crate::store::types::{NotReplaced, Record, Sealed};

/// Records that go into one frame of a replacement, in bytes.
const FRAME: usize = 64 * 1024;
/// Bytes of a replacement that are written at once.
const PIECE: usize = 256 * 1024;
/// Sealed segments that are listed at once.
const LISTED: usize = 256;

/// What is about to be replaced.
struct Old {
    first: usize,
    count: usize,
    /// The last sequence stored before it, and the last one in it.
    after: u64,
    last: u64,
    /// Records that are still to be delivered.
    living: u64,
    size: u64,
    begun_ms: Option<i64>,
}

/// What is to take their place.
struct New<'r, R> {
    header: Header,
    /// The sequence of the first record.
    first: u64,
    records: &'r [R],
    /// Which labels they have, for the end of the file.
    filter: Vec<u8>,
    /// The size of the file.
    size: u64,
}

/// Records by frames.
fn frames<R: AsRef<[u8]>>(mut rest: &[R]) -> impl Iterator<Item = &[R]> {
    std::iter::from_fn(move || {
        let mut len = HEAD;
        let fits = |record: &&R| {
            len += frame::record_len(record.as_ref().len());
            len <= FRAME
        };
        let (now, later) = rest.split_at_checked(rest.iter().take_while(fits).count().max(1))?;
        rest = later;
        Some(now)
    })
}

/// The size of a file with these records.
fn file_size(records: &[impl AsRef<[u8]>]) -> u64 {
    let frame = |records| (HEAD + frame::records_len(records)).next_multiple_of(BLOCK);
    (BLOCK + frames(records).map(frame).sum::<usize>()) as u64
}

impl Engine {
    /// Segments of which nothing is in flight or delivered, without the one that is written; the oldest first. None
    /// that begins before `from`.
    pub(crate) fn sealed(&self, index: usize, from: u64) -> Vec<Sealed> {
        let chain = &self.chains[index];
        let positions = 0..chain.segments.len().saturating_sub(1);
        let listed = positions.filter(|&at| chain.segments[at].name.first >= from && self.is_idle(index, at));
        let sealed = |at: usize| {
            let Segment { name, size, last, .. } = &chain.segments[at];
            let (number, first, size, last) = (name.number, name.first, *size, *last);
            Sealed { number, first, last, size, thinned: name.stands.is_some() }
        };
        listed.take(LISTED).map(sealed).collect()
    }

    fn is_idle(&self, index: usize, position: usize) -> bool {
        let (chain, segment) = (&self.chains[index], &self.chains[index].segments[position]);
        position + 1 < chain.segments.len() && segment.filled && segment.name.first > chain.handed.max(chain.ack)
    }

    /// Where a sealed segment is, if it is still as it was listed.
    fn find(&self, index: usize, sealed: &Sealed) -> Option<usize> {
        let same = |segment: &Segment| {
            let thinned = segment.name.stands.is_some();
            (segment.name.number, segment.name.first, segment.size, thinned)
                == (sealed.number, sealed.first, sealed.size, sealed.thinned)
        };
        self.chains[index].segments.iter().position(same)
    }

    /// Records of one segment, as [`Engine::read`] gives them, without putting them in flight.
    ///
    /// # Errors
    /// When the segment cannot be opened though the disk may still have it.
    pub(crate) fn read_sealed(
        &mut self,
        index: usize,
        sealed: &Sealed,
        from: u64,
        max_bytes: usize,
    ) -> io::Result<Vec<Record>> {
        let from = from.max(self.chains[index].ack + 1);
        match self.find(index, sealed) {
            Some(position) => self.read_one(index, position, from, max_bytes),
            None => Ok(Vec::new()),
        }
    }

    /// Puts `records` in the place of everything in neighbouring sealed segments.
    ///
    /// # Errors
    /// Why not; then everything is as it was.
    pub(crate) fn replace(
        &mut self,
        index: usize,
        sealed: &[Sealed],
        records: &[impl AsRef<[u8]>],
    ) -> Result<Gap, NotReplaced> {
        let old = self.old(index, sealed)?;
        let count = records.len() as u64;
        match count {
            0 => return Err(NotReplaced::Empty),
            count if count >= old.living => return Err(NotReplaced::NotFewer),
            _ => {}
        }
        let mut header = self.header_of_replacement(index, &old, count);
        let filter = self.filter(index, &header, old.last, records);
        header.footer = u32::try_from(filter.len()).unwrap_or(0);
        let size = file_size(records) + filter.len() as u64;
        let new = New { header, first: old.last - count + 1, records, filter, size };
        self.make_room_for(&old, new.size)?;
        if is_left_out(Step::Order) {
            self.remove_old(index, &old);
        }
        self.put_in_place(index, &new).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => NotReplaced::NoRoom,
            _ => NotReplaced::Disk,
        })?;
        let files = self.swap(index, &old, new.header.name.clone(), new.size);
        // They go once the ledger knows: until then that they are there is the sign that it does not.
        self.outdated.extend(files);
        let gap = self.note_thinned(index, &new.header);
        // If the disk refuses, the next ledger tells it, or the next start.
        self.failing |= self.write_ledger().is_err();
        Ok(gap)
    }

    fn remove_old(&mut self, index: usize, old: &Old) {
        let segments = self.chains[index].segments.range(old.first..old.first + old.count);
        let files = segments.map(|segment| FileOf { name: segment.name.text(), size: segment.size }).collect();
        self.remove_for_good(files);
    }

    fn old(&mut self, index: usize, sealed: &[Sealed]) -> Result<Old, NotReplaced> {
        let first = sealed.first().ok_or(NotReplaced::Empty)?;
        let first = self.find(index, first).ok_or(NotReplaced::Busy)?;
        for (at, sealed) in (first..).zip(sealed) {
            if self.find(index, sealed) != Some(at) || !self.is_idle(index, at) {
                return Err(NotReplaced::Busy);
            }
        }
        let count = sealed.len();
        let mut runs: Vec<Run> = Vec::new();
        for at in first..first + count {
            self.load(index, at, false).map_err(|_| NotReplaced::Disk)?;
            // What was dropped between them is told as a gap already, and nothing may take its sequences.
            let stored = runs.last().map(|run| run.last);
            let after = self.header(index, at).map(|header| header.after);
            if stored.is_some() && stored != after {
                return Err(NotReplaced::Busy);
            }
            runs.extend(self.parts(index, at).2);
        }
        let chain = &self.chains[index];
        let size = chain.segments.range(first..first + count).map(|segment| segment.size).sum();
        // What lies beyond was written again, to the next segment, after a failed flush: that one has it.
        let last = runs.last().ok_or(NotReplaced::Busy)?.last.min(chain.segments[first + count - 1].last);
        let head = self.header(index, first);
        let after = head.as_ref().map_or(runs[0].after, |head| head.after);
        let (living, begun_ms) =
            (living(runs.iter().map(Run::range), chain.ack, last), head.and_then(|head| head.begun_ms));
        Ok(Old { first, count, after, last, living, size, begun_ms })
    }

    fn header_of_replacement(&mut self, index: usize, old: &Old, count: u64) -> Header {
        let first = self.chains[index].segments[old.first].name.clone();
        let stands = Some(Stands { last: old.last, turn: self.next_number });
        self.next_number += 1;
        let name = SegmentName { stands, ..first };
        let (epoch, generation) = (self.rng.u32(1..), self.generation);
        let thinned = Thinned { records: old.living - count, upto: old.last - count, generation };
        Header { name, after: old.after, epoch, footer: 0, begun_ms: old.begun_ms, thinned }
    }

    /// The replacement is on the disk together with what it replaces for a moment. Where the quota is met by thinning,
    /// room for one of a segment's size is always left.
    fn make_room_for(&mut self, old: &Old, size: u64) -> Result<(), NotReplaced> {
        if size >= old.size || size > self.segment_size() {
            return Err(NotReplaced::TooLarge);
        }
        while self.used() + size > self.quota() {
            let spare = self.spares.pop_front().ok_or(NotReplaced::NoRoom)?;
            self.condemned.push(spare);
            self.trim();
        }
        Ok(())
    }

    fn put_in_place<R: AsRef<[u8]>>(&mut self, index: usize, new: &New<'_, R>) -> io::Result<()> {
        let (mut draft, text, size) = (new.header.name.draft(), new.header.name.text(), new.size);
        if is_left_out(Step::Draft) {
            draft.clone_from(&text);
        }
        let written = self.write_draft(index, &draft, new);
        let renamed = written.and_then(|()| self.disk.rename(&draft, &text));
        let synced = self.noted(renamed).and_then(|()| {
            let synced = self.disk.sync_dir(Flush::Replaced);
            self.flushed(synced)
        });
        if synced.is_err() {
            // Whichever of the two names it has: the old ones stay true, after a crash too. A blank one stands for nothing.
            let blanked = (0..3).any(|_| [&draft, &text].into_iter().any(|name| self.blank(name).is_ok()));
            self.failing |= !blanked;
            self.remove_for_good([draft, text].map(|name| FileOf { name, size }).into());
        }
        synced
    }

    fn blank(&mut self, name: &str) -> io::Result<()> {
        let file = self.disk.open(name)?;
        file.write_at(&[0; BLOCK], 0)?;
        self.totals.flushes += 1;
        file.sync_data(Flush::Draft)
    }

    /// Writes a whole segment, piece by piece.
    fn write_draft<R: AsRef<[u8]>>(&mut self, index: usize, draft: &str, new: &New<'_, R>) -> io::Result<()> {
        let New { header, first, records, filter, size } = new;
        let file: Box<dyn DiskFile> = self.disk.create(draft)?;
        file.allocate(*size)?;
        let (mut piece, mut at) = (header.encode(), 0);
        let (mut first, mut after, ack) = (*first, header.after, self.chains[index].ack);
        for records in frames(records) {
            if piece.len() >= PIECE {
                file.write_at(&piece, at)?;
                at += piece.len() as u64;
                piece.clear();
            }
            let count = u32::try_from(records.len()).expect("a frame is bounded");
            let head = Head { count, start: self.start, first, after, ack };
            piece.extend_from_slice(&frame::encode(header.epoch, &head, &[], records));
            piece.resize(piece.len().next_multiple_of(BLOCK), 0);
            (after, first) = (head.last(), head.last() + 1);
        }
        piece.extend_from_slice(filter);
        file.write_at(&piece, at)?;
        self.totals.bytes_written += size;
        self.totals.flushes += 1;
        file.sync_data(Flush::Draft)
    }

    /// Takes the new segment for the old ones; returns their files.
    fn swap(&mut self, index: usize, old: &Old, name: SegmentName, size: u64) -> Vec<FileOf> {
        let chain = &mut self.chains[index];
        let range = old.first..old.first + old.count;
        let gone: Vec<Segment> = chain.segments.drain(range).collect();
        chain.segments.insert(old.first, Segment { name, size, last: old.last, filled: true, kept: None });
        chain.loaded.retain(|loaded| gone.iter().all(|segment| segment.name.number != loaded.number));
        if gone.iter().any(|segment| chain.checked.is_some_and(|(number, _)| number == segment.name.number)) {
            chain.checked = None;
        }
        gone.into_iter().map(|segment| FileOf { name: segment.name.text(), size: segment.size }).collect()
    }

    /// Notes what a replacement lacks, in memory.
    pub(super) fn note_thinned(&mut self, index: usize, header: &Header) -> Gap {
        let Thinned { records, upto, .. } = header.thinned;
        let first = header.after.max(self.chains[index].ack) + 1;
        let span = self.span(index, first, upto);
        let gap = super::keep::new_gap((first, upto), records, Cause::Thinned, span, self.wall_ms);
        let chain = &mut self.chains[index];
        let gap = Gap { from_ms: header.begun_ms.or(gap.from_ms), ..gap };
        let last = header.name.stands.map_or(upto, |stands| stands.last);
        chain.gaps.thin(gap, last, chain.seen_gap);
        gap
    }

    /// Deletes everything that a chain has on the disk and that is not delivered, told as a gap. Returns how
    /// many records that were.
    ///
    /// # Errors
    /// When the disk refuses; nothing is deleted then.
    pub(crate) fn drop_all(&mut self, index: usize) -> io::Result<u64> {
        let chain = &mut self.chains[index];
        let (ack, last) = (chain.ack, chain.written);
        let records = (last.saturating_sub(ack)).saturating_sub(beyond(&chain.gaps.list, ack));
        if records > 0 {
            self.tell(index, (ack + 1, last), Cause::ByHand, Some(records))?;
        }
        for position in (0..self.chains[index].segments.len()).rev() {
            self.give_up(index, position);
        }
        self.chains[index].ack = ack.max(last);
        self.write_ledger()?;
        self.trim();
        Ok(records)
    }

    /// Keeps some files whose place others have taken for their next use, and removes the others, so that no power
    /// cut brings them back.
    pub(super) fn retire_for_good(&mut self, files: Vec<FileOf>) {
        let (size, thins) = (self.segment_size(), self.settings.when_full == WhenFull::Thin);
        let mut rest = Vec::new();
        for file in files {
            if thins && file.size == size && self.spares.len() < SPARES {
                let name = spare(self.next_number);
                self.next_number += 1;
                let renamed = self.disk.rename(&file.name, &name);
                if self.noted(renamed).is_ok() {
                    self.spares.push_back(FileOf { name, size });
                    continue;
                }
            }
            rest.push(file);
        }
        self.remove_for_good(rest);
    }

    /// Removes files so that no power cut brings them back.
    pub(super) fn remove_for_good(&mut self, files: Vec<FileOf>) {
        self.condemned.extend(files);
        self.trim();
        let synced = self.disk.sync_dir(Flush::Removed);
        // What comes back is ignored as long as the replacement is there.
        self.failing |= self.flushed(synced).is_err();
    }
}
