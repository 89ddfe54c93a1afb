//! What is overdue: silence, a client that takes nothing, a connection that has to end.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::Reason;
use super::{Connection, End};

/// A client that takes no byte for this long is gone.
const STALLED: Duration = Duration::from_secs(60);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The next moment at which something may be overdue.
    pub(super) fn deadline(&self) -> Instant {
        let now = Instant::now();
        let silent = (!self.profile.keep_alive.is_zero()).then(|| self.heard + self.profile.keep_alive * 3 / 2);
        let far = now + STALLED;
        [silent, self.closes, self.owed.deadline()]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
            .max(now + Duration::from_millis(1))
    }

    pub(super) fn check_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.wire.pending() == 0 {
            self.took = now;
            self.wire.shrink();
            self.outgoing = Vec::new();
            self.member.lock().shrink();
        }
        if now.duration_since(self.took) >= STALLED {
            return Err(End::Closed(Reason::SERVER_BUSY, "the client takes nothing"));
        }
        if self.closes.is_some_and(|closes| closes <= now) {
            return Err(End::Closed(Reason::QUOTA_EXCEEDED, "a message was refused"));
        }
        self.pay_overdue(now);
        // A client that the hub does not read cannot be heard.
        if !self.may_read() {
            self.heard = now;
        }
        let keep_alive = self.profile.keep_alive;
        if !keep_alive.is_zero() && now.duration_since(self.heard) >= keep_alive * 3 / 2 {
            return Err(End::Closed(Reason::KEEP_ALIVE_TIMEOUT, "nothing heard for too long"));
        }
        Ok(())
    }
}
