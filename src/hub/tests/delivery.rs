//! The model: what the hub sends, judged.

use super::super::codec::{Packet, Publish, Reason};
use super::model::Model;
use super::session::{Answer, Candidate, Client, Debt, Msg, Owed, Stage};

macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

impl Model {
    /// The client has received a packet.
    pub(super) fn received(&mut self, who: usize, packet: &Packet<'_>) -> Result<(), String> {
        ensure!(self.clients[who].conn.is_some(), "client {who} is not connected and gets {packet:?}");
        match packet {
            Packet::Publish(publish) => self.delivered(who, publish),
            Packet::Pubrel(ack) => self.released(who, ack.packet_id, ack.reason),
            other => self.answered(who, other),
        }
    }

    fn delivered(&mut self, who: usize, publish: &Publish<'_>) -> Result<(), String> {
        let topic = self.resolve(who, publish)?;
        let number = std::str::from_utf8(publish.payload).ok().and_then(|text| text.split(':').next()?.parse().ok());
        let known = self.clients[who].owed.iter().position(|owed| owed.qos > 0 && owed.id() == Some(publish.packet_id));
        if let Some(at) = known {
            let (msg, stage) = (self.clients[who].owed[at].msg, self.clients[who].owed[at].stage);
            if is_it(&self.messages, msg, &topic, number) {
                return self.repeated(who, at, publish);
            }
            // The id is free again, if the acknowledgement has arrived.
            ensure!(matches!(stage, Stage::PerhapsDone(_)), "id {} is in use: {publish:?}", publish.packet_id);
            self.clients[who].owed.remove(at);
        }
        // What comes again was sent before; what comes first is rather what must come.
        let mut found = None;
        for likely in [true, false] {
            let is_it = |msg: usize| is_it(&self.messages, msg, &topic, number);
            found = self.clients[who].find(publish, likely, is_it);
            found = found.or_else(|| self.resolve_debt(who, publish, likely, &topic, number));
            if found.is_some() {
                break;
            }
        }
        let found =
            found.or_else(|| self.clients[who].other_copy(publish, |msg| is_it(&self.messages, msg, &topic, number)));
        let Some(at) = found else {
            let owed = &self.clients[who].owed;
            return Err(format!("client {who} is not owed {topic} {publish:?}, but {owed:?}"));
        };
        let at = match self.overtaken(who, at) {
            None => at,
            Some(other) => self.instead(who, (at, other), publish, &topic, number)?,
        };
        self.first(who, at, publish)
    }

    /// What should have come before the message at `at`; messages of shared subscriptions have no order.
    fn overtaken(&self, who: usize, at: usize) -> Option<usize> {
        let (client, messages) = (&self.clients[who], &self.messages);
        let (owed, conn) = (&client.owed[at], client.conn.as_ref()?);
        let msg = &messages[owed.msg];
        let same = |it: &Owed| {
            let other = &messages[it.msg];
            // Messages without payload cannot be told apart.
            let known = !other.empty && !msg.empty;
            known && it.qos == owed.qos && other.topic == msg.topic && other.from == msg.from && it.born < owed.born
        };
        let skipped = |it: &Owed| expired(&messages[it.msg], self.now) || (messages[it.msg].big && conn.small);
        let waits = |it: &Owed| it.must && !it.twice && it.stage == Stage::Waiting && same(it) && !skipped(it);
        client.owed.iter().position(|it| !owed.shared && waits(it))
    }

    /// What a message may be that seems to overtake another one: an earlier copy, of which nobody knew whether it had
    /// been routed, or one of a shared subscription.
    fn instead(
        &mut self,
        who: usize,
        (at, overtaken): (usize, usize),
        publish: &Publish<'_>,
        topic: &str,
        number: Option<usize>,
    ) -> Result<usize, String> {
        let all = &self.clients[who].owed;
        let (owed, other) = (&all[at], &all[overtaken]);
        let earlier = |it: &Owed| {
            let alike = it.msg == owed.msg && it.qos == owed.qos && it.retain == owed.retain && it.ids == owed.ids;
            alike && it.stage == Stage::Waiting && it.born < other.born
        };
        let complaint = format!("client {who}: {owed:?} overtakes {other:?}");
        let copy = all.iter().position(earlier);
        let shared = |model: &mut Self, likely| model.resolve_debt(who, publish, likely, topic, number);
        copy.or_else(|| shared(self, true)).or_else(|| shared(self, false)).ok_or(complaint)
    }

    /// The topic, and the alias if it comes with one.
    fn resolve(&mut self, who: usize, publish: &Publish<'_>) -> Result<String, String> {
        let Some(conn) = &mut self.clients[who].conn else { return Err("no connection".into()) };
        let Some(alias) = publish.properties.as_ref().and_then(|it| it.topic_alias) else {
            return Ok(publish.topic.to_owned());
        };
        ensure!(alias <= conn.alias_max, "alias {alias} above {}", conn.alias_max);
        if !publish.topic.is_empty() {
            conn.aliases_in.insert(alias, publish.topic.to_owned());
        }
        conn.aliases_in.get(&alias).cloned().ok_or(format!("alias {alias} is not known"))
    }

    /// A message of a shared subscription becomes this client's own.
    fn resolve_debt(
        &mut self,
        who: usize,
        publish: &Publish<'_>,
        likely: bool,
        topic: &str,
        number: Option<usize>,
    ) -> Option<usize> {
        let ids = ids_of(publish, self.clients[who].level());
        let (qos, retain, with_id) = (publish.qos as u8, publish.retain, ids.is_some());
        let taker = Candidate { who, qos, retain, id: ids.as_ref().and_then(|ids| ids.first().copied()) };
        let risky = self.clients[who].risky;
        let likely = |debt: &Debt| !likely || if publish.dup { debt.born < risky } else { debt.must };
        let at = self.find_debt(&taker, with_id, topic, number, likely)?;
        let debt = &mut self.debts[at];
        debt.taker = Some(taker);
        let (ids, new) = (ids.unwrap_or_default(), Owed::new(debt.msg, (qos, retain), debt.must, debt.born));
        let owed = &mut self.clients[who].owed;
        owed.push(Owed { ids, shared: true, ..new });
        Some(owed.len() - 1)
    }

    /// A debt that this delivery pays. When another delivery seemed to pay it, that one may have paid another one.
    fn find_debt(
        &mut self,
        taker: &Candidate,
        with_id: bool,
        topic: &str,
        number: Option<usize>,
        likely: impl Fn(&Debt) -> bool,
    ) -> Option<usize> {
        let messages = &self.messages;
        let is_it = |debt: &Debt| is_it(messages, debt.msg, topic, number);
        let fits = |debt: &Debt| is_it(debt) && likely(debt) && debt.fits(taker, with_id);
        if let Some(at) = self.debts.iter().position(|debt| debt.taker.is_none() && fits(debt)) {
            return Some(at);
        }
        let taken = |debt: &Debt| debt.taker.is_some() && fits(debt);
        let paid: Vec<usize> = (0..self.debts.len()).filter(|&at| taken(&self.debts[at])).collect();
        paid.into_iter().find(|&at| self.free_up(at, &mut vec![at]))
    }

    /// Lets the delivery that seemed to pay the debt at `at` pay another one. `seen`: not these.
    fn free_up(&mut self, at: usize, seen: &mut Vec<usize>) -> bool {
        let Some(taker) = self.debts[at].taker else { return true };
        if self.spend(taker, self.debts[at].msg) {
            self.debts[at].taker = None;
            return true;
        }
        for other in 0..self.debts.len() {
            let debt = &self.debts[other];
            let fits = self.alike(at, other) && debt.fits(&taker, taker.id.is_some());
            if !fits || seen.contains(&other) {
                continue;
            }
            seen.push(other);
            if self.free_up(other, seen) {
                self.debts[other].taker = Some(taker);
                self.debts[at].taker = None;
                return true;
            }
        }
        false
    }

    /// Lets a delivery that seemed to pay another debt pay the one at `at`, if that other one can do without, or
    /// is paid in the same way. `seen`: not these.
    pub(super) fn cover(&mut self, at: usize, seen: &mut Vec<usize>) -> bool {
        for other in 0..self.debts.len() {
            let (debt, paid) = (&self.debts[at], &self.debts[other]);
            let Some(taker) = paid.taker.filter(|taker| debt.fits(taker, taker.id.is_some())) else { continue };
            if !self.alike(at, other) || seen.contains(&other) {
                continue;
            }
            seen.push(other);
            if !paid.must || self.cover(other, seen) {
                self.debts[at].taker = Some(taker);
                return true;
            }
        }
        false
    }

    /// What seemed to come by a shared subscription may have been a copy of the client's own that was not certain.
    fn spend(&mut self, taker: Candidate, msg: usize) -> bool {
        let own = |it: &Owed| {
            let same = it.qos == taker.qos && it.retain == taker.retain && self.are_alike(it.msg, msg);
            same && !it.must && it.stage == Stage::Waiting
        };
        let spare = self.clients[taker.who].owed.iter().position(own);
        spare.map(|at| self.clients[taker.who].owed.remove(at)).is_some()
    }

    /// Whether nobody could tell the messages of two debts apart.
    fn alike(&self, one: usize, other: usize) -> bool {
        self.are_alike(self.debts[one].msg, self.debts[other].msg)
    }

    fn are_alike(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.messages[one], &self.messages[other]);
        one == other || (a.empty && b.empty && a.topic == b.topic)
    }

    /// The first time that the client sees a message.
    fn first(&mut self, who: usize, at: usize, publish: &Publish<'_>) -> Result<(), String> {
        let (now, seen) = (self.now, self.next_moment());
        let messages = &self.messages;
        let client = &mut self.clients[who];
        let Some(conn) = &client.conn else { return Err("no connection".into()) };
        let owed = &client.owed[at];
        let msg = &messages[owed.msg];
        let unsent = client.risky <= owed.born;
        ensure!(!(publish.dup && unsent), "client {who}: DUP the first time: {publish:?}");
        ensure!(!(unsent && expired(msg, now)), "client {who}: expired at {:?}, now {now}: {publish:?}", msg.expires);
        ensure!(!(msg.big && conn.small), "client {who} takes no packet that large");
        properties(msg, publish, now, conn.level == 5)?;
        let (number, window) = (conn.number, conn.window);
        if owed.qos == 0 {
            client.owed.remove(at);
            return Ok(());
        }
        let owed = &mut client.owed[at];
        (owed.stage, owed.on, owed.seen) = (Stage::Sent(publish.packet_id), number, seen);
        let in_flight = client.owed.iter().filter(|it| it.on == number && it.stage != Stage::Waiting).count();
        ensure!(in_flight <= window, "client {who}: {in_flight} in flight, the window is {window}");
        Ok(())
    }

    /// A PUBLISH whose packet id the client knows.
    fn repeated(&mut self, who: usize, at: usize, publish: &Publish<'_>) -> Result<(), String> {
        let client = &mut self.clients[who];
        let Some(conn) = &mut client.conn else { return Err("no connection".into()) };
        let owed = &mut client.owed[at];
        ensure!(!matches!(owed.stage, Stage::Received(_)), "client {who}: PUBLISH after PUBREC: {publish:?}");
        ensure!(owed.on != conn.number, "client {who}: twice on one connection: {publish:?}");
        ensure!(publish.dup, "client {who}: again without DUP: {publish:?}");
        ensure!(publish.qos as u8 == owed.qos && publish.retain == owed.retain, "{publish:?} was {owed:?}");
        ensure!(owed.seen > conn.repeated, "client {who}: repeated out of order: {publish:?}");
        conn.repeated = owed.seen;
        (owed.stage, owed.on) = (Stage::Sent(publish.packet_id), conn.number);
        Ok(())
    }

    fn released(&mut self, who: usize, id: u16, reason: Reason) -> Result<(), String> {
        let client = &mut self.clients[who];
        let Some(conn) = &mut client.conn else { return Err("no connection".into()) };
        let Some(owed) = client.owed.iter_mut().find(|owed| owed.qos == 2 && owed.id() == Some(id)) else {
            let right = conn.answers.pop_front();
            let known = conn.level < 5 || reason == Reason::PACKET_ID_NOT_FOUND;
            ensure!(known && right == Some(Answer::Pubrel(id)), "PUBREL {id} {reason:?}, instead of {right:?}");
            return Ok(());
        };
        ensure!(!matches!(owed.stage, Stage::Sent(_)), "client {who}: PUBREL without PUBREC: {id}");
        ensure!(owed.released_on != conn.number, "client {who}: PUBREL twice on one connection: {id}");
        (owed.stage, owed.on, owed.released_on) = (Stage::Received(id), conn.number, conn.number);
        Ok(())
    }

    fn answered(&mut self, who: usize, packet: &Packet<'_>) -> Result<(), String> {
        let client = &mut self.clients[who];
        let Some(conn) = &mut client.conn else { return Err("no connection".into()) };
        let Some(answer) = conn.answers.pop_front() else { return Err(format!("client {who}: unasked {packet:?}")) };
        let v5 = conn.level == 5;
        // "Nobody is subscribed" may be said when it is so.
        let heard = |any: bool, reason: Reason| reason == Reason::SUCCESS || (!any && v5 && reason.0 == 0x10);
        let right = match (&answer, packet) {
            (Answer::Connack(present), Packet::Connack(it)) => {
                it.reason == Reason::SUCCESS && (it.session_present == *present || conn.level == 3)
            }
            (Answer::Puback(id, any), Packet::Puback(it)) => {
                client.outbound.retain(|out| out.id != *id);
                it.packet_id == *id && heard(*any, it.reason)
            }
            (Answer::Pubrec(id, any), Packet::Pubrec(it)) => {
                client.outbound.iter_mut().filter(|out| out.id == *id).for_each(|out| out.received = true);
                it.packet_id == *id && heard(*any, it.reason)
            }
            (Answer::Pubcomp(id, known), Packet::Pubcomp(it)) => {
                client.outbound.retain(|out| out.id != *id);
                let said = it.reason == Reason::SUCCESS;
                it.packet_id == *id && (!v5 || known.is_none_or(|known| known == said))
            }
            (Answer::Suback(id, codes), Packet::Suback(it)) | (Answer::Unsuback(id, codes), Packet::Unsuback(it)) => {
                it.packet_id == *id && it.reasons.iter().map(|reason| reason.0).eq(codes.iter().copied())
            }
            (Answer::Pingresp, Packet::Pingresp) => true,
            _ => false,
        };
        ensure!(right, "client {who}: {packet:?} instead of {answer:?}");
        Ok(())
    }
}

impl Client {
    /// What the client waits for and `publish` is.
    fn find(&self, publish: &Publish<'_>, likely: bool, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let ids = ids_of(publish, self.level());
        let fits = |owed: &Owed| {
            let same = owed.qos == publish.qos as u8 && owed.retain == publish.retain;
            same && ids.as_ref().is_none_or(|ids| *ids == owed.ids) && owed.stage == Stage::Waiting && is_it(owed.msg)
        };
        let likely = |owed: &Owed| !likely || if publish.dup { owed.born < self.risky } else { owed.must };
        self.owed.iter().position(|owed| likely(owed) && fits(owed))
    }
}

impl Client {
    /// The other one of two copies: which came first on a connection that knows no identifiers nobody could see.
    fn other_copy(&mut self, publish: &Publish<'_>, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let ids = ids_of(publish, self.level())?;
        let alike = |it: &Owed| it.qos == publish.qos as u8 && it.retain == publish.retain && is_it(it.msg);
        let waits = self.owed.iter().position(|it| alike(it) && it.stage == Stage::Waiting)?;
        let came = self.owed.iter().position(|it| alike(it) && it.stage != Stage::Waiting && it.ids == ids)?;
        self.owed[came].ids = std::mem::replace(&mut self.owed[waits].ids, ids);
        Some(waits)
    }
}

/// Whether a payload with this number, or without any, is that message.
fn is_it(messages: &[Msg], msg: usize, topic: &str, number: Option<usize>) -> bool {
    let same = number.map_or(messages[msg].empty, |number| number == msg);
    same && messages[msg].topic == topic
}

/// Nothing when the client's version has none.
fn ids_of(publish: &Publish<'_>, level: u8) -> Option<Vec<u32>> {
    if level < 5 {
        return None;
    }
    let mut ids = publish.properties.as_ref().map_or_else(Vec::new, |it| it.subscription_ids.clone());
    ids.sort_unstable();
    Some(ids)
}

fn expired(msg: &Msg, now: u64) -> bool {
    msg.expires.is_some_and(|at| at <= now)
}

/// What travels with a message (MQTT-3.3.2-6, -17).
fn properties(msg: &Msg, publish: &Publish<'_>, now: u64, v5: bool) -> Result<(), String> {
    let none = Default::default();
    let properties = publish.properties.as_deref().unwrap_or(&none);
    let user = properties.user == [("k", "v")];
    ensure!(user == (v5 && msg.property), "user properties of {msg:?}: {publish:?}");
    let left = msg.expires.map(|at| at.saturating_sub(now));
    match (properties.message_expiry_s.filter(|_| v5), left) {
        (Some(said), Some(left)) => {
            let right = (u64::from(said) * 1000).abs_diff(left) <= 1100;
            ensure!(right, "{left} ms are left, not {said} s: {publish:?}");
        }
        (None, Some(_)) => ensure!(!v5, "the message expiry is missing: {publish:?}"),
        (Some(_), None) => return Err(format!("a message expiry from nowhere: {publish:?}")),
        (None, None) => {}
    }
    Ok(())
}
