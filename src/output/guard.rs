//! What keeps an output safe without anybody's command: `max_on` and `on_link_lost`.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Output;
use super::command::Refused;

/// Why the line has its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The gateway has just started.
    Boot,
    /// Somebody asked for it.
    Command,
    /// It was on for `max_on`.
    MaxOn,
    /// No bridge was up for the time given in `on_link_lost`.
    LinkLost,
    /// The gateway stops.
    Stop,
}

impl Reason {
    pub(super) fn word(self) -> &'static str {
        match self {
            Reason::Boot => "boot",
            Reason::Command => "command",
            Reason::MaxOn => "max_on",
            Reason::LinkLost => "link_lost",
            Reason::Stop => "stop",
        }
    }
}

/// Watches how long the line is on and the link is away.
#[derive(Debug)]
pub(super) struct Guard {
    max_on: Option<Duration>,
    on_link_lost: Option<(Duration, bool)>,
    on_since: Option<Instant>,
    /// Since when the link is away, until the line was set for it.
    lost_since: Option<Instant>,
    link_up: bool,
}

impl Guard {
    pub(super) fn new(output: &Output) -> Self {
        Self {
            max_on: output.max_on,
            on_link_lost: output.on_link_lost,
            on_since: None,
            lost_since: None,
            link_up: true,
        }
    }

    /// The line is `on` now. Switching on what is on does not start `max_on` anew.
    pub(super) fn is(&mut self, on: bool, now: Instant) {
        self.on_since = if on { self.on_since.or(Some(now)) } else { None };
    }

    /// Whether the link is up now; only changes count.
    pub(super) fn link(&mut self, up: bool, now: Instant) {
        if up != self.link_up {
            self.link_up = up;
            self.lost_since = (!up).then_some(now);
        }
    }

    /// Refuses to switch on what has been on for `max_on`.
    pub(super) fn allows(&self, on: bool, now: Instant) -> Result<(), Refused> {
        let spent = self.max_on.zip(self.on_since).is_some_and(|(max, since)| now.duration_since(since) >= max);
        if on && spent { Err(Refused::MaxOn) } else { Ok(()) }
    }

    /// Waits until the line must be set by itself; gives to what and why.
    pub(super) async fn due(&mut self) -> (bool, Reason) {
        let max_on = self.max_on.zip(self.on_since).map(|(max, since)| (since + max, false, Reason::MaxOn));
        let lost = self.on_link_lost.zip(self.lost_since);
        let lost = lost.map(|((after, to), since)| (since + after, to, Reason::LinkLost));
        match [max_on, lost].into_iter().flatten().min_by_key(|(at, ..)| *at) {
            Some((at, to, reason)) => {
                sleep_until(at).await;
                if reason == Reason::LinkLost {
                    self.lost_since = None;
                }
                (to, reason)
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(max_on_s: u64, lost_s: u64) -> Guard {
        Guard {
            max_on: Some(Duration::from_secs(max_on_s)),
            on_link_lost: Some((Duration::from_secs(lost_s), false)),
            on_since: None,
            lost_since: None,
            link_up: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_never_on_for_longer_than_max_on() {
        let start = Instant::now();
        let mut guard = guard(60, 600);
        guard.is(true, start);
        guard.is(true, start + Duration::from_secs(30));
        assert_eq!(guard.due().await, (false, Reason::MaxOn));
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(guard.allows(true, Instant::now()), Err(Refused::MaxOn));
        guard.is(false, Instant::now());
        assert_eq!(guard.allows(true, Instant::now()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_link_sets_the_line_once() {
        let start = Instant::now();
        let mut guard = guard(6000, 600);
        guard.link(false, start);
        guard.link(false, start + Duration::from_secs(1));
        assert_eq!(guard.due().await, (false, Reason::LinkLost));
        assert_eq!(start.elapsed().as_secs(), 600);
        let again = tokio::time::timeout(Duration::from_secs(5000), guard.due()).await;
        assert!(again.is_err(), "set twice");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_comes_back_in_time_changes_nothing() {
        let mut guard = guard(6000, 600);
        guard.link(false, Instant::now());
        guard.link(true, Instant::now());
        assert!(tokio::time::timeout(Duration::from_secs(5000), guard.due()).await.is_err());
    }
}
