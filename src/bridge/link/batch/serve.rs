//! Batches on one connection: taking records in, letting parcels out, and what an answer to one means.

use tokio::time::Instant;

use super::{Company, Held, Parcel, pack};
use crate::bridge::hops;
use crate::bridge::lanes::{LANES, topic_hash};
use crate::bridge::link::Link;
use crate::bridge::link::flights::Cargo;
use crate::bridge::link::judge::{Now, known_age};
use crate::bridge::link::outgoing;
use crate::bridge::record::Record;
use crate::bridge::uplink::codec::Publish;
use crate::format::batch::Header;
use crate::model::Qos;
use crate::store;

impl Link<'_> {
    /// How `record` travels, by the first rule that forwards its topic today.
    pub(in crate::bridge::link) fn company(&self, record: &Record) -> Company {
        let rules = &self.core.outbox.rules;
        let rule = || rules.rule_of(&record.local_topic());
        match rules.batches().then(rule).flatten().filter(|rule| rules.batch(*rule).is_some()) {
            None => Company::None,
            Some(rule) if pack::fits(record) => Company::Batch(rule),
            Some(rule) => Company::Behind(rule),
        }
    }

    /// Lets `record` wait for company.
    pub(in crate::bridge::link) fn hold(
        &mut self,
        lane: usize,
        rule: usize,
        stored: &store::Record,
        record: Record,
        (now, clock): (Instant, Now),
    ) {
        let Some((batch, _)) = self.core.outbox.rules.batch(rule) else { return };
        let alone = self.probe || self.lanes[lane].is_alone(stored.sequence);
        let (mut limits, patience) = self.limits(lane, batch);
        if alone {
            limits.count = 1;
        }
        let age = known_age(record.stamp, clock.stamp);
        let (bytes, hash) = (pack::estimate(batch, &record, clock), topic_hash(record.topic.as_str()));
        let held = Held { sequence: stored.sequence, start: stored.start, hash, record, bytes };
        self.lanes[lane].hold(stored.sequence, hash);
        let batches = &mut self.batches[lane];
        if alone {
            batches.close(rule);
        }
        batches.hold(rule, held, limits, now + patience.saturating_sub(age), now);
    }

    /// Lets out what has waited for long enough. True if there is anything new to send.
    pub(in crate::bridge::link) fn ripen(&mut self, now: Instant) -> bool {
        let urgent = std::mem::take(&mut self.urgent) || self.stop_at.is_some();
        let mut any = false;
        for lane in 0..LANES {
            if urgent || self.lanes[lane].is_full() {
                any |= self.batches[lane].close_all();
            }
            any |= self.batches[lane].ripen(self.is_dry(lane), now);
        }
        any
    }

    /// When the next batch has waited for long enough.
    pub(in crate::bridge::link) fn next_ripe(&self) -> Option<Instant> {
        (0..LANES).filter_map(|lane| self.batches[lane].next_ripe(self.is_dry(lane))).min()
    }

    /// Whether all of a lane's records were read and taken.
    pub(in crate::bridge::link) fn is_dry(&self, lane: usize) -> bool {
        self.lanes[lane].hungry().is_some_and(|from| from >= self.core.outbox.chains[lane].next_sequence())
    }

    /// Sends the next parcel of a lane; one that is larger than the peer takes goes in two halves.
    pub(in crate::bridge::link) fn send_parcel(&mut self, lane: usize, (now, clock): (Instant, Now)) {
        let Some(parcel) = self.batches[lane].take() else { return };
        let Some((mut publish, merged)) = self.packed(lane, &parcel, clock) else { return };
        let Some(bytes) = self.write(&mut publish) else {
            match parcel.records.as_slice() {
                [held] => self.set_aside(lane, held.sequence, "it is larger than the peer takes"),
                _ => {
                    let (first, second) = parcel.split();
                    self.batches[lane].put_first(second);
                    self.batches[lane].put_first(first);
                }
            }
            return;
        };
        for held in &parcel.records {
            self.lanes[lane].sent(held.sequence, held.hash, publish.id);
        }
        let sequences: Vec<u64> = parcel.records.iter().map(|held| held.sequence).collect();
        self.core.outbox.tally.batches.one();
        self.departed(lane, (&sequences, &merged), &publish, bytes, now);
    }

    /// The publish for a parcel, and the records that went into others.
    fn packed(&mut self, lane: usize, parcel: &Parcel, clock: Now) -> Option<(Publish, Vec<u64>)> {
        let (batch, topic) = self.core.outbox.rules.batch(parcel.rule)?;
        let store = self.core.store.id().to_string();
        let header = Header { store: &store, chain: &self.chain_name(lane) };
        let (mut publish, merged) = pack::publish(parcel, (batch, topic), &header, self.is_brief(lane), clock);
        hops::mark(publish.properties.get_or_insert_default(), &self.core.outbox.me);
        let last = parcel.records.last()?.sequence;
        if self.core.settings.forward.get(parcel.rule)?.fresh && self.is_backlog(lane, last) {
            outgoing::mark_backfill(&mut publish);
        }
        let repeated = parcel.records.iter().all(|held| self.core.sent_before(lane, held.sequence));
        publish.dup = repeated && publish.qos != Qos::AtMostOnce;
        Some((publish, merged))
    }

    /// The cloud refused a batch. What is refused for good goes again record by record, so that the guilty one
    /// is found; whatever else the reason is, the records go again as they are.
    pub(in crate::bridge::link) fn batch_refused(
        &mut self,
        lane: usize,
        sequences: &[u64],
        permanent: bool,
        now: Instant,
    ) {
        self.core.outbox.tally.refused.one();
        if permanent {
            self.lanes[lane].part(sequences);
        } else {
            self.pause(lane, false, now);
        }
        self.go_again(lane, sequences);
    }

    /// These records, later ones of their topics and all open batches of the lane are read again.
    pub(in crate::bridge::link) fn go_again(&mut self, lane: usize, sequences: &[u64]) {
        self.fetches.cancel(lane);
        self.batches[lane].clear();
        self.lanes[lane].again(sequences);
    }
}

/// What flies when `sequences` of one lane travel in one publish.
pub(in crate::bridge::link) fn cargo(lane: usize, sequences: &[u64], merged: &[u64]) -> Cargo {
    match sequences {
        [sequence] => Cargo::Record(lane, *sequence),
        _ => Cargo::Batch(lane, sequences.into(), merged.into()),
    }
}
