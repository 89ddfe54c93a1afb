//! What a client's packets do.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{self, Ack, Notice, Packet, Publish, Reason, Version};
use super::super::durable::Offered;
use super::super::session::{Arrival, Known};
use super::acks::Waiting;
use super::cache::Looked;
use super::wire::Input;
use super::{Connection, End, Held, message};
use crate::model::{Message, Origin, Qos, Topic, Verdict};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Handles every whole packet that was received, unless the hub holds the client back.
    pub(super) fn handle_received(&mut self) -> Result<(), End> {
        // The buffer leaves the connection for a moment, so that packets can borrow from it.
        let mut input = self.wire.lend_input();
        let result = self.handle_each(&mut input);
        self.wire.return_input(input);
        result
    }

    fn handle_each(&mut self, input: &mut Input) -> Result<(), End> {
        let limit = self.hub.settings.limits.packet_size;
        while self.may_read() {
            let Some((packet, size)) = codec::decode(input.received(), self.profile.version, limit)? else { break };
            self.handle(packet)?;
            input.consume(size);
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet<'_>) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish),
            Packet::Puback(ack) => self.puback(&ack),
            Packet::Pubrec(ack) => self.pubrec(&ack),
            Packet::Pubrel(ack) => self.pubrel(&ack),
            Packet::Pubcomp(ack) => self.pubcomp(&ack),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::Pingreq => {
                self.send(&Packet::Pingresp);
                Ok(())
            }
            Packet::Disconnect(notice) => Err(self.disconnect(&notice)),
            Packet::Connect(_) => Err(End::Closed(Reason::PROTOCOL_ERROR, "a second CONNECT")),
            Packet::Auth(_) => Err(End::Closed(Reason::PROTOCOL_ERROR, "AUTH without an authentication method")),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                Err(End::Closed(Reason::PROTOCOL_ERROR, "a packet that only servers send"))
            }
        }
    }

    fn is_v5(&self) -> bool {
        self.profile.version == Version::V5
    }

    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        packet.encode(self.profile.version, self.wire.output());
    }

    /// Judges a PUBLISH, then routes it or holds it behind those that wait.
    fn publish(&mut self, publish: &Publish<'_>) -> Result<(), End> {
        self.messages_in += 1;
        let settings = &self.hub.settings;
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
        } else if publish.payload.len() > self.hub.settings.limits.payload_size {
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
            sample: None,
        };
        self.admit(Arc::new(message), publish.packet_id, &looked)
    }

    /// Resolves the topic alias, if any, and looks the topic up.
    fn topic_of(&mut self, publish: &Publish<'_>) -> Result<Looked, End> {
        let carried = publish.properties.as_deref();
        if carried.is_some_and(|it| !it.subscription_ids.is_empty()) {
            return Err(End::Closed(Reason::PROTOCOL_ERROR, "a client sends a subscription identifier"));
        }
        let alias = carried.and_then(|it| it.topic_alias);
        let invalid = End::Closed(Reason::TOPIC_ALIAS_INVALID, "an unknown topic alias");
        if alias.is_some_and(|alias| alias > self.hub.settings.limits.topic_alias) {
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
        let looked = self.cache.look_up(name, &self.hub.router, &self.hub.settings);
        let looked = looked.ok_or(End::Closed(Reason::TOPIC_NAME_INVALID, "not a topic name"))?;
        if let (Some(alias), false) = (alias, publish.topic.is_empty()) {
            self.aliases_in.insert(alias, looked.topic.clone());
        }
        Ok(looked)
    }

    /// Counts a QoS 1 or 2 PUBLISH; false for a QoS 2 one that was routed before, which is answered here.
    fn is_new(&mut self, publish: &Publish<'_>) -> Result<bool, End> {
        let id = publish.packet_id;
        match publish.qos {
            Qos::AtMostOnce => return Ok(true),
            Qos::AtLeastOnce => self.unanswered += 1,
            Qos::ExactlyOnce => {
                let arrival = self.session()?.arrived(id);
                if let Arrival::Again(receipt) = arrival {
                    // While it waits its answer is under way already.
                    if !self.acks.holds(id) && !self.held.iter().any(|held| held.is(id)) {
                        self.acknowledge(Waiting { qos: publish.qos, id, unheard: false, receipt });
                    }
                    return Ok(false);
                }
            }
        }
        let receiving = self.session()?.receiving();
        let too_many = self.unanswered + receiving > self.hub.settings.limits.in_flight.max(1).into();
        if too_many && self.is_v5() {
            return Err(End::Closed(Reason::RECEIVE_MAXIMUM_EXCEEDED, "more messages than Receive Maximum allows"));
        }
        Ok(true)
    }

    /// A PUBLISH that is not taken: refused in MQTT 5, acknowledged and dropped in older versions.
    fn refuse(&mut self, publish: &Publish<'_>, reason: Reason) {
        self.hub.router.tally.refused(reason.word());
        let answer = if self.is_v5() { reason } else { Reason::SUCCESS };
        if publish.qos != Qos::AtMostOnce {
            self.refusals.push_back((publish.packet_id, answer));
            self.acks.push(Waiting { qos: publish.qos, id: publish.packet_id, unheard: false, receipt: None });
        }
    }

    /// Routes a message, or holds it behind those that durable consumers have no room for.
    fn admit(&mut self, message: Arc<Message>, id: u16, looked: &Looked) -> Result<(), End> {
        if self.stuck.is_none() && self.held.is_empty() {
            self.route(&message, id, looked);
            return Ok(());
        }
        if message.qos == Qos::AtMostOnce && self.held_bytes > Held::BYTES / 2 {
            super::super::counters::add(&self.hub.router.tally.dropped, 1);
            return Ok(());
        }
        self.held_bytes += message.payload.len() + message.topic.as_str().len() + size_of::<Message>();
        self.held.push_back(Held { message, id });
        Ok(())
    }

    fn route(&mut self, message: &Arc<Message>, id: u16, looked: &Looked) {
        let Offered { receipt, stuck } = self.hub.router.route(message, &looked.routes, &mut self.wakes);
        self.stuck = stuck;
        if message.qos != Qos::AtMostOnce {
            let unheard = looked.routes.is_empty() && !message.retain;
            self.acknowledge(Waiting { qos: message.qos, id, unheard, receipt });
        }
    }

    /// Routes what was held, as far as it goes.
    pub(super) fn release_held(&mut self) {
        while self.stuck.is_none() {
            let Some(Held { message, id }) = self.held.pop_front() else {
                self.held_bytes = 0;
                return;
            };
            self.held_bytes = self
                .held_bytes
                .saturating_sub(message.payload.len() + message.topic.as_str().len() + size_of::<Message>());
            let name = message.topic.as_str();
            if let Some(looked) = self.cache.look_up(name, &self.hub.router, &self.hub.settings) {
                self.route(&message, id, &looked);
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
            self.answer(&waiting, if waiting.unheard { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS });
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
            if reason.is_error() {
                // A refused PUBREC ends the exchange (MQTT 5.0 section 4.3.3).
                self.member.lock().released(waiting.id);
            }
            self.send(&Packet::Pubrec(ack));
        }
    }

    fn puback(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        // One that nobody waits for is no error: the session may have been cleaned.
        self.session()?.acknowledged(ack.packet_id);
        Ok(())
    }

    fn pubrec(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        let refused = ack.reason.is_error();
        let known = self.session()?.received_by_client(ack.packet_id, refused);
        if !refused || known == Known::No {
            self.send(&Packet::Pubrel(Ack::new(ack.packet_id, reason_of(known))));
        }
        Ok(())
    }

    fn pubrel(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        let known = self.session()?.released(ack.packet_id);
        self.send(&Packet::Pubcomp(Ack::new(ack.packet_id, reason_of(known))));
        Ok(())
    }

    fn pubcomp(&mut self, ack: &Ack<'_>) -> Result<(), End> {
        self.session()?.completed(ack.packet_id);
        Ok(())
    }

    /// DISCONNECT: how the connection ends.
    fn disconnect(&mut self, notice: &Notice<'_>) -> End {
        if let Some(seconds) = notice.properties.as_ref().and_then(|it| it.session_expiry_s) {
            // It cannot grow from zero (MQTT-3.14.2-2).
            if self.profile.expiry.is_zero() && seconds > 0 {
                return End::Closed(Reason::PROTOCOL_ERROR, "DISCONNECT gives life to a session that had none");
            }
            let expiry = std::time::Duration::from_secs(seconds.into()).min(self.hub.settings.limits.session_expiry);
            if let Ok(mut session) = self.session() {
                session.expiry = expiry;
            }
        }
        if notice.reason == Reason::SUCCESS {
            self.will = None;
        }
        End::Left
    }

    /// The origin of this client's messages.
    pub(super) fn origin(client_id: &Arc<str>) -> Origin {
        Origin::Client(Arc::clone(client_id))
    }
}

fn reason_of(known: Known) -> Reason {
    if known == Known::Yes { Reason::SUCCESS } else { Reason::PACKET_ID_NOT_FOUND }
}
