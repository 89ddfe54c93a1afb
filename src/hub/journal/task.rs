//! What is due: entries that were held for long enough, gathered news, room in the store.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Entry, Journal};

/// How often the time is written, when something depends on it: so much may be counted too little after a power
/// cut, if the wall clock is not right.
const TIME: Duration = Duration::from_secs(3600);

impl Journal {
    /// Serves until `stop`; then everything goes to the store at once.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut time_due = Instant::now() + TIME;
        while !stop.is_cancelled() {
            let now = Instant::now();
            if now >= time_due {
                time_due = now + TIME;
                self.write_time();
            }
            let next = self.turn(now).unwrap_or(time_due).min(time_due);
            self.rest(next, &stop).await;
        }
        self.finish();
    }

    /// Waits for something to do.
    async fn rest(&self, next: Instant, stop: &CancellationToken) {
        let blocked = { self.lock().blocked };
        let room = async {
            if blocked {
                self.chain.room().await;
                self.lock().blocked = false;
            } else {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.wake.notified() => {}
            () = sleep_until(next) => {}
            () = room => {}
            () = stop.cancelled() => {}
        }
    }

    /// Does what is due; says when to come again, if nothing happens before.
    fn turn(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let (ripe, next_young) = self.take_ripe(now);
        self.ripe(ripe);
        let mut inner = self.lock();
        if inner.lazies.due.is_some_and(|due| due <= now) && !inner.blocked {
            inner.drain_lazies();
        }
        if inner.window.due.is_some_and(|due| due <= now) && !inner.blocked {
            self.write_window(&mut inner);
        }
        self.pump(&mut inner);
        let gathered = [inner.lazies.due, inner.window.due].into_iter().flatten().filter(|_| !inner.blocked);
        let next = gathered.chain(next_young).min();
        drop(inner);
        self.tell_refused();
        if !self.is_pressed() {
            self.room.notify_waiters();
        }
        next
    }

    /// Entries that have been held for long enough, and when the next one has.
    fn take_ripe(&self, now: Instant) -> (Vec<Arc<Entry>>, Option<Instant>) {
        let mut young = self.young();
        let count = young.iter().take_while(|(due, _)| *due <= now).count();
        let ripe: Vec<Arc<Entry>> = young.drain(..count).map(|(_, entry)| entry).collect();
        self.young_bytes.fetch_sub(ripe.iter().map(|entry| entry.weight()).sum(), Relaxed);
        (ripe, young.front().map(|(due, _)| *due))
    }

    /// Notes both clocks.
    fn write_time(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.set_time(self.known.moment());
        self.pump(&mut inner);
    }

    /// Offers everything to the store, and holds nothing from now on: what is not on the disk when the store
    /// closes is lost.
    pub(crate) fn finish(self: &Arc<Self>) {
        self.closing.store(true, Relaxed);
        let all = { std::mem::take(&mut *self.young()) };
        self.ripe(all.into_iter().map(|(_, entry)| entry));
        let mut inner = self.lock();
        inner.drain_lazies();
        self.write_window(&mut inner);
        drop(inner);
        self.tell_refused();
        self.room.notify_waiters();
    }
}
