//! From the hub into the store: a bridge as a durable consumer.
//!
//! The ticket of a message is settled when the store has it on disk or the cloud has acknowledged it,
//! whichever comes first. Nothing here waits.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;

use super::dead::DeadLetters;
use super::hops;
use super::lanes::{self, CLASSES, LANES, class_of, is_express, topic_hash};
use super::record::{Body, Record};
use super::rules::{Pass, Route, Rules};
use super::strays::{self, Strays};
use super::switch::{Ends, Switch};
use super::tally::Tally;
use crate::hub;
use crate::model::{Message, Refusal, Ticket};
use crate::runtime::Clock;
use crate::store::{Chain, Full, Refused, Settle, Settled, Waits};

/// The hub's end of a bridge.
pub(super) struct Outbox {
    pub(super) rules: Arc<Rules>,
    /// By lane.
    pub(super) chains: [Chain; LANES],
    pub(super) dead: DeadLetters,
    /// By class.
    switches: [Mutex<Switch>; CLASSES],
    /// By lane: what is before it is of an earlier run.
    begins: [u64; LANES],
    /// Locked before a switch.
    strays: Mutex<Strays>,
    pub(super) clock: Clock,
    /// The mark of this gateway on the way of a message.
    pub(super) me: Arc<str>,
    pub(super) tally: Tally,
    /// There are gaps that the cloud does not know.
    pub(super) news: Notify,
    /// One bit per lane whose chain had no room when it was last asked.
    full: AtomicU8,
}

/// A ticket that the store settles, and that can be had back if the store does not take the record.
type Shared = Arc<Mutex<Option<Ticket>>>;

impl Outbox {
    pub(super) fn new(rules: Arc<Rules>, chains: [Chain; LANES], dead: Chain, clock: Clock, me: Arc<str>) -> Self {
        let ends: [Ends; LANES] = std::array::from_fn(|lane| ends(&chains[lane]));
        let switch = |class| Mutex::new(Switch::new(ends[lanes::main(class)], ends[lanes::express(class)]));
        let switches = std::array::from_fn(switch);
        Self {
            rules,
            chains,
            dead: DeadLetters::new(dead),
            switches,
            begins: ends.map(|ends| ends.next),
            strays: Mutex::default(),
            clock,
            me,
            tally: Tally::default(),
            news: Notify::new(),
            full: AtomicU8::new(0),
        }
    }

    fn switch(&self, class: usize) -> MutexGuard<'_, Switch> {
        self.switches[class].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// First and next sequence of both chains of a class.
    fn ends(&self, class: usize) -> (Ends, Ends) {
        (ends(&self.chains[lanes::main(class)]), ends(&self.chains[lanes::express(class)]))
    }

    /// Decides which chains take what is new. `alive`: the cloud acknowledges what it is sent; `behind`: the
    /// classes whose main chain has a backlog.
    pub(super) fn steer(&self, alive: bool, behind: [bool; CLASSES]) {
        for (class, behind) in behind.into_iter().enumerate() {
            let mut switch = self.switch(class);
            let (_, express) = self.ends(class);
            switch.steer(alive, behind, express);
        }
    }

    /// The link has just come up: whatever waits is a backlog, and what comes now may pass it.
    pub(super) fn begin(&self, alive: bool) {
        let waits = |class| self.ends(class).0.len() > 0;
        self.steer(alive, std::array::from_fn(waits));
    }

    /// Whether a record has to wait for older ones of its topic in another lane.
    pub(super) fn is_blocked(&self, lane: usize, sequence: u64) -> bool {
        let class = class_of(lane);
        !is_express(lane) && self.switch(class).blocks(sequence, self.chains[lanes::express(class)].first_unacked())
    }

    fn record(&self, message: &Message, route: Route) -> Record {
        let Route { topic, prefix_len, qos, .. } = route;
        let (stamp, body) = match &message.source {
            Some(source) => (source.sample.stamp, Body::Sample((**source).clone())),
            None => {
                let (payload, properties) = (message.payload.clone(), message.properties.clone());
                (self.clock.now(), Body::Publish { payload, properties })
            }
        };
        Record { topic, prefix_len, qos, retain: message.retain, stamp, body }
    }

    /// Puts a record of this topic into one of the chains of its class, or of the class it had in an earlier run as long
    /// as records of its topic wait there; nothing keeps one that may pass them. When that does not take it, its lane and why.
    pub(super) fn put(
        &self,
        class: usize,
        pass: Pass,
        topic: u64,
        record: Vec<u8>,
        settled: Option<Settle>,
    ) -> Result<u64, (usize, Full)> {
        let mut strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        if pass == Pass::Everything || strays.are_over() {
            drop(strays);
            return self.put_into(class, pass, topic, record, settled).map(|(_, sequence)| sequence);
        }
        let class = strays.class(class, topic, self);
        let (lane, sequence) = self.put_into(class, pass, topic, record, settled)?;
        strays.went(topic, lane, sequence);
        Ok(sequence)
    }

    /// Puts a record into one of the chains of this class: lane and sequence.
    fn put_into(
        &self,
        class: usize,
        pass: Pass,
        topic: u64,
        record: Vec<u8>,
        settled: Option<Settle>,
    ) -> Result<(usize, u64), (usize, Full)> {
        let mut switch = self.switch(class);
        let (main, express) = self.ends(class);
        let moved = self.chains[lanes::main(class)].take_moved();
        moved.into_iter().for_each(|(first, last)| switch.moved(first, last));
        let old = || self.waits(lanes::main(class), topic) != Waits::No;
        let passes = switch.passes(pass, topic, (main, express), old);
        let lane = if passes { lanes::express(class) } else { lanes::main(class) };
        let sequence = self.chains[lane].offer(record, settled).map_err(|full| (lane, full))?;
        if !passes {
            switch.went_main(topic, sequence, express);
        }
        Ok((lane, sequence))
    }

    /// Whether records of a topic from an earlier run wait in a lane.
    fn waits(&self, lane: usize, topic: u64) -> Waits {
        self.chains[lane].waits(topic, self.begins[lane])
    }

    /// What to do about a record that the store did not take.
    fn not_taken(&self, why: Refused, lane: usize, ticket: Option<Ticket>) -> Result<(), hub::Full> {
        let refusal = match why {
            Refused::NoRoom | Refused::Disk => {
                self.full.fetch_or(1 << lane, Ordering::Relaxed);
                return Err(hub::Full(ticket));
            }
            Refused::Quota => Refusal::QuotaExceeded,
            Refused::TooLarge | Refused::Closed => Refusal::Failed,
        };
        self.tally.refused_by_store.one();
        if let Some(ticket) = ticket {
            ticket.refuse(refusal);
        }
        Ok(())
    }
}

impl strays::Chains for Outbox {
    fn waits(&self, class: usize, topic: u64) -> bool {
        [lanes::express(class), lanes::main(class)].iter().any(|&lane| self.waits(lane, topic) == Waits::Yes)
    }

    fn first(&self, lane: usize) -> u64 {
        self.chains[lane].first_unacked()
    }

    fn may_return(&self, class: usize) -> bool {
        [lanes::express(class), lanes::main(class)].iter().any(|&lane| self.chains[lane].may_return())
    }

    fn anything_waits(&self) -> bool {
        self.chains.iter().zip(self.begins).any(|(chain, begins)| chain.first_unacked() < begins)
    }
}

fn ends(chain: &Chain) -> Ends {
    // In this order: what comes in between makes the chain look longer, never empty.
    let first = chain.first_unacked();
    Ends { first, next: chain.next_sequence() }
}

fn take(shared: &Shared) -> Option<Ticket> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn settle(ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        ticket.settle();
    }
}

/// Hands the store's word on to the ticket.
fn settles(shared: Shared) -> Settle {
    Box::new(move |settled| {
        let Some(ticket) = take(&shared) else { return };
        match settled {
            Settled::Durable | Settled::Acked => ticket.settle(),
            Settled::Refused(Refused::Quota | Refused::NoRoom) => ticket.refuse(Refusal::QuotaExceeded),
            Settled::Refused(Refused::TooLarge | Refused::Disk | Refused::Closed) => ticket.refuse(Refusal::Failed),
        }
    })
}

impl hub::Durable for Outbox {
    fn offer(&self, message: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), hub::Full> {
        let Some(route) = self.rules.route(message) else {
            settle(ticket);
            return Ok(());
        };
        if hops::check(message.properties.as_deref(), &self.me).is_err() {
            self.tally.circling.one();
            settle(ticket);
            return Ok(());
        }
        let (class, pass, from_memory) = (route.class as usize, route.pass, route.ack_from_memory);
        let topic = topic_hash(route.topic.as_str());
        let record = self.record(message, route).encode();
        let shared: Option<Shared> = ticket.map(|ticket| Arc::new(Mutex::new(Some(ticket))));
        let settled = shared.clone().filter(|_| !from_memory).map(settles);
        match self.put(class, pass, topic, record, settled) {
            Ok(_) => {
                self.tally.taken.one();
                if from_memory {
                    settle(shared.as_ref().and_then(take));
                }
                Ok(())
            }
            Err((lane, Full { why, .. })) => self.not_taken(why, lane, shared.as_ref().and_then(take)),
        }
    }

    /// Waits for the chains that had no room, and for no others: those have room and would end the wait at once.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let full = self.full.load(Ordering::Relaxed);
        let mut waits: Vec<_> = (0..LANES)
            .filter(|lane| full & 1 << lane != 0)
            .map(|lane| (lane, Box::pin(self.chains[lane].room())))
            .collect();
        Box::pin(poll_fn(move |context| {
            for (lane, wait) in &mut waits {
                if wait.as_mut().poll(context).is_ready() {
                    self.full.fetch_and(!(1 << *lane), Ordering::Relaxed);
                    return Poll::Ready(());
                }
            }
            if waits.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::bridge::settings::tests::{forward, settings};
    use crate::bridge::{Class, Forward, Settings};
    use crate::hub::Durable as _;
    use crate::model::{Name, Qos, Receipt, Topic, Verdict};
    use crate::store::disk::sim::{Faults, SimDisk};
    use crate::store::{self, Store, WhenFull};

    /// A store whose disk takes nothing any more: what is offered waits in memory.
    fn store() -> Store {
        let settings = store::Settings {
            dir: Default::default(),
            max_size: 64 << 20,
            segment_size: 1 << 20,
            max_loss: Duration::from_millis(1),
            when_full: WhenFull::DropOldest,
            max_commits_per_s: 20,
        };
        let disk = SimDisk::new(1);
        let store = Store::open(Box::new(disk.clone()), settings).unwrap();
        disk.set_faults(Faults { write: 1, sync: 1, read: 0 });
        store
    }

    fn outbox(store: &Store, forward: Vec<Forward>) -> Outbox {
        let settings = Settings { forward, ..settings() };
        let rules = Rules::new(&Name::new("shed").unwrap(), &settings);
        let chain = |lane| store.chain(lanes::key(&settings.name, lane));
        let dead = store.chain(lanes::dead_letters(&settings.name));
        Outbox::new(Arc::new(rules), std::array::from_fn(chain), dead, Clock::system(), "shed".into())
    }

    fn message(topic: &str, payload: &[u8]) -> Arc<Message> {
        Arc::new(Message::own(Topic::new(topic).unwrap(), payload).with_qos(Qos::AtLeastOnce))
    }

    #[tokio::test]
    async fn a_ticket_is_settled_by_the_clouds_acknowledgement() {
        let store = store();
        let outbox = outbox(&store, vec![forward("a/#", "up/")]);
        let receipt = Receipt::new();
        outbox.offer(&message("a/b", b"x"), Some(receipt.ticket())).unwrap();
        let chain = &outbox.chains[lanes::main(Class::Telemetry as usize)];
        let stored = chain.read(1, 1000).await.unwrap();
        let record = Record::decode(&stored[0].bytes).unwrap();
        assert_eq!((record.topic.as_str(), record.local_topic().as_str()), ("up/a/b", "a/b"));
        assert_eq!(receipt.verdict(), None);
        chain.ack(1);
        assert_eq!(receipt.verdict(), Some(Verdict::Safe));
    }

    #[tokio::test]
    async fn what_no_rule_forwards_or_a_rule_acknowledges_from_memory_is_settled_at_once() {
        let store = store();
        let outbox = outbox(&store, vec![Forward { ack_from_memory: true, ..forward("a/#", "") }]);
        for topic in ["a/b", "elsewhere"] {
            let receipt = Receipt::new();
            outbox.offer(&message(topic, b"x"), Some(receipt.ticket())).unwrap();
            assert_eq!(receipt.verdict(), Some(Verdict::Safe), "{topic}");
        }
        assert_eq!(outbox.tally.read().taken, 1);
    }

    #[tokio::test]
    async fn a_full_chain_gives_the_ticket_back_and_is_waited_for_alone() {
        let store = store();
        let alarms = Forward { class: Class::Alarm, ..forward("alarm", "") };
        let outbox = outbox(&store, vec![alarms, forward("#", "")]);
        let large = message("a", &[0; 100_000]);
        let mut waiting = Receipt::new();
        let full = loop {
            let ticket = waiting.ticket();
            match outbox.offer(&large, Some(ticket)) {
                Ok(()) => waiting = Receipt::new(),
                Err(full) => break full,
            }
        };
        assert_eq!(waiting.verdict(), None, "the ticket came back open");
        full.0.unwrap().settle();
        assert_eq!(waiting.verdict(), Some(Verdict::Safe));
        // The alarms have room, and that must not end the wait for telemetry.
        outbox.offer(&message("alarm", b"x"), None).unwrap();
        let mut room = outbox.room();
        assert!((&mut room).now_or_never().is_none());
        let chain = &outbox.chains[lanes::main(Class::Telemetry as usize)];
        chain.ack(chain.next_sequence() - 1);
        tokio::time::timeout(Duration::from_secs(20), room).await.unwrap();
        outbox.offer(&large, None).unwrap();
    }
}
