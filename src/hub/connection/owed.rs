//! Answers that wait for the disk. They do not wait for each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::super::codec::Packet;
use super::super::journal::PATIENCE;
use super::Connection;
use super::subscribing::Replay;
use crate::model::{Receipt, Verdict};

/// One answer.
#[derive(Debug)]
pub(super) struct Owing {
    /// The whole packet.
    pub(super) packet: Vec<u8>,
    pub(super) receipt: Receipt,
    /// When it leaves in any case; nothing: not before it is true.
    pub(super) until: Option<Instant>,
    /// Retained messages that follow a SUBACK.
    pub(super) replays: Vec<Replay>,
}

/// What became of one.
#[derive(Debug)]
pub(super) enum Due {
    /// It may leave.
    Safe(Owing),
    /// It cannot be kept; only what has a deadline is told all the same.
    Not(Owing),
}

#[derive(Debug, Default)]
pub(super) struct Owed {
    all: Vec<Owing>,
}

impl Owed {
    pub(super) fn push(&mut self, owing: Owing) {
        self.all.push(owing);
    }

    /// The oldest one that is decided.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        for at in 0..self.all.len() {
            if let Poll::Ready(verdict) = Pin::new(&mut self.all[at].receipt).poll(context) {
                let owing = self.all.remove(at);
                return Poll::Ready(if verdict == Verdict::Safe { Due::Safe(owing) } else { Due::Not(owing) });
            }
        }
        Poll::Pending
    }

    /// The next deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.iter().filter_map(|owing| owing.until).min()
    }

    /// One whose time is over.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Owing> {
        let at = self.all.iter().position(|owing| owing.until.is_some_and(|until| until <= now))?;
        Some(self.all.remove(at))
    }

    /// Retained messages that wait here for a filter that is gone.
    pub(super) fn forget(&mut self, is_it: impl Fn(&Replay) -> bool) {
        self.all.iter_mut().for_each(|owing| owing.replays.retain(|replay| !is_it(replay)));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends `packet` when `receipt` is safe, and not before.
    pub(super) fn owe(&mut self, packet: &Packet<'_>, receipt: Receipt) {
        self.push_owed(packet, receipt, None, Vec::new());
    }

    /// Sends `packet` when `receipt` is safe, or after a while: a dead disk must not silence the hub. The
    /// `replays` follow it.
    pub(super) fn owe_soon(&mut self, packet: &Packet<'_>, receipt: Receipt, replays: Vec<Replay>) {
        self.push_owed(packet, receipt, Some(Instant::now() + PATIENCE), replays);
    }

    fn push_owed(&mut self, packet: &Packet<'_>, receipt: Receipt, until: Option<Instant>, replays: Vec<Replay>) {
        if receipt.verdict() == Some(Verdict::Safe) {
            self.send(packet);
            self.start_replays(replays);
            return;
        }
        let mut bytes = Vec::new();
        packet.encode(self.profile.version, &mut bytes);
        self.owed.push(Owing { packet: bytes, receipt, until, replays });
    }

    pub(super) fn pay(&mut self, due: Due) {
        match due {
            Due::Safe(owing) => self.hand_over(owing),
            Due::Not(owing) if owing.until.is_some() => self.hand_over_hastily(owing),
            // Nothing is said that is not true; the client asks again.
            Due::Not(_) => {}
        }
    }

    /// Sends what has waited for long enough.
    pub(super) fn pay_overdue(&mut self, now: Instant) {
        while let Some(owing) = self.owed.overdue(now) {
            self.hand_over_hastily(owing);
        }
    }

    fn hand_over_hastily(&mut self, owing: Owing) {
        self.be_hasty();
        self.hand_over(owing);
    }

    fn be_hasty(&self) {
        if let Some(journal) = self.hub.router.journal()
            && journal.tally.hasty.fetch_add(1, Relaxed) == 0
        {
            tracing::error!("the disk is slow or dead: subscriptions are acknowledged before they are on it");
        }
    }

    fn hand_over(&mut self, owing: Owing) {
        self.moved.packets_out += 1;
        self.wire.output().extend_from_slice(&owing.packet);
        self.start_replays(owing.replays);
    }

    /// A clean start ends an earlier session for good before the client hears of it; for a while.
    pub(super) async fn await_end_of_old_session(&mut self) {
        let Some(ended) = self.ended.take() else { return };
        let stop = self.hub.stop.clone();
        if !matches!(stop.run_until_cancelled(timeout(PATIENCE, ended)).await, Some(Ok(Verdict::Safe))) {
            self.be_hasty();
        }
    }
}
