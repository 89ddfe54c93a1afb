//! Whether somebody has connected lately, and may be about to subscribe.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a CONNECT, wherever it came from, publishers let others go first.
const FRESH: Duration = Duration::from_secs(1);

/// What one connection has noticed of the CONNECT packets of all.
///
/// Of tasks that wake together the runtime runs the last one first. Who subscribes and who publishes in the same
/// moment should be served in the order in which they spoke, so the publisher lets the others go first. That hands
/// work to another thread and delays the message, so it is done only while somebody is new.
#[derive(Debug)]
pub(super) struct Newcomers {
    /// CONNECT packets so far.
    seen: u64,
    fresh_until: Instant,
}

impl Newcomers {
    /// Of a connection that has begun with CONNECT number `connects`.
    pub(super) fn new(connects: u64, now: Instant) -> Self {
        Self { seen: connects, fresh_until: now + FRESH }
    }

    /// Whether somebody is new, now that the hub has received `connects` CONNECT packets.
    pub(super) fn are_there(&mut self, connects: u64, now: Instant) -> bool {
        if self.seen != connects {
            *self = Self::new(connects, now);
        }
        now < self.fresh_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_new_for_a_second() {
        let start = Instant::now();
        let mut newcomers = Newcomers::new(1, start);
        assert!(newcomers.are_there(1, start + Duration::from_millis(999)));
        assert!(!newcomers.are_there(1, start + FRESH));
        assert!(newcomers.are_there(2, start + 5 * FRESH), "another one");
        assert!(newcomers.are_there(2, start + 5 * FRESH + FRESH / 2));
        assert!(!newcomers.are_there(2, start + 6 * FRESH));
    }
}
