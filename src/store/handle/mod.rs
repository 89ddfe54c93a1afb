//! The asynchronous face of the store: cheap handles, and one thread that owns the disk.

mod chain;
mod owner;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::disk::Disk;
use super::engine::{Engine, Orphans};
use super::gap::{Dropped, Gap, beyond};
use super::layout::ledger::CHAINS;
use super::layout::name::mark;
use super::pending::Cell;
use super::settings::Settings;
use super::types::{
    ChainKey, ChainStatus, CloseError, Labelled, NotDropped, OpenError, Refused, Status, StoreId, Totals, Want,
};
use crate::model::Name;
pub use chain::Chain;
use owner::{Request, run};

/// Reads that may wait for the owner's thread.
const REQUESTS: usize = 64;

/// The store has no start number on the disk yet.
const STARTING: u8 = 0;
/// It takes records.
const READY: u8 = 1;
/// It is closed, or its thread is gone.
const CLOSED: u8 = 2;

/// What handles and owner share.
struct Shared {
    id: StoreId,
    start: u32,
    /// The longest record.
    max_record: usize,
    max_loss: Duration,
    segment_size: u64,
    phase: AtomicU8,
    /// Where chains go on that nobody has asked for yet.
    orphans: Orphans,
    /// In the order of the engine's chains.
    cells: Mutex<Vec<Arc<Cell>>>,
    wake: Notify,
    snapshot: Mutex<Snapshot>,
    /// How much room is wanted of who thins.
    want: watch::Sender<Want>,
    /// Whether anybody thins, and how many segments were begun when there was nothing more to thin.
    thinner: Mutex<(bool, Option<u64>)>,
    /// Who thins has just said that there is nothing more.
    thinner_done: AtomicBool,
}

/// The disk side as the owner last left it.
#[derive(Debug, Clone, Default)]
struct Snapshot {
    used: u64,
    quota: u64,
    failing: bool,
    crowded: bool,
    totals: Totals,
    chains: Vec<ChainView>,
}

/// One chain of a [`Snapshot`].
#[derive(Debug, Clone, Default)]
struct ChainView {
    segments: usize,
    /// The acknowledgement that is on the disk.
    durable: u64,
    dropped: Dropped,
    last_gap: u64,
    gaps: Vec<Gap>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that commits go by: the machine's monotonic clock, which no test pauses, as no test
/// pauses the disk.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A wall clock that shows an earlier time was never set: 2025-01-01, in milliseconds since 1970.
const EARLIEST_MS: i64 = 1_735_689_600_000;

/// What the wall clock shows, if it can be believed; only gaps tell it.
fn wall_ms() -> Option<i64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let wall_ms = time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
    (wall_ms >= EARLIEST_MS).then_some(wall_ms)
}

/// A handle to an open store. When the last handle is gone the store closes by itself.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

impl Store {
    /// Locks the disk, recovers what is on it, and starts the thread `weir-store`.
    ///
    /// It blocks for the time of recovery. Damage is no error: it is counted and told as gaps.
    /// A disk that refuses to write is none either: records are refused until it does.
    ///
    /// # Errors
    /// Locked, written by a newer weir, or a directory that cannot be listed.
    pub fn open(disk: Box<dyn Disk>, settings: Settings) -> Result<Self, OpenError> {
        Self::open_labelled(disk, settings, |_| None)
    }

    /// As [`Store::open`], for chains that know which labels wait in them: see [`Chain::waits`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_labelled(disk: Box<dyn Disk>, settings: Settings, labelled: Labelled) -> Result<Self, OpenError> {
        let mut engine = Engine::open(disk, settings, fastrand::u64(..), wall_ms(), labelled)?;
        let max_record = engine.max_record();
        let cell = |chain: &mut crate::store::engine::Chain| {
            let cell = Cell::new(chain.key.clone(), chain.next(), chain.written, chain.ack, max_record);
            cell.past(|past| *past = std::mem::take(&mut chain.past));
            Arc::new(cell)
        };
        let cells = engine.chains.iter_mut().map(cell).collect();
        let shared = Arc::new(Shared {
            id: engine.id(),
            start: engine.start(),
            max_record,
            max_loss: engine.settings().max_loss,
            segment_size: engine.segment_size(),
            phase: AtomicU8::new(if engine.ready() { READY } else { STARTING }),
            orphans: engine.orphans.clone(),
            cells: Mutex::new(cells),
            wake: Notify::new(),
            snapshot: Mutex::default(),
            want: watch::Sender::new(Want::Nothing),
            thinner: Mutex::default(),
            thinner_done: AtomicBool::new(false),
        });
        if !engine.ready() {
            locked(&shared.cells).iter().for_each(|cell| {
                cell.refuse(Refused::Disk);
            });
        }
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let store = Self { shared: Arc::clone(&shared), requests };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name("weir-store".into())
            .spawn(move || runtime.block_on(run(engine, shared, inbox)))?;
        Ok(store)
    }

    /// Whether its thread still serves. If not, nothing is acknowledged any more.
    pub fn is_open(&self) -> bool {
        self.shared.phase.load(Ordering::Acquire) != CLOSED
    }

    /// Made once per directory.
    pub fn id(&self) -> StoreId {
        self.shared.id
    }

    /// The number of this run, on the disk before any record is taken.
    pub fn start_number(&self) -> u32 {
        self.shared.start
    }

    /// How long a record that nobody waits for may be only in memory.
    pub fn max_loss(&self) -> Duration {
        self.shared.max_loss
    }

    /// A handle to a chain, which begins to exist when it is new.
    ///
    /// A store has 100 chains at most; a handle beyond that refuses every record as closed.
    pub fn chain(&self, key: ChainKey) -> Chain {
        let cell = self.cell(key);
        cell.use_it();
        Chain::new(cell, Arc::clone(&self.shared), self.requests.clone())
    }

    /// As [`Store::chain`], without being the one who uses it: a queue that a removed bridge has left may still be dropped.
    pub fn visit(&self, key: ChainKey) -> Chain {
        Chain::new(self.cell(key), Arc::clone(&self.shared), self.requests.clone())
    }

    /// As [`Store::chain`], for state that its owner keeps whole by itself: nothing of it is ever dropped at
    /// the quota, and a record that somebody waits for is committed as soon as the limit of commits allows.
    ///
    /// It has to be asked for in every run before other chains offer records.
    pub fn pinned(&self, key: ChainKey) -> Chain {
        let cell = self.cell(key);
        cell.use_it();
        cell.pin();
        Chain::new(cell, Arc::clone(&self.shared), self.requests.clone())
    }

    fn cell(&self, key: ChainKey) -> Arc<Cell> {
        let mut cells = locked(&self.shared.cells);
        if let Some(cell) = cells.iter().find(|cell| cell.key == key) {
            return Arc::clone(cell);
        }
        let clash = cells.iter().any(|cell| mark(&cell.key) == mark(&key));
        let full = clash || cells.len() >= CHAINS;
        let ack = self.shared.orphans.ack(&key);
        let cell = Arc::new(Cell::new(key, ack + 1, 0, ack, self.shared.max_record));
        match self.shared.phase.load(Ordering::Acquire) {
            READY if !full => {}
            STARTING if !full => {
                cell.refuse(Refused::Disk);
            }
            _ => {
                cell.refuse(Refused::Closed);
                return cell;
            }
        }
        cells.push(Arc::clone(&cell));
        cell
    }

    /// Deletes what waits in all chains of a queue that nothing uses in this run: what a removed bridge has left
    /// behind. It is told as a gap. Returns how many records that were.
    ///
    /// # Errors
    /// Why not.
    pub async fn drop_queue(&self, queue: &Name) -> Result<u64, NotDropped> {
        let cells: Vec<_> = locked(&self.shared.cells).iter().filter(|it| it.key.queue == *queue).cloned().collect();
        if cells.is_empty() {
            return Err(NotDropped::Unknown);
        }
        if cells.iter().any(|cell| cell.is_in_use()) {
            return Err(NotDropped::InUse);
        }
        let mut dropped = 0;
        for cell in cells {
            let chain = Chain::new(Arc::clone(&cell), Arc::clone(&self.shared), self.requests.clone());
            let gone =
                chain.work(|engine, index| engine.drop_all(index).map(|records| (records, engine.chains[index].ack)));
            let gone = gone.await.map_err(|_| NotDropped::Closed)?;
            let (records, ack) = gone.map_err(|_| NotDropped::Disk)?;
            chain.ack(ack);
            dropped += records;
        }
        Ok(dropped)
    }

    /// Resolves when room is wanted, with how much it is. With [`WhenFull::Thin`](super::WhenFull) whoever has
    /// called this once is the one who thins: at the quota, records of class 2 and above wait in memory for
    /// [`Chain::replace`] for up to 10 s before the oldest segment is dropped for them.
    pub async fn wants_room(&self) -> Want {
        locked(&self.shared.thinner).0 = true;
        let mut want = self.shared.want.subscribe();
        self.shared.wake.notify_one();
        let wanted = want.wait_for(|want| *want != Want::Nothing).await.map(|want| *want);
        wanted.expect("the sender lives in `shared`, as long as this handle")
    }

    /// There is nothing to thin: nothing waits for it until another segment is begun.
    pub fn no_more_room(&self) {
        self.shared.thinner_done.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Commits what waits, stops the thread and lets go of the lock.
    ///
    /// # Errors
    /// When not everything could be written, or the thread is gone.
    pub async fn close(self) -> Result<(), CloseError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Close { reply }).await.map_err(|_| CloseError::Gone)?;
        match answer.await.map_err(|_| CloseError::Gone)? {
            0 => Ok(()),
            lost => Err(CloseError::Lost(lost)),
        }
    }

    /// What is going on, as of the last time the thread looked.
    pub fn status(&self) -> Status {
        let cells = locked(&self.shared.cells).clone();
        let snapshot = locked(&self.shared.snapshot).clone();
        let now = now();
        let chain = |(index, cell): (usize, &Arc<Cell>)| {
            chain_status(cell, snapshot.chains.get(index).cloned().unwrap_or_default(), now)
        };
        let mut chains: Vec<ChainStatus> = cells.iter().enumerate().map(chain).collect();
        chains.sort_by(|a, b| a.key.cmp(&b.key));
        let Snapshot { used, quota, failing, crowded, totals, .. } = snapshot;
        Status { id: self.shared.id, start: self.shared.start, used, quota, failing, crowded, totals, chains }
    }
}

fn chain_status(cell: &Cell, view: ChainView, now: Duration) -> ChainStatus {
    let ChainView { segments, dropped, gaps, .. } = view;
    cell.with(|state| {
        let stored = state.next - 1;
        let beyond = beyond(&gaps, state.ack);
        ChainStatus {
            key: cell.key.clone(),
            first_unacked: state.ack + 1,
            next_sequence: state.next,
            pending: state.len(),
            pending_bytes: state.bytes,
            oldest: state.oldest().map(|at| now.saturating_sub(at)),
            segments,
            refused: state.refused,
            elided: state.elided,
            stored,
            acknowledged: (state.ack + beyond).saturating_sub(dropped.total()),
            waiting: (stored - state.ack).saturating_sub(beyond),
            dropped,
            lost: dropped.lost(),
            gaps: gaps.clone(),
            in_use: cell.is_in_use(),
        }
    })
}
