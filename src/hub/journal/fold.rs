//! From the log to what lives: every record once, in order. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::Entry;
use super::index::Index;
use super::record::{Error, Mid, Number, Record, Stored};
use super::values::{Value, Values};
use crate::model::Qos;

/// The state of a fold; in the end everything that lives, and the values of retained messages.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) index: Index,
    pub(super) values: Values,
    /// Who has a QoS 2 packet id: one that is given again was free before.
    holders: HashMap<(Number, u16), Mid>,
    /// The highest numbers seen.
    pub(super) last_session: Number,
    pub(super) last_mid: Mid,
    /// Records that cannot be read, or that only a newer weir knows.
    pub(super) strange: u64,
}

impl Fold {
    /// Takes the next record.
    pub(super) fn take(&mut self, sequence: u64, bytes: &[u8]) {
        match Record::decode(bytes) {
            Ok(record) => self.follow(record, sequence, bytes.len()),
            Err(error @ (Error::Unknown(..) | Error::Damaged(_))) => {
                self.strange += 1;
                tracing::warn!(sequence, %error, "the hub's journal holds a record that is not understood");
            }
        }
    }

    fn follow(&mut self, record: Record, sequence: u64, len: usize) {
        if let Record::Retain(message, expires) = record {
            self.index.retain(&message.topic, sequence, len);
            return self.values.put(Value { sequence, message, expires }, &self.index);
        }
        if let Record::Subscribe(number, ..) | Record::Received(number, ..) | Record::Inbound(number, _) = &record {
            self.index.expect(*number);
        }
        self.index.apply(&record);
        match &record {
            Record::Session(number, _) | Record::SessionEnd(number) => {
                self.last_session = self.last_session.max(*number);
            }
            Record::Done(number, mids) => mids.iter().for_each(|&mid| self.end(*number, mid)),
            Record::Received(number, id, mid) => {
                self.holders.remove(&(*number, *id));
                self.last_mid = self.last_mid.max(*mid);
                self.end(*number, *mid);
            }
            _ => {}
        }
        match record {
            Record::Message(stored) => self.message(*stored, sequence),
            record => self.index.place(&record, sequence, len),
        }
    }

    fn message(&mut self, stored: Stored, sequence: u64) {
        self.last_mid = self.last_mid.max(stored.mid);
        if let Some((number, id)) = stored.inbound {
            let inbound = Record::Inbound(number, id);
            self.index.expect(number);
            self.index.apply(&inbound);
            self.index.place(&inbound, sequence, inbound.encode().len());
        }
        for delivery in stored.deliveries.iter().filter(|it| it.qos == Qos::ExactlyOnce) {
            self.free(delivery.session, delivery.packet_id, stored.mid);
        }
        let entry = Arc::new(Entry::restored(stored, sequence));
        if let Some(old) = self.index.messages.remove(&entry.mid) {
            self.index.live -= old.recount().1;
        }
        self.index.recount(&entry);
    }

    /// A packet id is given: whatever had it before is over.
    fn free(&mut self, number: Number, id: u16, mid: Mid) {
        self.index.apply(&Record::Completed(number, vec![id]));
        if let Some(before) = self.holders.insert((number, id), mid).filter(|&before| before != mid) {
            self.end(number, before);
        }
    }

    fn end(&mut self, number: Number, mid: Mid) {
        if let Some(entry) = self.index.messages.get(&mid).cloned() {
            entry.end(number);
            self.index.recount(&entry);
        }
    }

    /// Leaves out what waits for sessions that have ended.
    pub(super) fn finish(&mut self) {
        self.holders = HashMap::new();
        self.index.forget_unknown();
        let all: Vec<_> = self.index.messages.values().cloned().collect();
        for entry in all {
            entry.retain(|delivery| self.index.sessions.contains_key(&delivery.session));
            self.index.recount(&entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Grant, Head};
    use super::*;

    fn folded(records: &[Record]) -> Index {
        let mut fold = Fold::default();
        (1..).zip(records).for_each(|(sequence, record)| fold.take(sequence, &record.encode()));
        fold.finish();
        fold.index
    }

    fn head() -> Head {
        Head { client_id: "a".into(), user: None, local: true, expiry_s: 60, away_since: None }
    }

    /// Copying forward moves a session's own record behind those of its subscriptions.
    #[test]
    fn a_session_may_come_after_what_it_holds() {
        let grant = Grant { qos: Qos::AtLeastOnce, no_local: false, retain_as_published: false, id: None };
        let records = [
            Record::Subscribe(7, "t/#".into(), grant),
            Record::Inbound(7, 3),
            Record::Inbound(8, 4),
            Record::Session(7, head()),
        ];
        let index = folded(&records);
        assert_eq!(index.sessions.keys().collect::<Vec<_>>(), [&7], "nobody knows 8");
        let session = &index.sessions[&7];
        assert_eq!((&*session.head.client_id, session.subscriptions.len(), session.inbound.len()), ("a", 1, 1));
        let bytes = |of: &[usize]| of.iter().map(|&at| records[at].encode().len()).sum::<usize>();
        assert_eq!(index.live, bytes(&[0, 1, 3]));
    }
}
