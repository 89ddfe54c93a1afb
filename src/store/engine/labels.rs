//! Which labels records have: those of a segment that is written, and those that wait at start.

use std::collections::BTreeMap;
use std::io;

use super::kept::Kept;
use super::scan::scan_each;
use super::tail::Tail;
use super::{Chain, Engine};
use crate::store::disk::DiskFile;
use crate::store::layout::BLOCK;
use crate::store::layout::filter::{self, print};
use crate::store::layout::frame::Frame;
use crate::store::layout::header::{self, Found, Header};
use crate::store::past::Past;
use crate::store::types::Label;

/// Labels that are kept of one segment: as many as fit into the largest filter.
const MOST: usize = filter::most(filter::room(u64::MAX));
/// Segments without a filter that are read at start to know their labels, in bytes: the newest ones, whose filters
/// a power cut may have taken.
pub(super) const SCANNED: u64 = 16 << 20;

/// The prints of the records in one segment, as long as they are all known.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    /// How they are made.
    of: Option<Label>,
    /// Each with the highest sequence that has it.
    prints: BTreeMap<u32, u64>,
    /// A record has none, or there are too many.
    incomplete: bool,
}

impl Labels {
    pub(super) fn new(of: Option<Label>) -> Self {
        Self { of, ..Self::default() }
    }

    pub(super) fn note(&mut self, sequence: u64, record: &[u8]) {
        let Some(of) = self.of.filter(|_| !self.incomplete) else { return };
        match of(record) {
            // Frames may be read in any order.
            Some(label) => {
                let last = self.prints.entry(print(label)).or_default();
                *last = sequence.max(*last);
            }
            None => self.incomplete = true,
        }
        self.incomplete |= self.prints.len() > MOST;
    }

    /// Something of the segment could not be read.
    pub(super) fn give_up(&mut self) {
        self.incomplete = true;
    }

    pub(super) fn note_frame(&mut self, frame: &Frame<'_>) {
        frame.records().for_each(|(sequence, record)| self.note(sequence, record));
    }

    fn are_known(&self) -> bool {
        self.of.is_some() && !self.incomplete
    }

    /// All of them, ascending, if they are known and no more than `most`.
    pub(super) fn all(&self, most: usize) -> Option<impl ExactSizeIterator<Item = u32> + Clone> {
        let fit = self.are_known() && self.prints.len() <= most;
        fit.then(|| self.prints.keys().copied())
    }

    /// Those that records behind the sequence `ack` have, ascending, if all are known.
    fn behind(&self, ack: u64) -> Option<Vec<u32>> {
        let waiting = || self.prints.iter().filter(|(_, last)| **last > ack).map(|(print, _)| *print).collect();
        self.are_known().then(waiting)
    }
}

impl Engine {
    /// Ends a segment: nothing is written to it any more but which labels it has, without a flush.
    pub(super) fn seal(&mut self, index: usize) {
        let chain = &mut self.chains[index];
        let Some(tail) = chain.tail.take() else { return };
        if let Some(segment) = chain.segments.back_mut() {
            segment.kept = Kept::of(&tail.runs);
        }
        let Some((bytes, at)) = tail.filter(chain.written) else { return };
        let written = tail.file.write_at(&bytes, at);
        if self.noted(written).is_ok() {
            self.totals.bytes_written += bytes.len() as u64;
        }
    }

    /// Which labels some records have, as the end of a segment that ends with `upto`; empty when nothing can be said.
    pub(super) fn filter(&self, index: usize, header: &Header, upto: u64, records: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut labels = Labels::new(self.chains[index].label);
        records.iter().for_each(|record| labels.note(upto, record.as_ref()));
        let prints = labels.all(filter::most(filter::room(self.segment_size())));
        prints.map_or_else(Vec::new, |prints| filter::encode(header.epoch, upto, prints))
    }

    /// Finds out which labels wait in each chain that has them; reads segments of so many bytes for that: those
    /// without a filter, and those of which a part is acknowledged, because a filter does not tell that part apart.
    pub(crate) fn look_back(&mut self, mut budget: u64) {
        for index in 0..self.chains.len() {
            if self.chains[index].label.is_some() {
                let past = self.past(index, &mut budget);
                self.chains[index].past = past;
            }
        }
    }

    /// From the newest segment to the oldest in which something waits.
    fn past(&self, index: usize, budget: &mut u64) -> Past {
        let chain = &self.chains[index];
        let mut past = Past::new(chain.next() - 1);
        let mut behind: Option<Header> = None;
        for position in (0..chain.segments.len()).rev() {
            let segment = &chain.segments[position];
            if segment.last <= chain.ack {
                break;
            }
            let tail = chain.tail.as_ref().filter(|_| position + 1 == chain.segments.len());
            let (header, prints) = match tail {
                Some(tail) => (self.header(index, position), tail.labels.behind(chain.ack)),
                None => self.prints(index, position, behind.as_ref(), budget),
            };
            past.take(prints.as_deref(), segment.last);
            behind = header;
        }
        past
    }

    /// What waits in a sealed segment, as far as that is known: from its filter, or from its records.
    fn prints(
        &self,
        index: usize,
        position: usize,
        behind: Option<&Header>,
        budget: &mut u64,
    ) -> (Option<Header>, Option<Vec<u32>>) {
        let chain = &self.chains[index];
        let segment = &chain.segments[position];
        let Ok(file) = self.disk.open(&segment.name.text()) else { return (None, None) };
        let mut block = vec![0; BLOCK];
        let read = file.read_at(&mut block, 0);
        let Found::Header(header) = header::judge(&block, &segment.name) else { return (None, None) };
        if read.is_err() {
            return (None, None);
        }
        let filter = || behind.and_then(|behind| read_filter(&*file, segment.size, &header, behind.after));
        let mut records = || {
            *budget = budget.checked_sub(segment.size)?;
            read_labels(&*file, &header, chain)
        };
        let is_cut = segment.name.first <= chain.ack;
        let prints = if is_cut { records().or_else(filter) } else { filter().or_else(records) };
        (Some(header), prints)
    }
}

fn read_filter(file: &dyn DiskFile, size: u64, header: &Header, upto: u64) -> Option<Vec<u32>> {
    let at = size.checked_sub(header.footer.into()).filter(|_| header.footer > 0)?;
    let mut bytes = vec![0; usize::try_from(header.footer).ok()?];
    file.read_at(&mut bytes, at).ok()?;
    filter::judge(&bytes, header.epoch, upto)
}

fn read_labels(file: &dyn DiskFile, header: &Header, chain: &Chain) -> Option<Vec<u32>> {
    let mut labels = Labels::new(chain.label);
    let scan = scan_each(file, header.epoch, |frame| labels.note_frame(frame)).ok()?;
    if scan.unread {
        labels.give_up();
    }
    labels.behind(chain.ack)
}

impl Tail {
    /// The filter of the segment whose last record is `upto`, and where it goes, if there is room for it.
    fn filter(&self, upto: u64) -> Option<(Vec<u8>, u64)> {
        let (at, room) = self.footer()?;
        let prints = self.labels.all(filter::most(room))?;
        Some((filter::encode(self.epoch, upto, prints), at))
    }

    /// A segment that was sealed, and is written again because the next one got no frame, has a filter that knows
    /// nothing of what comes now. It goes before anything comes, with the flush of recovery.
    pub(super) fn blank_filter(&self) -> io::Result<()> {
        let Some((at, room)) = self.footer() else { return Ok(()) };
        let mut bytes = vec![0; room as usize];
        self.file.read_at(&mut bytes, at)?;
        let blank = bytes.iter().all(|&byte| byte == 0);
        if blank { Ok(()) } else { self.file.write_at(&vec![0; BLOCK], at) }
    }
}
