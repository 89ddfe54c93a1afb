//! The session against a client that loses its connection at any moment.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::model::Topic;

const WINDOW: u16 = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Push(u8),
    Take(usize),
    Answer,
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3).prop_map(Step::Push),
        4 => (1usize..6).prop_map(Step::Take),
        6 => Just(Step::Answer),
        1 => Just(Step::Cut),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Puback(u16),
    Pubrec(u16),
    Pubcomp(u16),
}

/// The answer of a session that nothing is kept of.
fn at_once(answer: super::Answer) -> Known {
    match answer {
        super::Answer::Now(known) => known,
        other => panic!("{other:?}"),
    }
}

/// A session, the client behind it, and what they should have agreed on.
struct World {
    session: Session,
    now: Instant,
    pushed: Vec<(u8, usize)>,
    /// What the client has handed to its application, repeats included.
    got: Vec<(u8, usize)>,
    /// QoS 2 ids between PUBLISH and PUBREL, as the client remembers them.
    open: HashSet<u16>,
    answers: VecDeque<Answer>,
    /// Packet ids in flight on this connection.
    outstanding: HashSet<u16>,
}

impl World {
    fn new() -> Self {
        let mut session = Session::new(&Limits::default(), &Arc::default());
        session.resume(Arc::default(), WINDOW, Duration::MAX);
        let (pushed, got, answers) = (Vec::new(), Vec::new(), VecDeque::new());
        let (open, outstanding) = (HashSet::new(), HashSet::new());
        Self { session, now: Instant::now(), pushed, got, open, answers, outstanding }
    }

    fn push(&mut self, level: u8) {
        let number = self.pushed.len();
        let payload = number.to_be_bytes();
        let message = Arc::new(Message::own(Topic::new("t").unwrap(), payload));
        let qos = Qos::from_level(level).unwrap();
        let Pushed { dropped, .. } = self.session.push(Parcel::new(message, qos, false, None, None), &mut None);
        assert_eq!(dropped, Dropped::default());
        self.pushed.push((level, number));
    }

    fn take(&mut self, count: usize) -> usize {
        let mut out = Vec::new();
        self.session.take(count, self.now, &mut out);
        let took = out.len();
        assert!(took <= count);
        for outgoing in out {
            match outgoing {
                Outgoing::Release { id } => self.released(id),
                Outgoing::Publish { id, parcel, .. } => self.published(id, &parcel),
            }
        }
        assert!(self.outstanding.len() <= WINDOW.into());
        took
    }

    fn published(&mut self, id: u16, parcel: &Parcel) {
        let number = usize::from_be_bytes(parcel.message.payload[..].try_into().unwrap());
        let fresh = parcel.qos != Qos::ExactlyOnce || self.open.insert(id);
        if fresh {
            self.got.push((parcel.qos as u8, number));
        }
        match parcel.qos {
            Qos::AtMostOnce => assert_eq!(id, 0),
            Qos::AtLeastOnce => self.answers.push_back(Answer::Puback(id)),
            Qos::ExactlyOnce => self.answers.push_back(Answer::Pubrec(id)),
        }
        assert!(id == 0 || self.outstanding.insert(id), "packet id {id} is in flight twice");
    }

    /// PUBREL at the client.
    fn released(&mut self, id: u16) {
        self.open.remove(&id);
        self.outstanding.insert(id);
        self.answers.push_back(Answer::Pubcomp(id));
    }

    fn answer(&mut self) {
        let Some(answer) = self.answers.pop_front() else { return };
        let known = match answer {
            Answer::Puback(id) => {
                self.outstanding.remove(&id);
                self.session.acknowledged(id)
            }
            Answer::Pubrec(id) => {
                let known = at_once(self.session.received_by_client(id, false));
                self.released(id);
                known
            }
            Answer::Pubcomp(id) => {
                self.outstanding.remove(&id);
                self.session.completed(id)
            }
        };
        assert_eq!(known, Known::Yes, "{answer:?}");
    }

    fn cut(&mut self) {
        self.answers.clear();
        self.outstanding.clear();
        self.session.resume(Arc::default(), WINDOW, Duration::MAX);
    }

    fn finish(&mut self) {
        while self.take(5) + self.answers.len() > 0 {
            self.answer();
        }
    }

    /// Each message's first arrival.
    fn firsts(&self) -> Vec<(u8, usize)> {
        let mut seen = HashSet::new();
        self.got.iter().copied().filter(|item| seen.insert(*item)).collect()
    }
}

proptest! {
    #[test]
    fn every_message_arrives_in_order_and_qos2_once(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Push(level) => world.push(level),
                Step::Take(count) => { world.take(count); }
                Step::Answer => world.answer(),
                Step::Cut => world.cut(),
            }
        }
        world.finish();
        // QoS 0 may overtake what waits for the window; all others keep their order.
        let ordered = |all: &[(u8, usize)], least: u8| all.iter().copied().filter(|it| it.0 >= least).collect::<Vec<_>>();
        prop_assert_eq!(ordered(&world.firsts(), 1), ordered(&world.pushed, 1));
        let twos = |all: &[(u8, usize)]| all.iter().copied().filter(|it| it.0 == 2).collect::<Vec<_>>();
        prop_assert_eq!(twos(&world.got), twos(&world.pushed));
        prop_assert_eq!(world.firsts().len(), world.pushed.len());
        prop_assert_eq!(world.session.in_flight.len(), 0);
    }
}

#[test]
fn answers_that_do_not_fit_are_not_known() {
    let mut world = World::new();
    world.push(1);
    world.push(2);
    world.take(9);
    let session = &mut world.session;
    assert_eq!(session.acknowledged(2), Known::No, "PUBACK for QoS 2");
    assert_eq!(at_once(session.received_by_client(1, false)), Known::No, "PUBREC for QoS 1");
    assert_eq!(session.completed(2), Known::No, "PUBCOMP before PUBREC");
    assert_eq!(session.acknowledged(7), Known::No);
    assert_eq!(at_once(session.received_by_client(2, true)), Known::Yes, "refused by the client: done");
    assert_eq!(session.completed(2), Known::No);
    assert_eq!(session.acknowledged(1), Known::Yes);
}

#[test]
fn packet_ids_wrap_around_what_is_in_flight() {
    let mut world = World::new();
    world.session.last_id = u16::MAX - 1;
    for _ in 0..3 {
        world.push(1);
    }
    world.take(9);
    let ids: Vec<u16> = world.session.in_flight.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [u16::MAX, 1, 2]);
}
