//! The circuit breaker of one device: a device that keeps running into deadlines is left alone for
//! a while, so that the others on its bus keep their cadence.

use std::time::Duration;

use tokio::time::Instant;

/// How many slow transactions in a row open the breaker.
const TRIP_AFTER: u32 = 3;
/// The first pause; each further slow transaction doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Counts slow transactions of one device.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    slow: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// Whether the device may have the bus now.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// The device answered in time, well or not.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The device ran into a deadline.
    pub(super) fn slow(&mut self, now: Instant) {
        self.slow = self.slow.saturating_add(1);
        if let Some(doublings) = self.slow.checked_sub(TRIP_AFTER) {
            let pause = PAUSE_MIN.saturating_mul(1 << doublings.min(6)).min(PAUSE_MAX);
            self.until = Some(now + pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_and_doubles_to_a_minute() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.slow(now);
        breaker.slow(now);
        assert!(breaker.admits(now));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            breaker.slow(now);
            assert!(!breaker.admits(now));
            pauses.push((breaker.until.unwrap() - now).as_secs());
        }
        assert_eq!(&pauses[..8], &[1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(breaker.admits(now + PAUSE_MAX));
        breaker.answered();
        assert!(breaker.admits(now));
        breaker.slow(now);
        assert!(breaker.admits(now), "one slow answer after a good one is forgiven");
    }
}
