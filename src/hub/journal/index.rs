//! What the journal holds now: every living item with the place of its newest record. Pure.
//!
//! The same code follows the running hub and folds the log at start, so that the two cannot differ.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::Entry;
use super::record::{Grant, Head, Mid, Moment, Number, Record};
use crate::model::Topic;

/// Where an item's newest record is, and how long it is; nothing is known of one that waits to be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spot {
    pub(super) sequence: u64,
    pub(super) len: u32,
}

/// One durable session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) head: Head,
    spot: Spot,
    pub(super) subscriptions: HashMap<Arc<str>, (Grant, Spot)>,
    /// Packet ids for which only PUBREL is owed, with the message each belonged to.
    pub(super) releases: HashMap<u16, (Mid, Spot)>,
    /// QoS 2 packet ids of the client between PUBLISH and PUBREL.
    pub(super) inbound: HashMap<u16, Spot>,
}

/// Everything that lives.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) sessions: HashMap<Number, Session>,
    pub(super) messages: HashMap<Mid, Arc<Entry>>,
    pub(super) retained: HashMap<Topic, Spot>,
    pub(super) time: Option<(Moment, Spot)>,
    /// The bytes of all living records.
    pub(super) live: usize,
}

impl Index {
    /// Notes what a record says; [`Index::place`] says later where it is. Messages come in by themselves.
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Session(number, head) => match self.sessions.get_mut(number) {
                Some(session) => session.head = head.clone(),
                None => drop(self.sessions.insert(*number, Session::new(head.clone()))),
            },
            Record::SessionEnd(number) => self.end_session(*number),
            Record::Retain(message, _) => drop(self.retained.entry(message.topic.clone()).or_default()),
            Record::Forget(topic) => {
                let gone = self.retained.remove(topic);
                self.forget(gone);
            }
            Record::Time(moment) => self.time = Some((*moment, self.time.map_or(Spot::default(), |(_, spot)| spot))),
            Record::Message(_) | Record::Done(..) => {}
            Record::Subscribe(number, ..)
            | Record::Unsubscribe(number, _)
            | Record::Received(number, ..)
            | Record::Completed(number, _)
            | Record::Inbound(number, _)
            | Record::Released(number, _) => {
                if let Some(session) = self.sessions.get_mut(number) {
                    let freed = session.apply(record);
                    self.live -= freed;
                }
            }
        }
    }

    /// A log that was copied forward may speak of a session before it says whose it is.
    pub(super) fn expect(&mut self, number: Number) {
        self.sessions.entry(number).or_insert_with(|| Session::new(Head::unknown()));
    }

    /// The whole log has been read: what nobody is known for belongs to a session that has ended.
    pub(super) fn forget_unknown(&mut self) {
        let unknown = self.sessions.iter().filter(|(_, session)| session.head.is_unknown());
        let unknown: Vec<Number> = unknown.map(|(number, _)| *number).collect();
        unknown.into_iter().for_each(|number| self.end_session(number));
    }

    fn end_session(&mut self, number: Number) {
        if let Some(session) = self.sessions.remove(&number) {
            self.live -= session.bytes();
        }
    }

    fn forget(&mut self, spot: Option<Spot>) {
        self.live -= spot.map_or(0, |spot| spot.len as usize);
    }

    /// The record of this item is at `sequence` now, if the item still lives. Of a message it is the inbound
    /// packet id alone.
    pub(super) fn place(&mut self, record: &Record, sequence: u64, len: usize) {
        let new = Spot { sequence, len: u32::try_from(len).unwrap_or(u32::MAX) };
        if let Some(spot) = self.spot(record) {
            let old = std::mem::replace(spot, new);
            self.live = self.live + new.len as usize - old.len as usize;
        }
    }

    /// Both [`Index::apply`] and [`Index::place`] for a retained message, of which there are many at start.
    pub(super) fn retain(&mut self, topic: &Topic, sequence: u64, len: usize) {
        let new = Spot { sequence, len: u32::try_from(len).unwrap_or(u32::MAX) };
        let old = self.retained.insert(topic.clone(), new).unwrap_or_default();
        self.live = self.live + new.len as usize - old.len as usize;
    }

    /// The item's newest record is none of those that have a sequence: it is on its way.
    pub(super) fn supersede(&mut self, record: &Record) {
        if let Some(spot) = self.spot(record) {
            spot.sequence = 0;
        }
    }

    /// Whether the item that a record put is alive and this is its newest record.
    pub(super) fn is_newest(&mut self, record: &Record, sequence: u64) -> bool {
        self.spot(record).is_some_and(|spot| spot.sequence == sequence)
    }

    fn spot(&mut self, record: &Record) -> Option<&mut Spot> {
        match record {
            Record::Session(number, _) => Some(&mut self.sessions.get_mut(number)?.spot),
            Record::Subscribe(number, filter, _) => {
                Some(&mut self.sessions.get_mut(number)?.subscriptions.get_mut(filter)?.1)
            }
            Record::Received(number, id, mid) => {
                let (known, spot) = self.sessions.get_mut(number)?.releases.get_mut(id)?;
                (known == mid).then_some(spot)
            }
            Record::Inbound(number, id) => self.sessions.get_mut(number)?.inbound.get_mut(id),
            Record::Retain(message, _) => self.retained.get_mut(&message.topic),
            Record::Time(_) => self.time.as_mut().map(|(_, spot)| spot),
            _ => None,
        }
    }

    /// An entry has a record now, or has lost a delivery.
    pub(super) fn recount(&mut self, entry: &Arc<Entry>) {
        let (now, before) = entry.recount();
        self.live = self.live + now - before;
        if now == 0 {
            self.messages.remove(&entry.mid);
        } else {
            self.messages.entry(entry.mid).or_insert_with(|| Arc::clone(entry));
        }
    }
}

impl Session {
    fn new(head: Head) -> Self {
        let (subscriptions, releases, inbound) = Default::default();
        Self { head, spot: Spot::default(), subscriptions, releases, inbound }
    }

    /// Returns how many bytes ended by it.
    fn apply(&mut self, record: &Record) -> usize {
        let len = |spot: Spot| spot.len as usize;
        match record {
            Record::Subscribe(_, filter, grant) => {
                self.subscriptions.entry(Arc::clone(filter)).or_insert((*grant, Spot::default())).0 = *grant;
                0
            }
            Record::Unsubscribe(_, filter) => self.subscriptions.remove(filter).map_or(0, |(_, spot)| len(spot)),
            Record::Received(_, id, mid) => {
                let old = self.releases.insert(*id, (*mid, Spot::default()));
                old.map_or(0, |(_, spot)| len(spot))
            }
            Record::Completed(_, ids) => ids.iter().filter_map(|id| self.releases.remove(id)).map(|it| len(it.1)).sum(),
            Record::Inbound(_, id) => self.inbound.insert(*id, Spot::default()).map_or(0, len),
            Record::Released(_, id) => self.inbound.remove(id).map_or(0, len),
            _ => 0,
        }
    }

    fn bytes(&self) -> usize {
        let subscriptions = self.subscriptions.values().map(|(_, spot)| spot.len);
        let releases = self.releases.values().map(|(_, spot)| spot.len);
        let all = subscriptions.chain(releases).chain(self.inbound.values().map(|spot| spot.len));
        all.chain([self.spot.len]).map(|len| len as usize).sum()
    }
}
