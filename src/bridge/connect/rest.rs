//! What comes between two attempts.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::slots::{PERIOD, Slots};
use crate::bridge::link::End;
use crate::bridge::past::Past;
use crate::bridge::roster::Roster;
use crate::bridge::uplink;
use crate::model::TimeQuality;
use crate::runtime::{Backoff, Blame, Clock, Network};

/// How long we leave the client id to a twin, at least; up to twice that.
const TWIN_PAUSE: Duration = Duration::from_secs(30);

/// A link that broke after a calm time is tried again within this: the outage may be over already.
const AT_ONCE: Duration = Duration::from_millis(400);

/// A fleet behind one switch hears of its return at the same moment: each waits up to so long.
const SPREAD: Duration = Duration::from_millis(1500);

/// How often the clock is looked at while a certificate waits for it.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// What is kept from one attempt to the next.
pub(super) struct Attempts {
    pub(super) backoff: Backoff,
    pub(super) past: Past,
    pub(super) roster: Roster,
    pub(super) network: Network,
    /// What the network had told when the last attempt began.
    pub(super) came: u64,
    /// When the last attempt began.
    pub(super) began: Instant,
    pub(super) place: f64,
    /// When a peer that is away is looked for, from the beginning of its absence on.
    pub(super) slots: Option<Slots>,
}

/// What comes before the next attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) blame: Blame,
    pub(super) at_least: Duration,
    /// The outage is no older than this moment.
    pub(super) young: bool,
    /// There was a session.
    pub(super) met: bool,
    /// A clock that is set ends the rest.
    pub(super) clock: bool,
}

impl Rest {
    pub(super) const fn after(blame: Blame) -> Self {
        Self { blame, at_least: Duration::ZERO, young: false, met: false, clock: false }
    }
}

pub(super) fn rest_after(end: &End) -> Rest {
    match end {
        End::Io(error) => Rest::after(uplink::blame(error)),
        End::Disconnected(code) => Rest::after(uplink::blame_of(*code)),
        End::Twin => {
            let at_least = TWIN_PAUSE.mul_f64(1.0 + fastrand::f64());
            Rest { at_least, ..Rest::after(Blame::Verdict) }
        }
        End::Closed | End::Wire(_) => Rest::after(Blame::Peer),
        _ => Rest::after(Blame::Way),
    }
}

impl Attempts {
    /// Waits as long as it takes; what the network or the clock says may end it.
    pub(super) async fn rest(&mut self, rest: Rest, clock: &Clock) {
        let now = Instant::now();
        if self.network.news().came != self.came {
            self.backoff.reset();
        }
        let until = self.next(rest, now, clock);
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.network.came(), if rest.at_least.is_zero() => {
                self.backoff.reset();
                sleep_until(until.min(Instant::now() + SPREAD.mul_f64(fastrand::f64()))).await;
            }
            () = is_set(clock), if rest.clock => {
                self.backoff.reset();
                self.slots = None;
            }
        }
    }

    /// When the next attempt is due.
    fn next(&mut self, rest: Rest, now: Instant, clock: &Clock) -> Instant {
        let chance = if rest.blame == Blame::Way { fastrand::f64() } else { self.place };
        let usual = self.backoff.pause_for(rest.blame, now, chance);
        if rest.met {
            self.slots = None;
        }
        match rest.blame {
            Blame::Way if rest.young => now + AT_ONCE.mul_f64(chance),
            Blame::Peer if self.backoff.is_young() => {
                let place = self.place;
                let slots = self.slots.get_or_insert_with(|| Slots::new(place, clock.wall_ms(), now));
                // An attempt between two slots is not followed by another one at once.
                slots.after(now.max(self.began + PERIOD / 4))
            }
            _ => now + usual.max(rest.at_least),
        }
    }
}

/// Waits until the clock jumps, or begins to be believed.
async fn is_set(clock: &Clock) {
    let look = || {
        let stamp = clock.now();
        let lead_ms = stamp.wall_ms - i64::try_from(stamp.mono_ms).unwrap_or(i64::MAX);
        (lead_ms, stamp.quality == TimeQuality::Synced)
    };
    let (lead_ms, synced) = look();
    loop {
        sleep(CLOCK_LOOK).await;
        let (now_ms, now_synced) = look();
        if (now_ms - lead_ms).abs() > 1000 || now_synced != synced {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Duration = Duration::from_secs(60);

    /// A bridge whose outage is so old that its pauses are of half a minute.
    fn tired(network: Network) -> Attempts {
        let mut backoff = Backoff::for_metered_links();
        for _ in 0..8 {
            backoff.pause(Instant::now(), 0.0);
        }
        let (past, roster) = (Past::new(1), Roster::new(1, CALM));
        let (came, began) = (network.news().came, Instant::now());
        Attempts { backoff, past, roster, network, came, began, place: 0.5, slots: None }
    }

    async fn rests(attempts: &mut Attempts, rest: Rest, clock: &Clock) -> f64 {
        let began = Instant::now();
        attempts.rest(rest, clock).await;
        began.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_comes_back_ends_a_long_pause_and_the_next_one_is_short() {
        let (kernel, network) = Network::by_hand();
        let (mut attempts, clock) = (tired(network), Clock::system());
        let way = Rest::after(Blame::Way);
        assert!(rests(&mut attempts, way, &clock).await >= 15.0);
        let after_five = async {
            sleep(Duration::from_secs(5)).await;
            kernel.send_modify(|news| news.came += 1);
        };
        let (took, ()) = tokio::join!(rests(&mut attempts, way, &clock), after_five);
        assert!((5.0..=6.5).contains(&took), "{took}");
        attempts.came = attempts.network.news().came;
        assert!(rests(&mut attempts, way, &clock).await <= 1.5);
        let mut attempts = tired(attempts.network);
        kernel.send_modify(|news| news.came += 1);
        assert!(rests(&mut attempts, way, &clock).await <= 1.5, "it came back during the attempt");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_ends_a_pause_that_waits_for_it() {
        let (clock, hand) = Clock::by_hand(Clock::system().now());
        let mut attempts = tired(Network::default());
        let waits = Rest { clock: true, ..Rest::after(Blame::Way) };
        let after_five = async {
            sleep(Duration::from_secs(5)).await;
            hand.turn(|stamp| stamp.wall_ms += 1_000_000_000_000);
        };
        let (took, ()) = tokio::join!(rests(&mut attempts, waits, &clock), after_five);
        assert!((5.0..=6.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_twin_is_left_alone_whatever_the_network_does() {
        let (kernel, network) = Network::by_hand();
        let mut attempts = tired(network);
        attempts.backoff.reset();
        kernel.send_modify(|news| news.came += 1);
        let took = rests(&mut attempts, rest_after(&End::Twin), &Clock::system()).await;
        assert!((30.0..=60.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_calm_time_a_broken_link_is_tried_at_once() {
        let mut attempts = tired(Network::default());
        attempts.backoff.reset();
        let young = Rest { young: true, ..rest_after(&End::Silent) };
        assert!(rests(&mut attempts, young, &Clock::system()).await <= 0.4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_away_is_looked_for_at_the_same_place_of_every_period_of_the_clock() {
        let (clock, hand) = Clock::by_hand(Clock::system().now());
        hand.turn(|stamp| stamp.wall_ms = 0);
        let mut attempts = tired(Network::default());
        attempts.backoff = Backoff::for_links();
        let (start, peer) = (Instant::now(), Rest::after(Blame::Peer));
        let mut looks = Vec::new();
        for took_ms in [300, 0, 1500, 10] {
            attempts.began = Instant::now();
            sleep(Duration::from_millis(took_ms)).await;
            attempts.rest(Rest { met: looks.is_empty(), ..peer }, &clock).await;
            looks.push(start.elapsed().as_millis());
            // It jumps, and what is under way goes on.
            hand.turn(|stamp| stamp.wall_ms += 700);
        }
        assert_eq!(looks, [1190, 2970, 4750, 6530]);
        hand.turn(|stamp| stamp.wall_ms = 0);
        attempts.began = Instant::now();
        let took = rests(&mut attempts, Rest { met: true, ..peer }, &clock).await;
        assert!((0.889..=0.891).contains(&took), "after a session the clock is asked anew: {took}");
        hand.turn(|stamp| stamp.wall_ms = 860);
        attempts.began = Instant::now();
        let took = rests(&mut attempts, Rest { met: true, ..peer }, &clock).await;
        assert!((1.809..=1.811).contains(&took), "not twice in a moment: {took}");
    }
}
