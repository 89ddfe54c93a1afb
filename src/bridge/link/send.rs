//! What goes out, and when.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use tokio::time::Instant;

use super::flights::Cargo;
use super::{End, Link, outgoing};
use crate::bridge::LANES;
use crate::bridge::record;
use crate::bridge::uplink::codec::{Out, Publish};
use crate::format::{BridgeStatus, Time};
use crate::model::{Qos, Stamp};
use crate::store;

/// Bytes that wait to be written before no further record is taken.
const OUTBOX_BYTES: usize = 64 * 1024;

/// Bytes on their way before no further record is sent; one record may always go.
const FLYING_BYTES: usize = 1 << 20;

impl Link<'_> {
    /// Sends what may go now, the most important class first, and starts reading where nothing waits.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), End> {
        let mut stamp = None;
        while self.stop_at.is_none() && self.has_window() {
            let Some(lane) = (0..LANES).find(|&lane| self.may_send(lane, now)) else { break };
            let stamp = stamp.get_or_insert_with(|| self.core.outbox.clock.now());
            self.send_next(lane, now, *stamp)?;
        }
        for lane in 0..LANES {
            let chain = &self.core.outbox.chains[lane];
            if let Some(done) = self.lanes[lane].newly_done() {
                chain.ack(done);
            }
            if let Some(from) = self.lanes[lane].hungry() {
                self.fetches.start(lane, chain, from);
            }
        }
        Ok(())
    }

    fn has_window(&self) -> bool {
        let most = self.core.settings.in_flight.min(self.welcome.receive_max);
        let window = if self.probe { 1 } else { usize::from(most.max(1)) };
        let small = self.flights.bytes() < FLYING_BYTES;
        self.flights.len() < window && small && self.pipe.outbox.len() < OUTBOX_BYTES
    }

    fn may_send(&mut self, lane: usize, now: Instant) -> bool {
        let held = self.hold[lane].is_some_and(|until| until > now);
        !held && self.lanes[lane].next().is_some_and(|next| !self.is_backlog(lane, next) || self.bucket.ready(now))
    }

    /// Whether a record waits for nothing but a token.
    pub(super) fn waits_for_token(&mut self, now: Instant) -> bool {
        self.has_window()
            && (0..LANES).any(|lane| {
                let held = self.hold[lane].is_some_and(|until| until > now);
                !held && self.lanes[lane].next().is_some_and(|next| self.is_backlog(lane, next))
            })
    }

    /// Whether `sequence` is old. At the end of what was old at first, a lane that has fallen behind by
    /// more than a window since then begins anew.
    fn is_backlog(&mut self, lane: usize, sequence: u64) -> bool {
        if sequence >= self.live_from[lane] {
            let newest = self.core.outbox.chains[lane].next_sequence();
            if newest - sequence > u64::from(self.core.settings.in_flight) {
                self.live_from[lane] = newest;
            }
        }
        sequence < self.live_from[lane]
    }

    fn send_next(&mut self, lane: usize, now: Instant, stamp: Stamp) -> Result<(), End> {
        let Some((sequence, stored)) = self.lanes[lane].take() else { return Ok(()) };
        if self.is_backlog(lane, sequence) {
            self.bucket.take();
        }
        if self.condemned == Some((lane, sequence)) {
            self.set_aside(lane, sequence, "the peer closes the connection whenever it is sent");
            return Ok(());
        }
        let record = match record::Record::decode(&stored.bytes) {
            Ok(record) => record,
            Err(error @ record::Error::Version(_)) => return Err(End::Newer(error)),
            Err(error) => {
                self.set_aside(lane, sequence, &error.to_string());
                return Ok(());
            }
        };
        let topic = hash(record.topic.as_str());
        let Some(publish) = outgoing::publish(record, self.dedupe_key(lane, &stored), stamp) else {
            self.core.outbox.tally.expired.one();
            self.lanes[lane].set_aside(sequence);
            return Ok(());
        };
        self.depart(lane, sequence, topic, publish, now)
    }

    /// (store id, start, sequence), and the chain, because each chain counts for itself.
    fn dedupe_key(&self, lane: usize, stored: &store::Record) -> String {
        let (id, queue) = (self.core.store.id(), &self.core.settings.name);
        format!("{id}/{}/{queue}.{lane}/{}", stored.start, stored.sequence)
    }

    fn depart(
        &mut self,
        lane: usize,
        sequence: u64,
        topic: u64,
        mut publish: Publish,
        now: Instant,
    ) -> Result<(), End> {
        publish.retain &= self.welcome.retain;
        publish.dup = self.core.sent_before(lane, sequence) && publish.qos != Qos::AtMostOnce;
        if publish.qos != Qos::AtMostOnce {
            publish.id = self.flights.next_id();
        }
        let before = self.pipe.outbox.len();
        let encoded = self.codec.encode(&Out::Publish(&publish), &mut self.pipe.outbox);
        let bytes = self.pipe.outbox.len() - before;
        if encoded.is_err() || bytes > self.welcome.packet_max {
            self.pipe.outbox.truncate(before);
            self.set_aside(lane, sequence, "it is larger than the peer takes");
            return Ok(());
        }
        self.last_sent = now;
        self.lanes[lane].sent(sequence, topic, publish.id);
        if publish.id == 0 {
            self.written.push((lane, sequence));
        } else {
            self.flights.depart(publish.id, Cargo::Record(lane, sequence), bytes, now);
        }
        let tally = &self.core.outbox.tally;
        tally.sent.one();
        if publish.dup {
            tally.repeated.one();
        }
        self.core.mark_sent(lane, sequence);
        Ok(())
    }

    /// Publishes the bridge's own state, retained, at the cloud.
    pub(super) fn tell_cloud(&mut self, state: &str) -> Result<(), End> {
        let status = BridgeStatus {
            state,
            since: Time(self.core.outbox.clock.wall_ms()),
            reason: None,
            backlog: self.core.backlog(),
            oldest: None,
            dropped: self.core.dropped(),
        };
        let publish = Publish {
            topic: self.core.outbox.rules.cloud_status(),
            payload: Bytes::from(status.encode()),
            qos: Qos::AtLeastOnce,
            retain: self.welcome.retain,
            dup: false,
            id: self.flights.next_id(),
            properties: None,
        };
        self.put(&Out::Publish(&publish))?;
        self.flights.depart(publish.id, Cargo::Status, 0, Instant::now());
        Ok(())
    }
}

fn hash(topic: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    topic.hash(&mut hasher);
    hasher.finish()
}
