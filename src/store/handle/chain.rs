//! A handle to one chain.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::owner::Request;
use super::{ChainView, Shared, locked, now};
use crate::store::engine::Engine;
use crate::store::gap::{Cause, Gap, Span};
use crate::store::past::Waits;
use crate::store::pending::{Cell, Wake};
use crate::store::types::{ChainKey, Full, NotReplaced, ReadError, Record, Sealed, Settle};
use crate::store::words::GivenUp;

/// A handle to one chain; cheap to clone.
#[derive(Clone)]
pub struct Chain {
    cell: Arc<Cell>,
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

impl Chain {
    pub(super) fn new(cell: Arc<Cell>, shared: Arc<Shared>, requests: mpsc::Sender<Request>) -> Self {
        Self { cell, shared, requests }
    }

    /// Which chain this is.
    pub fn key(&self) -> &ChainKey {
        &self.cell.key
    }

    /// Takes a record and gives it the next sequence; never blocks. `settled` is called exactly
    /// once, when the record is on the disk, or delivered, or refused after all.
    ///
    /// # Errors
    /// Gives record and callback back when there is no room, or never will be.
    pub fn offer(&self, record: Vec<u8>, settled: Option<Settle>) -> Result<u64, Full> {
        let (sequence, wake) = self.cell.offer(record, settled, now())?;
        self.wake(wake);
        Ok(sequence)
    }

    /// Resolves when a record that was refused may be offered again, or when the store is closed.
    pub async fn room(&self) {
        wait(&self.cell.room, || self.cell.with(|state| state.has_room())).await;
    }

    /// Unacknowledged records with a sequence of at least `from`, in order, of at most `max_bytes`
    /// in all but one at least if there is any. Gaps are skipped: see [`Chain::gaps`].
    ///
    /// What is read and not acknowledged counts as in flight: its segment is not dropped at the quota.
    ///
    /// # Errors
    /// Closed, or a disk that does not answer.
    pub async fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        let start = self.shared.start;
        if let Some(records) = self.cell.with(|state| state.read_newest(from, max_bytes, start)) {
            return Ok(records);
        }
        let (reply, answer) = oneshot::channel();
        let request = Request::Read { cell: Arc::clone(&self.cell), from, max_bytes, reply };
        self.requests.send(request).await.map_err(|_| ReadError::Closed)?;
        answer.await.map_err(|_| ReadError::Closed)?
    }

    /// The oldest record that is not delivered, on no account of the receiver: it is not in flight by that.
    ///
    /// # Errors
    /// Closed, or a disk that does not answer.
    pub async fn oldest(&self) -> Result<Option<Record>, ReadError> {
        let start = self.shared.start;
        if let Some(newest) = self.cell.with(|state| state.peek_newest(start)) {
            return Ok(newest);
        }
        let oldest = self.work(|engine, index| engine.oldest(index)).await?.map_err(|_| ReadError::Disk)?;
        Ok(oldest.or_else(|| self.cell.with(|state| state.peek(start))))
    }

    /// Resolves when there is a record with a higher sequence than `after`, or when the store is closed.
    pub async fn more(&self, after: u64) {
        wait(&self.cell.more, || self.cell.with(|state| state.next > after + 1 || state.is_closed())).await;
    }

    /// All records up to this sequence are delivered. Those that still wait in memory settle as
    /// acknowledged and are never written.
    pub fn ack(&self, upto: u64) {
        let wake = self.cell.ack(upto);
        self.wake(wake);
    }

    /// How long the receiver takes to answer, smoothed: a waiting connection gets a commit of its
    /// own only after twice this time.
    pub fn hint_round_trip(&self, round_trip: Duration) {
        self.cell.with(|state| state.set_round_trip(round_trip));
    }

    /// The oldest sequence that is not delivered; the next one when all are.
    pub fn first_unacked(&self) -> u64 {
        self.cell.with(|state| state.ack + 1)
    }

    /// The sequence the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.cell.with(|state| state.next)
    }

    /// Whether a record before the sequence `before` with this label waits. Of records of this run that is not known:
    /// it is meant for those of earlier ones.
    pub fn waits(&self, label: u64, before: u64) -> Waits {
        let ack = self.cell.with(|state| state.ack);
        self.cell.past(|past| past.waits(label, ack, before))
    }

    /// Whether something that is delivered would be there again after a power cut: the disk does not know yet.
    pub fn may_return(&self) -> bool {
        let delivered = self.cell.with(|state| state.ack.min(state.stored));
        delivered > self.view(|view| view.durable)
    }

    /// Ranges of sequences, since this was asked before, in which records have got other sequences or are about to:
    /// see [`Chain::replace`]. For one who remembers where records are.
    pub fn take_moved(&self) -> Vec<(u64, u64)> {
        self.cell.past(|past| past.take_moved())
    }

    /// How many segment files it has, and how large one is, in bytes.
    pub fn extent(&self) -> (usize, u64) {
        (self.view(|view| view.segments), self.shared.segment_size)
    }

    /// Sequences that will never come, oldest first; the last 32 gaps (10 in a store of 100 chains), older ones joined.
    pub fn gaps(&self) -> Vec<Gap> {
        self.view(|view| view.gaps.clone())
    }

    /// The last sequence that is known never to come; 0 when none is.
    pub fn last_missing(&self) -> u64 {
        self.view(|view| view.gaps.iter().map(|gap| gap.last).max().unwrap_or(0))
    }

    /// The gaps that the receiver does not know yet. From now on what comes later is another gap; one that
    /// grew in this very moment stays untold whatever is said about it, and is here again, larger.
    pub fn untold(&self) -> Vec<Gap> {
        let gaps = self.view(|view| {
            self.cell.with(|state| state.seen_gap = state.seen_gap.max(view.last_gap));
            view.gaps.clone()
        });
        gaps.into_iter().filter(|gap| !gap.told).collect()
    }

    /// The receiver knows of this gap. On the disk within about a second; until then a crash makes it
    /// untold again.
    pub fn told(&self, gap: &Gap) {
        self.cell.told(gap);
        self.shared.wake.notify_one();
    }

    /// Resolves when there is a gap with a higher id than `after` that the receiver does not know, or
    /// when the store is closed.
    pub async fn new_gap(&self, after: u64) {
        let is_new = |view: &ChainView| view.gaps.iter().any(|gap| !gap.told && gap.id > after);
        wait(&self.cell.gap, || self.view(is_new) || self.cell.with(|state| state.is_closed())).await;
    }

    /// Records from `first` to `last` will not be sent. To be said before the acknowledgement that passes
    /// them: both go to the disk in one write, as a gap, so that no crash counts them twice. When they
    /// were taken, by the wall clock in milliseconds since 1970, may be left to the store, which knows it roughly.
    pub fn give_up(&self, first: u64, last: u64, cause: Cause, span_ms: Option<(i64, i64)>) {
        if first > last {
            return;
        }
        let span = span_ms.map(|(from, to)| Span::of(Some(from), Some(to)));
        self.cell.give_up(GivenUp { first, last, records: last - first + 1, cause, span });
    }

    /// Segments that get no more records and of which nothing was read or delivered, oldest first: the next 256 of those
    /// that begin at sequence `from` or later.
    ///
    /// # Errors
    /// Closed.
    pub async fn sealed(&self, from: u64) -> Result<Vec<Sealed>, ReadError> {
        self.work(move |engine, index| engine.sealed(index, from)).await
    }

    /// Records of one sealed segment, as [`Chain::read`] gives them but without putting them in flight;
    /// nothing behind its end, or when it is not there any more.
    ///
    /// # Errors
    /// Closed, or a disk that does not answer.
    pub async fn read_sealed(&self, sealed: &Sealed, from: u64, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        let sealed = sealed.clone();
        let read = move |engine: &mut Engine, index| engine.read_sealed(index, &sealed, from, max_bytes);
        self.work(read).await?.map_err(|_| ReadError::Disk)
    }

    /// Puts `records` in the place of all records in neighbouring sealed segments, which are given oldest
    /// first. Over any crash there are the old ones or the new ones. These get the last sequences of the old
    /// ones, and the number of this run; how many fewer there are is noted as a gap, which is returned as it
    /// was made (it may have become a part of an older one).
    ///
    /// # Errors
    /// Why not; then everything is as it was.
    pub async fn replace(&self, sealed: &[Sealed], records: Vec<Vec<u8>>) -> Result<Gap, NotReplaced> {
        let sealed = sealed.to_vec();
        if records.iter().any(|record| record.len() > self.shared.max_record) {
            return Err(NotReplaced::TooLarge);
        }
        if let (Some(first), Some(last)) = (sealed.first(), sealed.last()) {
            // Before it happens: what is expected too late only waits too long.
            self.cell.past(|past| past.raise(first.first, last.last));
        }
        let replace = move |engine: &mut Engine, index| engine.replace(index, &sealed, &records);
        self.work(replace).await.unwrap_or(Err(NotReplaced::Closed))
    }

    /// Lets the owner of the disk do something about this chain.
    ///
    /// # Errors
    /// Closed.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, usize) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (reply, answer) = oneshot::channel();
        // Nobody waits any more: fine.
        let work = Box::new(move |engine: &mut Engine, index| drop(reply.send(work(engine, index))));
        let request = Request::Work { cell: Arc::clone(&self.cell), work };
        self.requests.send(request).await.map_err(|_| ReadError::Closed)?;
        answer.await.map_err(|_| ReadError::Closed)
    }

    /// Looks at the disk side as the owner last left it.
    fn view<T: Default>(&self, look: impl FnOnce(&ChainView) -> T) -> T {
        let index = locked(&self.shared.cells).iter().position(|cell| Arc::ptr_eq(cell, &self.cell));
        let snapshot = locked(&self.shared.snapshot);
        index.and_then(|index| snapshot.chains.get(index)).map(look).unwrap_or_default()
    }

    fn wake(&self, wake: Wake) {
        if wake == Wake::Now {
            self.shared.wake.notify_one();
        }
    }
}

/// Waits for a condition whose change is notified.
async fn wait(notify: &Notify, condition: impl Fn() -> bool) {
    loop {
        let mut notified = std::pin::pin!(notify.notified());
        // Registered before the look, so that no change falls between.
        notified.as_mut().enable();
        if condition() {
            return;
        }
        notified.await;
    }
}
