//! Copy-forward: old records that live are written again at the end of the log, so that the segments they are
//! in can be used again. Bounded: at most [`STEP`] bytes of log each [`PAUSE`], unless the log grows faster.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Journal;
use super::outbox::{Out, What};
use super::record::Record;
use crate::model::{Receipt, Verdict};
use crate::store;

/// Log read at once.
const STEP: usize = 64 << 10;
/// Between two steps: a commit each, and a fifth of the commits that the store allows.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the log is measured.
const LOOK: Duration = Duration::from_secs(5);

impl Journal {
    /// Keeps the log at twice what lives, and some segments, until `stop`.
    pub(crate) async fn keep_short(self: Arc<Self>, stop: CancellationToken) {
        let pauses = async {
            loop {
                let pause = match self.excess() {
                    0 => LOOK,
                    // Faster than it can grow: a commit has a quarter of a megabyte at most.
                    excess if excess > 64 * STEP => Duration::ZERO,
                    _ => PAUSE,
                };
                sleep(pause).await;
                if self.excess() > 0 && self.step().await.is_none() {
                    sleep(LOOK).await;
                }
            }
        };
        stop.run_until_cancelled(pauses).await;
    }

    /// By how many bytes the log is too long.
    fn excess(&self) -> usize {
        let (segments, size) = self.chain.extent();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let inner = self.lock();
        let log = inner.log.bytes().max(segments.saturating_mul(size));
        log.saturating_sub(2 * inner.index.live + 2 * size)
    }

    /// Frees the oldest part of the log; nothing when it did not work out.
    pub(super) async fn step(self: &Arc<Self>) -> Option<()> {
        let records = self.chain.read(self.chain.first_unacked(), STEP).await.ok()?;
        let last = records.last()?.sequence;
        let receipt = Receipt::new();
        self.copy(&records, &receipt);
        if receipt.await == Verdict::Safe {
            self.chain.ack(last);
            self.lock().log.shrink(last);
            return Some(());
        }
        None
    }

    /// Writes again what lives of some records.
    fn copy(self: &Arc<Self>, records: &[store::Record], receipt: &Receipt) {
        let mut inner = self.lock();
        // What has changed and waits for its time is the newest, not what is in the log.
        inner.drain_lazies();
        for stored in records {
            let Ok(record) = Record::decode(&stored.bytes) else { continue };
            for what in inner.living(record, stored.sequence) {
                self.tally.copied.fetch_add(1, Relaxed);
                inner.enqueue_copy(Out { what, tickets: vec![receipt.ticket()], gate: None });
            }
        }
        // Behind everything, newer records of what is in the log included: what they replace may go then.
        let barrier = Record::Time(self.known.moment());
        inner.enqueue(Out::waited(barrier, receipt.ticket()));
        self.pump(&mut inner);
    }
}

impl super::outbox::Inner {
    /// What of a record at `sequence` has no newer record.
    fn living(&mut self, record: Record, sequence: u64) -> Vec<What> {
        let Record::Message(stored) = record else {
            let lives = self.index.is_newest(&record, sequence);
            return if lives { vec![What::Record(record)] } else { Vec::new() };
        };
        let mut living = Vec::new();
        if let Some((number, id)) = stored.inbound {
            let inbound = Record::Inbound(number, id);
            if self.index.is_newest(&inbound, sequence) {
                living.push(What::Record(inbound));
            }
        }
        let entry = self.index.messages.get(&stored.mid).filter(|entry| entry.sequence() == sequence);
        living.extend(entry.map(|entry| What::Copy(Arc::clone(entry))));
        living
    }
}
