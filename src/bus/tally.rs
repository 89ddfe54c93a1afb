//! What has happened on a bus, for status and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::Fault;

/// Counters of one bus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BusStatus {
    /// The bus.
    pub name: String,
    /// Whether its chips are simulated.
    pub simulated: bool,
    /// Transactions asked for.
    pub transactions: u64,
    /// Those that failed, by the fault's word.
    pub faults: BTreeMap<&'static str, u64>,
    /// Workers that were given up and replaced, since the start.
    pub abandoned: u64,
    /// Whether the bus waits for a worker that hangs, and can do nothing else.
    pub dead: bool,
}

/// The counters, shared with whoever asks.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BusStatus>);

impl Tally {
    fn with<R>(&self, change: impl FnOnce(&mut BusStatus) -> R) -> R {
        // Counters stay usable whatever panicked beside them.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one transaction and its outcome.
    pub(super) fn note<R>(&self, outcome: &Result<R, Fault>) {
        self.with(|status| {
            status.transactions += 1;
            if let Err(fault) = outcome {
                *status.faults.entry(fault.word()).or_default() += 1;
            }
        });
    }

    /// Counts a worker that was given up.
    pub(super) fn abandoned(&self) {
        self.with(|status| status.abandoned += 1);
    }

    /// Notes whether the bus is dead.
    pub(super) fn dead(&self, dead: bool) {
        self.with(|status| status.dead = dead);
    }

    /// A copy of the counters.
    pub(super) fn status(&self, name: &str, simulated: bool) -> BusStatus {
        BusStatus { name: name.to_owned(), simulated, ..self.with(|status| status.clone()) }
    }
}
