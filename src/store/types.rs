//! The words of the store: keys, records, gaps, what can go wrong.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::gap::{Dropped, Gap};
use crate::model::Name;

/// A queue and one of its classes; each pair is a chain of its own, with its own order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainKey {
    /// Whose records these are: a bridge, or the hub.
    pub queue: Name,
    /// 0 is the most important; at the quota the highest rank goes first.
    pub class: u8,
}

impl ChainKey {
    /// How little its records matter, 0 to 7: that is the class, of which the numbers from 8 on repeat those
    /// from 0 on. So a queue can have several chains of one class.
    pub fn rank(&self) -> u8 {
        self.class % 8
    }
}

impl fmt::Display for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue, self.class)
    }
}

/// Made once per directory, at random; the first part of every dedupe key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StoreId(pub [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Makes 64 bits of a record that say what it is about: records of one topic have the same. The same in every
/// version. Nothing when the record cannot be read.
pub type Label = fn(&[u8]) -> Option<u64>;

/// How labels are made of the records of a chain, if it has any.
pub type Labelled = fn(&ChainKey) -> Option<Label>;

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in its chain.
    pub sequence: u64,
    /// The run that took it; (store id, start, sequence) never names two contents.
    pub start: u32,
    /// What was offered.
    pub bytes: Arc<[u8]>,
}

/// What became of an offered record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is on the disk.
    Durable,
    /// The receiver had it before it had to be written.
    Acked,
    /// It is not kept: the quota is used up, the disk refused, or the store closed.
    Refused(Refused),
}

/// Called exactly once, outside all locks, on any thread: keep it short.
pub type Settle = Box<dyn FnOnce(Settled) + Send>;

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As much is waiting in memory as may; [`crate::store::Chain::room`] tells when to try again.
    NoRoom,
    /// The quota is used up and nothing may be dropped; `room` tells when to try again.
    Quota,
    /// Larger than a segment: it will never fit.
    TooLarge,
    /// The disk cannot keep the start number of this run yet; `room` tells when to try again.
    Disk,
    /// The store is closed.
    Closed,
}

/// A record that was not taken, with everything that came with it.
pub struct Full {
    /// What was offered.
    pub record: Vec<u8>,
    /// Not called.
    pub settle: Option<Settle>,
    /// Why.
    pub why: Refused,
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Full({:?}, {} bytes)", self.why, self.record.len())
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle, has it.
    #[error("the state directory is in use by another weir")]
    Locked,
    /// A newer weir wrote it; nothing was touched.
    #[error("the store has format {version}, written by {writer}; this weir knows formats up to 2")]
    Newer {
        /// The format found.
        version: u32,
        /// The program that wrote it.
        writer: String,
    },
    /// The directory cannot be used at all, or the thread cannot start.
    #[error("the state directory cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// Why a read failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The disk does not give the file; trying again later may help.
    #[error("the store's files cannot be read")]
    Disk,
}

/// A segment that gets no more records and of which nothing was read or delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Names it within its chain; a segment that takes the place of others gets the number of the first of them.
    pub number: u64,
    /// No record in it has a lower sequence.
    pub first: u64,
    /// No record in it has a higher sequence.
    pub last: u64,
    /// The size of its file, in bytes.
    pub size: u64,
    /// It took the place of others already.
    pub thinned: bool,
}

/// Why segments were not replaced; everything is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReplaced {
    /// One of them is in flight, delivered, dropped or replaced meanwhile, or they are no neighbours.
    #[error("the segments have changed meanwhile")]
    Busy,
    /// No segments, or no records to put in their place.
    #[error("there is nothing to replace, or nothing to replace it by")]
    Empty,
    /// As many records as there are, or more.
    #[error("a replacement must have fewer records")]
    NotFewer,
    /// The new file would not be smaller, or larger than a segment.
    #[error("the replacement is not smaller, or larger than a segment")]
    TooLarge,
    /// Both do not fit at once, not even for a moment.
    #[error("there is no room for the replacement beside what it replaces")]
    NoRoom,
    /// The disk refused.
    #[error("the disk refused")]
    Disk,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a queue was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDropped {
    /// The store has no such queue.
    #[error("the store has no such queue")]
    Unknown,
    /// Something in this run writes to it or reads from it.
    #[error("it is in use: take the bridge out of the configuration first")]
    InUse,
    /// The disk refused.
    #[error("the disk refused")]
    Disk,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// How much the store wants room, where its quota is met by thinning first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Not at all.
    Nothing,
    /// The quota is nearly used up.
    Soon,
    /// Records wait in memory for it.
    Now,
}

/// Why closing did not keep everything.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// This many records could not be written.
    #[error("{0} records could not be written before closing")]
    Lost(usize),
    /// The store's thread is gone.
    #[error("the store's thread is gone")]
    Gone,
}

/// One chain as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStatus {
    /// Which chain.
    pub key: ChainKey,
    /// Everything before this is delivered.
    pub first_unacked: u64,
    /// The sequence the next record gets.
    pub next_sequence: u64,
    /// Records waiting in memory.
    pub pending: usize,
    /// Bytes of them.
    pub pending_bytes: usize,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
    /// Segments on the disk.
    pub segments: usize,
    /// Records refused in this run.
    pub refused: u64,
    /// Records that were delivered before they had to be written, in this run.
    pub elided: u64,
    /// Sequences given out since the store was made: `acknowledged`, `waiting` and `dropped` add up to it.
    pub stored: u64,
    /// Of these delivered.
    pub acknowledged: u64,
    /// Of these still to be delivered, in memory or on the disk.
    pub waiting: u64,
    /// Of these dropped, by cause.
    pub dropped: Dropped,
    /// Lost to the quota, to damage or by hand since the store was made: what no consumer decided.
    pub lost: u64,
    /// The last gaps, oldest first.
    pub gaps: Vec<Gap>,
    /// Somebody has asked for this chain in this run; if not, it is what a removed bridge left behind.
    pub in_use: bool,
}

/// Counters of the disk side, since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Frames written and flushed.
    pub commits: u64,
    /// Flushes of any kind.
    pub flushes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Records written.
    pub records: u64,
    /// Segments used again instead of made.
    pub recycled: u64,
    /// Segments dropped at the quota.
    pub dropped: u64,
    /// Writes and flushes that failed.
    pub errors: u64,
    /// Pieces found damaged.
    pub damage: u64,
}

/// The whole store as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its id.
    pub id: StoreId,
    /// The number of this run.
    pub start: u32,
    /// Bytes of all files.
    pub used: u64,
    /// Bytes they may have.
    pub quota: u64,
    /// The disk refused the last write: records stay in memory and nothing is acknowledged.
    pub failing: bool,
    /// Other files leave so little of the file system that old records go before the quota is used up.
    pub crowded: bool,
    /// Counters.
    pub totals: Totals,
    /// Every chain with records or with a handle, by queue and class.
    pub chains: Vec<ChainStatus>,
}
