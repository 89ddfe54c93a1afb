//! The bytes on the disk, purely: file names, segment headers, frames, the ledger.
//!
//! A segment is a 4 kB header and blocks of 4 kB. A frame is one commit. A frame that fits into
//! a block shares it with others; a larger one has blocks of its own. Every frame tells which
//! sequence was the last one stored before it, so a missing frame shows as a break in that chain.

pub(crate) mod bytes;
pub(crate) mod filter;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod ledger;
pub(crate) mod name;

/// The unit in which segments are written, in bytes.
pub(crate) const BLOCK: usize = 4096;
/// The format this code writes. It refuses higher ones and reads lower ones.
pub(crate) const VERSION: u32 = 2;
/// Who wrote it, for the message of an older weir that meets a newer format.
pub(crate) const WRITER: &str = concat!("weir ", env!("CARGO_PKG_VERSION"));
