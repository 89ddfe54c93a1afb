//! When a client looks for a peer that many look for: at its own place in a period of the wall clock, so that a fleet
//! whose clocks are set, or the gateways of one machine, stay spread however long their attempts take. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks of one client. 200 clients that have lost their peer at the same moment then make some 113
/// connections a second when it is back, and each is back within 2 s with its connection of 200 ms.
pub(super) const PERIOD: Duration = Duration::from_millis(1780);

/// The moments in which one client looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    /// One of them. The wall clock is asked once: what it jumps by later must not make two looks of one.
    anchor: Instant,
}

impl Slots {
    /// For the client at `place`, in 0..1, when the wall clock says `wall_ms` at `now`. A clock that is not set gives
    /// just some place.
    pub(super) fn new(place: f64, wall_ms: i64, now: Instant) -> Self {
        let period_ms = PERIOD.as_millis() as i64;
        let begun = Duration::from_millis(wall_ms.rem_euclid(period_ms).unsigned_abs());
        let slot = PERIOD.mul_f64(place.clamp(0.0, 1.0));
        Self { anchor: now + if slot > begun { slot - begun } else { slot + PERIOD - begun } }
    }

    /// The first one after `moment`.
    pub(super) fn after(self, moment: Instant) -> Instant {
        match moment.checked_duration_since(self.anchor) {
            None => self.anchor,
            Some(behind) => moment + PERIOD - Duration::from_nanos((behind.as_nanos() % PERIOD.as_nanos()) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::place::place;

    const WALL_MS: i64 = 1_790_000_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn attempts_do_not_move_them_and_none_comes_twice() {
        let now = Instant::now();
        let slots = Slots::new(0.25, 0, now);
        let first = slots.after(now);
        assert_eq!(first, now + ms(445));
        assert_eq!(slots.after(first), first + PERIOD, "not the same one again");
        assert_eq!(slots.after(first + ms(1700)), first + PERIOD);
        assert_eq!(slots.after(first + 5 * PERIOD + ms(1)), first + 6 * PERIOD, "what is past is left out");
    }

    #[tokio::test]
    async fn gateways_with_the_same_time_share_them_whenever_they_ask() {
        let now = Instant::now();
        let (early, late) = (Slots::new(0.8, WALL_MS, now), Slots::new(0.8, WALL_MS + 123_456, now + ms(123_456)));
        assert_eq!(early.after(now + ms(200_000)), late.after(now + ms(200_000)));
        // Before 1970, and at the very place.
        for (wall_ms, wait_ms) in [(-5, 895), (0, 890), (890, 1780), (891, 1779)] {
            assert_eq!(Slots::new(0.5, wall_ms, now).after(now), now + ms(wait_ms), "{wall_ms}");
        }
    }

    /// When each of the clients with these ids comes back to a peer that all lost at once and that was away for so
    /// long: in seconds after its return. An attempt takes up to 400 ms.
    fn returns(ids: &[String], away: Duration, chance: &mut fastrand::Rng) -> Vec<f64> {
        let lost = Instant::now();
        let (wall_ms, back) = (WALL_MS + chance.i64(0..1_000_000), lost + away);
        let mut times: Vec<_> = ids
            .iter()
            .map(|id| {
                // Each notices when it gets to it.
                let noticed_ms = chance.u64(0..200);
                let noticed = lost + ms(noticed_ms);
                let slots = Slots::new(place(id), wall_ms + noticed_ms as i64, noticed);
                let mut look = slots.after(noticed);
                while look < back {
                    look = slots.after(look + ms(chance.u64(0..400)));
                }
                look.duration_since(back).as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// The most of `times`, which are in order, inside any one second.
    fn most_in_a_second(times: &[f64]) -> usize {
        let within = |(at, from): (usize, &f64)| times[at..].iter().take_while(|time| **time < from + 1.0).count();
        times.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// 200 names as fleets have them.
    fn fleets() -> Vec<Vec<String>> {
        let fleet = |from: u32, name: fn(u32) -> String| (from..from + 200).map(name).collect();
        vec![
            fleet(0, |n| format!("g{n}")),
            fleet(1, |n| format!("gw{n}")),
            fleet(1, |n| format!("gw-{n:03}")),
            fleet(0, |n| format!("gateway{n:04}-cloud")),
            fleet(1001, |n| format!("site7/gw{n}/a")),
            fleet(1, |n| format!("{n}")),
        ]
    }

    #[tokio::test]
    async fn a_fleet_of_200_comes_back_within_a_period_and_no_second_is_fuller_than_it_must_be() {
        let mut chance = fastrand::Rng::with_seed(7);
        for fleet in fleets() {
            for away_ms in [300, 1000, 2500, 7700, 30_000, 60_400, 110_000] {
                for _ in 0..5 {
                    let times = returns(&fleet, ms(away_ms), &mut chance);
                    let (most, last) = (most_in_a_second(&times), times[times.len() - 1]);
                    assert!(most <= 115 && last < 1.79, "{}, {away_ms} ms: {most}, {last}", fleet[0]);
                }
            }
        }
    }
}
