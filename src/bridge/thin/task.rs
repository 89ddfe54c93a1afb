//! Making room: segments of old readings give way to smaller ones.
//!
//! What has the shortest windows goes first, of that the least important class, of that the oldest: everything has
//! windows of a minute before anything has windows of five. A segment gives way to a smaller one when that saves a
//! quarter of it. A smaller one before it goes into the same file, so that there are not more and more files, and windows
//! that lie in two of them become one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::window::{Reducer, WINDOWS};
use crate::store::{Chain, ChainKey, NotReplaced, Sealed, Store, Want};

/// Bytes that are read at once.
const READ: usize = 256 << 10;
/// Bytes that are read in a second at most.
const READ_PER_S: f64 = (8 << 20) as f64;
/// Bytes of thinned records that are held before they are written.
const HELD: u64 = 6 << 20;
/// Between two segments, while there is time.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two segments, while records wait for room.
const SHORT_PAUSE: Duration = Duration::from_millis(20);

/// How often a segment was thinned, or found to have nothing to spare: the place of the next window.
type Grade = usize;

/// Thins the telemetry and bulk of all bridges.
pub struct Thinner {
    store: Store,
    /// Of segments that are there, by their number; others have 0 or, when they took the place of others, 1.
    grades: HashMap<u64, Grade>,
}

/// What windows of some length make of a segment.
enum Reduced {
    /// So much less that it is worth the writing.
    To(Vec<Vec<u8>>),
    /// Too little; longer windows may do more.
    TooLittle,
    /// Too little, and longer windows would change nothing: most of it are not readings.
    Never,
}

/// How it went with one segment.
enum Thinned {
    Yes,
    /// It is to be tried with longer windows.
    Later,
    Never,
}

/// One queue with what may be thinned in it.
struct Queue {
    chain: Chain,
    sealed: Vec<Sealed>,
}

impl Thinner {
    /// One for everything in this store.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), grades: HashMap::new() }
    }

    /// Makes room whenever the store wants it, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(want) = stop.run_until_cancelled(self.store.wants_room()).await {
            let pause = if want == Want::Now { SHORT_PAUSE } else { PAUSE };
            match stop.run_until_cancelled(self.make_room()).await {
                Some(true) => drop(stop.run_until_cancelled(sleep(pause)).await),
                Some(false) => self.store.no_more_room(),
                None => return,
            }
        }
    }

    /// Makes one segment smaller; says whether there was any.
    pub async fn make_room(&mut self) -> bool {
        let queues = self.queues().await;
        let mut todo = self.todo(&queues);
        while let Some((order, position)) = todo.pop_first() {
            let (grade, queue, first) = order;
            match self.thin(&queues[queue], position, grade).await {
                Ok(Thinned::Yes) => return true,
                Err(NotReplaced::Busy) => {}
                Ok(tried) => {
                    let next = if matches!(tried, Thinned::Never) { WINDOWS.len() } else { grade + 1 };
                    self.grades.insert(queues[queue].sealed[position].number, next);
                    if next < WINDOWS.len() {
                        todo.insert((next, queue, first), position);
                    }
                }
                Err(why) => {
                    tracing::warn!(%why, "old readings could not be thinned");
                    return false;
                }
            }
        }
        false
    }

    /// Every queue that may be thinned, the least important first.
    async fn queues(&mut self) -> Vec<Queue> {
        let mut keys: Vec<ChainKey> = self.store.status().chains.into_iter().map(|chain| chain.key).collect();
        // Telemetry and bulk.
        keys.retain(|key| (2..=3).contains(&key.rank()));
        keys.sort_by_key(|key| (std::cmp::Reverse(key.rank()), key.clone()));
        let mut queues = Vec::new();
        for key in keys {
            let chain = self.store.visit(key);
            let sealed = listed(&chain).await;
            queues.push(Queue { chain, sealed });
        }
        let there = queues.iter().flat_map(|queue| &queue.sealed);
        self.grades = there.map(|sealed| (sealed.number, self.grade(sealed))).collect();
        queues
    }

    /// Positions of segments in the order in which they are tried: by grade, queue and age.
    fn todo(&self, queues: &[Queue]) -> BTreeMap<(Grade, usize, u64), usize> {
        let of = |(index, queue): (usize, &Queue)| {
            let place = |(position, sealed): (usize, &Sealed)| ((self.grade(sealed), index, sealed.first), position);
            queue.sealed.iter().enumerate().map(place).collect::<Vec<_>>()
        };
        let all = queues.iter().enumerate().flat_map(of);
        all.filter(|((grade, _, _), _)| *grade < WINDOWS.len()).collect()
    }

    fn grade(&self, sealed: &Sealed) -> Grade {
        self.grades.get(&sealed.number).copied().unwrap_or(sealed.thinned.into())
    }

    /// Thins one segment, together with the one before it that is as thin already: windows of both may be the same.
    async fn thin(&mut self, queue: &Queue, position: usize, grade: Grade) -> Result<Thinned, NotReplaced> {
        let (_, segment_size) = queue.chain.extent();
        let joins = queue.sealed[position].thinned;
        let fits = |sealed: &&Sealed| sealed.thinned && (joins || sealed.size <= segment_size / 2);
        let before = position.checked_sub(1).map(|before| &queue.sealed[before]).filter(fits);
        if before.is_some_and(|before| self.grade(before) >= grade) {
            match self.replace(&queue.chain, &queue.sealed[position - 1..=position], grade).await {
                // They may be no neighbours, or too much together.
                Err(NotReplaced::Busy) | Ok(Thinned::Later | Thinned::Never) => {}
                other => return other,
            }
        }
        self.replace(&queue.chain, &queue.sealed[position..=position], grade).await
    }

    async fn replace(&mut self, chain: &Chain, old: &[Sealed], grade: Grade) -> Result<Thinned, NotReplaced> {
        let window = WINDOWS[grade];
        let records = match reduced(chain, old, window).await? {
            Reduced::To(records) => records,
            Reduced::TooLittle => return Ok(Thinned::Later),
            Reduced::Never => return Ok(Thinned::Never),
        };
        let left = records.len();
        let gap = match chain.replace(old, records).await {
            Err(NotReplaced::Empty | NotReplaced::NotFewer | NotReplaced::TooLarge) => return Ok(Thinned::Later),
            other => other?,
        };
        self.grades.insert(old[0].number, grade + 1);
        tracing::info!(chain = %chain.key(), ?window, thinned = gap.records, left, "old readings were thinned");
        Ok(Thinned::Yes)
    }
}

/// Everything in a queue that may be thinned, as far as the store answers.
async fn listed(chain: &Chain) -> Vec<Sealed> {
    let (mut sealed, mut from) = (Vec::new(), 0);
    while let Ok(more) = chain.sealed(from).await
        && let Some(last) = more.last()
    {
        from = last.first + 1;
        sealed.extend(more);
    }
    sealed
}

/// The records of some segments with windows of this length, when that saves a quarter of the last one.
async fn reduced(chain: &Chain, old: &[Sealed], window: Duration) -> Result<Reduced, NotReplaced> {
    let size: u64 = old.iter().map(|sealed| sealed.size).sum();
    let worth_it = old.last().map_or(0, |last| last.size / 4);
    let room = HELD.min(size - worth_it);
    let too_much = |bytes: usize| bytes as u64 > room;
    let (mut reducer, mut unread) = (Reducer::new(window), size);
    for sealed in old {
        let mut from = sealed.first;
        loop {
            let records = chain.read_sealed(sealed, from, READ).await.map_err(|_| NotReplaced::Disk)?;
            let Some(last) = records.last() else { break };
            from = last.sequence + 1;
            records.iter().for_each(|record| reducer.take(&record.bytes));
            let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
            unread = unread.saturating_sub(bytes as u64);
            if too_much(reducer.bytes()) {
                return Ok(too_little(reducer.readings() as u64 + unread, worth_it));
            }
            sleep(Duration::from_secs_f64(bytes as f64 / READ_PER_S)).await;
        }
    }
    let readings = reducer.readings() as u64;
    let records = reducer.done();
    let bytes = records.iter().map(Vec::len).sum();
    let fine = !records.is_empty() && !too_much(bytes);
    Ok(if fine { Reduced::To(records) } else { too_little(readings, worth_it) })
}

/// So many bytes of readings at most would have to become fewer by so many.
fn too_little(readings: u64, worth_it: u64) -> Reduced {
    if readings > worth_it { Reduced::TooLittle } else { Reduced::Never }
}
