//! `$SYS`: what the hub tells of itself, on topics that nobody else publishes to.
//!
//! The figures are retained in memory and have QoS 0, so that no session keeps them for later and no disk sees
//! them. They are made when they are due, and only those that have changed are told.

mod broker;
mod load;
mod process;
mod weir;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::router::Publisher;
use super::{Counters, Shared};
use crate::model::{Message, Topic};
use load::Loads;
pub(super) use process::heap;

/// One figure of the hub: a topic below `$SYS/`, what it says, and how it is read.
pub(crate) struct Figure {
    /// Below `$SYS/`.
    topic: &'static str,
    /// One sentence for the documentation.
    about: &'static str,
    value: fn(&Look<'_>) -> String,
}

/// What figures are read from.
struct Look<'a> {
    counters: &'a Counters,
    /// The most memory of the process that was seen.
    heap_most: u64,
}

/// Whether `topic` is one of the hub's own, which nobody else publishes to.
pub(crate) fn is_below(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every topic below `$SYS` with what it says, as the documentation lists them. `<...>` stands for a level.
pub fn topics() -> Vec<(String, String)> {
    let of = |figures: &[Figure]| {
        let text = |it: &Figure| (format!("$SYS/{}", it.topic), it.about.to_owned());
        figures.iter().map(text).collect::<Vec<_>>()
    };
    let mut all = of(broker::FIGURES);
    all.extend(load::topics());
    all.extend(of(weir::FIGURES));
    all.extend(weir::families());
    all
}

/// What was told last, and when.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    told: HashMap<String, String>,
    last: Option<Instant>,
    loads: Loads,
    heap_most: u64,
}

impl Figures {
    /// Tells what has changed, if it is time.
    pub(crate) fn tell(&mut self, hub: &Shared, now: Instant) {
        let every = hub.settings().sys_interval;
        if every.is_zero() {
            self.fall_silent(hub);
            return;
        }
        let since = self.last.map(|last| now.duration_since(last));
        if since.is_some_and(|since| since < every) {
            return;
        }
        self.last = Some(now);
        let counters = hub.counters();
        let all = self.all(&counters, since.unwrap_or_default());
        let mut told = HashMap::with_capacity(all.len());
        for (topic, value) in all {
            if self.told.remove(&topic).as_ref() != Some(&value) {
                publish(hub, &topic, &value);
            }
            told.insert(topic, value);
        }
        // What is left was told before and is no more.
        for topic in std::mem::replace(&mut self.told, told).into_keys() {
            publish(hub, &topic, "");
        }
    }

    /// Every topic below `$SYS/` with its value; the averages move on by `passed`.
    fn all(&mut self, counters: &Counters, passed: Duration) -> Vec<(String, String)> {
        self.heap_most = self.heap_most.max(counters.heap);
        let look = Look { counters, heap_most: self.heap_most };
        let plain = broker::FIGURES.iter().chain(weir::FIGURES);
        let plain = plain.map(|it| (it.topic.to_owned(), (it.value)(&look)));
        let mut all: Vec<_> = plain.collect();
        all.extend(self.loads.pass(counters, passed));
        all.extend(weir::varying(counters));
        all
    }

    /// Old figures must not look alive.
    fn fall_silent(&mut self, hub: &Shared) {
        for (topic, _) in self.told.drain() {
            publish(hub, &topic, "");
        }
        self.last = None;
    }
}

/// A bridge that has no room for a figure misses it.
fn publish(hub: &Shared, topic: &str, value: &str) {
    let topic = Topic::new(&format!("$SYS/{topic}")).expect("figures have good topics");
    drop(hub.route(Message::own(topic, value.as_bytes()).retained(), Publisher::Forgets));
}

#[cfg(test)]
mod tests {
    use super::super::Duplicate;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_own_tree_is_told_from_its_neighbours() {
        for (topic, below) in [("$SYS", true), ("$SYS/", true), ("$SYS/a/b", true), ("$SYSTEM/a", false), ("a", false)]
        {
            assert_eq!(is_below(topic), below, "{topic}");
        }
    }

    const DOCUMENT: &str = "config/sys-topics.md";

    /// The list for users.
    fn document() -> String {
        let mut text = String::from(
            "# What the hub tells of itself\n\n\
            Every `sys_interval` (10 s) the hub publishes what has changed, retained in memory, with QoS 0. \
            `#` and `+/...` do not match these topics; subscribe to `$SYS/#`. Clients cannot publish to them. \
            `$SYS/weir/...` names clients and addresses: other machines get it only where a rule of `[[hub.acl]]` \
            says so.\n\n| Topic | Says |\n| --- | --- |\n",
        );
        for (topic, about) in topics() {
            text.push_str(&format!("| `{topic}` | {about} |\n"));
        }
        text
    }

    #[test]
    fn every_topic_is_told_and_documented_once() {
        let mut figures = Figures::default();
        let duplicate = Duplicate {
            client_id: "a/b".into(),
            addresses: ["192.0.2.1:1", "192.0.2.2:2"].map(|address| address.parse().unwrap()),
            takeovers: 9,
            delay_ms: 15_000,
        };
        let words = BTreeMap::from([("word", 1)]);
        let (refused, closed, dropped_by) = (words.clone(), words.clone(), words);
        let counters = Counters { refused, closed, dropped_by, duplicates: vec![duplicate], ..Counters::default() };
        let told = figures.all(&counters, Duration::ZERO);
        let mut told: Vec<_> = told.into_iter().map(|(topic, _)| format!("$SYS/{topic}")).collect();
        let mut listed: Vec<_> = topics().into_iter().map(|(topic, _)| topic).collect();
        let example = |topic: &String| match topic.split_once('<') {
            Some((family, "client id>")) => format!("{family}a%2Fb"),
            Some((family, _)) => format!("{family}word"),
            None => topic.clone(),
        };
        listed = listed.iter().map(example).collect();
        for list in [&mut told, &mut listed] {
            list.sort_unstable();
            let count = list.len();
            list.dedup();
            assert_eq!(list.len(), count, "one of them twice");
        }
        assert_eq!(told, listed);
        assert!(topics().iter().all(|(topic, about)| Topic::new(topic).is_ok() && about.ends_with('.')));
        let documented = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(DOCUMENT, document()).unwrap();
        } else {
            assert_eq!(documented, document(), "UPDATE_EXPECTED=1 writes it anew");
        }
    }
}
