//! The model: who gets a message.

use std::collections::BTreeMap;

use super::model::Model;
use super::session::{Candidate, Debt, Owed, Stage, Sub, Sure};
use super::steps::{FILTERS, Wanted};

/// Section 4.7, word by word.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter.split_first(), topic.split_first()) {
            (Some((&"#", _)), _) | (None, None) => true,
            (Some((&wanted, filter)), Some((&level, topic))) => {
                (wanted == "+" || wanted == level) && levels(filter, topic)
            }
            _ => false,
        }
    }
    let (filter, topic): (Vec<&str>, Vec<&str>) = (filter.split('/').collect(), topic.split('/').collect());
    let hidden = topic[0].starts_with('$') && ["+", "#"].contains(&filter[0]);
    !hidden && levels(&filter, &topic)
}

/// The filter of `$share/group/filter`; nothing when it is not shared.
fn shared(text: &str) -> Option<&str> {
    text.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map(|(_, filter)| filter)
}

/// Whether the text is a filter at all; the last three are not.
pub(super) fn is_filter(at: usize) -> bool {
    at < FILTERS.len() - 3
}

impl Model {
    /// Routes a message; true when somebody is subscribed. `again`: it may have been routed before.
    pub(super) fn route(&mut self, msg: usize, sure: Sure, again: bool) -> bool {
        self.next_moment();
        let groups = self.route_shared(msg, sure, again);
        let mut any = groups;
        for who in 0..self.clients.len() {
            for owed in self.deliveries(who, msg, sure) {
                any = true;
                self.owe(who, owed, again);
            }
        }
        if self.messages[msg].retain {
            self.keep(msg, if again { Sure::Perhaps } else { sure });
        }
        any
    }

    pub(super) fn route_will(&mut self, msg: Option<usize>) {
        if let Some(msg) = msg {
            self.route(msg, Sure::Yes, false);
        }
    }

    /// One copy for all subscriptions of a client with the same no-local wish: the highest QoS, all identifiers.
    fn deliveries(&self, who: usize, msg: usize, sure: Sure) -> Vec<Owed> {
        let (client, message) = (&self.clients[who], &self.messages[msg]);
        let mut copies: BTreeMap<bool, Owed> = BTreeMap::new();
        for (filter, sub) in client.subs.iter().filter(|(filter, _)| shared(filter).is_none()) {
            let own = sub.no_local && message.from == Some(who);
            if !client.lives || own || !matches(filter, message.topic) {
                continue;
            }
            let copy = copies.entry(sub.no_local).or_insert_with(|| self.owed(msg, 0, false, sure));
            copy.qos = copy.qos.max(sub.qos.min(message.qos));
            copy.retain |= sub.as_published && message.retain;
            copy.ids.extend(sub.id);
            copy.ids.sort_unstable();
        }
        copies.into_values().collect()
    }

    fn owed(&self, msg: usize, qos: u8, retain: bool, sure: Sure) -> Owed {
        let (must, born) = (sure == Sure::Yes, self.moment);
        Owed::new(msg, (qos, retain), must, born)
    }

    fn owe(&mut self, who: usize, owed: Owed, again: bool) {
        let big = self.messages[owed.msg].big;
        let client = &mut self.clients[who];
        let online = client.conn.is_some();
        if again {
            // What this very routing has added does not count: a client may get one copy for each no-local wish.
            let before = |it: &&mut Owed| it.msg == owed.msg && it.born < owed.born && it.retain == owed.retain;
            let known = client.owed.iter_mut().find(before);
            if let Some(known) = known {
                // Routed then or now, but once: it is certain when both times would have given the same, and if
                // it was routed then, no connection has given it up since because it is too large.
                let given_up = big && known.born < client.was_small;
                known.must |= owed.must && known.qos == owed.qos && !given_up;
                known.twice = true;
                return;
            }
        }
        if owed.qos > 0 || online {
            client.owed.push(Owed { must: owed.must && !again, ..owed });
        }
    }

    fn route_shared(&mut self, msg: usize, sure: Sure, again: bool) -> bool {
        let message = &self.messages[msg];
        let mut groups: BTreeMap<&'static str, Debt> = BTreeMap::new();
        for (who, client) in self.clients.iter().enumerate() {
            for (text, sub) in &client.subs {
                if shared(text).is_some_and(|filter| matches(filter, message.topic)) {
                    let (qos, retain) = (sub.qos.min(message.qos), sub.as_published && message.retain);
                    let candidate = Candidate { who, qos, retain, id: sub.id };
                    let (must, born) = (sure == Sure::Yes && !again, self.moment);
                    let new = || Debt { msg, group: text, candidates: Vec::new(), must, born, taker: None };
                    let debt = groups.entry(text).or_insert_with(new);
                    debt.candidates.push(candidate);
                    // A QoS 0 message for somebody who is not there may be lost, and so may one that a client cannot take.
                    let taker = client.conn.as_ref();
                    debt.must &= qos > 0 || taker.is_some_and(|conn| !conn.dozing);
                    debt.must &= !(message.big && taker.is_none_or(|conn| conn.small));
                }
            }
        }
        let any = !groups.is_empty();
        for debt in groups.into_values() {
            let known = self.debts.iter_mut().find(|it| again && it.msg == msg && it.group == debt.group);
            match known {
                // Routed then, to those who were there, or now.
                Some(known) => known.candidates.extend(debt.candidates),
                None => self.debts.push(debt),
            }
        }
        any
    }

    fn keep(&mut self, msg: usize, sure: Sure) {
        let message = &self.messages[msg];
        let value = (!message.empty).then_some(msg);
        let possible = self.retained.entry(message.topic).or_insert_with(|| vec![None]);
        if sure == Sure::Yes {
            possible.clear();
        }
        if !possible.contains(&value) {
            possible.push(value);
        }
    }

    /// Subscribes and owes the retained messages; returns the code of SUBACK.
    pub(super) fn subscribe(&mut self, who: usize, wanted: Wanted, id: Option<u32>) -> u8 {
        let level = self.clients[who].level();
        if !is_filter(wanted.filter) {
            return if level == 5 { 0x8f } else { 0x80 };
        }
        let text = FILTERS[wanted.filter];
        let v5 = level == 5;
        let (no_local, as_published) = (v5 && wanted.no_local && shared(text).is_none(), v5 && wanted.as_published);
        let sub = Sub { qos: wanted.qos, no_local, as_published, id: id.filter(|_| v5) };
        let new = self.clients[who].subs.insert(text, sub).is_none();
        let wants_retained = !v5 || wanted.handling == 0 || (wanted.handling == 1 && new);
        if wants_retained && shared(text).is_none() {
            self.owe_retained(who, text, sub);
        }
        sub.qos
    }

    fn owe_retained(&mut self, who: usize, filter: &str, sub: Sub) {
        self.next_moment();
        let mut all = Vec::new();
        for (topic, possible) in &self.retained {
            let sure = if possible.len() == 1 { Sure::Yes } else { Sure::Perhaps };
            for &msg in possible.iter().flatten().filter(|_| matches(filter, topic)) {
                let message = &self.messages[msg];
                let expired = message.expires.is_some_and(|at| at <= self.now);
                let own = sub.no_local && message.from == Some(who);
                if !(expired || own) {
                    let ids = sub.id.into_iter().collect();
                    let owed = Owed { ids, ..self.owed(msg, sub.qos.min(message.qos), true, sure) };
                    // Once is enough, when it has not come yet.
                    let same = |it: &Owed| it.retain && it.msg == msg && it.qos == owed.qos && it.ids == owed.ids;
                    let twice = self.clients[who].owed.iter().any(|it| it.stage == Stage::Waiting && same(it));
                    all.push(Owed { must: owed.must && !twice, ..owed });
                }
            }
        }
        self.clients[who].owed.extend(all);
    }
}

#[test]
fn the_models_matcher_knows_the_specification() {
    for (filter, topic, expected) in [
        ("#", "a/b", true),
        ("a/#", "a", true),
        ("a/+", "a", false),
        ("+", "/a", false),
        ("/+", "/a", true),
        ("#", "$x", false),
        ("$x/#", "$x/y", true),
        ("a", "b", false),
    ] {
        assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
    }
}
