//! What a client's PUBLISH does: judged, routed or held, acknowledged in turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::{Ack, Packet, Publish, Reason};
use super::super::counters::Cause;
use super::super::durable::Offered;
use super::super::router::Publisher;
use super::super::session::Arrival;
use super::acks::Waiting;
use super::cache::Looked;
use super::{Connection, End, Held, message};
use crate::model::{Message, Qos, Refusal, Topic, Verdict};

/// A 3.x client cannot be told that its message was refused: its connection ends after this time.
const REFUSED_V3: Duration = Duration::from_secs(10);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Judges a PUBLISH, then routes it or holds it behind those that wait.
    pub(super) fn publish(&mut self, publish: &Publish<'_>) -> Result<(), End> {
        self.moved.messages_in += 1;
        self.moved.payload_in += publish.payload.len();
        let settings = &self.settings;
        if publish.qos as u8 > settings.limits.qos {
            return Err(End::Closed(Reason::QOS_NOT_SUPPORTED, "the QoS is too high"));
        }
        let retain = publish.retain && settings.limits.retain;
        if publish.retain && !retain && self.is_v5() {
            return Err(End::Closed(Reason::RETAIN_NOT_SUPPORTED, "retained messages are switched off"));
        }
        let looked = self.topic_of(publish)?;
        if !self.is_new(publish)? {
            return Ok(());
        }
        let refusal = if !looked.open {
            Some(Reason::NOT_AUTHORIZED)
        } else if publish.payload.len() > self.settings.limits.payload_size || self.has_no_room(publish) {
            Some(Reason::QUOTA_EXCEEDED)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.refuse(publish, reason);
            return Ok(());
        }
        let carried = publish.properties.as_deref();
        let message = Message {
            topic: looked.topic.clone(),
            payload: publish.payload.into(),
            qos: publish.qos,
            retain,
            properties: carried.map(message::properties).transpose().map_err(End::from)?.flatten(),
            origin: self.origin.clone(),
            source: None,
        };
        if retain && self.can_be_told(publish) && !self.hub.router.retained().has_room(&message) {
            self.refuse(publish, Reason::QUOTA_EXCEEDED);
            return Ok(());
        }
        self.admit(Arc::new(message), publish.packet_id, &looked);
        Ok(())
    }

    /// Whether the client learns that this message is refused.
    fn can_be_told(&self, publish: &Publish<'_>) -> bool {
        self.is_v5() && publish.qos != Qos::AtMostOnce
    }

    /// Whether so much memory is used that this message is refused. QoS 0 is dropped where it would wait.
    fn has_no_room(&self, publish: &Publish<'_>) -> bool {
        self.can_be_told(publish) && self.is_memory_full()
    }

    /// Resolves the topic alias, if any, and looks the topic up.
    fn topic_of(&mut self, publish: &Publish<'_>) -> Result<Looked, End> {
        let carried = publish.properties.as_deref();
        if carried.is_some_and(|it| !it.subscription_ids.is_empty()) {
            return Err(End::Closed(Reason::PROTOCOL_ERROR, "a client sends a subscription identifier"));
        }
        let alias = carried.and_then(|it| it.topic_alias);
        let invalid = End::Closed(Reason::TOPIC_ALIAS_INVALID, "an unknown topic alias");
        if alias.is_some_and(|alias| alias > self.settings.limits.topic_alias) {
            return Err(invalid);
        }
        let known = match (publish.topic, alias) {
            ("", None) if self.is_v5() => {
                return Err(End::Closed(Reason::PROTOCOL_ERROR, "neither a topic nor a topic alias"));
            }
            ("", Some(alias)) => Some(self.aliases_in.get(&alias).cloned().ok_or(invalid)?),
            _ => None,
        };
        let name = known.as_ref().map_or(publish.topic, Topic::as_str);
        let looked = self.cache.look_up(name, &self.hub.router, &self.rules, &self.access);
        let looked = looked.ok_or(End::Closed(Reason::TOPIC_NAME_INVALID, "not a topic name"))?;
        if let (Some(alias), false) = (alias, publish.topic.is_empty()) {
            self.aliases_in.insert(alias, looked.topic.clone());
        }
        Ok(looked)
    }

    /// Counts a QoS 1 or 2 PUBLISH; false for a QoS 2 one that was routed before, which is answered here.
    fn is_new(&mut self, publish: &Publish<'_>) -> Result<bool, End> {
        match publish.qos {
            Qos::AtMostOnce => return Ok(true),
            Qos::AtLeastOnce => self.unanswered += 1,
            Qos::ExactlyOnce => {
                let (qos, id, reason) = (publish.qos, publish.packet_id, Reason::SUCCESS);
                let arrival = self.session()?.arrived(id);
                match arrival {
                    Arrival::New => {}
                    Arrival::UnderWay => return Ok(false),
                    Arrival::Elsewhere => {
                        return Err(End::Closed(Reason::SERVER_BUSY, "an earlier connection lingers"));
                    }
                    Arrival::Left(receipt) => {
                        self.acknowledge(Waiting { qos, id, reason, receipt: Some(receipt) });
                        return Ok(false);
                    }
                    Arrival::Answered => {
                        self.acknowledge(Waiting { qos, id, reason, receipt: None });
                        return Ok(false);
                    }
                }
            }
        }
        if self.is_v5() {
            let most = self.settings.limits.in_flight.max(1).into();
            if self.unanswered + self.session()?.receiving() > most {
                return Err(End::Closed(Reason::RECEIVE_MAXIMUM_EXCEEDED, "more messages than Receive Maximum allows"));
            }
        }
        Ok(true)
    }

    /// A PUBLISH that is not taken: refused in MQTT 5, acknowledged and dropped in older versions.
    fn refuse(&mut self, publish: &Publish<'_>, reason: Reason) {
        self.hub.router.tally.refused(reason.word());
        let reason = if self.is_v5() { reason } else { Reason::SUCCESS };
        if publish.qos != Qos::AtMostOnce {
            self.acknowledge(Waiting { qos: publish.qos, id: publish.packet_id, reason, receipt: None });
        }
    }

    /// Routes a message, or holds it behind those that durable consumers have no room for.
    fn admit(&mut self, message: Arc<Message>, id: u16, looked: &Looked) {
        if self.stuck.is_none() && self.held.is_empty() {
            self.route(&message, id, looked);
            return;
        }
        if message.qos == Qos::AtMostOnce && self.held_bytes > Held::BYTES / 2 {
            self.hub.router.tally.dropped(Cause::HeldBack, 1);
            return;
        }
        let held = Held { message, id };
        self.held_bytes += held.weight();
        self.held.push_back(held);
    }

    fn route(&mut self, message: &Arc<Message>, id: u16, looked: &Looked) {
        let exactly_once = message.qos == Qos::ExactlyOnce;
        let number = || self.member.lock().place.as_ref().map(|place| (place.number, id));
        let once = exactly_once.then(number).flatten();
        let publisher = once.map_or(Publisher::Waits, |(number, id)| Publisher::Once(number, id));
        let Offered { receipt, stuck } = self.hub.router.route(message, &looked.routes, publisher, &mut self.wakes);
        self.stuck = stuck;
        if message.qos != Qos::AtMostOnce {
            let unheard = looked.routes.is_empty() && !message.retain;
            let reason = if unheard { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
            self.acknowledge(Waiting { qos: message.qos, id, reason, receipt });
        }
    }

    /// Routes what was held, as far as it goes.
    pub(super) fn release_held(&mut self) {
        while self.stuck.is_none() {
            let Some(held) = self.held.pop_front() else { return };
            self.held_bytes -= held.weight();
            let name = held.message.topic.as_str();
            if let Some(looked) = self.cache.look_up(name, &self.hub.router, &self.rules, &self.access) {
                self.route(&held.message, held.id, &looked);
            }
        }
    }

    /// Answers at once when nothing waits; else in turn.
    fn acknowledge(&mut self, waiting: Waiting) {
        let settled = match &waiting.receipt {
            None => Some(Verdict::Safe),
            Some(receipt) => receipt.verdict(),
        };
        if self.acks.is_empty() && settled == Some(Verdict::Safe) {
            self.answer(&waiting, waiting.reason);
        } else {
            self.acks.push(waiting);
        }
    }

    /// Sends PUBACK or PUBREC.
    pub(super) fn answer(&mut self, waiting: &Waiting, reason: Reason) {
        let ack = Ack::new(waiting.id, reason);
        if waiting.qos == Qos::AtLeastOnce {
            self.unanswered = self.unanswered.saturating_sub(1);
            self.send(&Packet::Puback(ack));
        } else {
            let mut session = self.member.lock();
            if reason.is_error() {
                // A refusal ends the exchange (MQTT 5.0 section 4.3.3).
                session.released(waiting.id);
            } else {
                session.answered(waiting.id, None);
            }
            drop(session);
            self.send(&Packet::Pubrec(ack));
        }
    }

    /// A durable consumer has decided: PUBACK or PUBREC, or the end.
    pub(super) fn settled(&mut self, waiting: &Waiting, verdict: Verdict) -> Result<(), End> {
        let reason = match verdict {
            Verdict::Safe => {
                self.answer(waiting, waiting.reason);
                return Ok(());
            }
            Verdict::Refused(Refusal::QuotaExceeded) => Reason::QUOTA_EXCEEDED,
            Verdict::Refused(Refusal::Failed) => Reason::IMPLEMENTATION_ERROR,
            Verdict::Abandoned => {
                // The client's repetition will count as new.
                self.member.lock().released(waiting.id);
                return Err(End::Closed(Reason::SERVER_BUSY, "a durable consumer went away"));
            }
        };
        self.hub.router.tally.refused(reason.word());
        if self.is_v5() {
            self.answer(waiting, reason);
        } else {
            self.member.lock().released(waiting.id);
            self.closes.get_or_insert(Instant::now() + REFUSED_V3);
        }
        Ok(())
    }
}
