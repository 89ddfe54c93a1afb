//! Reading records back, and noticing what is missing.

use std::io;

use super::scan::{Run, scan, walk};
use super::{Engine, Loaded, Segment};
use crate::store::disk::DiskFile;
use crate::store::gap::Cause;
use crate::store::layout::BLOCK;
use crate::store::layout::frame::{self, Frame};
use crate::store::layout::header::{self, Found};
use crate::store::leave_out::{Step, is_left_out};
use crate::store::types::Record;

/// Segments of a chain whose frames are remembered at once.
const LOADED: usize = 2;

/// What a read collects.
struct Batch {
    from: u64,
    room: usize,
    records: Vec<Record>,
}

impl Batch {
    /// Takes the records of a frame that are wanted and fit; the first one always fits.
    fn take(&mut self, frame: &Frame<'_>) {
        for (sequence, bytes) in frame.records() {
            if sequence < self.from || self.room == 0 {
                continue;
            }
            if bytes.len() > self.room && !self.records.is_empty() {
                self.room = 0;
                continue;
            }
            self.room = self.room.saturating_sub(bytes.len().max(1));
            self.from = sequence + 1;
            self.records.push(Record { sequence, start: frame.head.start, bytes: bytes.into() });
        }
    }
}

impl Engine {
    /// Unacknowledged records from the disk, in order, from sequence `from` on, of at most
    /// `max_bytes` in all, but at least one if there is any. What is damaged is skipped and told.
    ///
    /// # Errors
    /// When a segment cannot be opened though the disk may still have it.
    pub(crate) fn read(&mut self, index: usize, from: u64, max_bytes: usize) -> io::Result<Vec<Record>> {
        let from = from.max(self.chains[index].ack + 1);
        let mut batch = Batch { from, room: max_bytes.max(1), records: Vec::new() };
        let mut position = 0;
        while position < self.chains[index].segments.len() && batch.room > 0 {
            if self.chains[index].segments[position].last >= batch.from {
                self.read_segment(index, position, &mut batch, true)?;
            }
            position += 1;
        }
        if let Some(last) = batch.records.last() {
            let chain = &mut self.chains[index];
            chain.handed = chain.handed.max(last.sequence);
        }
        Ok(batch.records)
    }

    /// The first record that is not delivered, on no account of the receiver.
    ///
    /// # Errors
    /// When a segment cannot be opened though the disk may still have it.
    pub(crate) fn oldest(&mut self, index: usize) -> io::Result<Option<Record>> {
        let from = self.chains[index].ack + 1;
        for position in 0..self.chains[index].segments.len() {
            if self.chains[index].segments[position].last >= from {
                let found = self.read_one(index, position, from, 1)?;
                if let Some(record) = found.into_iter().next() {
                    return Ok(Some(record));
                }
            }
        }
        Ok(None)
    }

    /// Records of one segment, on no account of the receiver.
    pub(super) fn read_one(
        &mut self,
        index: usize,
        position: usize,
        from: u64,
        max_bytes: usize,
    ) -> io::Result<Vec<Record>> {
        let mut batch = Batch { from, room: max_bytes.max(1), records: Vec::new() };
        self.read_segment(index, position, &mut batch, false)?;
        Ok(batch.records)
    }

    fn read_segment(&mut self, index: usize, position: usize, batch: &mut Batch, follow: bool) -> io::Result<()> {
        self.load(index, position, follow)?;
        // A second turn after a rescan: rot that came after the first scan.
        for fresh in [false, true] {
            let (file, epoch, runs) = self.parts(index, position);
            let wanted = |run: &&Run| run.last >= batch.from;
            let runs: Vec<Run> = runs.iter().filter(wanted).copied().collect();
            let whole = runs.iter().all(|run| batch.room == 0 || read_run(file, epoch, run, batch));
            if whole {
                return Ok(());
            }
            if !fresh {
                self.rescan(index, position)?;
            }
        }
        // It was there a moment ago: what was read so far is delivered, the rest is tried again.
        batch.room = 0;
        if batch.records.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    fn is_tail(&self, index: usize, position: usize) -> bool {
        position + 1 == self.chains[index].segments.len() && self.chains[index].tail.is_some()
    }

    pub(super) fn parts(&self, index: usize, position: usize) -> (&dyn DiskFile, u32, &[Run]) {
        let chain = &self.chains[index];
        let number = chain.segments[position].name.number;
        match (&chain.tail, chain.loaded(number)) {
            (Some(tail), _) if self.is_tail(index, position) => (&*tail.file, tail.epoch, &tail.runs),
            (_, Some(loaded)) => (&*loaded.file, loaded.epoch, &loaded.runs),
            _ => unreachable!("a segment is loaded before it is read"),
        }
    }

    /// Makes sure that the runs of a segment are known and linked to what came before. Whoever reads the
    /// chain in order follows the links from segment to segment.
    pub(super) fn load(&mut self, index: usize, position: usize, follow: bool) -> io::Result<()> {
        if self.is_tail(index, position) {
            self.check_tail(index, position);
            return Ok(());
        }
        let number = self.chains[index].segments[position].name.number;
        match self.chains[index].loaded(number).map(|loaded| (loaded.seen, loaded.before)) {
            // What came before it may have rotted since, and be shorter now.
            Some((Some(seen), before)) if follow && self.follows(index, position, before) => {
                self.chains[index].checked = Some((number, seen));
                return Ok(());
            }
            Some(_) if !follow => return Ok(()),
            _ => {}
        }
        let name = self.chains[index].segments[position].name.clone();
        let file = self.disk.open(&name.text())?;
        let mut block = vec![0; BLOCK];
        file.read_at(&mut block, 0)?;
        let (epoch, runs) = match header::judge(&block, &name) {
            Found::Header(header) => (header.epoch, scan(&*file, header.epoch)?.runs),
            // Nothing of it can be read; the next segment's links tell what that was.
            _ => {
                self.totals.damage += 1;
                (0, Vec::new())
            }
        };
        let runs = self.own(index, position, runs);
        let loaded = &mut self.chains[index].loaded;
        loaded.retain(|loaded| loaded.number != number);
        if loaded.len() >= LOADED {
            loaded.remove(0);
        }
        loaded.push(Loaded { number, file, epoch, runs: runs.clone(), before: None, seen: None });
        // Nothing follows that could tell of the last one's end: what was written does.
        let last = position + 1 == self.chains[index].segments.len();
        let upto = last.then_some(self.chains[index].written);
        self.check_links(index, position, &runs, upto, follow);
        Ok(())
    }

    /// The runs of a segment without what lies beyond its end: that was written again, to the next segment, after a
    /// failed flush, and that one has it, or what took its place; or it went with that one, and is told as a gap.
    fn own(&self, index: usize, position: usize, mut runs: Vec<Run>) -> Vec<Run> {
        if !self.is_tail(index, position) {
            let last = self.chains[index].segments[position].last;
            runs.retain(|run| run.first <= last);
            runs.iter_mut().for_each(|run| run.last = run.last.min(last));
        }
        runs
    }

    /// Whether the segment before a sealed one still ends where it did when that one's link to it was checked.
    fn follows(&self, index: usize, position: usize, before: Option<u64>) -> bool {
        let chain = &self.chains[index];
        let number = position.checked_sub(1).map(|previous| chain.segments[previous].name.number);
        chain.checked.is_none_or(|(checked, last)| Some(checked) != number || Some(last) == before)
    }

    /// Scans a segment again and tells what has gone missing in it.
    fn rescan(&mut self, index: usize, position: usize) -> io::Result<()> {
        self.totals.damage += 1;
        let (file, epoch, _) = self.parts(index, position);
        let runs = self.own(index, position, scan(file, epoch)?.runs);
        let tail = self.is_tail(index, position);
        let chain = &mut self.chains[index];
        let Segment { last: upto, name, .. } = &chain.segments[position];
        let upto = *upto;
        let follow = match (&mut chain.tail, chain.loaded.iter_mut().find(|loaded| loaded.number == name.number)) {
            (Some(found), _) if tail => {
                found.runs.clone_from(&runs);
                true
            }
            (_, Some(loaded)) => {
                loaded.runs.clone_from(&runs);
                loaded.seen.is_some()
            }
            _ => false,
        };
        self.check_links(index, position, &runs, Some(upto), follow);
        Ok(())
    }

    /// Checks a tail: all of it when recovery brought it, else its link to the segment before.
    pub(super) fn check_tail(&mut self, index: usize, position: usize) {
        let chain = &mut self.chains[index];
        let Some(tail) = chain.tail.as_mut() else { return };
        // What came before acknowledgements alone was there too.
        let (count, upto) = if tail.linked { (1, None) } else { (usize::MAX, Some(chain.written)) };
        let runs: Vec<Run> = tail.runs.iter().take(count).copied().collect();
        tail.linked = true;
        self.check_links(index, position, &runs, upto, true);
    }

    /// Tells every break in the chain of frames. The link to the segment before counts if that one
    /// was sealed and checked: then nothing was added to it since.
    fn check_links(&mut self, index: usize, position: usize, runs: &[Run], upto: Option<u64>, follow: bool) {
        let chain = &self.chains[index];
        let number = chain.segments[position].name.number;
        let before = position.checked_sub(1).map(|before| chain.segments[before].name.number);
        let known = match (before, chain.checked) {
            (None, _) => Some(chain.ack),
            (Some(before), Some((checked, last))) if checked == before => Some(last),
            // It is checked again: what came before it is what came before it the first time.
            _ => chain.loaded(number).and_then(|loaded| loaded.before),
        };
        let begins = known.or(runs.first().map(|run| run.after));
        // Without even a header nobody can say where it begins.
        let Some(mut seen) = begins.or_else(|| Some(self.header(index, position)?.after)) else { return };
        for run in runs {
            self.missing(index, seen + 1, run.after);
            seen = seen.max(run.last);
        }
        if let Some(upto) = upto {
            self.missing(index, seen + 1, upto);
        }
        if follow && !self.is_tail(index, position) {
            let chain = &mut self.chains[index];
            chain.checked = Some((number, seen));
            chain
                .loaded
                .iter_mut()
                .filter(|it| it.number == number)
                .for_each(|it| (it.before, it.seen) = (known, Some(seen)));
        }
    }

    fn missing(&mut self, index: usize, first: u64, last: u64) {
        if first <= last && !is_left_out(Step::Links) && self.tell(index, (first, last), Cause::Damage, None).is_err() {
            self.failing = true;
        }
    }
}

/// Reads one run into the batch. Says whether everything in it was as expected.
fn read_run(file: &dyn DiskFile, epoch: u32, run: &Run, batch: &mut Batch) -> bool {
    let mut bytes = vec![0; run.blocks as usize * BLOCK];
    let read = file.read_at(&mut bytes, u64::from(run.block) * BLOCK as u64);
    if read.is_err() {
        return false;
    }
    let mut reached = run.after;
    let mut visit = |frame: &Frame<'_>| {
        if frame.head.count > 0 && (run.first..=run.last).contains(&frame.head.first) {
            // Behind damage nothing more is taken in this turn: the rescan may still find it elsewhere.
            if frame.head.after == reached {
                reached = frame.head.last();
                batch.take(frame);
            }
        }
    };
    if run.blocks > 1 {
        if let Ok(frame) = frame::decode(&bytes, epoch) {
            visit(&frame);
        }
    } else {
        walk(&bytes, epoch, visit);
    }
    reached == run.last
}
