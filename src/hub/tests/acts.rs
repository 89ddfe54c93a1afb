//! Each step of a sequence: what the client sends, and what the model makes of it.

use super::super::codec::{
    Ack, Connect, Notice, Options, Packet, Properties, Publish, Reason, RetainHandling, Subscribe, Unsubscribe, Will,
};
use super::routing::is_filter;
use super::session::{Answer, Msg, Outbound, Owed, Stage, Sure};
use super::steps::{Act, CLIENTS, Draft, FILTERS, Join, Step, TOPICS, WILLS, Wanted};
use super::world::{World, version};
use crate::model::{Message, Qos, Topic};

/// Seconds that a message with an expiry lives.
const EXPIRY_S: u32 = 11;

fn qos(level: u8) -> Qos {
    Qos::from_level(level).expect("0, 1 or 2")
}

/// The payload of a message: its number, and much more when it is big.
fn payload(number: usize, msg: &Msg) -> Vec<u8> {
    match (msg.empty, msg.big) {
        (true, _) => Vec::new(),
        (false, false) => number.to_string().into_bytes(),
        (false, true) => format!("{number}:{}", "x".repeat(300)).into_bytes(),
    }
}

impl World {
    pub(super) async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Wait(seconds) => return self.wait(*seconds).await,
            Step::Own(draft) => {
                let msg = self.message(None, draft);
                let message = &self.model.messages[msg];
                let own = Message::own(Topic::new(message.topic).unwrap(), payload(msg, message));
                self.hub.publish_later(Message { retain: message.retain, ..own.with_qos(qos(message.qos)) });
                self.model.route(msg, Sure::Yes, false);
            }
            Step::Together(drafts) => {
                for (at, (who, draft)) in drafts.iter().enumerate() {
                    // Who would be the last to set a retained message is not known.
                    let first = drafts[..at].iter().all(|(_, other)| !other.retain || other.topic != draft.topic);
                    let draft = Draft { retain: draft.retain && first, ..draft.clone() };
                    self.publish(*who, &draft, Sure::Yes).await;
                }
            }
            Step::Client { who, act, cut } => return self.act(*who, act, *cut).await,
        }
        self.settle().await
    }

    async fn wait(&mut self, seconds: u64) -> Result<(), String> {
        for client in &mut self.model.clients {
            client.conn.iter_mut().for_each(|conn| conn.dozing = false);
        }
        self.settle().await?;
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        self.model.pass(self.now());
        self.settle().await
    }

    async fn act(&mut self, who: usize, act: &Act, cut: bool) -> Result<(), String> {
        if let Act::Connect(join) = act {
            self.wake(who).await?;
            self.connect(who, join).await;
            return self.settle().await;
        }
        if self.model.clients[who].conn.is_none() {
            return Ok(());
        }
        let before = self.model.clients[who].owed.clone();
        let sure = if cut { Sure::Perhaps } else { Sure::Yes };
        match act {
            Act::Connect(_) => {}
            Act::Subscribe(wanted, id) => self.subscribe(who, wanted, *id).await,
            Act::Unsubscribe(filters) => self.unsubscribe(who, filters).await,
            Act::Publish(draft) => self.publish(who, draft, sure).await,
            Act::Burst(drafts) => {
                for draft in drafts {
                    self.publish(who, draft, Sure::Yes).await;
                }
            }
            Act::Repeat(pick) => self.repeat(who, *pick).await,
            Act::Release(pick) => self.release(who, *pick, sure).await,
            Act::Answer(pick, refuse) => self.answer(who, *pick, *refuse).await,
            Act::AnswerAll => self.answer_all(who).await?,
            Act::Stray(kind) => self.stray(who, *kind).await,
            Act::Ping => {
                self.model.clients[who].answer(Answer::Pingresp);
                self.send(who, &Packet::Pingreq).await;
            }
            Act::Leave(will, expiry) => self.part(who, *will, *expiry).await,
            Act::Cut => {
                self.cut(who);
                self.model.part(who, true);
            }
            Act::Illegal(kind) => {
                self.wake(who).await?;
                self.break_rules(who, *kind).await;
            }
            Act::Doze(dozing) => self.model.clients[who].conn.iter_mut().for_each(|conn| conn.dozing = *dozing),
        }
        if cut && self.model.clients[who].conn.is_some() {
            self.cut_unsettled(who, &before);
        }
        self.settle().await
    }

    fn cut_unsettled(&mut self, who: usize, before: &[Owed]) {
        self.cut(who);
        self.model.unsettle(who, before);
        self.model.clients[who].conn.iter_mut().for_each(|conn| conn.dozing = true);
        self.model.part(who, true);
    }

    /// Connects, unless the session is the one of a connection that is there.
    pub(super) async fn come_back(&mut self, who: usize, join: &Join) -> Result<(), String> {
        self.act(who, &Act::Connect(join.clone()), false).await
    }

    pub(super) async fn leave_for_good(&mut self, who: usize) -> Result<(), String> {
        self.act(who, &Act::Leave(false, None), false).await
    }

    pub(super) async fn wake(&mut self, who: usize) -> Result<(), String> {
        match &mut self.model.clients[who].conn {
            Some(conn) if conn.dozing => conn.dozing = false,
            _ => return Ok(()),
        }
        self.settle().await
    }

    async fn connect(&mut self, who: usize, join: &Join) {
        let v5 = join.level == 5;
        let present = self.model.connect(who, join);
        self.take_closing();
        self.open(who, join.level, join.pipe);
        let number = self.model.clients[who].conn.as_ref().and_then(|conn| conn.will).map(|(msg, _)| msg);
        let text = number.unwrap_or_default().to_string();
        let will = join.will.map(|(level, retain, delay_s)| {
            let properties = Properties { will_delay_s: Some(delay_s), ..Properties::default() };
            let properties = v5.then(|| Box::new(properties));
            Will { topic: WILLS[who], payload: text.as_bytes(), qos: qos(level), retain, properties }
        });
        let properties = Properties {
            session_expiry_s: Some(join.expiry_s),
            receive_maximum: (join.window > 0).then_some(join.window),
            maximum_packet_size: join.small.then_some(150),
            topic_alias_maximum: Some(join.aliases),
            ..Properties::default()
        };
        let connect = Connect {
            version: version(join.level),
            clean_start: join.clean,
            keep_alive_s: join.keep_alive_s,
            client_id: CLIENTS[who],
            will,
            user: None,
            password: None,
            properties: v5.then(|| Box::new(properties)),
        };
        self.send(who, &Packet::Connect(Box::new(connect))).await;
        self.resume(who, present).await;
    }

    /// A client repeats what it has not finished (MQTT-4.4.0-1), or forgets it with the session.
    async fn resume(&mut self, who: usize, present: bool) {
        let unfinished = self.model.clients[who].outbound.clone();
        if !present {
            self.model.clients[who].outbound.clear();
            return;
        }
        for out in unfinished {
            if out.received {
                self.pubrel(who, out.id, Sure::Yes).await;
            } else {
                self.publish_again(who, out.id, out.msg).await;
            }
        }
    }

    fn message(&mut self, from: Option<usize>, draft: &Draft) -> usize {
        let v5 = from.is_some_and(|who| self.model.clients[who].level() == 5);
        let topic = TOPICS[draft.topic];
        // Messages without payload cannot be told apart: they are all the same.
        let carries = v5 && !draft.empty;
        let expires = (carries && draft.expires).then(|| self.model.now + u64::from(EXPIRY_S) * 1000);
        let (qos, retain, empty, big) = (draft.qos, draft.retain, draft.empty, draft.big && !draft.empty);
        self.model.add(Msg { topic, from, qos, retain, empty, big, property: carries && draft.property, expires })
    }

    pub(super) async fn publish(&mut self, who: usize, draft: &Draft, sure: Sure) {
        let client = &self.model.clients[who];
        // What may be sent again by another version carries nothing, and its time is the same.
        let carries = sure == Sure::Yes && client.conn.as_ref().is_none_or(|conn| !conn.dozing);
        let (expires, property) = (draft.expires && carries, draft.property && carries);
        let draft = &Draft { expires, property, ..draft.clone() };
        // The receive maximum of the hub is kept, as far as it is known.
        let busy = draft.qos > 0 && client.inbound.len() + client.outbound.len() >= super::model::WINDOW.into();
        if client.conn.is_none() || busy {
            return;
        }
        let msg = self.message(Some(who), draft);
        let id = if draft.qos > 0 { self.model.clients[who].next_id() } else { 0 };
        if draft.qos > 0 {
            self.model.clients[who].outbound.push(Outbound { id, msg, received: false });
        }
        if draft.qos == 2 {
            self.model.clients[who].inbound.insert(id, sure);
        }
        let any = self.model.route(msg, sure, false);
        self.expect_ack(who, draft.qos, id, any);
        self.send_publish(who, msg, id, false, draft.alias).await;
    }

    fn expect_ack(&mut self, who: usize, qos: u8, id: u16, any: bool) {
        match qos {
            0 => {}
            1 => self.model.clients[who].answer(Answer::Puback(id, any)),
            _ => self.model.clients[who].answer(Answer::Pubrec(id, any)),
        }
    }

    async fn publish_again(&mut self, who: usize, id: u16, msg: usize) {
        let level = self.model.messages[msg].qos;
        let known = self.model.clients[who].inbound.get(&id).copied();
        if level == 1 {
            self.model.route(msg, Sure::Yes, false);
        } else if known != Some(Sure::Yes) {
            self.model.route(msg, Sure::Yes, known.is_some());
            self.model.clients[who].inbound.insert(id, Sure::Yes);
        }
        self.expect_ack(who, level, id, false);
        self.send_publish(who, msg, id, true, false).await;
    }

    async fn send_publish(&mut self, who: usize, msg: usize, id: u16, dup: bool, alias: bool) {
        let message = self.model.messages[msg].clone();
        let Some(conn) = &mut self.model.clients[who].conn else { return };
        let mut topic = message.topic;
        let mut properties = Properties::default();
        if alias && conn.level == 5 {
            let known = conn.aliases_out.iter().position(|it| *it == topic);
            if known.is_none() && conn.aliases_out.len() < 3 {
                conn.aliases_out.push(topic);
                properties.topic_alias = Some(conn.aliases_out.len() as u16);
            } else if let Some(at) = known {
                properties.topic_alias = Some(at as u16 + 1);
                topic = "";
            }
        }
        properties.message_expiry_s = message.expires.map(|_| EXPIRY_S);
        properties.user = if message.property { vec![("k", "v")] } else { Vec::new() };
        let payload = payload(msg, &message);
        let properties = (conn.level == 5).then(|| Box::new(properties));
        let (qos, retain, payload) = (qos(message.qos), message.retain, &payload[..]);
        self.send(who, &Packet::Publish(Publish { dup, qos, retain, topic, packet_id: id, properties, payload })).await;
    }

    /// A QoS 2 PUBLISH a second time on the same connection: answered, and not routed.
    async fn repeat(&mut self, who: usize, pick: usize) {
        let client = &self.model.clients[who];
        let known = |out: &&Outbound| !out.received && client.inbound.get(&out.id) == Some(&Sure::Yes);
        let Some(out) = client.outbound.iter().filter(known).nth(pick).cloned() else { return };
        self.publish_again(who, out.id, out.msg).await;
    }

    async fn release(&mut self, who: usize, pick: usize, sure: Sure) {
        let received = self.model.clients[who].outbound.iter().filter(|out| out.received);
        let Some(id) = received.map(|out| out.id).nth(pick) else { return };
        self.pubrel(who, id, sure).await;
    }

    async fn pubrel(&mut self, who: usize, id: u16, sure: Sure) {
        let client = &mut self.model.clients[who];
        let known = match (sure, client.inbound.remove(&id)) {
            (_, Some(Sure::Perhaps)) => None,
            (_, known) => Some(known.is_some()),
        };
        if sure == Sure::Perhaps {
            client.inbound.insert(id, Sure::Perhaps);
        }
        client.answer(Answer::Pubcomp(id, known));
        self.send(who, &Packet::Pubrel(Ack::new(id, Reason::SUCCESS))).await;
    }

    /// The next acknowledgement of one delivery.
    async fn answer(&mut self, who: usize, pick: usize, refuse: bool) {
        let client = &mut self.model.clients[who];
        let open = client.to_answer();
        let (Some(&at), Some(conn)) = (open.get(pick % open.len().max(1)), &client.conn) else { return };
        let (number, refuse) = (conn.number, refuse && conn.level == 5);
        let reason = if refuse { Reason::UNSPECIFIED } else { Reason::SUCCESS };
        let owed = &mut client.owed[at];
        let packet = match (owed.stage, owed.qos) {
            (Stage::Sent(id), 1) => Packet::Puback(Ack::new(id, reason)),
            (Stage::Sent(id), _) => {
                (owed.stage, owed.on) = (Stage::Received(id), number);
                Packet::Pubrec(Ack::new(id, reason))
            }
            (Stage::Received(id), _) => Packet::Pubcomp(Ack::new(id, Reason::SUCCESS)),
            _ => return,
        };
        if !matches!(packet, Packet::Pubrec(_)) || refuse {
            client.owed.remove(at);
        }
        self.send(who, &packet).await;
    }

    pub(super) async fn answer_all(&mut self, who: usize) -> Result<(), String> {
        while !self.model.clients[who].to_answer().is_empty() {
            self.answer(who, 0, false).await;
            self.settle().await?;
        }
        Ok(())
    }

    /// An acknowledgement of something that never was.
    async fn stray(&mut self, who: usize, kind: u8) {
        let ack = Ack::new(60_000, Reason::SUCCESS);
        let client = &mut self.model.clients[who];
        let packet = match kind {
            4 => Packet::Puback(ack),
            5 => {
                client.answer(Answer::Pubrel(60_000));
                Packet::Pubrec(ack)
            }
            6 => {
                client.answer(Answer::Pubcomp(60_000, Some(false)));
                Packet::Pubrel(ack)
            }
            _ => Packet::Pubcomp(ack),
        };
        self.send(who, &packet).await;
    }

    async fn subscribe(&mut self, who: usize, wanted: &[Wanted], id: Option<u32>) {
        let v5 = self.model.clients[who].level() == 5;
        let handling = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
        let options = |it: &Wanted| Options {
            qos: qos(it.qos),
            // It must not be asked of a shared subscription (MQTT-3.8.3-4).
            no_local: v5 && it.no_local && !FILTERS[it.filter].starts_with("$share/"),
            retain_as_published: v5 && it.as_published,
            retain_handling: if v5 { handling[usize::from(it.handling)] } else { RetainHandling::Always },
        };
        let filters = wanted.iter().map(|it| (FILTERS[it.filter], options(it))).collect();
        let codes = wanted.iter().map(|it| self.model.subscribe(who, *it, id)).collect();
        self.model.clients[who].answer(Answer::Suback(7, codes));
        let ids = id.filter(|_| v5).into_iter().collect();
        let properties = v5.then(|| Box::new(Properties { subscription_ids: ids, ..Properties::default() }));
        self.send(who, &Packet::Subscribe(Subscribe { packet_id: 7, properties, filters })).await;
    }

    async fn unsubscribe(&mut self, who: usize, filters: &[usize]) {
        let client = &mut self.model.clients[who];
        let codes = filters.iter().map(|&at| match client.subs.remove(FILTERS[at]) {
            Some(_) => 0x00,
            None if is_filter(at) => 0x11,
            None => 0x8f,
        });
        let codes = codes.collect();
        let v5 = client.level() == 5;
        client.answer(Answer::Unsuback(8, if v5 { codes } else { Vec::new() }));
        let filters = filters.iter().map(|&at| FILTERS[at]).collect();
        self.send(who, &Packet::Unsubscribe(Unsubscribe { packet_id: 8, properties: None, filters })).await;
    }

    /// DISCONNECT.
    async fn part(&mut self, who: usize, will: bool, expiry: Option<u32>) {
        let client = &mut self.model.clients[who];
        let v5 = client.level() == 5;
        // It cannot grow from zero (MQTT-3.14.2-2).
        let expiry = expiry.filter(|_| v5 && client.expiry > 0);
        if let Some(seconds) = expiry {
            client.expiry = u64::from(seconds) * 1000;
        }
        let reason = if v5 && will { Reason::DISCONNECT_WITH_WILL } else { Reason::SUCCESS };
        let properties = Properties { session_expiry_s: expiry, ..Properties::default() };
        let properties = expiry.map(|_| Box::new(properties));
        self.send(who, &Packet::Disconnect(Notice { reason, properties })).await;
        self.leave(who, 0);
        self.model.part(who, v5 && will);
    }

    /// Something that no client may do: the hub closes the connection.
    async fn break_rules(&mut self, who: usize, kind: usize) {
        let v5 = self.model.clients[who].level() == 5;
        let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c";
        let (bytes, reason): (&[u8], u8) = match kind {
            0 => (&[0xd0, 0], 0x82),
            1 => (connect, 0x82),
            2 => (&[0x40, 2, 0, 0], 0x82),
            3 if v5 => (&[0x30, 5, 0, 2, b't', b'+', 0], 0x90),
            3 => (&[0x30, 4, 0, 2, b't', b'+'], 0x90),
            4 => (&[0xc1, 0], 0x81),
            5 => (&[0x30, 3, 0, 1, 0], 0x81),
            6 if v5 => (&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 99], 0x94),
            _ => (&[0x00, 0], 0x81),
        };
        self.send_bytes(who, bytes).await;
        self.model.close(who, reason);
    }
}
