//! The connecting part of a bridge: for ever, in order, and home again.

mod rest;
mod slots;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use rest::{Attempts, Rest, rest_after};

use super::bridge::Bridge;
use super::link::{self, End, Report};
use super::past::Past;
use super::place::place;
use super::roster::{Answers, Roster};
use super::schedule::Schedule;
use super::status::Condition;
use super::uplink::codec::Codec;
use super::uplink::{self, Peer, open};
use crate::model::Fault;
use crate::runtime::{Backoff, Blame};

/// A connection that lasted so long and on which the peer acknowledged at least our status was calm.
const CALM: Duration = Duration::from_secs(60);

/// A metered link pays for every look at a better endpoint.
const METERED_LOOKS: u32 = 10;

/// Why no endpoint was any good.
struct Failure {
    why: String,
    rest: Rest,
}

/// What a session that goes on was left for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// A better endpoint.
    Home(usize),
    /// MQTT 5, which the peer may speak after all.
    Version,
}

/// How a session ended.
enum Ended {
    /// The bridge has been stopped.
    Stopped,
    /// We left by ourselves, for another endpoint or with other certificates.
    Left,
    /// A scheduled session has done its work.
    Done,
    Broke(Rest),
}

impl Bridge {
    pub(super) async fn connect_for_ever(&self, stop: &CancellationToken) -> Result<(), Fault> {
        let mut attempts = self.first_attempt();
        let mut schedule = Schedule::new(self.core.settings.connect, Instant::now());
        while stop.run_until_cancelled(schedule.until_due(&self.core)).await.is_some() {
            (attempts.came, attempts.began) = (attempts.network.news().came, Instant::now());
            let opened = self.open_any(&mut attempts.past, &attempts.roster);
            let Some(opened) = stop.run_until_cancelled(opened).await else { break };
            let rest = match opened {
                Err(Failure { why, rest }) => {
                    self.became(Condition::down(&self.core.outbox.clock, &why));
                    rest
                }
                Ok((index, peer)) => match self.serve(index, peer, &mut attempts, stop).await? {
                    Ended::Stopped => break,
                    Ended::Left => continue,
                    Ended::Done => {
                        schedule.done(Instant::now(), fastrand::f64());
                        self.became(Condition::asleep(&self.core.outbox.clock, schedule.left(Instant::now())));
                        continue;
                    }
                    Ended::Broke(rest) => rest,
                },
            };
            stop.run_until_cancelled(attempts.rest(rest, &self.core.outbox.clock)).await;
        }
        Ok(())
    }

    fn first_attempt(&self) -> Attempts {
        let settings = &self.core.settings;
        let count = settings.endpoints.len();
        Attempts {
            backoff: if settings.is_metered() { Backoff::for_metered_links() } else { Backoff::for_links() },
            past: Past::new(count),
            roster: Roster::new(count, self.core.timing.home),
            network: self.network.clone(),
            came: 0,
            began: Instant::now(),
            place: place(&settings.client_id),
            slots: None,
        }
    }

    /// Tries all endpoints, the one in use first.
    async fn open_any(&self, past: &mut Past, roster: &Roster) -> Result<(usize, Peer), Failure> {
        let mut failed: Option<Failure> = None;
        for index in roster.order() {
            match self.open_one(index, past).await {
                Ok(peer) => return Ok((index, peer)),
                // The one that gives most hope decides how soon all are tried again.
                Err(failure) => {
                    let before = failed.as_ref().map_or(failure.rest, |before| before.rest);
                    let blame = before.blame.min(failure.rest.blame);
                    let clock = before.clock || failure.rest.clock;
                    failed = Some(Failure { rest: Rest { blame, clock, ..failure.rest }, ..failure });
                }
            }
        }
        Err(failed.unwrap_or_else(|| Failure {
            why: "no endpoint is configured".to_owned(),
            rest: Rest::after(Blame::Verdict),
        }))
    }

    /// A version that is to be tried next is tried at once.
    async fn open_one(&self, index: usize, past: &mut Past) -> Result<Peer, Failure> {
        let wanted = self.core.settings.version;
        let codec = past.codec(index, wanted);
        match self.open_as(codec, index, past).await {
            Err(_) if codec == Codec::V5 && past.codec(index, wanted) == Codec::V4 => {
                self.open_as(Codec::V4, index, past).await
            }
            end => end,
        }
    }

    async fn open_as(&self, codec: Codec, index: usize, past: &mut Past) -> Result<Peer, Failure> {
        let endpoint = &self.core.settings.endpoints[index];
        let hello = self.hello();
        let opened = timeout(self.core.timing.open, open(&self.dialer, endpoint, codec, &hello)).await;
        if let Ok(end) = &opened {
            past.learn_version(index, codec, end.as_ref().map(drop));
        }
        match opened {
            Ok(Ok(peer)) => Ok(peer),
            Ok(Err(error)) => {
                let rest = Rest { clock: error.waits_for_clock(), ..Rest::after(error.blame()) };
                Err(Failure { why: format!("{endpoint}: {error}"), rest })
            }
            Err(_) => {
                let why = format!("{endpoint}: no answer within {:?}", self.core.timing.open);
                Err(Failure { why, rest: Rest::after(Blame::Way) })
            }
        }
    }

    /// Serves one session until it ends.
    async fn serve(
        &self,
        index: usize,
        peer: Peer,
        attempts: &mut Attempts,
        stop: &CancellationToken,
    ) -> Result<Ended, Fault> {
        let (clock, began) = (&self.core.outbox.clock, Instant::now());
        self.core.outbox.tally.connects.one();
        self.takes.store(peer.welcome.receive_max, Ordering::Relaxed);
        self.became(Condition::up(clock, peer.codec, &self.core.settings.endpoints[index]));
        attempts.roster.opened(index, began);
        let (report, leave) = self.serve_or_leave(index, peer, attempts, stop).await;
        let calm = report.delivered || (report.greeted && began.elapsed() >= CALM);
        if calm {
            attempts.backoff.reset();
        }
        let why = match leave {
            Some(Leave::Home(home)) => {
                attempts.roster.go_home(home, Instant::now());
                format!("going back to {}", self.core.settings.endpoints[home])
            }
            Some(Leave::Version) => {
                attempts.past.settle_doubt(index);
                "trying MQTT 5 once more".to_owned()
            }
            None => report.end.to_string(),
        };
        if !matches!(report.end, End::Drained) {
            self.became(Condition::down(clock, &why));
        }
        attempts.past.learn(&report);
        let rest = match &report.end {
            End::Drained => return Ok(Ended::Done),
            End::Stopped if stop.is_cancelled() => return Ok(Ended::Stopped),
            End::Stopped => return Ok(Ended::Left),
            End::Store(error) => return Err(Fault::Bus(error.to_string())),
            End::Newer(_) => return Err(Fault::BadData(report.end.to_string())),
            end => rest_after(end),
        };
        if let End::Disconnected(code) = &report.end
            && uplink::sends_on(*code)
        {
            attempts.roster.leave(index);
        }
        Ok(Ended::Broke(Rest { young: calm, met: true, ..rest }))
    }

    /// The session, and what it was left for.
    async fn serve_or_leave(
        &self,
        index: usize,
        peer: Peer,
        attempts: &Attempts,
        stop: &CancellationToken,
    ) -> (Report, Option<Leave>) {
        let leave = stop.child_token();
        let start = attempts.past.start();
        let mut link = std::pin::pin!(link::run(&self.core, peer, start, &leave));
        let mut home = std::pin::pin!(self.until_home_answers(index, &attempts.roster));
        let doubts = attempts.past.doubts(index);
        let mut doubted = std::pin::pin!(sleep(self.core.timing.home));
        let mut found = None;
        loop {
            tokio::select! {
                report = &mut link => return (report, found),
                better = &mut home, if found.is_none() => {
                    found = Some(Leave::Home(better));
                    leave.cancel();
                }
                () = &mut doubted, if doubts && found.is_none() => {
                    found = Some(Leave::Version);
                    leave.cancel();
                }
                () = self.renew.notified() => leave.cancel(),
            }
        }
    }

    /// Waits until an endpoint before `index` is there again: it takes connections, twice in a row.
    async fn until_home_answers(&self, index: usize, roster: &Roster) -> usize {
        let Some(stay) = roster.stays(index) else { return std::future::pending().await };
        sleep(stay).await;
        let looks = if self.core.settings.is_metered() { METERED_LOOKS } else { 1 };
        let mut answers: Vec<_> = (0..index).map(|_| Answers::default()).collect();
        loop {
            for (better, answers) in answers.iter_mut().enumerate() {
                let dial = self.dialer.dial(&self.core.settings.endpoints[better]);
                let answered = matches!(timeout(self.core.timing.open, dial).await, Ok(Ok(_)));
                if answers.enough(answered) {
                    return better;
                }
            }
            sleep((self.core.timing.home * looks).mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }
}
