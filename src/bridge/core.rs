//! What all parts of one bridge share, from one connection to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Settings;
use super::budget::{Budget, Level};
use super::lanes::{LANES, dead_letters};
use super::outbox::Outbox;
use crate::hub::Hub;
use crate::store::Store;

/// Deadlines of a bridge; the defaults are what the gateway runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the first look-up of the name to CONNACK.
    pub open: Duration,
    /// A peer that owes us an answer for so long is dead.
    pub silence: Duration,
    /// What is on its way at the end gets so long to be acknowledged.
    pub stop: Duration,
    /// How often the state is told while there is a backlog.
    pub status: Duration,
    /// A scheduled session ends when nothing waits and nothing has come for so long.
    pub quiet: Duration,
    /// Away from the first endpoint: how long at least, and how often it is tried then.
    pub home: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(10),
            silence: Duration::from_secs(10),
            stop: Duration::from_millis(1500),
            status: Duration::from_secs(10),
            quiet: Duration::from_secs(5),
            home: Duration::from_secs(60),
        }
    }
}

pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) hub: Hub,
    pub(super) store: Store,
    pub(super) outbox: Arc<Outbox>,
    pub(super) timing: Timing,
    pub(super) budget: Option<Arc<Budget>>,
    /// By lane: every record before this was sent at least once in this run.
    sent_before: [AtomicU64; LANES],
}

impl Core {
    pub(super) fn new(settings: Settings, hub: Hub, store: Store, outbox: Arc<Outbox>, timing: Timing) -> Self {
        Self { settings, hub, store, outbox, timing, budget: None, sent_before: Default::default() }
    }

    /// How it may spend now.
    pub(super) fn level(&self) -> Level {
        self.budget.as_ref().map_or(Level::Normal, |budget| budget.level())
    }

    /// The same, and every change after that, if it can change.
    pub(super) fn levels(&self) -> (Level, Option<watch::Receiver<Level>>) {
        self.budget.as_ref().map_or((Level::Normal, None), |budget| {
            let (level, changes) = budget.levels();
            (level, Some(changes))
        })
    }

    /// Whether a record was sent before in this run.
    pub(super) fn sent_before(&self, lane: usize, sequence: u64) -> bool {
        sequence < self.sent_before[lane].load(Ordering::Relaxed)
    }

    pub(super) fn mark_sent(&self, lane: usize, sequence: u64) {
        self.sent_before[lane].fetch_max(sequence + 1, Ordering::Relaxed);
    }

    /// Records that wait to be sent or acknowledged.
    pub(super) fn backlog(&self) -> u64 {
        let waiting = |chain: &crate::store::Chain| chain.next_sequence().saturating_sub(chain.first_unacked());
        self.outbox.chains.iter().map(waiting).sum()
    }

    /// Records lost to the quota or to damage since the store was made, and given up or expired in this run.
    pub(super) fn dropped(&self) -> u64 {
        let counters = self.outbox.tally.read();
        let chains = self.store.status().chains;
        let dead = dead_letters(&self.settings.name);
        let lost: u64 = chains
            .iter()
            .filter(|chain| chain.key.queue == self.settings.name && chain.key != dead)
            .map(|chain| chain.lost)
            .sum();
        lost + counters.set_aside + counters.expired
    }
}
