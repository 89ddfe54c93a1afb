//! How everything is, as one document: for `weir status`.

use serde::{Deserialize, Serialize};

use super::gaps::Gaps;
use super::ledger::{Bookkeeper, Ledger};
use crate::bridge::Costs;
use crate::format::Time;
use crate::hub::{Counters, Hub};
use crate::model::Name;
use crate::runtime::{Board, Clock, Part, State, Status};
use crate::store::{self, ChainStatus, Store};

/// The whole gateway.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The gateway's name.
    pub gateway: String,
    /// The version of weir.
    pub version: String,
    /// Why it does not run as its owner wants, if it does not.
    pub trouble: Option<String>,
    /// When this was written, RFC 3339.
    pub time: String,
    /// Sensors, outputs and bridges.
    pub parts: Vec<PartReport>,
    /// What the bridges cost.
    #[serde(default)]
    pub costs: Vec<CostReport>,
    /// The hub's counters by name.
    pub hub: Vec<(String, u64)>,
    /// The store.
    pub store: StoreReport,
    /// What became of every reading and every message.
    pub ledger: Ledger,
    /// What is missing, told as gaps in the store or by sensors that were dead.
    pub gaps: Gaps,
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
    /// What there is to know about it while it is well.
    pub note: Option<String>,
    /// Rounds that went well.
    pub good: u64,
    /// Rounds that were skipped.
    pub skipped: u64,
    /// Readings that filters held back.
    pub filtered: u64,
    /// Faults by their word.
    pub faults: Vec<(String, u64)>,
}

/// What a bridge costs. Bytes on the wire, with the headers of TCP and IP.
#[derive(Debug, Serialize, Deserialize)]
pub struct CostReport {
    /// The bridge.
    pub bridge: String,
    /// From the cloud, since the start.
    pub received: u64,
    /// To the cloud, since the start.
    pub sent: u64,
    /// How many publishes the cloud took at once in the last session.
    #[serde(default)]
    pub takes: Option<u16>,
    /// What is spent of its budget, if it has one.
    pub budget: Option<BudgetReport>,
}

/// A budget.
#[derive(Debug, Serialize, Deserialize)]
pub struct BudgetReport {
    /// `normal`, `longer-batches`, `summaries` or `urgent-only`.
    pub state: String,
    /// Spent in this month.
    pub used: u64,
    /// What the whole month would cost.
    pub projected: u64,
    /// What may be spent in a month.
    pub per_month: u64,
    /// When the next month begins, RFC 3339.
    pub resets: Option<String>,
}

/// The store.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoreReport {
    /// Bytes on disk.
    pub used: u64,
    /// The most they may be.
    pub quota: u64,
    /// Whether the disk refused the last write, so that nothing is acknowledged.
    pub failing: bool,
    /// Other files leave so little of the file system that old records go before the quota is used up.
    pub crowded: bool,
    /// Writes and flushes that failed.
    pub errors: u64,
    /// Pieces found damaged.
    pub damage: u64,
    /// Bytes written since the start.
    pub bytes_written: u64,
    /// Frames written and flushed since the start.
    pub commits: u64,
    /// Flushes of any kind since the start.
    #[serde(default)]
    pub flushes: u64,
    /// Segments used again instead of made since the start.
    #[serde(default)]
    pub recycled: u64,
    /// The queues.
    pub chains: Vec<ChainReport>,
}

/// One queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChainReport {
    /// Whose it is, and its class.
    pub key: String,
    /// Records that wait for their receiver, on disk or in memory.
    pub backlog: u64,
    /// Records that were delivered before they had to be written, since the start.
    pub elided: u64,
    /// Records refused since the start.
    pub refused: u64,
    /// Records lost to quota or damage since the store was made.
    pub lost: u64,
}

/// Makes reports.
pub(super) struct Reporter {
    pub(super) gateway: Name,
    pub(super) trouble: Option<String>,
    pub(super) hub: Hub,
    pub(super) store: Store,
    pub(super) board: Board,
    pub(super) clock: Clock,
    pub(super) books: Bookkeeper,
    pub(super) costs: Vec<(String, Costs)>,
}

impl Reporter {
    pub(super) fn report(&self) -> Report {
        Report {
            gateway: self.gateway.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            trouble: self.trouble.clone(),
            time: Time(self.clock.wall_ms()).to_string(),
            parts: self.board.all().iter().map(|(part, status)| part_report(part, status)).collect(),
            costs: self.costs.iter().map(|(bridge, costs)| cost_report(bridge, costs)).collect(),
            hub: hub_report(&self.hub.counters()),
            store: store_report(&self.store.status()),
            ledger: self.books.ledger(),
            gaps: self.gaps(),
        }
    }

    /// What is missing.
    pub(super) fn gaps(&self) -> Gaps {
        let chains = self.store.status().chains;
        Gaps::of_chains(chains.iter().map(|chain| (&chain.key, &chain.gaps[..]))).with_sensors(&self.board)
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
        note: status.note.clone(),
        good: status.good,
        skipped: status.skipped,
        filtered: status.filtered,
        faults: status.faults.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
    }
}

fn cost_report(bridge: &str, costs: &Costs) -> CostReport {
    let wire = costs.wire();
    let budget = costs.budget().map(|budget| BudgetReport {
        state: budget.state.to_owned(),
        used: budget.used,
        projected: budget.projected,
        per_month: budget.per_month,
        resets: budget.resets.map(|time| time.to_string()),
    });
    CostReport { bridge: bridge.to_owned(), received: wire.received, sent: wire.sent, takes: costs.takes(), budget }
}

fn store_report(status: &store::Status) -> StoreReport {
    let totals = &status.totals;
    StoreReport {
        used: status.used,
        quota: status.quota,
        failing: status.failing,
        crowded: status.crowded,
        errors: totals.errors,
        damage: totals.damage,
        bytes_written: totals.bytes_written,
        commits: totals.commits,
        flushes: totals.flushes,
        recycled: totals.recycled,
        chains: status.chains.iter().map(chain_report).collect(),
    }
}

fn chain_report(chain: &ChainStatus) -> ChainReport {
    ChainReport {
        key: chain.key.to_string(),
        backlog: chain.next_sequence.saturating_sub(chain.first_unacked),
        elided: chain.elided,
        refused: chain.refused,
        lost: chain.lost,
    }
}

/// The hub's counters with their names; those by reason only where there are any.
fn hub_report(counters: &Counters) -> Vec<(String, u64)> {
    let plain = [
        ("clients", counters.clients),
        ("sessions", counters.sessions),
        ("connections", counters.connections),
        ("messages_in", counters.messages_in),
        ("messages_out", counters.messages_out),
        ("bytes_in", counters.bytes_in),
        ("bytes_out", counters.bytes_out),
        ("queued", counters.queued),
        ("dropped", counters.dropped),
        ("expired", counters.expired),
        ("retained", counters.retained),
        ("retained_bytes", counters.retained_bytes),
        ("subscriptions", counters.subscriptions),
        ("memory", counters.memory),
        ("memory_bound", counters.memory_bound),
        ("duplicate_client_ids", counters.duplicates.len() as u64),
        ("journal_log", counters.journal.log),
        ("journal_live", counters.journal.live),
        ("journal_elided", counters.journal.elided),
        ("journal_copied", counters.journal.copied),
        ("journal_refused", counters.journal.refused),
        ("journal_hasty", counters.journal.hasty),
        ("journal_skipped", counters.journal.skipped),
        ("journal_strange", counters.journal.strange),
        ("journal_lost", counters.journal.lost),
    ];
    let by_reason = [("refused", &counters.refused), ("closed", &counters.closed), ("dropped", &counters.dropped_by)];
    let by_reason = by_reason
        .into_iter()
        .flat_map(|(what, counts)| counts.iter().map(move |(reason, count)| (format!("{what}_{reason}"), *count)));
    plain.into_iter().map(|(name, count)| (name.to_owned(), count)).chain(by_reason).collect()
}
