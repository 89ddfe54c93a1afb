//! A publisher that outruns its receivers waits for them, a moment: they lose nothing for being a little
//! slower, and one that takes nothing at all costs the publisher next to nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::super::routes::Member;
use super::Connection;

/// The pause between two looks at the receiver, and how many there are.
const PAUSE: Duration = Duration::from_millis(1);
const LOOKS: usize = 10;
/// A receiver that did not catch up is not waited for again for this long.
const PATIENCE_LOST: Duration = Duration::from_millis(100);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Whether receivers that fall behind are not waited for now.
    pub(super) fn is_brake_off(&self) -> bool {
        self.brake_off.is_some_and(|until| Instant::now() < until)
    }

    /// Whether some receiver should be waited for before the next packet.
    pub(super) fn is_pressing(&self) -> bool {
        self.wakes.pressed.is_some() && !self.is_brake_off()
    }

    /// Waits until `receiver` has caught up, but not for long.
    pub(super) async fn brake(&mut self, receiver: &Arc<Member>) {
        for _ in 0..LOOKS {
            sleep(PAUSE).await;
            if !receiver.lock().is_half_full() {
                return;
            }
        }
        self.brake_off = Some(Instant::now() + PATIENCE_LOST);
    }
}
