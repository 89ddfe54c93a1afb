//! The end of a connection: last words, the session given back, the will, what was held.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::codec::{Notice, Packet, Properties, Reason, Version};
use super::wire::{Moved, Wire};
use super::{Connection, End};
use crate::model::Qos;

/// How long a connection that ends may take for its last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long durable consumers may take for what the connection held.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// Bytes of the peer that are thrown away so that it can read the last words: closing a socket
/// with unread bytes would take them from it.
const DISCARDED: usize = 4 << 20;

/// Writes what is left, as far as the peer takes it, and waits until it has seen the end.
pub(super) async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) {
    let all = async {
        while wire.pending() > 0 {
            if poll_fn(|context| wire.poll(context, false)).await.is_err() {
                return;
            }
        }
        wire.shutdown().await;
        wire.bytes_in = 0;
        while wire.bytes_in < DISCARDED {
            wire.input().discard();
            match poll_fn(|context| wire.poll(context, true)).await {
                Ok(Moved::Received | Moved::Sent) => {}
                Ok(Moved::End) | Err(_) => return,
            }
        }
    };
    if timeout(FAREWELL, all).await.is_err() {
        tracing::trace!("a peer did not take its last packet");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Gives the session back, says good-bye, sends the will and what was held.
    pub(super) async fn part(mut self: Box<Self>, end: End) {
        self.leave_receipts();
        let will = self.will.take();
        let due = self.hub.sessions.detach(&self.hub.router, &self.member, self.epoch, will);
        if let Some(will) = due {
            self.hub.publish_later(will);
        }
        match end {
            End::Lost => {}
            End::Left => farewell(&mut self.wire).await,
            End::Closed(reason, why) => self.dismiss(reason, why).await,
            End::TakenOver => self.dismiss(Reason::SESSION_TAKEN_OVER, "another connection uses this client id").await,
        }
        self.route_leftovers().await;
    }

    async fn dismiss(&mut self, reason: Reason, why: &'static str) {
        self.hub.router.tally.closed(reason.word());
        if self.profile.version == Version::V5 {
            // Only a CONNACK can say that a version is not supported.
            let reason = if reason == Reason::UNSUPPORTED_VERSION { Reason::PROTOCOL_ERROR } else { reason };
            let text = Properties { reason_string: Some(why), ..Properties::default() };
            let fits = self.profile.max_packet > why.len() + 16;
            let properties = fits.then(|| Box::new(text));
            self.send(&Packet::Disconnect(Notice { reason, properties }));
        }
        farewell(&mut self.wire).await;
    }

    /// The next connection of this session answers what this one could not.
    fn leave_receipts(&mut self) {
        let mut session = self.member.lock();
        for waiting in self.acks.drain().filter(|it| it.qos == Qos::ExactlyOnce) {
            session.answered(waiting.id, waiting.receipt);
        }
        session.forget_under_way(self.epoch, |id| self.held.iter().any(|held| held.id == id));
    }

    /// What was held is still routed, if there is room soon; QoS 2 ids of the rest are forgotten, so that
    /// the client's repetition counts as new.
    async fn route_leftovers(mut self: Box<Self>) {
        let deadline = Instant::now() + LEFTOVERS;
        while let Some(stuck) = &mut self.stuck {
            if timeout_at(deadline, poll_fn(|context| stuck.poll(context))).await.is_err() {
                break;
            }
            self.stuck = None;
            self.release_held();
            self.wakes.ring();
        }
        self.held.clear();
        self.leave_receipts();
    }
}
