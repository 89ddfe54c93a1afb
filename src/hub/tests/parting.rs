//! The model: connections begin and end, and sessions with them.

use super::model::{Model, WINDOW};
use super::session::{Answer, Client, Conn, Debt, FOREVER, Msg, Owed, Stage};
use super::steps::{Join, WILLS};

impl Model {
    /// CONNECT. Returns whether a session is present.
    pub(super) fn connect(&mut self, who: usize, join: &Join) -> bool {
        let v5 = join.level == 5;
        let kept = {
            let client = &self.clients[who];
            client.lives && !join.clean && (client.conn.is_none() || client.expiry > 0)
        };
        let old_will = self.hand_over(who, kept);
        if !kept && self.clients[who].lives {
            self.end_session(who);
        }
        let will = join.will.map(|(qos, retain, delay_s)| {
            let (topic, from) = (WILLS[who], Some(who));
            let msg = Msg { topic, from, qos, retain, empty: false, big: false, property: false, expires: None };
            (self.add(msg), if v5 { u64::from(delay_s) * 1000 } else { 0 })
        });
        self.connections += 1;
        let client = &mut self.clients[who];
        client.lives = true;
        (client.ends, client.will) = (None, None);
        client.expiry = match (v5, join.clean) {
            (true, _) => u64::from(join.expiry_s) * 1000,
            (false, true) => 0,
            (false, false) => FOREVER,
        };
        let mut conn = self::conn(self.connections, join);
        (conn.heard, conn.will) = (self.now, will);
        let small = conn.small;
        client.conn = Some(conn);
        client.answer(Answer::Connack(kept));
        if small {
            self.doubt_big_debts(who);
        }
        self.route_will(old_will);
        kept
    }

    /// A connection that is still there is closed. Returns its will, unless that can wait and the session goes on.
    fn hand_over(&mut self, who: usize, kept: bool) -> Option<usize> {
        let level = self.clients[who].level();
        self.doubt_big(who);
        let conn = self.clients[who].conn.take()?;
        self.closing.push((who, if level == 5 { 0x8e } else { 0 }));
        self.doubt_qos_0(who);
        // The next connection may or may not get what waited with QoS 0.
        self.clients[who].owed.iter_mut().for_each(|owed| owed.must &= owed.qos > 0);
        conn.will.filter(|(_, delay)| !kept || *delay == 0).map(|(msg, _)| msg)
    }

    /// The hub has to close the connection.
    pub(super) fn close(&mut self, who: usize, reason: u8) {
        let level = self.clients[who].level();
        self.closing.push((who, if level == 5 { reason } else { 0 }));
        self.clients[who].risky = self.next_moment();
        self.part(who, true);
    }

    /// The connection has ended; with or without its will.
    pub(super) fn part(&mut self, who: usize, with_will: bool) {
        self.doubt_qos_0(who);
        self.doubt_big(who);
        let (now, moment) = (self.now, self.next_moment());
        let client = &mut self.clients[who];
        let Some(conn) = client.conn.take() else { return };
        if conn.dozing {
            client.risky = moment;
        }
        client.forget_qos_0();
        client.ends = Some(now + client.expiry);
        let expiry = client.expiry;
        let will = conn.will.filter(|_| with_will);
        match will {
            Some((msg, delay)) if delay.min(expiry) > 0 => client.will = Some((msg, now + delay.min(expiry))),
            _ => {}
        }
        if expiry == 0 {
            self.end_session(who);
        }
        self.route_will(will.filter(|(_, delay)| (*delay).min(expiry) == 0).map(|(msg, _)| msg));
    }

    /// What waited with QoS 0 for a connection that has ended may be lost.
    fn doubt_qos_0(&mut self, who: usize) {
        for debt in &mut self.debts {
            debt.must &= debt.candidates.iter().all(|it| it.who != who || it.qos > 0);
        }
    }

    /// What a connection that ends does not take, because it is too large, has perhaps been given up.
    fn doubt_big(&mut self, who: usize) {
        let (moment, client) = (self.next_moment(), &mut self.clients[who]);
        if client.conn.as_ref().is_some_and(|conn| conn.small) {
            client.was_small = moment;
            client.owed.iter_mut().for_each(|owed| owed.must &= !self.messages[owed.msg].big);
        }
    }

    /// What this client may have been chosen for is given up on a connection that does not take it.
    fn doubt_big_debts(&mut self, who: usize) {
        let may_have = |debt: &&mut Debt| debt.candidates.iter().any(|it| it.who == who);
        for debt in self.debts.iter_mut().filter(may_have) {
            debt.must &= !self.messages[debt.msg].big;
        }
    }

    pub(super) fn end_session(&mut self, who: usize) {
        for debt in &mut self.debts {
            debt.must &= debt.candidates.iter().all(|candidate| candidate.who != who);
        }
        let old = std::mem::take(&mut self.clients[who]);
        let client = &mut self.clients[who];
        client.last_id = old.last_id;
        // What the client itself does not know yet; it learns from CONNACK.
        client.outbound = old.outbound;
        self.route_will(old.will.map(|(msg, _)| msg));
    }

    /// The connection was cut before the hub saw the packet: what it did is uncertain.
    pub(super) fn unsettle(&mut self, who: usize, before: &[Owed]) {
        let client = &mut self.clients[who];
        for (at, owed) in before.iter().enumerate() {
            let known = client.owed.iter_mut().find(|it| it.id().is_some() && it.id() == owed.id());
            match (known, owed.stage) {
                (None, Stage::Sent(id) | Stage::Received(id)) => {
                    let at = at.min(client.owed.len());
                    client.owed.insert(at, Owed { must: false, stage: Stage::PerhapsDone(id), ..owed.clone() });
                }
                (Some(now), Stage::Sent(id)) if now.stage == Stage::Received(id) => {
                    now.stage = Stage::PerhapsReceived(id);
                }
                _ => {}
            }
        }
    }
}

impl Client {
    /// A session without a connection keeps no QoS 0 messages.
    fn forget_qos_0(&mut self) {
        self.owed.retain(|owed| owed.qos > 0);
    }
}

fn conn(number: u64, join: &Join) -> Conn {
    let v5 = join.level == 5;
    let window = if v5 && join.window > 0 { join.window.min(WINDOW) } else { WINDOW };
    Conn {
        number,
        level: join.level,
        window: window.into(),
        small: v5 && join.small,
        keep_alive: u64::from(join.keep_alive_s) * 1000,
        heard: 0,
        will: None,
        answers: Default::default(),
        dozing: false,
        aliases_in: Default::default(),
        aliases_out: Vec::new(),
        alias_max: if v5 { join.aliases } else { 0 },
        repeated: 0,
    }
}
