//! A client whose next packet needs memory that the hub does not have is not read until there is some.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::{Packet, Reason};
use super::super::memory::Level;
use super::{Connection, End};
use crate::model::Qos;

/// Between two looks whether there is memory again.
pub(super) const RETRY: Duration = Duration::from_millis(50);
/// For how long a client is not read before its connection ends: what it has sent so far takes memory too.
const PATIENCE: Duration = Duration::from_secs(10);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Whether so much memory is used that publishers are refused.
    pub(super) fn is_memory_full(&self) -> bool {
        self.hub.router.memory.level() >= Level::Full
    }

    /// Whether this packet has to wait for memory: a 3.x client cannot be told that its message is refused.
    pub(super) fn must_wait(&self, packet: &Packet<'_>) -> bool {
        let kept = matches!(packet, Packet::Publish(publish) if publish.qos != Qos::AtMostOnce);
        kept && !self.is_v5() && self.is_memory_full()
    }

    /// Goes on when there is memory again.
    pub(super) fn look_for_memory(&mut self) {
        if self.starved.is_some() && !self.is_memory_full() {
            self.starved = None;
        }
    }

    /// Notices that the next read would need memory that is not there, and holds back or gives up.
    pub(super) fn check_memory(&mut self) -> Result<(), End> {
        let level = self.hub.router.memory.level();
        if level >= Level::Full && self.wire.is_cramped(level == Level::Exhausted) {
            self.starved.get_or_insert_with(Instant::now);
        }
        match self.starved {
            Some(since) if since.elapsed() >= PATIENCE => {
                Err(End::Closed(Reason::QUOTA_EXCEEDED, "no memory for what the client sends"))
            }
            _ => Ok(()),
        }
    }
}
