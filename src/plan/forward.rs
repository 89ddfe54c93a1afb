//! `[[bridge.forward]]` and `[[bridge.receive]]`.

use std::time::Duration;

use super::batch;
use crate::bridge::{Class, Forward, Receive};
use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};
use crate::model::{Filter, Qos};

const CLASSES: [(&str, Class); 4] =
    [("alarm", Class::Alarm), ("command", Class::Command), ("telemetry", Class::Telemetry), ("bulk", Class::Bulk)];

pub(super) fn read_forward(table: &Table<'_>, problems: &mut Problems) -> Option<Forward> {
    let mut fields = table.fields(problems);
    let topics = filters(&mut fields, "topics", true);
    let except = filters(&mut fields, "except", false);
    let prefix = fields.or("prefix", String::new());
    let qos = qos(&mut fields, "everything is sent at QoS 1, with a key by which repeats are told from new messages");
    let class = fields.word("class", &CLASSES).unwrap_or(Class::Telemetry);
    let ack_from_memory = fields.word("ack", &[("durable", false), ("memory", true)]).unwrap_or(false);
    let fresh = fields.word("order", &[("strict", false), ("fresh", true)]).unwrap_or(false);
    let ttl = Every(Duration::from_secs(1))..=Every(Duration::from_secs(3650 * 86_400));
    let ttl = fields.maybe_within("ttl", ttl).map(|ttl| ttl.0);
    let batch = fields.table("batch");
    fields.finish();
    let batch = batch.map(|table| batch::read(&table, problems));
    Some(Forward { topics: topics?, except: except?, prefix, qos: qos?, class, ack_from_memory, ttl, fresh, batch })
}

pub(super) fn read_receive(table: &Table<'_>, problems: &mut Problems) -> Option<Receive> {
    let mut fields = table.fields(problems);
    let topics = filters(&mut fields, "topics", true);
    let strip = fields.or("strip", String::new());
    let prefix = fields.or("prefix", String::new());
    let qos = qos(&mut fields, "a repeat of the cloud could not be told from a new message across a restart");
    for (key, text) in [("strip", &strip), ("prefix", &prefix)] {
        if text.contains(['+', '#', '\0']) {
            fields.wrong(key, format!("`{key}` is plain text: no wildcards"), None);
        }
    }
    fields.finish();
    Some(Receive { topics: topics?, strip, prefix, qos: qos? })
}

/// A list of topic filters; `None` when a problem was noted.
fn filters(fields: &mut Fields<'_, '_>, key: &'static str, needed: bool) -> Option<Vec<Filter>> {
    let Some(value) = fields.value(key) else {
        if needed {
            fields.need::<Vec<String>>(key)?;
        }
        return Some(Vec::new());
    };
    let Some(elements) = value.elements() else {
        value.expected(key, "a list of topics in [ ]", fields.problems);
        return None;
    };
    if needed && elements.is_empty() {
        fields.wrong(key, format!("`{key}` lists no topic"), Some("[\"#\"] is everything".into()));
        return None;
    }
    let mut read = |element: &crate::config::Value<'_>| {
        let Some(text) = element.text() else {
            element.expected(key, "a list of strings", fields.problems);
            return None;
        };
        let checked = Filter::new(text);
        checked
            .map_err(|why| {
                fields.problems.error(element.place(), format!("{text:?} is not a topic filter: {why}"), None)
            })
            .ok()
    };
    let read: Vec<_> = elements.iter().map(&mut read).collect();
    read.into_iter().collect()
}

/// 0 or 1; `why_not_2` says why not 2.
fn qos(fields: &mut Fields<'_, '_>, why_not_2: &str) -> Option<Qos> {
    let Some(value) = fields.value("qos") else { return Some(Qos::AtLeastOnce) };
    match value.read::<u8>("qos", fields.problems)? {
        level @ 0..=1 => Qos::from_level(level),
        2 => {
            fields.wrong("qos", "a bridge does not use QoS 2", Some(format!("write qos = 1: {why_not_2}")));
            None
        }
        _ => {
            fields.wrong("qos", "`qos` must be 0 or 1", None);
            None
        }
    }
}
