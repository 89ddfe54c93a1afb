//! What comes in, and what it means.

use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::flights::Cargo;
use super::{Arrival, End, Kept, Link, PACKET_MAX};
use crate::bridge::hops;
use crate::bridge::uplink::codec::{In, Out, Publish};
use crate::model::{Message, Origin, Properties, Qos, REPEATED, Topic};
use crate::store::Cause;

/// Answers to a publish (MQTT 5 section 3.4.2.1): not authorized, topic name invalid, payload format invalid.
const PERMANENT: [u8; 3] = [0x87, 0x90, 0x99];

/// How often a record is sent that is refused for good.
const TRIES: u32 = 3;

/// Between two tries of a record that is refused, at first; doubling up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Topics remembered as refused for good.
const REFUSED_TOPICS: usize = 1024;

/// How often the store is told the round trip.
const HINT_EVERY: Duration = Duration::from_secs(1);

impl Link<'_> {
    /// Takes every whole packet out of the inbox, as long as they can be handed on.
    pub(super) fn decode(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while self.parked.is_none()
            && let Some(packet) = self.codec.decode(&mut self.pipe.inbox, PACKET_MAX)?
        {
            (self.pinged, self.last_heard) = (None, now);
            match packet {
                In::PubAck(id, reason) => self.answered(id, reason, now),
                In::Publish(publish) => self.arrived(publish),
                In::Nonsense(id, qos) => self.hand_on(Arrival { id, qos, message: None }),
                In::PubRel(id) => self.put(&Out::PubComp(id))?,
                In::SubAck(0) | In::PingResp | In::Welcome(_) | In::Refused(_) | In::Other => {}
                In::SubAck(refused) => {
                    tracing::warn!(bridge = %self.core.settings.name, refused, "the cloud refused subscriptions");
                    self.core.outbox.tally.subscriptions_refused.add(refused as u64);
                }
                In::Disconnect(0x8e) => return Err(End::Twin),
                In::Disconnect(reason) => return Err(End::Disconnected(reason)),
            }
        }
        Ok(())
    }

    fn answered(&mut self, id: u16, reason: u8, now: Instant) {
        match self.flights.land(id, now) {
            None => {}
            Some(Cargo::Status) if reason >= 0x80 => {
                self.greeted = true;
                tracing::warn!(bridge = %self.core.settings.name, reason, "the cloud refuses this bridge's own status");
            }
            Some(Cargo::Status) => self.greeted = true,
            Some(Cargo::Gap(chain, gap)) => self.gap_told(chain, &gap, reason),
            Some(Cargo::Record(lane, sequence)) if reason < 0x80 => {
                self.all_delivered(lane, (&[sequence], &[]), id, now)
            }
            Some(Cargo::Batch(lane, sequences, merged)) if reason < 0x80 => {
                self.all_delivered(lane, (&sequences, &merged), id, now);
            }
            Some(Cargo::Record(lane, sequence)) => self.refused(lane, sequence, id, reason, now),
            Some(Cargo::Batch(lane, sequences, _)) => {
                self.batch_refused(lane, &sequences, PERMANENT.contains(&reason), now);
            }
        }
    }

    fn all_delivered(&mut self, lane: usize, (sequences, merged): (&[u64], &[u64]), id: u16, now: Instant) {
        sequences.iter().for_each(|sequence| self.delivered(lane, *sequence, id, merged.contains(sequence)));
        (self.probe, self.delivered, self.busy) = (false, true, 0);
        self.hint(now);
    }

    /// A record has arrived, by itself or as a part of a summary: then it is missing in the books, and the cloud
    /// knows by the summary.
    pub(super) fn delivered(&mut self, lane: usize, sequence: u64, id: u16, merged: bool) {
        self.core.outbox.tally.delivered.one();
        if self.lanes[lane].acknowledged(sequence, id) && merged {
            self.missing[lane].insert(sequence, (Cause::Thinned, None));
        }
    }

    fn refused(&mut self, lane: usize, sequence: u64, id: u16, reason: u8, now: Instant) {
        self.core.outbox.tally.refused.one();
        let permanent = PERMANENT.contains(&reason);
        let Some(tries) = self.lanes[lane].refused(sequence, id, permanent) else { return };
        if permanent && tries >= TRIES {
            if self.refused_topics.len() < REFUSED_TOPICS
                && let Some(topic) = self.lanes[lane].topic(sequence)
            {
                self.refused_topics.insert(topic);
            }
            self.set_aside(lane, sequence, &format!("the cloud refuses it, reason {reason:#04x}"));
            return;
        }
        let known = self.lanes[lane].topic(sequence).is_some_and(|topic| self.refused_topics.contains(&topic));
        // A verdict that is known for the topic is not waited out again: one bad topic must not slow its class down.
        if !(permanent && known) {
            self.pause(lane, permanent, now);
        }
        self.go_again(lane, &[sequence]);
    }

    /// Holds a lane back for a while; refusals that arrive meanwhile are of the same round.
    pub(super) fn pause(&mut self, lane: usize, permanent: bool, now: Instant) {
        if self.hold[lane].is_none_or(|until| until <= now) {
            let pause = (FIRST_PAUSE * 2_u32.pow(self.busy.min(8))).min(LONGEST_PAUSE);
            self.hold[lane] = Some(now + pause);
            self.busy += u32::from(!permanent);
        }
    }

    fn hint(&mut self, now: Instant) {
        if now.duration_since(self.hinted) < HINT_EVERY {
            return;
        }
        self.hinted = now;
        if let Some(round_trip) = self.flights.round_trip() {
            self.core.outbox.chains.iter().for_each(|chain| chain.hint_round_trip(round_trip));
        }
    }

    fn arrived(&mut self, publish: Publish) {
        self.arrived = Instant::now();
        let Publish { topic, payload, qos, retain, dup, id, mut properties } = publish;
        let message = self.let_in(&topic, properties.as_deref()).map(|topic| {
            if dup {
                properties.get_or_insert_default().user.push((REPEATED.into(), "1".into()));
            }
            let origin = Origin::Bridge(self.core.settings.name.as_str().into());
            Message { topic, payload: payload.as_ref().into(), qos, retain, properties, origin, source: None }
        });
        if message.is_some() || qos != Qos::AtMostOnce {
            self.hand_on(Arrival { id, qos, message });
        }
    }

    /// The topic here of a message from the cloud, if it may come in.
    fn let_in(&self, topic: &Topic, properties: Option<&Properties>) -> Option<Topic> {
        let (name, outbox) = (&self.core.settings.name, &self.core.outbox);
        if let Err(circling) = hops::check(properties, &outbox.me) {
            tracing::debug!(bridge = %name, %topic, ?circling, "not let in");
            outbox.tally.circling.one();
            return None;
        }
        let local = outbox.rules.receive(topic);
        if let Err(refused) = local {
            tracing::debug!(bridge = %name, %topic, ?refused, "not let in");
            outbox.tally.not_let_in.one();
        }
        local.ok()
    }

    fn hand_on(&mut self, arrival: Arrival) {
        if let Err(TrySendError::Full(arrival) | TrySendError::Closed(arrival)) = self.arrivals.try_send(arrival) {
            self.parked = Some(arrival);
        }
    }

    /// Acknowledges to the cloud what is kept here.
    pub(super) fn kept(&mut self, kept: Kept) -> Result<(), End> {
        match kept {
            Kept { safe: false, .. } => Err(End::Abandoned),
            Kept { id, qos: Qos::ExactlyOnce, .. } => self.put(&Out::PubRec(id)),
            Kept { id, .. } => self.put(&Out::PubAck(id)),
        }
    }
}
