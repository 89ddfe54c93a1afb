//! What is told about gaps: here at once, and at the cloud until it knows (see `link`).

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::sleep;

use super::core::Core;
use super::lanes::LANES;
use super::outbox::Outbox;
use crate::format::{GapRecord, Time};
use crate::model::{Message, Qos};
use crate::store::{Chain, ChainKey, Gap, StoreId};

/// Chains with gaps: all lanes, and the dead letters.
const CHAINS: usize = LANES + 1;

/// Before the next look at a chain that said there was something and had nothing: its store is closed.
const NOTHING_THERE: Duration = Duration::from_secs(1);

/// A chain by its number.
pub(super) fn chain(outbox: &Outbox, index: usize) -> &Chain {
    outbox.chains.get(index).unwrap_or(&outbox.dead.chain)
}

/// Which gaps somebody has seen: by chain the id of the last one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen([u64; CHAINS]);

impl Seen {
    /// Gaps that the cloud does not know and that were not seen yet, and the chain of each.
    pub(super) fn new_ones(&mut self, outbox: &Outbox) -> Vec<(usize, Gap)> {
        let mut new = Vec::new();
        for (index, seen) in self.0.iter_mut().enumerate() {
            let gaps = chain(outbox, index).untold().into_iter().filter(|gap| gap.id > *seen);
            new.extend(gaps.map(|gap| (index, gap)));
            *seen = new.iter().filter(|(of, _)| *of == index).map(|(_, gap)| gap.id).fold(*seen, u64::max);
        }
        new
    }

    /// Resolves when there may be new ones.
    async fn more(&self, outbox: &Outbox) {
        let mut waits: FuturesUnordered<_> =
            self.0.iter().enumerate().map(|(index, seen)| chain(outbox, index).new_gap(*seen)).collect();
        waits.next().await;
    }
}

/// The dedupe key of a gap and what is told about it.
pub(super) fn document(store: StoreId, chain: &ChainKey, gap: &Gap) -> (String, Vec<u8>) {
    let id = format!("{store}/{}.{}/gap/{}", chain.queue, chain.class, gap.id);
    let class = ["alarm", "command", "telemetry", "bulk", "dead-letters"];
    let document = GapRecord {
        id: &id,
        class: class[usize::from(chain.class % 8).min(4)],
        first: gap.first,
        last: gap.last,
        count: gap.records,
        from: gap.from_ms.map(Time),
        to: gap.to_ms.map(Time),
        cause: gap.cause.word(),
    };
    let bytes = document.encode();
    (id, bytes)
}

/// Publishes every new gap here, and wakes the link.
pub(super) async fn tell_here(core: &Core) -> Infallible {
    let mut seen = Seen::default();
    loop {
        let new = seen.new_ones(&core.outbox);
        if new.is_empty() {
            sleep(NOTHING_THERE).await;
        }
        core.outbox.news.notify_one();
        for (index, gap) in new {
            let (_, payload) = document(core.store.id(), chain(&core.outbox, index).key(), &gap);
            let message = Message::own(core.outbox.rules.gap().clone(), payload).with_qos(Qos::AtLeastOnce);
            core.hub.publish_and_forget(message).await;
        }
        seen.more(&core.outbox).await;
    }
}
