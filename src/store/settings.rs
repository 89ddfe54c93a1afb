//! What the store is told at start.

use std::path::PathBuf;
use std::time::Duration;

/// What happens to new records when the quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// As [`WhenFull::DropOldest`], but a consumer that thins is asked for room first.
    Thin,
    /// The oldest segment of the lowest class goes, told as a gap.
    DropOldest,
    /// New records are refused.
    Reject,
}

/// Everything the store needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its files are.
    pub dir: PathBuf,
    /// The quota over all chains, in bytes.
    pub max_size: u64,
    /// The size of one segment file, in bytes.
    pub segment_size: u64,
    /// How long a record may wait in memory before it is committed.
    pub max_loss: Duration,
    /// What happens at the quota.
    pub when_full: WhenFull,
    /// Commits per second at most, over all chains.
    pub max_commits_per_s: u32,
}
