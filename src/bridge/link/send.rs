//! What goes out, and when.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::batch::{self, Company};
use super::flights::{Cargo, MOST_FLYING};
use super::judge::{Judged, Now, judge};
use super::lane::Lane;
use super::{End, Link, outgoing};
use crate::bridge::Class;
use crate::bridge::lanes::{self, LANES, class_of, topic_hash};
use crate::bridge::record;
use crate::bridge::uplink::codec::{Out, Publish};
use crate::format::{BridgeStatus, Time};
use crate::model::{Qos, TimeQuality};
use crate::store::{self, Cause};

/// Bytes that wait to be written before no further record is taken.
const OUTBOX_BYTES: usize = 64 * 1024;

/// Bytes on their way before no further record is sent; one record may always go.
const FLYING_BYTES: usize = 1 << 20;

/// A peer that owes us an acknowledgement for so long, or four round trips, takes nothing: what comes meanwhile queues up.
const STALLED: Duration = Duration::from_secs(2);

impl Link<'_> {
    /// Sends what may go now, the most important class first, and starts reading where nothing waits.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), End> {
        self.steer(now);
        self.unpark();
        while self.stop_at.is_none()
            && self.has_window()
            && let Some((chain, gap)) = self.untold.pop_front()
        {
            self.tell_gap(chain, gap)?;
        }
        let mut looked = None;
        self.settle_all();
        loop {
            while self.has_window()
                && let Some(lane) = (0..LANES).find(|&lane| self.may_send(lane, now))
            {
                let clock = *looked.get_or_insert_with(|| Now::of(&self.core.outbox.clock));
                self.send_next(lane, (now, clock))?;
            }
            // What is done by now may be what others wait for.
            if !(self.ripen(now) | self.settle_all()) {
                break;
            }
        }
        for lane in 0..LANES {
            let chain = &self.core.outbox.chains[lane];
            if let Some(from) = self.lanes[lane].hungry() {
                self.fetches.start(lane, chain, from);
            }
        }
        Ok(())
    }

    /// Tells the store what is done in all lanes; says whether there was anything.
    fn settle_all(&mut self) -> bool {
        (0..LANES).fold(false, |any, lane| self.settle(lane) | any)
    }

    /// Takes back what has waited for the clock.
    fn unpark(&mut self) {
        if self.lanes.iter().any(Lane::has_parked) {
            let clock = Now::of(&self.core.outbox.clock);
            let ripe = |until_ms| clock.offset_ms.is_some() || until_ms <= clock.stamp.mono_ms;
            self.lanes.iter_mut().for_each(|lane| lane.unpark(ripe));
        }
    }

    /// Tells the outbox whether new records may pass a backlog here.
    fn steer(&self, now: Instant) {
        let stalled = STALLED.max(self.flights.round_trip().unwrap_or_default() * 4);
        let alive = !self.probe && self.stop_at.is_none() && self.flights.owing(now) < stalled;
        self.core.outbox.steer(alive, std::array::from_fn(|class| self.is_behind(lanes::main(class))));
    }

    /// Whether a lane has a backlog.
    fn is_behind(&self, lane: usize) -> bool {
        let (position, newest) = (self.lanes[lane].position(), self.core.outbox.chains[lane].next_sequence());
        let old = position < self.live_from[lane].min(newest);
        old || newest.saturating_sub(position) > u64::from(self.core.settings.in_flight)
    }

    fn has_window(&self) -> bool {
        let most = self.core.settings.in_flight.min(self.welcome.receive_max);
        let most = usize::from(most.max(1)).min(MOST_FLYING);
        let window = match (self.probe, self.wary) {
            (false, _) => most,
            // What it closed on is done with first: on the next connection it would come again.
            (true, true) => usize::from(self.asides.is_empty()),
            // Our own status does not stand in the way of the one record.
            (true, false) => most.min(1 + self.flights.statuses()),
        };
        let small = self.flights.bytes() < FLYING_BYTES;
        self.flights.len() < window && small && self.pipe.outbox.len() < OUTBOX_BYTES
    }

    fn may_send(&mut self, lane: usize, now: Instant) -> bool {
        self.ready(lane, now)
            .is_some_and(|next| !self.is_backlog(lane, next) || self.buckets.iter_mut().all(|bucket| bucket.ready(now)))
    }

    /// The next record of a lane, unless something else than the window or a token is in its way.
    fn ready(&mut self, lane: usize, now: Instant) -> Option<u64> {
        let next = if self.is_held(lane, now) { None } else { self.next_of(lane) };
        next.filter(|next| !self.core.outbox.is_blocked(lane, *next))
    }

    /// The next record of a lane, or the last one of its next parcel.
    fn next_of(&mut self, lane: usize) -> Option<u64> {
        match self.batches[lane].ready() {
            Some(parcel) => parcel.records.last().map(|held| held.sequence),
            None if self.stop_at.is_none() => self.lanes[lane].next(),
            None => None,
        }
    }

    /// Whether a record waits for nothing but a token.
    pub(super) fn waits_for_token(&mut self, now: Instant) -> bool {
        self.has_window()
            && (0..LANES).any(|lane| self.ready(lane, now).is_some_and(|next| self.is_backlog(lane, next)))
    }

    /// When there will be a token of both kinds.
    pub(super) fn next_token(&self) -> Instant {
        let [messages, bytes] = &self.buckets;
        messages.next().max(bytes.next())
    }

    /// Takes the tokens for a publish of `bytes` bytes.
    fn spend(&mut self, bytes: usize) {
        let [messages, of_bytes] = &mut self.buckets;
        messages.take(1.0);
        of_bytes.take(bytes as f64);
    }

    /// Whether nothing of a lane may leave now.
    fn is_held(&self, lane: usize, now: Instant) -> bool {
        self.is_held_back(lane) || self.hold[lane].is_some_and(|until| until > now)
    }

    /// Whether `sequence` is old. At the end of what was old at first, a lane that has fallen behind by
    /// more than a window since then begins anew.
    pub(super) fn is_backlog(&mut self, lane: usize, sequence: u64) -> bool {
        if sequence >= self.live_from[lane] {
            let newest = self.core.outbox.chains[lane].next_sequence();
            if newest - sequence > u64::from(self.core.settings.in_flight) {
                self.live_from[lane] = newest;
            }
        }
        sequence < self.live_from[lane]
    }

    /// Sends what is next in a lane, or puts it where it waits for company.
    fn send_next(&mut self, lane: usize, now: (Instant, Now)) -> Result<(), End> {
        if self.batches[lane].ready().is_some() {
            self.send_parcel(lane, now);
            return Ok(());
        }
        let Some((sequence, stored)) = self.lanes[lane].take() else { return Ok(()) };
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
        self.admit(lane, stored, record, now);
        Ok(())
    }

    /// Sends a record, unless it has expired, or waits for something.
    fn admit(&mut self, lane: usize, stored: store::Record, record: record::Record, now: (Instant, Now)) {
        let (sequence, topic) = (stored.sequence, topic_hash(record.topic.as_str()));
        let rules = &self.core.outbox.rules;
        let rule = rules.rule_for(&record.local_topic());
        let parked = self.lanes[lane].parked_until(topic).map(Judged::Waits);
        match parked.unwrap_or_else(|| judge(&record, rule, now.1, self.core.settings.clock_wait)) {
            Judged::Goes => {}
            Judged::Waits(until_ms) => return self.lanes[lane].park(sequence, topic, until_ms, stored),
            Judged::Expired => {
                self.core.outbox.tally.expired.one();
                let span = taken(&record);
                return self.give_up(lane, sequence, Cause::Expired, span);
            }
        }
        match self.company(&record) {
            Company::Batch(rule) => self.hold(lane, rule, &stored, record, now),
            // It does not pass records of its topic that wait in a batch.
            Company::Behind(rule) if self.batches[lane].close(rule) => self.lanes[lane].put_back(sequence, stored),
            Company::Behind(_) | Company::None => {
                let backfill = rule.is_some_and(|rule| rule.fresh) && self.is_backlog(lane, sequence);
                self.send_single(lane, &stored, record, backfill, now);
            }
        }
    }

    fn send_single(
        &mut self,
        lane: usize,
        stored: &store::Record,
        record: record::Record,
        backfill: bool,
        (now, clock): (Instant, Now),
    ) {
        let (sequence, topic) = (stored.sequence, topic_hash(record.topic.as_str()));
        let mut publish = outgoing::publish(record, self.dedupe_key(lane, stored), &self.core.outbox.me, clock);
        if backfill {
            outgoing::mark_backfill(&mut publish);
        }
        publish.dup = self.core.sent_before(lane, sequence) && publish.qos != Qos::AtMostOnce;
        let Some(bytes) = self.write(&mut publish) else {
            self.set_aside(lane, sequence, "it is larger than the peer takes");
            return;
        };
        self.lanes[lane].sent(sequence, topic, publish.id);
        self.departed(lane, (&[sequence], &[]), &publish, bytes, now);
    }

    /// (store id, start, sequence), and the chain, because each chain counts for itself.
    fn dedupe_key(&self, lane: usize, stored: &store::Record) -> String {
        let (id, chain) = (self.core.store.id(), self.chain_name(lane));
        format!("{id}/{}/{chain}/{}", stored.start, stored.sequence)
    }

    /// The name of a chain in dedupe keys.
    pub(super) fn chain_name(&self, lane: usize) -> String {
        let key = lanes::key(&self.core.settings.name, lane);
        format!("{}.{}", key.queue, key.class)
    }

    /// Gives a publish its packet id and puts it into the outbox. Its size in bytes, unless the peer does not take it.
    pub(super) fn write(&mut self, publish: &mut Publish) -> Option<usize> {
        publish.retain &= self.welcome.retain;
        if publish.qos != Qos::AtMostOnce {
            publish.id = self.flights.next_id();
        }
        let before = self.pipe.outbox.len();
        let encoded = self.codec.encode(&Out::Publish(publish), &mut self.pipe.outbox);
        let bytes = self.pipe.outbox.len() - before;
        if encoded.is_err() || bytes > self.welcome.packet_max {
            self.pipe.outbox.truncate(before);
            return None;
        }
        Some(bytes)
    }

    /// These records of a lane are on their way, in one publish of so many bytes; some of them went into others.
    pub(super) fn departed(
        &mut self,
        lane: usize,
        (sequences, merged): (&[u64], &[u64]),
        publish: &Publish,
        bytes: usize,
        now: Instant,
    ) {
        self.last_sent = now;
        if sequences.last().is_some_and(|last| self.is_backlog(lane, *last)) {
            self.spend(bytes);
        }
        if publish.id == 0 {
            self.written.extend(sequences.iter().map(|sequence| (lane, *sequence, merged.contains(sequence))));
        } else {
            self.flights.depart(publish.id, batch::cargo(lane, sequences, merged), bytes, now);
        }
        self.urgent |= class_of(lane) == Class::Alarm as usize;
        let tally = &self.core.outbox.tally;
        tally.sent.one();
        if publish.dup {
            tally.repeated.one();
        }
        sequences.iter().for_each(|sequence| self.core.mark_sent(lane, *sequence));
    }

    /// Publishes the bridge's own state, retained, at the cloud.
    pub(super) fn tell_cloud(&mut self, state: &str) -> Result<(), End> {
        let status = BridgeStatus {
            state,
            since: Time(self.core.outbox.clock.wall_ms()),
            reason: None,
            endpoint: None,
            mqtt: None,
            without: None,
            backlog: self.core.backlog(),
            oldest: None,
            dropped: self.core.dropped(),
        };
        // A good-bye does not wait until the peer takes more (MQTT-3.3.4-9).
        let fits = self.flights.len() < usize::from(self.welcome.receive_max.max(1));
        let publish = Publish {
            topic: self.core.outbox.rules.cloud_status(),
            payload: Bytes::from(status.encode()),
            qos: if fits { Qos::AtLeastOnce } else { Qos::AtMostOnce },
            retain: self.welcome.retain,
            dup: false,
            id: if fits { self.flights.next_id() } else { 0 },
            properties: None,
        };
        self.put(&Out::Publish(&publish))?;
        if fits {
            self.flights.depart(publish.id, Cargo::Status, 0, Instant::now());
        }
        Ok(())
    }
}

/// When a record was taken, by the wall clock, if that was set.
pub(super) fn taken(record: &record::Record) -> Option<(i64, i64)> {
    let set = record.stamp.quality != TimeQuality::Unsynced;
    set.then_some((record.stamp.wall_ms, record.stamp.wall_ms))
}
