//! When a scheduled session is due.

use std::future::pending;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::core::Core;
use super::lanes::{LANES, class_of};
use super::{Class, Connect};

/// How much later than planned a session may be, so that a fleet does not come at one moment: a part of the interval.
const JITTER: f64 = 0.1;

/// The times of the sessions; always due without a schedule.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Option<Duration>,
    /// As planned.
    plan: Instant,
    /// A little later.
    due: Instant,
}

impl Schedule {
    /// The first session is due at once.
    pub(super) fn new(connect: Connect, now: Instant) -> Self {
        let every = match connect {
            Connect::Always => None,
            Connect::Scheduled(every) => Some(every),
        };
        Self { every, plan: now, due: now }
    }

    /// A session has done its work at `now`. `chance` is in 0..1.
    pub(super) fn done(&mut self, now: Instant, chance: f64) {
        if let Some(every) = self.every.filter(|_| now >= self.plan) {
            // From plan to plan, and not from end to end: a slow session does not shift the day, and one for an
            // alarm changes nothing.
            let missed = now.duration_since(self.plan).as_nanos() / every.as_nanos().max(1);
            self.plan += every * u32::try_from(missed + 1).unwrap_or(u32::MAX);
            self.due = self.plan + every.mul_f64(chance * JITTER);
        }
    }

    /// How long it is until the next one.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Waits until a session is due, or something waits that cannot.
    pub(super) async fn until_due(&self, core: &Core) {
        if self.every.is_some() {
            select! {
                () = sleep_until(self.due) => {}
                () = urgent(core) => {}
            }
        }
    }
}

/// Waits for an alarm or a command's answer that was not delivered.
async fn urgent(core: &Core) {
    let waits = async |lane: usize| {
        let chain = &core.outbox.chains[lane];
        if chain.first_unacked() == chain.next_sequence() {
            let next = chain.next_sequence();
            chain.more(next - 1).await;
            if chain.next_sequence() == next {
                // The store is closed: nothing will come.
                pending::<()>().await;
            }
        }
    };
    let urgent = (0..LANES).filter(|lane| class_of(*lane) <= Class::Command as usize);
    urgent.map(waits).collect::<FuturesUnordered<_>>().next().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_planned_from_plan_to_plan_and_a_little_later() {
        let (start, hour) = (Instant::now(), Duration::from_secs(3600));
        let mut schedule = Schedule::new(Connect::Scheduled(hour), start);
        assert_eq!(schedule.left(start), Duration::ZERO);
        schedule.done(start + hour / 60, 0.0);
        assert_eq!(schedule.left(start), hour);
        schedule.done(start + hour * 7 / 2, 0.5);
        assert_eq!(schedule.left(start), hour * 4 + hour / 20, "two were missed");
        schedule.done(start + hour * 18 / 5, 0.0);
        assert_eq!(schedule.left(start), hour * 4 + hour / 20, "an alarm came between");
        let mut always = Schedule::new(Connect::Always, start);
        always.done(start, 1.0);
        assert_eq!(always.left(start), Duration::ZERO);
    }
}
