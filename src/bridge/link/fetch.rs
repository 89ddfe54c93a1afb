//! Reading ahead from the store, one read at a time and lane.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::bridge::lanes::LANES;
use crate::store::{Chain, ReadError, Record};

/// Bytes of records that are read from one chain at once.
const READ_BYTES: usize = 64 * 1024;

/// How long to wait after a read that gave nothing.
const NOTHING_THERE: Duration = Duration::from_millis(100);

/// What a read gave.
pub(super) enum Fetched {
    /// Nothing or something, in order.
    Records(Vec<Record>),
    /// Nothing up to this sequence, where the last records are missing for good: they were dropped, or refused after all.
    Gone(u64),
}

type Read = Pin<Box<dyn Future<Output = Result<Fetched, ReadError>> + Send>>;

/// The reads under way.
#[derive(Default)]
pub(super) struct Fetches([Option<Read>; LANES]);

impl Fetches {
    /// Reads `chain` for `lane` from sequence `from` on, as soon as there is anything, unless it does so already.
    pub(super) fn start(&mut self, lane: usize, chain: &Chain, from: u64) {
        if self.0[lane].is_none() {
            let chain = chain.clone();
            self.0[lane] = Some(Box::pin(read(chain, from)));
        }
    }

    /// Forgets the read of `lane`: it starts in the wrong place.
    pub(super) fn cancel(&mut self, lane: usize) {
        self.0[lane] = None;
    }

    /// The next read that ends. Dropping this loses nothing.
    pub(super) async fn next(&mut self) -> (usize, Result<Fetched, ReadError>) {
        poll_fn(|context| {
            for (lane, slot) in self.0.iter_mut().enumerate() {
                if let Some(Poll::Ready(end)) = slot.as_mut().map(|read| read.as_mut().poll(context)) {
                    *slot = None;
                    return Poll::Ready((lane, end));
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn read(chain: Chain, from: u64) -> Result<Fetched, ReadError> {
    if let Some(before) = from.checked_sub(1) {
        chain.more(before).await;
    }
    // What comes later may be there in a moment.
    let newest = chain.next_sequence().saturating_sub(1);
    let records = chain.read(from, READ_BYTES).await?;
    if records.is_empty() {
        let gone = chain.last_missing().min(newest);
        if gone >= from {
            return Ok(Fetched::Gone(gone));
        }
        // All that was there is gone meanwhile; the next look must not come at once.
        sleep(NOTHING_THERE).await;
    }
    Ok(Fetched::Records(records))
}
