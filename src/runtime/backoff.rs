//! How long to wait before trying again: pure, the caller brings time and chance.

use std::time::Duration;

use tokio::time::Instant;

/// Who stands in the way of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// The way to the peer: nobody else need be affected.
    Way,
    /// The peer is not there, as its machine says: everybody who used it waits for it.
    Peer,
    /// The peer has answered, and asks for patience or says no: it gets more of it at once.
    Verdict,
}

/// Pauses between attempts: short while a failure is young, then doubling up to a cap.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    patience: Duration,
    cap: Duration,
    current: Duration,
    failing_since: Option<Instant>,
}

impl Backoff {
    /// Pauses of at most `first` until the failure is `patience` old, then doubling up to `cap`.
    pub fn new(first: Duration, patience: Duration, cap: Duration) -> Self {
        Self { first, patience, cap, current: first, failing_since: None }
    }

    /// A device on a bus: 1 s at first, doubling at once, up to a minute.
    pub fn for_devices() -> Self {
        Self::new(Duration::from_secs(1), Duration::ZERO, Duration::from_secs(60))
    }

    /// A link: at most 1.5 s for the first two minutes, so that a link that comes back is used
    /// at once, then growing to 30 s.
    pub fn for_links() -> Self {
        Self::new(Duration::from_millis(1500), Duration::from_secs(120), Duration::from_secs(30))
    }

    /// A link on which every attempt costs money: growing at once to 30 s.
    pub fn for_metered_links() -> Self {
        Self { patience: Duration::ZERO, ..Self::for_links() }
    }

    /// The pause after one more failure at `now`. `chance` is in 0..1 and takes off up to half,
    /// so that a fleet does not come back in one instant.
    pub fn pause(&mut self, now: Instant, chance: f64) -> Duration {
        self.pause_for(Blame::Way, now, chance)
    }

    /// The same, when it is known who is to blame.
    pub fn pause_for(&mut self, blame: Blame, now: Instant, chance: f64) -> Duration {
        let chance = chance.clamp(0.0, 1.0);
        let begins = self.failing_since.is_none();
        let since = *self.failing_since.get_or_insert(now);
        if begins {
            self.current = self.first;
        } else if now.duration_since(since) >= self.patience || blame == Blame::Verdict {
            self.current = (self.current * 2).min(self.cap);
        }
        self.current.mul_f64(1.0 - chance / 2.0)
    }

    /// A failure is under way, and its pauses are as short as they were at first.
    pub fn is_young(&self) -> bool {
        self.failing_since.is_some() && self.current == self.first
    }

    /// Things went well for long enough: the next failure is a new one.
    pub fn reset(&mut self) {
        self.failing_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, s: u64) -> Instant {
        start + Duration::from_secs(s)
    }

    #[tokio::test]
    async fn a_link_is_tried_quickly_for_two_minutes_and_then_ever_more_rarely() {
        let start = Instant::now();
        let mut backoff = Backoff::for_links();
        for s in [0, 1, 60, 119] {
            assert_eq!(backoff.pause(at(start, s), 0.0), Duration::from_millis(1500));
        }
        let later: Vec<_> = (0..6).map(|n| backoff.pause(at(start, 120 + n), 0.0).as_millis()).collect();
        assert_eq!(later, [3000, 6000, 12_000, 24_000, 30_000, 30_000]);
        assert!(!backoff.is_young());
        backoff.reset();
        assert!(!backoff.is_young(), "nothing fails");
        assert_eq!(backoff.pause(at(start, 500), 0.0), Duration::from_millis(1500));
        assert!(backoff.is_young());
    }

    #[tokio::test]
    async fn chance_takes_off_up_to_half() {
        let start = Instant::now();
        let mut backoff = Backoff::for_devices();
        assert_eq!(backoff.pause(start, 1.0), Duration::from_millis(500));
        assert_eq!(backoff.pause(start, 0.5), Duration::from_millis(1500));
    }

    #[tokio::test]
    async fn a_metered_link_and_a_verdict_grow_at_once() {
        let start = Instant::now();
        let mut metered = Backoff::for_metered_links();
        let pauses: Vec<_> = (0..3).map(|n| metered.pause(at(start, n), 0.0).as_millis()).collect();
        assert_eq!(pauses, [1500, 3000, 6000]);
        let mut refused = Backoff::for_links();
        let mut pause = |blame, s| refused.pause_for(blame, at(start, s), 0.0).as_millis();
        assert_eq!([pause(Blame::Verdict, 0), pause(Blame::Verdict, 2), pause(Blame::Verdict, 5)], [1500, 3000, 6000]);
        assert_eq!(pause(Blame::Peer, 12), 6000, "what has grown stays grown until things go well");
    }
}
