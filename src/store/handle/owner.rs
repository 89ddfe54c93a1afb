//! The thread that owns the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{CLOSED, ChainView, READY, Shared, Snapshot, locked, now, wall_ms};
use crate::store::engine::Engine;
use crate::store::pending::Cell;
use crate::store::pump::{Pump, take_ack, take_acks};
use crate::store::types::{ReadError, Record, Refused};

/// Work on the chain with this number.
pub(super) type Work = Box<dyn FnOnce(&mut Engine, usize) + Send>;

/// What handles ask of the owner.
pub(super) enum Request {
    /// Records that are not in memory.
    Read { cell: Arc<Cell>, from: u64, max_bytes: usize, reply: oneshot::Sender<Result<Vec<Record>, ReadError>> },
    /// Something about one chain that is on the disk.
    Work { cell: Arc<Cell>, work: Work },
    /// To stop; the answer is the number of records that could not be written.
    Close { reply: oneshot::Sender<usize> },
}

/// Says closed to everybody when the thread ends, however it ends.
struct Goodbye(Arc<Shared>);

impl Drop for Goodbye {
    fn drop(&mut self) {
        let cells = locked(&self.0.cells);
        self.0.phase.store(CLOSED, Ordering::Release);
        let cells = cells.clone();
        cells.iter().for_each(|cell| {
            cell.refuse(Refused::Closed);
        });
    }
}

/// Serves until somebody closes the store, or nobody has a handle to it.
pub(super) async fn run(mut engine: Engine, shared: Arc<Shared>, mut inbox: mpsc::Receiver<Request>) {
    let goodbye = Goodbye(Arc::clone(&shared));
    let mut pump = Pump::new(now());
    let closing = loop {
        let cells = adopt(&mut engine, &shared);
        engine.wall_ms = wall_ms();
        listen_to_thinner(&mut pump, &engine, &shared);
        let next = pump.turn(&mut engine, &cells, now());
        publish(&engine, &shared);
        let want = pump.want(&engine);
        shared.want.send_if_modified(|before| std::mem::replace(before, want) != want);
        let pause = next.map_or(Duration::MAX, |at| at.saturating_sub(now()));
        tokio::select! {
            request = inbox.recv() => match request {
                Some(Request::Read { cell, from, max_bytes, reply }) => {
                    let records = read(&mut engine, &shared, &cell, from, max_bytes);
                    // Whoever finds something missing finds the gap told as well.
                    publish(&engine, &shared);
                    // Nobody waits any more: fine.
                    reply.send(records).ok();
                }
                Some(Request::Work { cell, work }) => {
                    let cells = adopt(&mut engine, &shared);
                    if let Some(index) = cells.iter().position(|other| Arc::ptr_eq(other, &cell)) {
                        take_acks(&mut engine, &cells);
                        work(&mut engine, index);
                    }
                }
                Some(Request::Close { reply }) => break Some(reply),
                None => break None,
            },
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    };
    let cells = adopt(&mut engine, &shared);
    let lost = pump.finish(&mut engine, &cells);
    publish(&engine, &shared);
    drop(goodbye);
    // The lock goes with the engine, before anybody hears that the store is closed.
    drop(engine);
    if let Some(reply) = closing {
        // Whoever asked may have gone meanwhile.
        reply.send(lost).ok();
    }
}

/// Whoever thins is asked again when another segment was begun since it had nothing to thin.
fn listen_to_thinner(pump: &mut Pump, engine: &Engine, shared: &Shared) {
    let (asked, done) = *locked(&shared.thinner);
    pump.thinner = asked && done != Some(engine.begun);
    if shared.thinner_done.swap(false, Ordering::AcqRel) {
        locked(&shared.thinner).1 = Some(engine.begun);
        pump.no_thinner();
    }
}

/// Gives chains that are new a place in the engine, in the same order.
fn adopt(engine: &mut Engine, shared: &Shared) -> Vec<Arc<Cell>> {
    let cells = locked(&shared.cells).clone();
    for (index, cell) in cells.iter().enumerate().skip(engine.chains.len()) {
        let found = engine.chain(&cell.key);
        debug_assert_eq!(found, Some(index), "the handles keep the engine's order and limits");
        debug_assert!(engine.chains[index].ack <= cell.with(|state| state.ack), "both sides go on in the same place");
    }
    if engine.ready() {
        let ready = shared.phase.compare_exchange(0, READY, Ordering::AcqRel, Ordering::Acquire);
        if ready.is_ok() {
            // Chains that came in between were told to wait.
            locked(&shared.cells).iter().for_each(|cell| cell.accept());
        }
    }
    cells
}

fn read(
    engine: &mut Engine,
    shared: &Shared,
    cell: &Arc<Cell>,
    from: u64,
    max_bytes: usize,
) -> Result<Vec<Record>, ReadError> {
    let cells = adopt(engine, shared);
    let index = cells.iter().position(|other| Arc::ptr_eq(other, cell)).ok_or(ReadError::Closed)?;
    take_ack(&mut engine.chains[index], cell);
    let from = from.max(cell.with(|state| state.ack) + 1);
    let records = engine.read(index, from, max_bytes).map_err(|_| ReadError::Disk)?;
    if !records.is_empty() {
        return Ok(records);
    }
    let records = cell.with(|state| state.read(from.max(state.first()), max_bytes, shared.start));
    if records.is_empty() {
        tell_refused(engine, index, cell);
    }
    Ok(records)
}

/// The last records were refused after they had got their sequences: a gap as soon as somebody misses them, and not
/// only when the next one is written.
fn tell_refused(engine: &mut Engine, index: usize, cell: &Cell) {
    let (waiting, ack, next) = cell.with(|state| (state.len(), state.ack, state.next));
    let expected = engine.chains[index].next().max(ack + 1);
    if waiting == 0 && expected < next && engine.ready() && !engine.failing {
        // An error is counted and logged; whoever misses them asks again.
        engine.tell_not_kept(index, expected, next - 1).ok();
    }
}

fn publish(engine: &Engine, shared: &Shared) {
    let view = |chain: &crate::store::engine::Chain| ChainView {
        segments: chain.segments.len(),
        durable: chain.durable,
        dropped: chain.gaps.dropped,
        last_gap: chain.gaps.last_id,
        gaps: chain.gaps.list.clone(),
    };
    let snapshot = Snapshot {
        used: engine.used(),
        quota: engine.quota(),
        failing: engine.failing || !engine.ready(),
        crowded: engine.crowded,
        totals: engine.totals,
        chains: engine.chains.iter().map(view).collect(),
    };
    let before = std::mem::replace(&mut *locked(&shared.snapshot), snapshot);
    let cells = locked(&shared.cells).clone();
    for (index, (chain, cell)) in engine.chains.iter().zip(cells).enumerate() {
        if before.chains.get(index).is_none_or(|before| before.last_gap != chain.gaps.last_id) {
            cell.gap.notify_waiters();
        }
    }
}
