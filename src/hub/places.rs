//! Places for connections: a bound that can change while they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many places are taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<AtomicUsize>);

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    /// Takes a place, if less than `most` are taken.
    pub(crate) fn take(&self, most: usize) -> Option<Place> {
        let one_more = |taken| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Relaxed, Relaxed, one_more).is_ok().then(|| Place(Arc::clone(&self.0)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_may_fall_below_what_is_taken() {
        let places = Places::default();
        let (one, two) = (places.take(2), places.take(2));
        assert!(one.is_some() && two.is_some());
        assert!(places.take(2).is_none());
        drop(one);
        assert!(places.take(1).is_none());
        drop(two);
        assert!(places.take(1).is_some());
    }
}
