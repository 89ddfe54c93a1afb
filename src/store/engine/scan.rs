//! Reading a segment without knowing where its frames are.

use std::io;

use crate::store::disk::DiskFile;
use crate::store::layout::BLOCK;
use crate::store::layout::frame::{self, Frame, NoFrame};

/// Neighbouring frames whose records follow each other, within one block, or one large frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The last sequence stored before `first`.
    pub(crate) after: u64,
    pub(crate) block: u32,
    pub(crate) blocks: u32,
}

impl Run {
    /// Its sequences: the first and the last.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// In order of sequence, none inside another.
    pub(crate) runs: Vec<Run>,
    /// The first block behind everything valid.
    pub(crate) end: u32,
    /// Whole frames, each counted once per place.
    pub(crate) frames: u64,
    /// The disk did not give all of it.
    pub(crate) unread: bool,
    /// Frames that begin right and are not whole: torn by a cut, or rotten.
    pub(crate) broken: u64,
    /// The last sequence that this segment shows to have been stored, in it or before it.
    pub(crate) written: u64,
    /// The highest start number.
    pub(crate) start: u32,
    /// The highest acknowledgement of the chain itself.
    pub(crate) ack: u64,
    /// Acknowledgements of other chains, in no order.
    pub(crate) acks: Vec<(u64, u64)>,
}

impl Scan {
    fn take(&mut self, frame: &Frame<'_>, block: u32, blocks: u32) {
        let head = frame.head;
        self.frames += 1;
        self.end = self.end.max(block + blocks);
        self.written = self.written.max(head.after);
        self.start = self.start.max(head.start);
        self.ack = self.ack.max(head.ack);
        for (mark, ack) in frame.acks() {
            match self.acks.iter_mut().find(|known| known.0 == mark) {
                Some(known) => known.1 = known.1.max(ack),
                None => self.acks.push((mark, ack)),
            }
        }
        if head.count == 0 {
            return;
        }
        self.written = self.written.max(head.last());
        let run = Run { first: head.first, last: head.last(), after: head.after, block, blocks };
        match self.runs.last_mut() {
            Some(before) if before.block == block && before.last == head.after => before.last = run.last,
            _ => self.runs.push(run),
        }
    }

    /// Sorts the runs and leaves out those that others cover: earlier positions of a tail block.
    fn settle(&mut self) {
        self.runs.sort_by_key(|run| (run.first, std::cmp::Reverse(run.last)));
        let mut reached = 0;
        self.runs.retain(|run| {
            let news = run.last > reached;
            reached = reached.max(run.last);
            news
        });
    }
}

/// Finds every valid frame of `epoch`, behind damage too.
pub(crate) fn scan(file: &dyn DiskFile, epoch: u32) -> io::Result<Scan> {
    scan_each(file, epoch, |_| {})
}

/// As [`scan`], and shows each frame to `visit`, in every place where it is.
pub(crate) fn scan_each(file: &dyn DiskFile, epoch: u32, mut visit: impl FnMut(&Frame<'_>)) -> io::Result<Scan> {
    let blocks = u32::try_from(file.size()? / BLOCK as u64).unwrap_or(u32::MAX);
    let mut scan = Scan { end: 1, ..Scan::default() };
    let mut window = Window::new(file, blocks);
    let mut block = 1;
    while block < blocks {
        block += scan_block(&mut window, &mut scan, block, epoch, &mut visit);
    }
    scan.settle();
    Ok(scan)
}

/// Takes the frames of one block, or the large frame that begins there; says how many blocks that were.
fn scan_block(
    window: &mut Window<'_>,
    scan: &mut Scan,
    block: u32,
    epoch: u32,
    visit: &mut impl FnMut(&Frame<'_>),
) -> u32 {
    let Some(bytes) = window.block(block) else {
        (scan.broken, scan.unread) = (scan.broken + 1, true);
        return 1;
    };
    if let Err(NoFrame::Longer(len)) = frame::decode(bytes, epoch) {
        return scan_large(window, scan, (block, len), epoch, visit);
    }
    let broken = walk(bytes, epoch, |frame| {
        visit(frame);
        scan.take(frame, block, 1);
    });
    scan.broken += u64::from(broken);
    1
}

fn scan_large(
    window: &mut Window<'_>,
    scan: &mut Scan,
    (block, len): (u32, usize),
    epoch: u32,
    visit: &mut impl FnMut(&Frame<'_>),
) -> u32 {
    let blocks = u32::try_from(len.div_ceil(BLOCK)).unwrap_or(u32::MAX);
    // A length that leads beyond the end is no length; else the disk has to give it.
    let whole = window.large(block, blocks);
    scan.unread |= whole.is_none() && blocks <= window.blocks - block;
    match frame::decode(&whole.unwrap_or_default(), epoch) {
        Ok(frame) => {
            visit(&frame);
            scan.take(&frame, block, blocks);
            blocks
        }
        Err(_) => {
            scan.broken += 1;
            1
        }
    }
}

/// Visits the frames in a block. Behind damage it searches on, at every place where a frame may
/// begin. Says whether there was damage.
pub(crate) fn walk<'a>(block: &'a [u8], epoch: u32, mut visit: impl FnMut(&Frame<'a>)) -> bool {
    let mut at = 0;
    let mut broken = false;
    while at + frame::HEAD <= block.len() {
        // Most places hold nothing of this use: seen without a closer look.
        if !frame::may_begin(&block[at..], epoch) {
            at += frame::ALIGN;
            continue;
        }
        match frame::decode(&block[at..], epoch) {
            Ok(frame) => {
                visit(&frame);
                at += frame.len.next_multiple_of(frame::ALIGN);
            }
            Err(why) => {
                broken |= why != NoFrame::Empty;
                at += frame::ALIGN;
            }
        }
    }
    broken
}

/// Reads ahead, so that a scan does not ask the disk for each block.
struct Window<'a> {
    file: &'a dyn DiskFile,
    blocks: u32,
    first: u32,
    bytes: Vec<u8>,
}

/// Blocks read at once.
const AHEAD: u32 = 16;

impl<'a> Window<'a> {
    fn new(file: &'a dyn DiskFile, blocks: u32) -> Self {
        Self { file, blocks, first: 0, bytes: Vec::new() }
    }

    /// One block; `None` when the disk does not give it.
    fn block(&mut self, block: u32) -> Option<&[u8]> {
        let held = (self.bytes.len() / BLOCK) as u32;
        if block < self.first || block >= self.first + held {
            let count = AHEAD.min(self.blocks - block);
            self.bytes = self.read(block, count).or_else(|| self.read(block, 1)).unwrap_or_default();
            self.first = block;
        }
        let start = (block - self.first) as usize * BLOCK;
        self.bytes.get(start..start + BLOCK)
    }

    fn large(&mut self, block: u32, blocks: u32) -> Option<Vec<u8>> {
        if blocks > self.blocks - block { None } else { self.read(block, blocks) }
    }

    fn read(&self, block: u32, count: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count as usize * BLOCK];
        let read = self.file.read_at(&mut bytes, u64::from(block) * BLOCK as u64).ok()?;
        (read == bytes.len()).then_some(bytes)
    }
}
