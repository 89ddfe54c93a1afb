//! One bound for all memory that clients can make the hub use: what waits for sessions, retained messages,
//! subscriptions, held publishes and the buffers of connections.
//!
//! Each holder has a [`Share`], which takes from the whole in steps: most changes touch nothing that is shared.
//! A payload that waits for several receivers counts once for each, so that the sum is never too low.
//!
//! A receiver may hold as much as is still free, so that some room always remains: the more receivers lag
//! behind, the less each may hold. QoS 0 has to leave a quarter of the whole free, QoS 1 and 2 an eighth. When
//! a sixteenth is left, publishers and new sessions are refused; when nothing is left, no buffer grows any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::model::Qos;

/// Shares grow and shrink in steps of this size.
const STEP: usize = 4 << 10;

/// What every receiver may hold, however little is left.
pub(crate) const LEAST: usize = 4 << 10;

/// How much is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Less than three quarters: nobody is restricted.
    Free,
    /// QoS 0 is dropped for receivers that lag behind; then QoS 1 and 2 are held to what is left.
    Tight,
    /// Publishers and new sessions are refused.
    Full,
    /// No buffer grows any more.
    Exhausted,
}

impl Level {
    /// A stable word for figures.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Free => "free",
            Level::Tight => "tight",
            Level::Full => "full",
            Level::Exhausted => "exhausted",
        }
    }
}

/// The whole.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
    /// The most that was used.
    most: AtomicUsize,
    bound: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { used: AtomicUsize::new(0), most: AtomicUsize::new(0), bound: AtomicUsize::new(usize::MAX) }
    }
}

impl Memory {
    /// A new bound, in bytes; what is used already may stay above it.
    pub(crate) fn set_bound(&self, bytes: usize) {
        self.bound.store(bytes, Relaxed);
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound.load(Relaxed)
    }

    /// What is left below so many sixteenths of the bound.
    fn left(&self, sixteenths: usize) -> usize {
        (self.bound() / 16 * sixteenths).saturating_sub(self.used())
    }

    pub(crate) fn level(&self) -> Level {
        match () {
            () if self.left(12) > 0 => Level::Free,
            () if self.left(15) > 0 => Level::Tight,
            () if self.left(16) > 0 => Level::Full,
            () => Level::Exhausted,
        }
    }

    /// The most bytes one receiver may hold now before messages of this QoS are dropped.
    pub(crate) fn allowance(&self, qos: Qos) -> usize {
        self.left(if qos == Qos::AtMostOnce { 12 } else { 14 }).max(LEAST)
    }

    fn take(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Relaxed) + bytes;
        self.most.fetch_max(used, Relaxed);
    }
}

/// What one holder has taken of the whole; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    taken: usize,
}

impl Share {
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), taken: 0 }
    }

    /// The holder has so many bytes now. One step more is kept, so that a holder that goes up and down takes
    /// nothing and gives nothing.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.taken {
            let more = (bytes - self.taken).next_multiple_of(STEP);
            self.memory.take(more);
            self.taken += more;
        } else if self.taken - bytes >= 2 * STEP {
            let less = (self.taken - bytes) / STEP * STEP - STEP;
            self.memory.used.fetch_sub(less, Relaxed);
            self.taken -= less;
        }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.taken, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is taken is never less than what is held, at most two steps more, and all of it comes back.
        #[test]
        fn shares_cover_what_is_held(sizes in prop::collection::vec(0usize..100_000, 0..50)) {
            let memory = Arc::new(Memory::default());
            let mut shares = [Share::new(&memory), Share::new(&memory)];
            let mut held = [0, 0];
            for (number, size) in sizes.into_iter().enumerate() {
                shares[number % 2].set(size);
                held[number % 2] = size;
                let held: usize = held.iter().sum();
                prop_assert!((held..held + 4 * STEP).contains(&memory.used()), "{} {held}", memory.used());
                prop_assert!(memory.most() >= memory.used());
            }
            drop(shares);
            prop_assert_eq!(memory.used(), 0);
        }
    }

    #[test]
    fn levels_rise_as_it_fills() {
        let memory = Arc::new(Memory::default());
        let mut share = Share::new(&memory);
        share.set(1 << 30);
        assert_eq!(memory.level(), Level::Free);
        memory.set_bound(16 << 20);
        for (mib, level, qos0, qos1) in [
            (0, Level::Free, 12 << 20, 14 << 20),
            (11, Level::Free, 1 << 20, 3 << 20),
            (12, Level::Tight, LEAST, 2 << 20),
            (14, Level::Tight, LEAST, LEAST),
            (15, Level::Full, LEAST, LEAST),
            (16, Level::Exhausted, LEAST, LEAST),
        ] {
            share = Share::new(&memory);
            share.set(mib << 20);
            assert_eq!(memory.level(), level, "{mib}");
            let allowed = (memory.allowance(Qos::AtMostOnce), memory.allowance(Qos::ExactlyOnce));
            assert_eq!(allowed, (qos0, qos1), "{mib}");
            drop(std::mem::take(&mut share));
        }
    }
}
