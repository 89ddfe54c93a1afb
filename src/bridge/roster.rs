//! Which endpoint is next, and when it is time to go back to the first. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The longest time at a later endpoint before the first one gets another chance.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often an endpoint must answer in a row before we go back to it.
const ANSWERS: u32 = 2;

/// A stay at the first endpoint of this many hold-offs was a good one: the next return is quick again.
const GOOD_STAY: u32 = 10;

/// The endpoints of one bridge, by their places in the configuration.
#[derive(Debug)]
pub(super) struct Roster {
    count: usize,
    /// Tried first.
    current: usize,
    /// How long we stay at a later endpoint at least.
    hold_off: Duration,
    shortest: Duration,
    /// When we last went back.
    returned: Option<Instant>,
}

impl Roster {
    /// `count` endpoints, and a hold-off of `shortest` before the first return.
    pub(super) fn new(count: usize, shortest: Duration) -> Self {
        Self { count, current: 0, hold_off: shortest, shortest, returned: None }
    }

    /// The endpoint in use first, then all others in order.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let current = self.current;
        (0..self.count)
            .filter(move |index| *index == current)
            .chain((0..self.count).filter(move |index| *index != current))
    }

    /// A session is open at `index`: after an outage it is tried first.
    pub(super) fn opened(&mut self, index: usize, now: Instant) {
        if self.current == 0 && index != 0 {
            let stay = self.returned.map(|returned| now.duration_since(returned));
            // Whoever is gone again soon after we went back has to wait for longer.
            self.hold_off = match stay {
                Some(stay) if stay < self.hold_off * GOOD_STAY => (self.hold_off * 2).min(LONGEST),
                _ => self.shortest,
            };
            self.returned = None;
        }
        self.current = index;
    }

    /// The peer at `index` sends us on.
    pub(super) fn leave(&mut self, index: usize) {
        self.current = (index + 1) % self.count.max(1);
    }

    /// We go back to `index`.
    pub(super) fn go_home(&mut self, index: usize, now: Instant) {
        (self.current, self.returned) = (index, Some(now));
    }

    /// How long a session at `index` stays there at least; `None` when there is nothing better.
    pub(super) fn stays(&self, index: usize) -> Option<Duration> {
        (index > 0).then_some(self.hold_off)
    }
}

/// Answers of one better endpoint.
#[derive(Debug, Default)]
pub(super) struct Answers(u32);

impl Answers {
    /// It was tried; whether that is enough to go back.
    pub(super) fn enough(&mut self, answered: bool) -> bool {
        self.0 = if answered { self.0 + 1 } else { 0 };
        self.0 >= ANSWERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn order(roster: &Roster) -> Vec<usize> {
        roster.order().collect()
    }

    #[test]
    fn the_one_in_use_is_tried_first_and_then_all_in_order() {
        let (mut roster, now) = (Roster::new(3, MINUTE), Instant::now());
        assert_eq!(order(&roster), [0, 1, 2]);
        roster.opened(2, now);
        assert_eq!(order(&roster), [2, 0, 1]);
        roster.leave(2);
        assert_eq!(order(&roster), [0, 1, 2]);
        roster.leave(0);
        assert_eq!(order(&roster), [1, 0, 2]);
        assert_eq!(order(&Roster::new(0, MINUTE)), [0; 0]);
    }

    #[test]
    fn who_is_gone_again_soon_has_to_wait_for_longer() {
        let (mut roster, mut now) = (Roster::new(2, MINUTE), Instant::now());
        roster.opened(1, now);
        assert_eq!((roster.stays(0), roster.stays(1)), (None, Some(MINUTE)));
        let mut stays = Vec::new();
        for _ in 0..8 {
            roster.go_home(0, now);
            roster.opened(0, now);
            now += MINUTE / 2;
            roster.opened(1, now);
            stays.push(roster.stays(1).unwrap().as_secs() / 60);
        }
        assert_eq!(stays, [2, 4, 8, 16, 32, 60, 60, 60]);
        roster.go_home(0, now);
        roster.opened(0, now);
        roster.opened(1, now + LONGEST * GOOD_STAY);
        assert_eq!(roster.stays(1), Some(MINUTE));
    }

    #[test]
    fn two_answers_in_a_row_are_enough() {
        let mut answers = Answers::default();
        let tries = [true, false, true, true].map(|answered| answers.enough(answered));
        assert_eq!(tries, [false, false, false, true]);
    }
}
