//! Retained messages while the log is read. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use super::index::Index;
use crate::model::{Message, Origin};

/// Values that may be there beside those that live, and a quarter of those: they are looked through then.
const SLACK: usize = 4096;
/// Publishers that are remembered.
const ORIGINS: usize = 1024;

/// A retained message as the log has it.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) sequence: u64,
    pub(super) message: Arc<Message>,
    /// When on the known time it is worth nothing any more.
    pub(super) expires: Option<u64>,
}

/// Retained messages in the order of the log: it was written in steps that were sorted by topic, so that they are
/// nearly in order, and lie so in memory.
#[derive(Debug, Default)]
pub(crate) struct Values {
    list: Vec<Value>,
    /// Whoever has published one value has often published many: they share its name.
    origins: HashSet<Origin>,
}

impl Values {
    /// Takes the newest value of its topic; `index` knows it already.
    pub(super) fn put(&mut self, mut value: Value, index: &Index) {
        self.share_origin(&mut value.message);
        self.list.push(value);
        if self.list.len() > index.retained.len() + index.retained.len() / 4 + SLACK {
            self.prune(index);
        }
    }

    fn share_origin(&mut self, message: &mut Arc<Message>) {
        let Some(message) = Arc::get_mut(message) else { return };
        if let Some(known) = self.origins.get(&message.origin) {
            message.origin = known.clone();
            return;
        }
        if self.origins.len() == ORIGINS {
            self.origins.clear();
        }
        self.origins.insert(message.origin.clone());
    }

    /// Leaves out what was replaced or deleted later.
    fn prune(&mut self, index: &Index) {
        let lives = |value: &Value| {
            let spot = index.retained.get(&value.message.topic);
            spot.is_some_and(|spot| spot.sequence == value.sequence)
        };
        self.list.retain(lives);
    }

    /// One value of each topic that has one.
    pub(super) fn finish(mut self, index: &Index) -> Vec<Value> {
        if self.list.len() > index.retained.len() {
            self.prune(index);
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::Fold;
    use super::super::record::Record;
    use super::*;
    use crate::model::Topic;

    fn retain(topic: &str, payload: usize) -> Record {
        let topic = Topic::new(topic).unwrap();
        let message = Message::own(topic, payload.to_string().as_bytes()).retained();
        Record::Retain(Arc::new(Message { origin: Origin::Client("a".into()), ..message }), None)
    }

    fn folded(records: impl IntoIterator<Item = Record>) -> Vec<Value> {
        let mut fold = Fold::default();
        (1..).zip(records).for_each(|(sequence, record)| fold.take(sequence, &record.encode()));
        fold.finish();
        fold.values.finish(&fold.index)
    }

    fn text(values: &[Value]) -> Vec<(&str, &str)> {
        let text = |value: &Value| std::str::from_utf8(&value.message.payload).map(str::to_owned).unwrap();
        let all = values.iter().map(|value| (value.message.topic.as_str(), text(value).leak() as &str));
        all.collect()
    }

    #[test]
    fn the_last_value_of_a_topic_is_left() {
        let forget = |topic: &str| Record::Forget(Topic::new(topic).unwrap());
        let records =
            [retain("a", 1), retain("b", 2), retain("c", 3), forget("b"), retain("a", 4), forget("c"), retain("c", 5)];
        let values = folded(records);
        assert_eq!(text(&values), [("a", "4"), ("c", "5")]);
        assert_eq!(Arc::strong_count(name(&values[0])), 2, "shared by both");
    }

    fn name(value: &Value) -> &Arc<str> {
        match &value.message.origin {
            Origin::Client(name) => name,
            other => panic!("{other:?}"),
        }
    }

    /// One topic that changes again and again takes no more than its last value, and some.
    #[test]
    fn replaced_values_do_not_pile_up() {
        let mut fold = Fold::default();
        for sequence in 1..=3 * SLACK {
            fold.take(sequence as u64, &retain("a", sequence).encode());
            assert!(fold.values.list.len() <= SLACK + 1);
        }
        assert_eq!(text(&fold.values.finish(&fold.index)), [("a", (3 * SLACK).to_string().as_str())]);
    }
}
