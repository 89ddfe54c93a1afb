//! Making room: whole segments of old readings, of the least important class first, give way to smaller ones.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::window::{Reducer, WINDOWS};
use crate::model::Name;
use crate::store::{Chain, ChainKey, NotReplaced, Sealed, Store};

/// Bytes that are read at once.
const READ: usize = 256 << 10;
/// Bytes of thinned records that are held before they are written.
const HELD: usize = 2 << 20;
/// Neighbouring segments that become one at most.
const TOGETHER: usize = 64;
/// Classes that may be thinned: bulk, then telemetry; and the second queue of each.
const CLASSES: [u8; 4] = [3, 11, 2, 10];
/// Segments that are remembered because too little can be spared in them.
const REMEMBERED: usize = 10_000;

/// Thins the queues of some bridges.
pub struct Thinner {
    store: Store,
    /// The least important first.
    chains: Vec<Chain>,
    /// Segments in which too little can be spared, by number and whether they were thinned before.
    dense: HashSet<(u64, bool)>,
}

/// Neighbouring segments, and the records that take their place.
struct Thinned {
    segments: Vec<Sealed>,
    records: Vec<Vec<u8>>,
    bytes: usize,
}

impl Thinner {
    /// One for the telemetry and bulk of these bridges.
    pub fn new(store: &Store, bridges: &[Name]) -> Self {
        let key = |class| move |queue: &Name| ChainKey { queue: queue.clone(), class };
        let keys = CLASSES.into_iter().flat_map(|class| bridges.iter().map(key(class)));
        Self { store: store.clone(), chains: keys.map(|key| store.chain(key)).collect(), dense: HashSet::new() }
    }

    /// Makes room whenever the store wants it, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.store.wants_room()).await.is_some() {
            if stop.run_until_cancelled(self.make_room()).await == Some(false) {
                self.store.no_more_room();
            }
        }
    }

    /// Thins what should go first; says whether there was anything.
    pub async fn make_room(&mut self) -> bool {
        if self.dense.len() > REMEMBERED {
            self.dense.clear();
        }
        // What was thinned before is thinned further only when nothing else is left.
        for again in [false, true] {
            for chain in self.chains.clone() {
                if self.thin(&chain, again).await {
                    return true;
                }
            }
        }
        false
    }

    async fn thin(&mut self, chain: &Chain, again: bool) -> bool {
        let Ok(sealed) = chain.sealed().await else { return false };
        for (at, first) in sealed.iter().enumerate() {
            if first.thinned != again || self.dense.contains(&(first.number, again)) {
                continue;
            }
            let neighbours: Vec<_> = sealed[at..].iter().take_while(|next| next.thinned == again).collect();
            match self.replace(chain, &neighbours).await {
                Ok(()) => return true,
                Err(NotReplaced::Busy) => {}
                Err(NotReplaced::Empty | NotReplaced::NotFewer | NotReplaced::TooLarge) => {
                    self.dense.insert((first.number, again));
                }
                Err(why @ (NotReplaced::NoRoom | NotReplaced::Disk | NotReplaced::Closed)) => {
                    tracing::warn!(chain = %chain.key(), ?why, "old readings could not be thinned");
                    return false;
                }
            }
        }
        false
    }

    async fn replace(&self, chain: &Chain, neighbours: &[&Sealed]) -> Result<(), NotReplaced> {
        let Thinned { segments, records, bytes } = thinned(chain, neighbours).await.ok_or(NotReplaced::NotFewer)?;
        let left = records.len();
        let gap = match chain.replace(&segments, records).await {
            // They may be no neighbours any more: then the first goes by itself.
            Err(NotReplaced::Busy) if segments.len() > 1 => {
                let alone = thinned(chain, &neighbours[..1]).await.ok_or(NotReplaced::NotFewer)?;
                chain.replace(&alone.segments, alone.records).await?
            }
            other => other?,
        };
        let (chain, segments) = (chain.key(), segments.len());
        tracing::info!(%chain, segments, thinned = gap.records, left, bytes, "old readings were thinned");
        Ok(())
    }
}

/// The first of some neighbours in half its size or less, and those behind it as long as all fit into that.
/// Nothing when no window makes the first one so small.
async fn thinned(chain: &Chain, neighbours: &[&Sealed]) -> Option<Thinned> {
    let first = *neighbours.first()?;
    let room = HELD.min(usize::try_from(first.size).unwrap_or(usize::MAX) / 2);
    for window in WINDOWS {
        let Some((records, bytes)) = reduced(chain, first, window, room).await else { continue };
        let mut thinned = Thinned { segments: vec![first.clone()], records, bytes };
        for next in neighbours.iter().skip(1).take(TOGETHER - 1) {
            let Some((records, bytes)) = reduced(chain, next, window, room - thinned.bytes).await else { break };
            thinned.segments.push((*next).clone());
            thinned.records.extend(records);
            thinned.bytes += bytes;
        }
        return Some(thinned);
    }
    None
}

/// A segment's records with windows of this length, when they are few enough.
async fn reduced(chain: &Chain, segment: &Sealed, window: Duration, room: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let (mut reducer, mut from) = (Reducer::new(window), segment.first);
    loop {
        let records = chain.read_sealed(segment, from, READ).await.ok()?;
        let Some(last) = records.last() else { break };
        from = last.sequence + 1;
        records.iter().for_each(|record| reducer.take(&record.bytes));
        if reducer.bytes() > room {
            return None;
        }
    }
    let records = reducer.done();
    let bytes = records.iter().map(Vec::len).sum();
    (bytes <= room && !records.is_empty()).then_some((records, bytes))
}
