//! Where the next frame of a segment goes.
//!
//! A partly filled block is never rewritten in place: it has two positions, and each commit
//! writes the whole block, old frames and new one, to the position that is not the committed
//! one. When the block is full, its stale position is the first one of the next block. Frames
//! larger than a block get fresh blocks, whose rest stays empty.

use std::io;

use super::labels::Labels;
use super::scan::{Run, Scan};
use crate::store::disk::{DiskFile, Flush};
use crate::store::layout::BLOCK;
use crate::store::layout::frame::{ALIGN, Head};
use crate::store::leave_out::{Step, is_left_out};

/// The segment a chain writes to.
pub(crate) struct Tail {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) epoch: u32,
    /// Those for frames.
    blocks: u32,
    /// The bytes behind them, for a filter.
    footer: u32,
    /// The first block never used.
    end: u32,
    shared: Option<Shared>,
    pub(crate) runs: Vec<Run>,
    /// Whether its first run was checked against the segment before.
    pub(crate) linked: bool,
    pub(super) labels: Labels,
}

/// The partly filled block.
struct Shared {
    /// Where it is committed.
    at: u32,
    /// Where it goes next.
    other: u32,
    bytes: Vec<u8>,
}

/// A place for one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With the frames of the partly filled block, in its other position.
    Join,
    /// The first of a new shared block.
    Fresh { at: u32, other: u32 },
    /// Blocks of its own.
    Large { at: u32, blocks: u32 },
}

impl Tail {
    /// A segment without frames.
    pub(super) fn new(file: Box<dyn DiskFile>, epoch: u32, size: u64, footer: u32, labels: Labels) -> Self {
        let blocks = u32::try_from(size.saturating_sub(footer.into()) / BLOCK as u64).unwrap_or(u32::MAX);
        Self { file, epoch, blocks, footer, end: 1, shared: None, runs: Vec::new(), linked: true, labels }
    }

    /// A segment as recovery found it: what is there stays, new frames go behind it.
    pub(super) fn found(mut fresh: Self, scan: Scan) -> Self {
        (fresh.end, fresh.runs, fresh.linked) = (scan.end, scan.runs, false);
        fresh
    }

    /// Where the bytes for the filter begin and how many there are, unless there are none or frames are in them.
    pub(super) fn footer(&self) -> Option<(u64, u32)> {
        let free = self.footer > 0 && self.end <= self.blocks;
        free.then(|| (u64::from(self.blocks) * BLOCK as u64, self.footer))
    }

    /// Whether a frame of `len` bytes still fits.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.place(len).is_some()
    }

    fn place(&self, len: usize) -> Option<Place> {
        if len > BLOCK {
            let blocks = u32::try_from(len.div_ceil(BLOCK)).ok()?;
            let room = blocks <= self.blocks.saturating_sub(self.end);
            return room.then_some(Place::Large { at: self.end, blocks });
        }
        match &self.shared {
            Some(shared) if shared.bytes.len() + len <= BLOCK => Some(Place::Join),
            Some(shared) if self.end < self.blocks => Some(Place::Fresh { at: shared.other, other: self.end }),
            None if self.end + 1 < self.blocks => Some(Place::Fresh { at: self.end, other: self.end + 1 }),
            _ => None,
        }
    }

    /// Writes and flushes a frame that fits. Returns the bytes written.
    ///
    /// # Errors
    /// Then nothing may be written to this segment any more.
    pub(crate) fn write(&mut self, frame: &[u8], head: &Head, why: Flush) -> io::Result<usize> {
        let place = self.place(frame.len()).ok_or(io::ErrorKind::StorageFull)?;
        let old = match (&self.shared, place) {
            (Some(shared), Place::Join) => shared.bytes.as_slice(),
            _ => &[],
        };
        let at = match (&self.shared, place) {
            (Some(shared), Place::Join) if is_left_out(Step::Positions) => shared.at,
            (Some(shared), Place::Join) => shared.other,
            (_, Place::Fresh { at, .. } | Place::Large { at, .. }) => at,
            (None, Place::Join) => unreachable!("only a shared block is joined"),
        };
        let len = old.len() + frame.len();
        let used = len.next_multiple_of(ALIGN);
        let mut bytes = vec![0; len.next_multiple_of(BLOCK)];
        bytes[..old.len()].copy_from_slice(old);
        bytes[old.len()..len].copy_from_slice(frame);
        self.file.write_at(&bytes, u64::from(at) * BLOCK as u64)?;
        self.file.sync_data(why)?;
        let written = bytes.len();
        bytes.truncate(used);
        self.committed(place, at, bytes, head);
        Ok(written)
    }

    /// Takes note of a frame that is on the disk.
    fn committed(&mut self, place: Place, at: u32, bytes: Vec<u8>, head: &Head) {
        let blocks = match place {
            Place::Join => {
                let shared = self.shared.as_mut().expect("it was joined");
                let from = std::mem::replace(&mut shared.at, at);
                (shared.other, shared.bytes) = (from, bytes);
                // Its runs are the newest but for large frames in between.
                self.runs.iter_mut().rev().filter(|run| run.block == from).for_each(|run| run.block = at);
                1
            }
            Place::Fresh { other, .. } => {
                self.shared = Some(Shared { at, other, bytes });
                self.end = other + 1;
                1
            }
            Place::Large { blocks, .. } => {
                self.end = at + blocks;
                blocks
            }
        };
        if head.count > 0 {
            self.note(Run { first: head.first, last: head.last(), after: head.after, block: at, blocks });
        }
    }

    fn note(&mut self, run: Run) {
        match self.runs.last_mut() {
            Some(before) if run.blocks == 1 && before.block == run.block && before.last == run.after => {
                before.last = run.last;
            }
            _ => self.runs.push(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Disk;
    use crate::store::disk::sim::SimDisk;

    fn tail(blocks: u64) -> Tail {
        let file = SimDisk::new(1).create("x").unwrap();
        file.allocate(blocks * BLOCK as u64).unwrap();
        Tail::new(file, 1, blocks * BLOCK as u64, 0, Labels::default())
    }

    fn put(tail: &mut Tail, first: u64, len: usize) -> (u32, u32) {
        let head = Head { count: 1, start: 1, first, after: first - 1, ack: 0 };
        tail.write(&vec![7; len], &head, Flush::Frame).unwrap();
        let run = tail.runs.last().unwrap();
        (run.block, run.blocks)
    }

    #[test]
    fn a_partly_filled_block_alternates_and_a_full_one_stays() {
        let mut tail = tail(8);
        let places: Vec<_> = (1..=9).map(|n| put(&mut tail, n, 1000).0).collect();
        // Four frames a block: 1, 2, 1, 2; the next block takes the stale position 1 first.
        assert_eq!(places, [1, 2, 1, 2, 1, 3, 1, 3, 1]);
        assert_eq!(
            tail.runs.iter().map(|run| (run.block, run.first, run.last)).collect::<Vec<_>>(),
            [(2, 1, 4), (3, 5, 8), (1, 9, 9)]
        );
    }

    #[test]
    fn the_room_for_a_filter_holds_no_frames() {
        let file = SimDisk::new(1).create("x").unwrap();
        file.allocate(8 * BLOCK as u64).unwrap();
        let mut tail = Tail::new(file, 1, 8 * BLOCK as u64, BLOCK as u32, Labels::default());
        assert!(tail.fits(6 * BLOCK) && !tail.fits(6 * BLOCK + 1));
        put(&mut tail, 1, 6 * BLOCK);
        assert!(!tail.fits(1));
        assert_eq!(tail.footer(), Some((7 * BLOCK as u64, BLOCK as u32)));
        // As a weir that did not know of it may have left it.
        tail.end = 8;
        assert!(!tail.fits(1) && tail.footer().is_none());
    }

    #[test]
    fn large_frames_have_blocks_of_their_own_and_the_end_is_the_end() {
        let mut tail = tail(8);
        assert_eq!(put(&mut tail, 1, 100), (1, 1));
        assert_eq!(put(&mut tail, 2, 9000), (3, 3));
        assert_eq!(put(&mut tail, 3, 100), (2, 1));
        assert_eq!(tail.runs.iter().map(|run| run.block).collect::<Vec<_>>(), [2, 3, 2]);
        assert!(tail.fits(8192) && !tail.fits(8193));
        assert_eq!(put(&mut tail, 4, 8192), (6, 2));
        assert!(!tail.fits(5000) && tail.fits(1000) && !tail.fits(4096));
    }
}
