//! The model: what the specification says a server remembers of each client.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Milliseconds since the start.
pub(super) type Ms = u64;
/// A session that does not expire during any sequence.
pub(super) const FOREVER: Ms = 1 << 40;

/// A published message; it is known by its place in the list of all.
#[derive(Debug, Clone)]
pub(super) struct Msg {
    pub(super) topic: &'static str,
    /// Which client; nothing for the gateway itself.
    pub(super) from: Option<usize>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) empty: bool,
    pub(super) big: bool,
    pub(super) property: bool,
    pub(super) expires: Option<Ms>,
}

/// How far a delivery has come, as the client saw it. The number is the packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Sent(u16),
    /// QoS 2: the hub has PUBREC.
    Received(u16),
    /// QoS 2: the hub has PUBREC, perhaps.
    PerhapsReceived(u16),
    /// The hub has the last acknowledgement, perhaps.
    PerhapsDone(u16),
}

/// A message that a session has to get.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    pub(super) msg: usize,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Subscription identifiers, sorted.
    pub(super) ids: Vec<u32>,
    /// Whether it has to come; else it may.
    pub(super) must: bool,
    /// It came by a shared subscription, whose messages have no order among the others (section 4.6).
    pub(super) shared: bool,
    /// It was owed then, or once more later: which of both is not known.
    pub(super) twice: bool,
    pub(super) stage: Stage,
    /// When it was owed, in the order of what happened.
    pub(super) born: u64,
    /// When it was first seen, in the order of what happened.
    pub(super) seen: u64,
    /// The connection that spoke of it last, and the one that sent PUBREL last.
    pub(super) on: u64,
    pub(super) released_on: u64,
}

impl Owed {
    /// Something that waits, of this QoS and RETAIN flag.
    pub(super) fn new(msg: usize, (qos, retain): (u8, bool), must: bool, born: u64) -> Self {
        let (shared, twice, ids, stage) = (false, false, Vec::new(), Stage::Waiting);
        Self { msg, qos, retain, ids, must, shared, twice, stage, born, seen: 0, on: 0, released_on: 0 }
    }

    pub(super) fn id(&self) -> Option<u16> {
        match self.stage {
            Stage::Waiting => None,
            Stage::Sent(id) | Stage::Received(id) | Stage::PerhapsReceived(id) | Stage::PerhapsDone(id) => Some(id),
        }
    }
}

/// A message of a shared subscription: one of several sessions has to get it.
#[derive(Debug)]
pub(super) struct Debt {
    pub(super) msg: usize,
    /// Which group it is: name and filter.
    pub(super) group: &'static str,
    pub(super) candidates: Vec<Candidate>,
    pub(super) must: bool,
    /// When it was owed, in the order of what happened.
    pub(super) born: u64,
    /// Who got it.
    pub(super) taker: Option<Candidate>,
}

impl Debt {
    /// Whether this could be the delivery of it: client, QoS, RETAIN and identifier.
    pub(super) fn fits(&self, taker: &Candidate, with_id: bool) -> bool {
        self.candidates.iter().any(|it| {
            let id = if with_id { it.id } else { None };
            it.who == taker.who && it.qos == taker.qos && it.retain == taker.retain && id == taker.id
        })
    }
}

/// One that may get the message of a shared subscription, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) who: usize,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) id: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sub {
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) as_published: bool,
    pub(super) id: Option<u32>,
}

/// What the hub has to answer, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Session present.
    Connack(bool),
    /// Whether somebody is there to get it.
    Puback(u16, bool),
    Pubrec(u16, bool),
    /// Whether the id is known, if that is certain.
    Pubcomp(u16, Option<bool>),
    /// To a PUBREC nobody waits for.
    Pubrel(u16),
    Suback(u16, Vec<u8>),
    Unsuback(u16, Vec<u8>),
    Pingresp,
}

/// How sure something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    Perhaps,
}

/// How far a QoS 1 or 2 PUBLISH of the client has come, as the client sees it.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    pub(super) id: u16,
    pub(super) msg: usize,
    /// QoS 2: PUBREC has come, PUBREL is what is repeated.
    pub(super) received: bool,
}

/// A connection, as the model sees it.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) number: u64,
    pub(super) level: u8,
    pub(super) window: usize,
    pub(super) small: bool,
    pub(super) keep_alive: Ms,
    pub(super) heard: Ms,
    /// The message and its delay.
    pub(super) will: Option<(usize, Ms)>,
    pub(super) answers: VecDeque<Answer>,
    /// Does not read.
    pub(super) dozing: bool,
    /// Topic aliases of the hub and of the client.
    pub(super) aliases_in: HashMap<u16, String>,
    pub(super) aliases_out: Vec<&'static str>,
    pub(super) alias_max: u16,
    /// How far repetitions have come, by when they were first seen.
    pub(super) repeated: u64,
}

/// A client and its session.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// There is a session.
    pub(super) lives: bool,
    pub(super) subs: BTreeMap<&'static str, Sub>,
    pub(super) owed: Vec<Owed>,
    /// Its QoS 2 ids between PUBLISH and PUBREL.
    pub(super) inbound: BTreeMap<u16, Sure>,
    pub(super) expiry: Ms,
    /// Without a connection: the end.
    pub(super) ends: Option<Ms>,
    /// Without a connection: the will that waits, and until when.
    pub(super) will: Option<(usize, Ms)>,
    pub(super) conn: Option<Conn>,
    /// What it has to finish or repeat.
    pub(super) outbound: Vec<Outbound>,
    pub(super) last_id: u16,
    /// When a connection last ended with something unread, in the order of what happened.
    pub(super) risky: u64,
    /// When a connection that takes no large packets last ended, in the order of what happened.
    pub(super) was_small: u64,
}

impl Client {
    pub(super) fn level(&self) -> u8 {
        self.conn.as_ref().map_or(0, |conn| conn.level)
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(conn) = &mut self.conn {
            conn.answers.push_back(answer);
        }
    }

    /// A packet id that is free.
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id % 50 + 1;
            if !self.outbound.iter().any(|it| it.id == self.last_id) && !self.inbound.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Deliveries that wait for the client's next acknowledgement, by their places.
    pub(super) fn to_answer(&self) -> Vec<usize> {
        let Some(conn) = &self.conn else { return Vec::new() };
        let open = |owed: &Owed| match owed.stage {
            Stage::Sent(_) => owed.on == conn.number,
            Stage::Received(_) => owed.released_on == conn.number,
            _ => false,
        };
        (0..self.owed.len()).filter(|&at| open(&self.owed[at])).collect()
    }
}
