//! The disk side of the store: synchronous, with no clock and no thread of its own.
//!
//! Invariants:
//! - A frame is flushed before [`Engine::append`] says so; committed bytes are never overwritten
//!   before everything in them is acknowledged, or told as a gap, on the disk.
//! - Nothing is appended before the start number of this run is on the disk.
//! - After a failed write or flush a segment gets no more frames: its window goes to another.

mod append;
mod keep;
mod kept;
mod labels;
mod open;
mod read;
mod replace;
pub(crate) mod scan;
mod segments;
mod tail;

use std::collections::VecDeque;

use fastrand::Rng;

use self::kept::Kept;
use self::scan::Run;
use self::tail::Tail;
use super::disk::{Disk, DiskFile};
use super::gap::Gaps;
use super::layout::bytes::varint_len;
use super::layout::frame::{ACK, HEAD};
use super::layout::ledger::CHAINS;
use super::layout::name::{SegmentName, mark};
use super::layout::{BLOCK, filter, ledger};
use super::past::Past;
use super::settings::Settings;
use super::types::{ChainKey, Label, Labelled, StoreId, Totals};

/// Records of one commit that go into one frame, in bytes; a single larger record is still taken.
const FRAME_BUDGET: usize = 256 * 1024;
/// Empty segments that are kept for reuse; more are removed.
const SPARES: usize = 4;

/// Why a commit did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCommit {
    /// The quota is used up and nothing may be dropped.
    Quota,
    /// The quota is used up, and somebody who thins is to be asked first.
    Thinning,
    /// The disk refused twice, in two segments.
    Disk,
}

/// The store on the disk.
pub(crate) struct Engine {
    disk: Box<dyn Disk>,
    settings: Settings,
    labelled: Labelled,
    rng: Rng,
    id: StoreId,
    start: u32,
    ledger: Option<Box<dyn DiskFile>>,
    generation: u64,
    /// Segments whose place others have taken, to be removed as soon as the ledger knows.
    outdated: Vec<FileOf>,
    /// The copy of the ledger that is whole, and on the disk for sure.
    sure_slot: u64,
    ready: bool,
    next_number: u64,
    pub(crate) chains: Vec<Chain>,
    pub(crate) orphans: Orphans,
    /// Segments of any chain whose records are all delivered or told as lost.
    spares: VecDeque<FileOf>,
    /// Segments that failed; their files go when the disk lets them.
    condemned: Vec<FileOf>,
    pub(crate) totals: Totals,
    pub(crate) failing: bool,
    /// Other files leave too little of the file system.
    pub(crate) crowded: bool,
    /// Segments begun in this run.
    pub(crate) begun: u64,
    /// Commits wait for who thins before anything is dropped.
    pub(crate) patient: bool,
    /// What the wall clock shows, in milliseconds since 1970, if it can be believed.
    pub(crate) wall_ms: Option<i64>,
}

/// Acknowledgements that recovery found, by mark, of chains that nothing else tells of: they have delivered records
/// without ever writing one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orphans(Vec<(u64, u64)>);

impl Orphans {
    /// What a chain has delivered. It goes on behind it, here and in memory: a sequence that is used again would
    /// count as delivered.
    pub(crate) fn ack(&self, key: &ChainKey) -> u64 {
        let mark = mark(key);
        self.0.iter().filter(|orphan| orphan.0 == mark).map(|orphan| orphan.1).max().unwrap_or(0)
    }
}

/// A file that counts towards the quota.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileOf {
    name: String,
    size: u64,
}

/// A chain's part of the disk.
pub(crate) struct Chain {
    pub(crate) key: ChainKey,
    mark: u64,
    /// Oldest first.
    pub(crate) segments: VecDeque<Segment>,
    /// Where the last of the segments is being written, unless it is sealed.
    tail: Option<Tail>,
    /// The last sequence on the disk.
    pub(crate) written: u64,
    /// Everything up to here is delivered.
    pub(crate) ack: u64,
    /// The part of `ack` that is on the disk.
    pub(crate) durable: u64,
    /// The last sequence that was read: what is read and not acknowledged is in flight.
    pub(crate) handed: u64,
    /// Nothing of it is dropped at the quota.
    pub(crate) pinned: bool,
    pub(crate) gaps: Gaps,
    /// The last gap that the consumer has read: it does not grow any more.
    pub(crate) seen_gap: u64,
    /// The last ones that were read, the newest last: one for the receiver, one for who thins.
    loaded: Vec<Loaded>,
    /// How labels are made of its records, if it has any.
    label: Option<Label>,
    /// Which of them waited at start.
    pub(crate) past: Past,
    /// The last segment whose links to the one before were checked, and its last sequence.
    checked: Option<(u64, u64)>,
}

/// One segment of a chain.
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) size: u64,
    /// No record in it has a higher sequence.
    pub(crate) last: u64,
    /// It has at least one frame.
    filled: bool,
    /// What is in it, if it was sealed in this run.
    kept: Option<Kept>,
}

/// A sealed segment that is being read.
struct Loaded {
    number: u64,
    file: Box<dyn DiskFile>,
    epoch: u32,
    runs: Vec<Run>,
    /// The last sequence before it, if that is known.
    before: Option<u64>,
    /// The last sequence in it or before it, if the receiver has read it: its link to the segment before was checked.
    seen: Option<u64>,
}

impl Chain {
    fn new(key: ChainKey, label: Option<Label>) -> Self {
        Self {
            mark: mark(&key),
            label,
            past: Past::default(),
            key,
            segments: VecDeque::new(),
            tail: None,
            written: 0,
            ack: 0,
            durable: 0,
            handed: 0,
            pinned: false,
            gaps: Gaps::default(),
            seen_gap: 0,
            loaded: Vec::new(),
            checked: None,
        }
    }

    /// The sequence the first record of this run gets.
    pub(crate) fn next(&self) -> u64 {
        let told = self.gaps.last();
        let named = self.segments.back().map_or(0, |segment| segment.name.first.saturating_sub(1));
        self.written.max(self.ack).max(told).max(named) + 1
    }

    fn loaded(&self, number: u64) -> Option<&Loaded> {
        self.loaded.iter().find(|loaded| loaded.number == number)
    }

    /// Whether acknowledgements wait that spare a reader something after a restart.
    pub(crate) fn owes_ack(&self) -> bool {
        self.ack > self.durable && self.durable < self.written
    }

    /// Whether writing the acknowledgement would free a segment.
    pub(crate) fn would_free(&self) -> bool {
        self.owes_ack() && self.segments.len() > 1 && self.segments[0].last <= self.ack
    }

    fn file_name(&self, position: usize) -> String {
        self.segments[position].name.text()
    }
}

impl Engine {
    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    pub(crate) fn quota(&self) -> u64 {
        self.settings.max_size
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the start number of this run is on the disk.
    pub(crate) fn ready(&self) -> bool {
        self.ready
    }

    /// The number of a chain, which begins to exist when it is new; `None` when there are too many.
    pub(crate) fn chain(&mut self, key: &ChainKey) -> Option<usize> {
        if let Some(index) = self.chains.iter().position(|chain| chain.key == *key) {
            return Some(index);
        }
        // Two chains with one mark would acknowledge for each other.
        let mark = mark(key);
        if self.chains.len() >= CHAINS || self.chains.iter().any(|chain| chain.mark == mark) {
            return None;
        }
        let mut chain = Chain::new(key.clone(), (self.labelled)(key));
        chain.ack = self.orphans.ack(key);
        chain.handed = chain.ack;
        self.chains.push(chain);
        Some(self.chains.len() - 1)
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        let segments = self.chains.iter().flat_map(|chain| &chain.segments).map(|segment| segment.size);
        let others = self.spares.iter().chain(&self.condemned).chain(&self.outdated).map(|file| file.size);
        segments.chain(others).sum::<u64>() + ledger::SIZE
    }

    /// The size of new segments, in bytes: whole blocks, and enough of them for a header and a tail.
    pub(crate) fn segment_size(&self) -> u64 {
        let blocks = (self.settings.segment_size / BLOCK as u64).clamp(4, u64::from(u32::MAX));
        blocks * BLOCK as u64
    }

    /// The largest frame a new segment takes, in bytes of records with their lengths.
    pub(crate) fn largest(&self) -> usize {
        let frames = self.segment_size() - u64::from(filter::room(self.segment_size()));
        let blocks = usize::try_from(frames).unwrap_or(usize::MAX) / BLOCK - 1;
        blocks * BLOCK - HEAD - CHAINS * ACK
    }

    /// The longest record, in bytes.
    pub(crate) fn max_record(&self) -> usize {
        self.largest() - varint_len(self.largest())
    }

    /// How many bytes of records, with their lengths, go into one frame.
    pub(crate) fn budget(&self) -> usize {
        self.largest().min(FRAME_BUDGET)
    }
}

/// How many different records behind `ack` and up to `last` there are in runs, which may overlap. What lies beyond
/// was written again, to the next segment, because it was not sure that this one has it.
fn living(runs: impl IntoIterator<Item = (u64, u64)>, ack: u64, last: u64) -> u64 {
    let mut reached = ack;
    let mut count = 0;
    for (begin, end) in runs {
        count += (end.min(last) + 1).saturating_sub(begin.max(reached + 1));
        reached = reached.max(end);
    }
    count
}
