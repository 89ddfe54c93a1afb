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
    /// Between two looks for a peer that many look for.
    common: Duration,
    patience: Duration,
    cap: Duration,
    current: Duration,
    failing_since: Option<Instant>,
    /// The next pause for a peer that is away puts each client at its own place.
    apart: bool,
}

impl Backoff {
    /// Pauses of at most `first` until the failure is `patience` old, then doubling up to `cap`.
    pub fn new(first: Duration, patience: Duration, cap: Duration) -> Self {
        Self { first, common: first, patience, cap, current: first, failing_since: None, apart: false }
    }

    /// A device on a bus: 1 s at first, doubling at once, up to a minute.
    pub fn for_devices() -> Self {
        Self::new(Duration::from_secs(1), Duration::ZERO, Duration::from_secs(60))
    }

    /// A link: at most 1.5 s for the first two minutes, so that a link that comes back is used
    /// at once, then growing to 30 s.
    ///
    /// A peer that is away is looked for every 1.88 s: 200 clients that have lost it at the same
    /// moment then make some 106 connections a second when it is back, and 133 with 1.5 s.
    pub fn for_links() -> Self {
        let common = Duration::from_millis(1880);
        Self { common, ..Self::new(Duration::from_millis(1500), Duration::from_secs(120), Duration::from_secs(30)) }
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
        let apart = std::mem::take(&mut self.apart) || begins;
        let since = *self.failing_since.get_or_insert(now);
        if begins {
            self.current = self.first;
        } else if now.duration_since(since) >= self.patience || blame == Blame::Verdict {
            self.current = (self.current * 2).min(self.cap);
        }
        match blame {
            // The first pause puts everybody at a place of their own, and then everybody keeps the same time:
            // so no part of the period is fuller than another.
            Blame::Peer if apart && self.current == self.first => self.common.mul_f64(1.0 - chance),
            Blame::Peer if self.current == self.first => self.common,
            _ => self.current.mul_f64(1.0 - chance / 2.0),
        }
    }

    /// A session was lost, by all clients of its peer in one moment perhaps: they are put apart again.
    pub fn put_apart(&mut self) {
        self.apart = true;
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
        backoff.reset();
        assert_eq!(backoff.pause(at(start, 500), 0.0), Duration::from_millis(1500));
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

    /// When each of `many` clients comes back to a peer that was away for `outage`, in seconds after its return.
    fn returns(many: usize, outage: Duration, chance: &mut fastrand::Rng) -> Vec<f64> {
        let start = Instant::now();
        let comes_back = start + outage;
        let mut returns: Vec<_> = (0..many)
            .map(|_| {
                let (mut backoff, mut now) = (Backoff::for_links(), start);
                while now < comes_back || now == start {
                    now += backoff.pause_for(Blame::Peer, now, chance.f64());
                }
                now.duration_since(comes_back).as_secs_f64()
            })
            .collect();
        returns.sort_by(f64::total_cmp);
        returns
    }

    #[tokio::test]
    async fn a_fleet_that_is_let_in_and_thrown_out_again_is_put_apart_each_time() {
        let start = Instant::now();
        let pauses = |times: u64, apart: bool| {
            let client = |n: u32| {
                let mut backoff = Backoff::for_links();
                let mut pause = Duration::ZERO;
                for s in 0..times {
                    if apart {
                        backoff.put_apart();
                    }
                    pause = backoff.pause_for(Blame::Peer, at(start, 10 * s), f64::from(n) / 200.0);
                }
                pause.as_secs_f64()
            };
            (0..200).map(client).collect::<Vec<_>>()
        };
        assert_eq!(most_in_a_second(&pauses(2, false)), 200, "attempts keep the time they have");
        assert!(most_in_a_second(&pauses(2, true)) <= 112 && most_in_a_second(&pauses(5, true)) <= 112);
    }

    /// The most of `times` inside any one second.
    fn most_in_a_second(times: &[f64]) -> usize {
        let inside = |from: f64| times.iter().filter(|at| (from..from + 1.0).contains(*at)).count();
        times.iter().map(|&from| inside(from)).max().unwrap_or(0)
    }

    #[tokio::test]
    async fn a_fleet_of_200_comes_back_within_two_seconds_and_not_at_once() {
        let mut chance = fastrand::Rng::with_seed(7);
        let outages = [0.3, 1.0, 2.5, 7.7, 30.0, 60.4, 110.0];
        let rounds: Vec<_> = (0..20).flat_map(|_| outages).collect();
        let mut most: Vec<_> = rounds
            .iter()
            .map(|&outage| {
                let times = returns(200, Duration::from_secs_f64(outage), &mut chance);
                assert!(times.last().is_some_and(|last| *last < 1.9), "{outage} s: {times:?}");
                most_in_a_second(&times)
            })
            .collect();
        most.sort_unstable();
        let (usual, worst) = (most[most.len() / 2], most[most.len() - 1]);
        assert!(usual <= 120 && worst <= 135, "usually {usual}, at worst {worst}");
    }
}
