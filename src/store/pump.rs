//! The commit policy: when what waits in memory goes to the disk. It has no clock: time is passed in.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Chain, Engine, NoCommit};
use super::leave_out::{Step, is_left_out};
use super::pending::Cell;
use super::settings::WhenFull;
use super::types::{Refused, Want};
use super::words::Words;

/// Acknowledgements that ride in no frame are written this often at most.
const ACK_PAUSE: Duration = Duration::from_secs(5);
/// After a failure or a refusal the disk is tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// What consumers say about gaps goes to the ledger this often at most.
const WORDS_PAUSE: Duration = Duration::from_secs(1);

/// Records wait so long for who thins before something is dropped for them.
const THIN_PATIENCE: Duration = Duration::from_secs(10);
/// Whether there is room meanwhile is looked at this often.
const THIN_RETRY: Duration = Duration::from_millis(200);
/// Classes below this are too important to wait for who thins.
const PATIENT_RANK: u8 = 2;

/// Moves records from memory to the disk.
pub(crate) struct Pump {
    /// Limits the commits per second, over all chains.
    next_commit: Duration,
    /// Nothing is tried before, after the disk failed.
    next_try: Duration,
    next_ack: Duration,
    next_words: Duration,
    /// Since when chains refuse for want of space.
    full_since: Option<Duration>,
    /// Chains that wait for who thins, and since when.
    thinning: Vec<(usize, Duration)>,
    /// When they try again.
    next_thin: Duration,
    /// Somebody thins, and has not said that there is nothing more to thin.
    pub(crate) thinner: bool,
}

impl Pump {
    /// A run that begins at `now`.
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            next_commit: now,
            next_try: now,
            next_ack: now + ACK_PAUSE,
            next_words: now,
            full_since: None,
            thinning: Vec::new(),
            next_thin: now,
            thinner: false,
        }
    }

    /// Does what is due. Returns when to come again, if nothing happens before. `cells[i]` belongs
    /// to the engine's chain `i`.
    pub(crate) fn turn(&mut self, engine: &mut Engine, cells: &[Arc<Cell>], now: Duration) -> Option<Duration> {
        if !self.get_ready(engine, cells, now) {
            return Some(self.next_try);
        }
        take_acks(engine, cells);
        self.write_words(engine, cells, now);
        self.write_acks(engine, now);
        self.make_room(engine, cells, now);
        self.commit(engine, cells, now);
        set_alarms(engine, cells);
        self.next_turn(engine, cells)
    }

    /// Writes everything that waits, whether due or not; refuses what cannot be written. Returns how many that were.
    pub(crate) fn finish(&mut self, engine: &mut Engine, cells: &[Arc<Cell>]) -> usize {
        let ready = engine.get_ready().is_ok();
        engine.patient = false;
        take_acks(engine, cells);
        let ripe = ripe_words(cells);
        if ready && !ripe.is_empty() && engine.take_words(&ripe).is_err() {
            tracing::warn!("what was given up lately comes again");
        }
        for (index, cell) in cells.iter().enumerate() {
            while ready && cell.with(|state| state.len()) > 0 && commit_one(engine, cell, index).is_ok() {}
        }
        for index in 0..engine.chains.len() {
            if ready && engine.chains[index].owes_ack() && engine.write_ack(index).is_err() {
                break;
            }
        }
        cells.iter().map(|cell| cell.refuse(Refused::Closed)).sum()
    }

    fn get_ready(&mut self, engine: &mut Engine, cells: &[Arc<Cell>], now: Duration) -> bool {
        if engine.ready() {
            return true;
        }
        if now >= self.next_try {
            if engine.get_ready().is_ok() {
                cells.iter().for_each(|cell| cell.accept());
                return true;
            }
            self.next_try = now + RETRY;
            cells.iter().for_each(|cell| {
                cell.refuse(Refused::Disk);
            });
        }
        false
    }

    /// What consumers said, with the acknowledgements that had to wait for it.
    fn write_words(&mut self, engine: &mut Engine, cells: &[Arc<Cell>], now: Duration) {
        if now < self.next_words.max(self.next_try) {
            return;
        }
        let ripe = ripe_words(cells);
        if ripe.is_empty() {
            return;
        }
        self.next_words = now + WORDS_PAUSE;
        if engine.take_words(&ripe).is_err() {
            self.next_try = now + RETRY;
            ripe.into_iter().for_each(|(index, words)| cells[index].with(|state| state.words.put_back(words)));
        }
    }

    /// Acknowledgements by themselves: when one frees a segment, or now and then.
    fn write_acks(&mut self, engine: &mut Engine, now: Duration) {
        if now < self.next_try {
            return;
        }
        let due = now >= self.next_ack;
        for index in 0..engine.chains.len() {
            let chain = &engine.chains[index];
            let wanted = chain.would_free() || (due && chain.owes_ack());
            if !wanted {
                continue;
            }
            self.next_ack = now + ACK_PAUSE;
            if engine.write_ack(index).is_err() {
                self.next_try = now + RETRY;
                return;
            }
        }
    }

    /// Chains that refused take records again when a segment became free, and to try, now and then.
    fn make_room(&mut self, engine: &mut Engine, cells: &[Arc<Cell>], now: Duration) {
        let freed = engine.free_acked() > 0;
        if self.full_since.is_some_and(|since| freed || now >= since + RETRY) {
            self.full_since = None;
            cells.iter().for_each(|cell| cell.accept());
        }
    }

    /// At most one frame: the commit that is due, of the most important class first.
    fn commit(&mut self, engine: &mut Engine, cells: &[Arc<Cell>], now: Duration) {
        if now < self.next_commit.max(self.next_try) {
            return;
        }
        let max_loss = engine.settings().max_loss;
        let due = |cell: &Cell| cell.due(max_loss).is_some_and(|at| at <= now);
        let indexes =
            (0..cells.len()).filter(|&index| due(&cells[index]) && (now >= self.next_thin || !self.waits(index)));
        let Some(index) = indexes.min_by_key(|&index| rank(&cells[index], max_loss, now)) else { return };
        self.next_commit = now + Duration::from_secs(1) / engine.settings().max_commits_per_s.max(1);
        let since = self.thinning.iter().find(|(waiting, _)| *waiting == index).map_or(now, |(_, since)| *since);
        let patient = self.thinner && now < since + THIN_PATIENCE && cells[index].key.rank() >= PATIENT_RANK;
        engine.patient = patient && engine.settings().when_full == WhenFull::Thin;
        let result = commit_one(engine, &cells[index], index);
        self.thinning.retain(|(waiting, _)| *waiting != index);
        match result {
            Ok(()) => {}
            Err(NoCommit::Thinning) => {
                self.thinning.push((index, since));
                self.next_thin = now + THIN_RETRY;
            }
            Err(NoCommit::Disk) => self.next_try = now + RETRY,
            Err(NoCommit::Quota) => {
                self.full_since = Some(now);
                cells[index].refuse(Refused::Quota);
            }
        }
    }

    /// Who thins has nothing to thin until another segment is begun: nothing waits for it.
    pub(crate) fn no_thinner(&mut self) {
        self.thinner = false;
        self.next_thin = Duration::ZERO;
    }

    fn waits(&self, index: usize) -> bool {
        self.thinning.iter().any(|(waiting, _)| *waiting == index)
    }

    /// How much room is wanted of who thins.
    pub(crate) fn want(&self, engine: &Engine) -> Want {
        match engine.settings().when_full {
            WhenFull::Thin if self.thinner && !self.thinning.is_empty() => Want::Now,
            WhenFull::Thin if self.thinner && engine.is_nearly_full() => Want::Soon,
            _ => Want::Nothing,
        }
    }

    fn next_turn(&self, engine: &Engine, cells: &[Arc<Cell>]) -> Option<Duration> {
        let max_loss = engine.settings().max_loss;
        let due = |(index, cell): (usize, &Arc<Cell>)| {
            let at = cell.due(max_loss)?;
            Some(if self.waits(index) { at.max(self.next_thin) } else { at })
        };
        let commit = cells.iter().enumerate().filter_map(due).min();
        let commit = commit.map(|at| at.max(self.next_commit).max(self.next_try));
        let ack = engine.chains.iter().any(|chain| chain.owes_ack()).then(|| self.next_ack.max(self.next_try));
        let room = self.full_since.map(|since| since + RETRY);
        let said = |cell: &Arc<Cell>| cell.with(|state| state.words.are_ripe(state.ack));
        let words = cells.iter().any(said).then(|| self.next_words.max(self.next_try));
        [commit, ack, room, words].into_iter().flatten().min()
    }
}

/// What goes first, lowest: records that have waited for twice `max_loss`, the oldest first, so that a busy
/// class cannot keep the others from the disk; then the most important class.
fn rank(cell: &Cell, max_loss: Duration, now: Duration) -> (bool, Duration, u8) {
    let oldest = cell.with(|state| state.oldest()).unwrap_or(now);
    let fresh = now.saturating_sub(oldest) < 2 * max_loss;
    (fresh, if fresh { Duration::ZERO } else { oldest }, cell.key.rank())
}

pub(crate) fn take_acks(engine: &mut Engine, cells: &[Arc<Cell>]) {
    for (chain, cell) in engine.chains.iter_mut().zip(cells) {
        take_ack(chain, cell);
        chain.handed = chain.handed.max(cell.with(|state| state.handed));
        chain.pinned = cell.is_pinned();
    }
}

/// Takes the acknowledgement of a chain, as far as the ledger knows all that was given up before it.
pub(crate) fn take_ack(chain: &mut Chain, cell: &Cell) {
    cell.with(|state| {
        let known = if is_left_out(Step::Words) { u64::MAX } else { state.words.first().saturating_sub(1) };
        chain.ack = chain.ack.max(state.ack.min(known));
        chain.seen_gap = state.seen_gap;
    });
}

/// What consumers said and the ledger can take, by chain.
fn ripe_words(cells: &[Arc<Cell>]) -> Vec<(usize, Words)> {
    let take =
        |cell: &Arc<Cell>| cell.with(|state| state.words.are_ripe(state.ack).then(|| state.words.take_ripe(state.ack)));
    cells.iter().enumerate().filter_map(|(index, cell)| Some((index, take(cell)?))).collect()
}

/// Which acknowledgement is worth a turn: one that frees a segment; and the first one of some that
/// are written now and then.
fn set_alarms(engine: &Engine, cells: &[Arc<Cell>]) {
    for (chain, cell) in engine.chains.iter().zip(cells) {
        let freeing = if chain.segments.len() > 1 { chain.segments[0].last } else { u64::MAX };
        let first = if chain.durable < chain.written && !chain.owes_ack() { chain.durable + 1 } else { u64::MAX };
        cell.with(|state| {
            let said = state.words.given_up.first().map_or(u64::MAX, |given| given.last);
            state.wake_at = freeing.min(first).min(said).max(state.ack + 1);
        });
    }
}

fn commit_one(engine: &mut Engine, cell: &Cell, index: usize) -> Result<(), NoCommit> {
    let budget = engine.budget();
    let (ack, (first, records)) = cell.with(|state| (state.ack, state.batch(budget)));
    if records.is_empty() {
        return Ok(());
    }
    // What was given up and never written is in no frame either: the ledger has to know before there is a hole.
    if first > engine.chains[index].next() && cell.with(|state| state.words.are_ripe(ack)) {
        let words = cell.with(|state| state.words.take_ripe(ack));
        let ripe = [(index, words)];
        if engine.take_words(&ripe).is_err() {
            let [(_, words)] = ripe;
            cell.with(|state| state.words.put_back(words));
            return Err(NoCommit::Disk);
        }
    }
    // What was refused after it had got its sequences is in no frame, and no acknowledgement covers it.
    let expected = engine.chains[index].next().max(ack + 1);
    if first > expected {
        engine.tell_not_kept(index, expected, first - 1).map_err(|_| NoCommit::Disk)?;
    }
    engine.append(index, first, &records)?;
    cell.committed(first + records.len() as u64 - 1);
    Ok(())
}
