//! How everything is, as one document: for `weir status`.

use serde::{Deserialize, Serialize};

use crate::format::Time;
use crate::hub::Hub;
use crate::model::Name;
use crate::runtime::{Board, Clock, Part, State, Status};
use crate::store::Store;

/// The whole gateway.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The gateway's name.
    pub gateway: String,
    /// The version of weir.
    pub version: String,
    /// When this was written, RFC 3339.
    pub time: String,
    /// Sensors, outputs and bridges.
    pub parts: Vec<PartReport>,
    /// The hub's counters by name.
    pub hub: Vec<(String, u64)>,
    /// The store.
    pub store: StoreReport,
}

/// One sensor, output or bridge.
#[derive(Debug, Serialize, Deserialize)]
pub struct PartReport {
    /// `sensor`, `output` or `bridge`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `starting`, `ok`, `degraded` or `dead`.
    pub state: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why, unless it is well.
    pub reason: Option<String>,
    /// Rounds that went well.
    pub good: u64,
    /// Rounds that were skipped.
    pub skipped: u64,
    /// Faults by their word.
    pub faults: Vec<(String, u64)>,
}

/// The store.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoreReport {
    /// Bytes on disk.
    pub used: u64,
    /// The most it may be.
    pub quota: u64,
    /// What is wrong with it, if anything.
    pub trouble: Vec<(String, u64)>,
    /// The queues.
    pub chains: Vec<ChainReport>,
}

/// One queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChainReport {
    /// The bridge it belongs to.
    pub queue: String,
    /// Its class.
    pub class: u8,
    /// Records that wait.
    pub pending: u64,
    /// Records dropped so far.
    pub dropped: u64,
}

/// Makes reports.
pub(super) struct Reporter {
    pub(super) gateway: Name,
    pub(super) hub: Hub,
    pub(super) store: Store,
    pub(super) board: Board,
    pub(super) clock: Clock,
}

impl Reporter {
    pub(super) fn report(&self) -> Report {
        Report {
            gateway: self.gateway.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            time: Time(self.clock.wall_ms()).to_string(),
            parts: self.board.all().iter().map(|(part, status)| part_report(part, status)).collect(),
            hub: self.hub.counters().named().map(|(name, count)| (name.to_owned(), count)).collect(),
            store: store_report(&self.store),
        }
    }
}

fn part_report(part: &Part, status: &Status) -> PartReport {
    let sick = matches!(status.state, State::Degraded | State::Dead);
    let fault = status.last_fault.as_ref().filter(|_| sick);
    PartReport {
        kind: part.kind().into(),
        name: part.name().to_string(),
        state: status.state.word().into(),
        since: Time(status.since.wall_ms).to_string(),
        reason: fault.map(|(fault, _)| fault.to_string()),
        good: status.good,
        skipped: status.skipped,
        faults: status.faults.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
    }
}

fn store_report(_store: &Store) -> StoreReport {
    StoreReport { used: 0, quota: 0, trouble: Vec::new(), chains: Vec::new() }
}
