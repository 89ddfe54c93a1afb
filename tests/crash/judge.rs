//! Whether what happened is what was promised.

use std::collections::{HashMap, HashSet};

use crate::book::{Event, What};
use crate::publish::deletes;

/// What one receiver is to get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    pub(crate) receiver: &'static str,
    /// The first level of its topics.
    pub(crate) kind: &'static str,
    /// The QoS of its subscription.
    pub(crate) qos: u8,
    /// It gets each topic in order; members of a group together do not.
    pub(crate) ordered: bool,
}

/// One broken promise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: String,
    /// The message it is about, when it is about one.
    pub(crate) topic: String,
    pub(crate) number: u64,
}

type Numbers<'a> = HashMap<&'a str, Vec<u64>>;

fn finding(what: String, topic: &str, number: u64) -> Finding {
    Finding { what, topic: topic.to_owned(), number }
}

/// Every promise that the events break.
pub(crate) fn judge(events: &[Event], wants: &[Wants]) -> Vec<Finding> {
    let wrong = events.iter().filter(|event| event.what == What::Wrong);
    let mut findings: Vec<_> =
        wrong.map(|event| finding(format!("{}: {}", event.who, event.note), &event.topic, event.number)).collect();
    for wants in wants {
        lost(events, wants, &mut findings);
        let got = by_topic(events, |event| event.what == What::Got && &*event.who == wants.receiver);
        if wants.qos == 2 {
            doubled(&got, wants, &mut findings);
        }
        if wants.ordered {
            disordered(&got, wants, &mut findings);
        }
    }
    retained(events, &mut findings);
    findings
}

/// What is acknowledged and has not arrived.
pub(crate) fn lost(events: &[Event], wants: &Wants, findings: &mut Vec<Finding>) {
    let kind = |topic: &str| topic.split('/').next() == Some(wants.kind);
    let of = |event: &&Event, what| event.what == what && kind(&event.topic);
    let got = events.iter().filter(|it| of(it, What::Got) && &*it.who == wants.receiver);
    let got: HashSet<_> = got.map(|event| (&event.topic, event.number)).collect();
    for event in events.iter().filter(|it| of(it, What::Acknowledged)) {
        if !got.contains(&(&event.topic, event.number)) {
            findings.push(finding(format!("{} has not got it: LOST", wants.receiver), &event.topic, event.number));
        }
    }
}

fn by_topic(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Numbers<'_> {
    let mut numbers = Numbers::new();
    for event in events.iter().filter(|event| wanted(event)) {
        numbers.entry(&event.topic).or_default().push(event.number);
    }
    numbers
}

/// Topics end in their publisher's QoS.
fn doubled(got: &Numbers<'_>, wants: &Wants, findings: &mut Vec<Finding>) {
    for (topic, numbers) in got.iter().filter(|(topic, _)| topic.ends_with("/2")) {
        let mut seen = HashSet::new();
        for &number in numbers.iter().filter(|number| !seen.insert(**number)) {
            findings.push(finding(format!("{} has it twice with QoS 2: DOUBLED", wants.receiver), topic, number));
        }
    }
}

/// The first arrival of each message comes in its topic's order.
fn disordered(got: &Numbers<'_>, wants: &Wants, findings: &mut Vec<Finding>) {
    for (topic, numbers) in got {
        let (mut seen, mut last) = (HashSet::new(), 0);
        for &number in numbers.iter().filter(|number| seen.insert(**number)) {
            if number < last {
                let what = format!("{} has it after {last}: OUT OF ORDER", wants.receiver);
                findings.push(finding(what, topic, number));
            }
            last = number;
        }
    }
}

/// A retained value is the last one that was acknowledged, or a newer one that was sent.
fn retained(events: &[Event], findings: &mut Vec<Finding>) {
    let (mut acknowledged, mut sent) = (HashMap::new(), HashMap::new());
    let (mut least, mut kept) = (HashMap::new(), HashMap::new());
    for event in events.iter().filter(|it| it.topic.starts_with("keep/") || it.topic.is_empty()) {
        match event.what {
            What::Sent => drop(sent.insert(&*event.topic, event.number)),
            What::Acknowledged => drop(acknowledged.insert(&*event.topic, event.number)),
            What::Looks => (least, kept) = (acknowledged.clone(), HashMap::new()),
            What::Kept => drop(kept.insert(&*event.topic, event.number)),
            What::Looked => {
                for (topic, &most) in sent.iter().filter(|(topic, _)| topic.ends_with(['1', '2'])) {
                    let least = least.get(topic).copied().unwrap_or(0);
                    let good = match kept.get(topic) {
                        Some(number) => (least..=most).contains(number),
                        None => least == 0 || (least..=most).any(deletes),
                    };
                    if !good {
                        let what = format!("retained is {:?}, not {least} to {most}: VALUE LOST", kept.get(topic));
                        findings.push(finding(what, topic, least));
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const WANTS: Wants = Wants { receiver: "r", kind: "a", qos: 2, ordered: true };

    fn judged(story: &[(What, &str, u64)]) -> Vec<String> {
        let event = |&(what, topic, number): &(What, &str, u64)| {
            let who = if what == What::Got { "r" } else { "p" };
            Event { at: Instant::now(), who: who.into(), what, topic: topic.into(), number, note: String::new() }
        };
        let events: Vec<_> = story.iter().map(event).collect();
        let last = |finding: Finding| format!("{} {}", finding.what.rsplit(": ").next().unwrap(), finding.number);
        judge(&events, &[WANTS]).into_iter().map(last).collect()
    }

    #[test]
    fn acknowledged_messages_must_arrive() {
        use What::{Acknowledged, Got, Sent};
        assert_eq!(judged(&[(Sent, "a/1", 1), (Acknowledged, "a/1", 1)]), ["LOST 1"]);
        assert_eq!(judged(&[(Sent, "a/1", 1)]), [""; 0]);
        assert_eq!(judged(&[(Acknowledged, "b/1", 1)]), [""; 0]);
        assert_eq!(judged(&[(Acknowledged, "a/1", 1), (Got, "a/1", 1), (Got, "a/1", 1)]), [""; 0]);
    }

    #[test]
    fn qos_2_arrives_once_and_every_topic_in_order() {
        use What::Got;
        assert_eq!(judged(&[(Got, "a/2", 1), (Got, "a/2", 1)]), ["DOUBLED 1"]);
        assert_eq!(judged(&[(Got, "a/1", 2), (Got, "a/1", 1), (Got, "a/1", 2)]), ["OUT OF ORDER 1"]);
        assert_eq!(judged(&[(Got, "a/1", 1), (Got, "a/1", 2), (Got, "a/1", 1), (Got, "a/1", 3)]), [""; 0]);
    }

    #[test]
    fn retained_values_never_go_back() {
        use What::{Acknowledged, Kept, Looked, Looks, Sent};
        let story = |acknowledged, kept: &[u64]| {
            let mut story = vec![(Sent, "keep/1", 6), (Acknowledged, "keep/1", acknowledged), (Looks, "", 0)];
            story.extend(kept.iter().map(|&number| (Kept, "keep/1", number)));
            story.push((Looked, "", 0));
            judged(&story)
        };
        assert_eq!(story(4, &[4]), [""; 0]);
        assert_eq!(story(4, &[6]), [""; 0]);
        assert_eq!(story(4, &[3]), ["VALUE LOST 4"]);
        assert_eq!(story(4, &[7]), ["VALUE LOST 4"]);
        assert_eq!(story(4, &[]), [""; 0], "5 deletes it");
        assert_eq!(story(6, &[]), ["VALUE LOST 6"]);
    }
}
