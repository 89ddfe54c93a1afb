//! Subscriptions inside this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::{Dropped, Parcel, Queue};
use super::router::Router;
use crate::model::{Filter, Message, Topic};

/// Bytes that wait for one subscription inside this process.
const MAX_BYTES: usize = 8 << 20;
/// Retained messages taken at once.
const STEP: usize = 64;

/// A message for a [`Subscription`].
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// It was not published just now: it is the topic's last value from before the subscription.
    pub retained: bool,
}

/// Where the messages for one subscription wait.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Notify,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, parcel: Parcel) -> Dropped {
        let dropped = self.lock().push(parcel);
        self.arrived.notify_one();
        dropped
    }
}

/// A subscription of a part of this process; it ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    router: Arc<Router>,
    inbox: Arc<Inbox>,
    filters: Vec<Filter>,
    /// Filters whose retained messages are still to be taken, and how far the first one has come.
    replay: VecDeque<Filter>,
    after: Option<Topic>,
    /// Retained messages taken, not yet handed out.
    ready: VecDeque<Arc<Message>>,
    stop: CancellationToken,
}

impl Subscription {
    pub(crate) fn open(router: &Arc<Router>, filters: Vec<Filter>, capacity: usize, stop: CancellationToken) -> Self {
        let queue = Mutex::new(Queue::new(capacity.max(1), MAX_BYTES, &router.memory));
        let inbox = Arc::new(Inbox { queue, arrived: Notify::new() });
        router.add_inbox(&filters, &inbox);
        let replay = filters.iter().cloned().collect();
        Self { router: Arc::clone(router), inbox, filters, replay, after: None, ready: VecDeque::new(), stop }
    }

    /// The next message: first the retained ones, then live ones. Nothing once the hub has stopped.
    /// Safe to cancel.
    pub async fn recv(&mut self) -> Option<Delivery> {
        loop {
            if let Some(message) = self.next_retained() {
                return Some(Delivery { message, retained: true });
            }
            let parcel = self.inbox.lock().pop();
            if let Some(parcel) = parcel {
                if parcel.expires.is_none_or(|expires| Instant::now() < expires) {
                    return Some(Delivery { message: parcel.message, retained: false });
                }
                continue;
            }
            self.stop.run_until_cancelled(self.inbox.arrived.notified()).await?;
        }
    }

    fn next_retained(&mut self) -> Option<Arc<Message>> {
        while self.ready.is_empty() {
            let filter = self.replay.front()?;
            let step = self.router.retained().some(filter, self.after.as_ref(), STEP, Instant::now());
            self.after = step.next;
            if self.after.is_none() {
                self.replay.pop_front();
            }
            self.ready.extend(step.found.into_iter().map(|kept| kept.message));
        }
        self.ready.pop_front()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.router.remove_inbox(&self.filters, &self.inbox);
    }
}
