//! The model's clients as a whole: time, and what must be true when nothing moves.

use std::collections::BTreeMap;

use super::session::{Client, Debt, Ms, Msg, Owed, Stage};
use super::steps::CLIENTS;

/// Messages in flight to and from a client, as the hub is told.
pub(super) const WINDOW: u16 = 10;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: Ms,
    pub(super) clients: [Client; CLIENTS.len()],
    pub(super) messages: Vec<Msg>,
    pub(super) debts: Vec<Debt>,
    /// What may be each topic's retained message; `None` is none.
    pub(super) retained: BTreeMap<&'static str, Vec<Option<usize>>>,
    pub(super) connections: u64,
    /// Counts what happens.
    pub(super) moment: u64,
    /// Connections that the hub has to close, and the reason it has to give.
    pub(super) closing: Vec<(usize, u8)>,
}

/// Something that time brings about.
enum Due {
    Silence(usize),
    Will(usize),
    End(usize),
}

impl Model {
    pub(super) fn add(&mut self, msg: Msg) -> usize {
        self.messages.push(msg);
        self.messages.len() - 1
    }

    /// Time passes until `now`.
    pub(super) fn pass(&mut self, now: Ms) {
        let closing = self.closing.len();
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= now) {
            self.now = self.now.max(at);
            match due {
                Due::Silence(who) => self.close(who, 0x8d),
                Due::Will(who) => {
                    let will = self.clients[who].will.take();
                    self.route_will(will.map(|(msg, _)| msg));
                }
                Due::End(who) => self.end_session(who),
            }
        }
        // What happens in one moment has no order: a will may reach a connection that ends with its sender's.
        for at in closing..self.closing.len() {
            let who = self.closing[at].0;
            self.clients[who].risky = self.next_moment();
        }
        self.now = now;
    }

    fn next_due(&self) -> Option<(Ms, Due)> {
        let mut all = Vec::new();
        for (who, client) in self.clients.iter().enumerate() {
            let silence = client.conn.as_ref().filter(|conn| conn.keep_alive > 0);
            all.extend(silence.map(|conn| (conn.heard + conn.keep_alive * 3 / 2, Due::Silence(who))));
            all.extend(client.will.map(|(_, at)| (at, Due::Will(who))));
            all.extend(client.ends.map(|at| (at, Due::End(who))));
        }
        all.into_iter().min_by_key(|(at, _)| *at)
    }

    /// Nothing moves: everything that must have come has come.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let (now, messages) = (self.now, &self.messages);
        for (who, client) in self.clients.iter_mut().enumerate() {
            let Some(conn) = client.conn.as_ref().filter(|conn| !conn.dozing) else { continue };
            // A message that is too large for the client counts as delivered, when its turn has come.
            let too_large = |owed: &Owed| conn.small && messages[owed.msg].big && owed.on != conn.number;
            let in_flight = client.owed.iter().filter(|it| it.stage != Stage::Waiting && !too_large(it)).count();
            if in_flight < conn.window {
                client.owed.retain(|owed| !(too_large(owed) && matches!(owed.stage, Stage::Sent(_))));
            }
            if let Some(answer) = conn.answers.front() {
                return Err(format!("client {who} still waits for {answer:?}"));
            }
            let expired = |msg: usize| messages[msg].expires.is_some_and(|at| at <= now);
            client.owed.retain(|owed| {
                let skipped = conn.small && messages[owed.msg].big && in_flight < conn.window;
                let unsent = owed.stage == Stage::Waiting && client.risky <= owed.born;
                !(unsent && (expired(owed.msg) || skipped))
            });
            // What may have been sent already comes in spite of all that.
            for owed in &mut client.owed {
                let skipped = conn.small && messages[owed.msg].big;
                owed.must &= !(skipped || expired(owed.msg));
            }
            let (number, window) = (conn.number, conn.window);
            let open = in_flight < window;
            let late = client.owed.iter().find(|owed| match owed.stage {
                Stage::Waiting => open && owed.must,
                Stage::Received(_) if owed.on == number => owed.released_on != number,
                Stage::Received(_) => owed.released_on != number && open,
                Stage::PerhapsReceived(_) | Stage::Sent(_) => owed.on != number && open && owed.must,
                Stage::PerhapsDone(_) => false,
            });
            if let Some(owed) = late {
                let msg = &messages[owed.msg];
                return Err(format!("client {who} did not get {owed:?}: {msg:?}; {in_flight} of {window} in flight"));
            }
            // What may be done and did not come again is done.
            if open {
                client.owed.retain(|owed| !(matches!(owed.stage, Stage::PerhapsDone(_)) && owed.on != number));
            }
        }
        Ok(())
    }

    /// Everything is acknowledged: nothing may be owed.
    pub(super) fn check_end(&mut self) -> Result<(), String> {
        for (who, client) in self.clients.iter().enumerate() {
            if let Some(owed) = client.owed.iter().find(|owed| owed.must) {
                return Err(format!("client {who} never got {owed:?}: {:?}", self.messages[owed.msg]));
            }
        }
        for at in 0..self.debts.len() {
            let debt = &self.debts[at];
            let lost = debt.must && debt.taker.is_none() && self.messages[debt.msg].expires.is_none();
            if lost && !self.cover(at, &mut vec![at]) {
                let debt = &self.debts[at];
                return Err(format!("nobody got {debt:?}: {:?}", self.messages[debt.msg]));
            }
        }
        Ok(())
    }

    pub(super) fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}
