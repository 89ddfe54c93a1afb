//! A publisher that outruns a receiver is not read until the receiver has caught up: nobody loses messages
//! for being a little slower. One that makes no progress is not waited for, and none is waited for long.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::super::routes::Member;

/// The pause between two looks at the receiver.
const PAUSE: Duration = Duration::from_millis(1);
/// Looks without progress, and looks in all, after which a receiver is not waited for.
const STILL: u32 = 100;
const LOOKS: u32 = 1000;
/// For how long it is not waited for then.
const OFF: Duration = Duration::from_secs(1);

/// The wait for one receiver.
#[derive(Debug)]
pub(super) struct Brake {
    receiver: Arc<Member>,
    pause: Pin<Box<Sleep>>,
    /// What the receiver had taken at the last look.
    taken: u64,
    still: u32,
    looks: u32,
}

impl Brake {
    pub(super) fn new(receiver: Arc<Member>) -> Self {
        let taken = receiver.lock().taken();
        Self { receiver, pause: Box::pin(sleep(PAUSE)), taken, still: 0, looks: 0 }
    }

    /// Ready when publishing goes on: with nothing when the receiver has caught up, else with the time
    /// until which nobody is waited for.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Instant>> {
        loop {
            ready!(self.pause.as_mut().poll(context));
            let (taken, behind) = {
                let session = self.receiver.lock();
                (session.taken(), session.is_online() && session.is_half_full())
            };
            if !behind {
                return Poll::Ready(None);
            }
            self.still = if taken == self.taken { self.still + 1 } else { 0 };
            (self.taken, self.looks) = (taken, self.looks + 1);
            let now = Instant::now();
            if self.still >= STILL || self.looks >= LOOKS {
                return Poll::Ready(Some(now + OFF));
            }
            self.pause.as_mut().reset(now + PAUSE);
        }
    }
}
