//! What clients do, at random. A step that makes no sense at its time does nothing, so that any part of a
//! sequence is a sequence.

use fastrand::Rng;

/// Client ids; some contain what other brokers stumble over.
pub(super) const CLIENTS: [&str; 4] = ["a", "b/+#$", "é", "d d"];
pub(super) const TOPICS: [&str; 7] = ["t", "t/1", "t/2", "é/t", "/", "$x/y", "u"];
/// Each client's will has a topic of its own: wills that are due together come in no order.
pub(super) const WILLS: [&str; 4] = ["w/0", "w/1", "w/2", "w/3"];
/// Good ones, then shared ones, then three that are wrong.
pub(super) const FILTERS: [&str; 17] = [
    "#",
    "t/#",
    "t/+",
    "+",
    "t",
    "é/+",
    "+/t",
    "/",
    "$x/#",
    "w/+",
    "u",
    "$share/g/t/#",
    "$share/g/#",
    "$share/h/t/+",
    "t#",
    "$share/g",
    "$share/+/t",
];

/// A PUBLISH to be.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) topic: usize,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Without payload.
    pub(super) empty: bool,
    /// Larger than some clients take.
    pub(super) big: bool,
    /// With a message expiry (MQTT 5).
    pub(super) expires: bool,
    /// With a user property (MQTT 5).
    pub(super) property: bool,
    /// With a topic alias (MQTT 5).
    pub(super) alias: bool,
}

/// A CONNECT to be.
#[derive(Debug, Clone)]
pub(super) struct Join {
    /// 3, 4 or 5.
    pub(super) level: u8,
    pub(super) clean: bool,
    /// MQTT 5: session expiry, seconds.
    pub(super) expiry_s: u32,
    pub(super) keep_alive_s: u16,
    /// QoS, retain, delay in seconds.
    pub(super) will: Option<(u8, bool, u32)>,
    /// MQTT 5: receive maximum, 0 for none.
    pub(super) window: u16,
    /// MQTT 5: takes small packets only.
    pub(super) small: bool,
    /// MQTT 5: topic aliases it takes.
    pub(super) aliases: u16,
    /// Bytes its pipe holds.
    pub(super) pipe: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) filter: usize,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) as_published: bool,
    /// Retain handling.
    pub(super) handling: u8,
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Connect(Join),
    Subscribe(Vec<Wanted>, Option<u32>),
    Unsubscribe(Vec<usize>),
    Publish(Draft),
    /// Several at once.
    Burst(Vec<Draft>),
    /// A QoS 2 PUBLISH comes a second time.
    Repeat(usize),
    /// PUBREL for a QoS 2 PUBLISH of its own.
    Release(usize),
    /// Acknowledges one delivery by its next step, refusing it when true (MQTT 5).
    Answer(usize, bool),
    AnswerAll,
    /// An acknowledgement nobody waits for.
    Stray(u8),
    Ping,
    /// DISCONNECT: asking for the will, with another session expiry.
    Leave(bool, Option<u32>),
    Cut,
    Illegal(usize),
    /// Stops reading, or reads again.
    Doze(bool),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Client {
        who: usize,
        act: Act,
        /// The connection is cut before the hub has seen the packet.
        cut: bool,
    },
    /// Several clients publish at the same time.
    Together(Vec<(usize, Draft)>),
    /// The gateway itself publishes.
    Own(Draft),
    Wait(u64),
}

pub(super) fn sequence(rng: &mut Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    for who in 0..rng.usize(2..=CLIENTS.len()) {
        steps.push(Step::Client { who, act: Act::Connect(join(rng)), cut: false });
        steps.push(Step::Client { who, act: subscribe(rng), cut: false });
    }
    let count = rng.usize(5..60);
    steps.extend(std::iter::repeat_with(|| step(rng)).take(count));
    steps
}

fn step(rng: &mut Rng) -> Step {
    match rng.u8(..40) {
        0 => Step::Wait([7, 7, 7, 40][rng.usize(..4)]),
        1 => Step::Own(draft(rng)),
        2..=4 => Step::Together((0..rng.usize(2..6)).map(|_| (rng.usize(..CLIENTS.len()), draft(rng))).collect()),
        _ => {
            let (act, cut) = act(rng);
            Step::Client { who: rng.usize(..CLIENTS.len()), act, cut }
        }
    }
}

fn act(rng: &mut Rng) -> (Act, bool) {
    let act = match rng.u8(..34) {
        0..=3 => Act::Connect(join(rng)),
        4..=6 => subscribe(rng),
        7 => Act::Unsubscribe((0..rng.usize(1..4)).map(|_| rng.usize(..FILTERS.len())).collect()),
        8..=13 => return (Act::Publish(draft(rng)), rng.u8(..6) == 0),
        14 => Act::Burst((0..rng.usize(2..8)).map(|_| draft(rng)).collect()),
        15 => Act::Repeat(rng.usize(..4)),
        16..=17 => return (Act::Release(rng.usize(..4)), rng.u8(..6) == 0),
        18..=23 => return (Act::Answer(rng.usize(..6), rng.u8(..10) == 0), rng.u8(..8) == 0),
        24..=26 => Act::AnswerAll,
        27 => Act::Stray(rng.u8(4..8)),
        28 => Act::Ping,
        29 => Act::Leave(rng.u8(..3) == 0, (rng.u8(..3) == 0).then(|| [0, 23][rng.usize(..2)])),
        30 | 31 => Act::Cut,
        32 => Act::Illegal(rng.usize(..8)),
        _ => Act::Doze(rng.bool()),
    };
    (act, false)
}

/// Messages without payload carry no number: those of one topic are all alike, so that it does not matter which of
/// them a member of a shared group has got.
fn draft(rng: &mut Rng) -> Draft {
    let (topic, empty) = (rng.usize(..TOPICS.len()), rng.u8(..12) == 0);
    let (qos, retain, alias) = (rng.u8(..3), rng.u8(..4) == 0, rng.u8(..4) == 0);
    if empty {
        let (big, expires, property) = (false, false, false);
        return Draft { topic, qos: 0, retain: topic.is_multiple_of(2), empty, big, expires, property, alias };
    }
    let (big, expires, property) = (rng.u8(..10) == 0, rng.u8(..6) == 0, rng.u8(..5) == 0);
    Draft { topic, qos, retain, empty, big, expires, property, alias }
}

fn join(rng: &mut Rng) -> Join {
    Join {
        level: rng.u8(3..6),
        clean: rng.u8(..4) == 0,
        expiry_s: [0, 23, 23, 100_000][rng.usize(..4)],
        keep_alive_s: if rng.u8(..4) == 0 { 10 } else { 0 },
        will: (rng.u8(..3) == 0).then(|| (rng.u8(..3), rng.u8(..4) == 0, [0, 17][rng.usize(..2)])),
        window: [0, 0, 1, 2, 5][rng.usize(..5)],
        small: rng.u8(..8) == 0,
        aliases: [0, 0, 2][rng.usize(..3)],
        pipe: [64, 1024, 1 << 16, 1 << 16][rng.usize(..4)],
    }
}

fn subscribe(rng: &mut Rng) -> Act {
    let wanted = |rng: &mut Rng| Wanted {
        filter: rng.usize(..FILTERS.len()),
        qos: rng.u8(..3),
        no_local: rng.u8(..5) == 0,
        as_published: rng.u8(..4) == 0,
        handling: rng.u8(..3),
    };
    let all = (0..rng.usize(1..4)).map(|_| wanted(rng)).collect();
    Act::Subscribe(all, (rng.u8(..3) == 0).then(|| rng.u32(1..5)))
}
