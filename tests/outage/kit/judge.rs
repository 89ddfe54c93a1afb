//! What was promised beside what arrived. Pure.

use std::collections::{HashMap, HashSet};

use super::cloud::Arrival;
use super::device::Promised;

/// What is wrong, in numbers of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged to a device.
    pub(crate) accepted: usize,
    /// Of these, never arrived.
    pub(crate) lost: usize,
    /// Arrived once more, although the device has sent it once.
    pub(crate) repeated: usize,
    /// Arrived for the first time behind a newer one of their topic.
    pub(crate) reordered: usize,
    /// Arrived under two dedupe keys, although the device has sent it once: nobody can tell that it is a repeat.
    pub(crate) rekeyed: usize,
}

impl Verdict {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.rekeyed += other.rekeyed;
    }
}

/// Judges all topics.
pub(crate) fn judge(promised: &[Promised], arrivals: &HashMap<String, Vec<Arrival>>) -> Verdict {
    let mut verdict = Verdict::default();
    for of_topic in promised {
        let arrivals = arrivals.get(&of_topic.topic).map(Vec::as_slice).unwrap_or_default();
        verdict.add(judge_topic(of_topic, arrivals));
    }
    verdict
}

/// What arrived for the first time behind a newer one of its topic: topic and number.
pub(crate) fn late(arrivals: &HashMap<String, Vec<Arrival>>) -> HashSet<(String, u64)> {
    let of_topic = |(topic, arrivals): (&String, &Vec<Arrival>)| {
        let (mut seen, mut newest, mut late) = (HashSet::new(), 0, Vec::new());
        for number in arrivals.iter().map(|it| it.note.number) {
            if seen.insert(number) && number < newest {
                late.push((topic.clone(), number));
            }
            newest = newest.max(number);
        }
        late
    };
    arrivals.iter().flat_map(of_topic).collect()
}

/// How many acknowledged messages have not arrived.
pub(crate) fn missing(promised: &[Promised], arrivals: &HashMap<String, Vec<Arrival>>) -> usize {
    judge(promised, arrivals).lost
}

fn judge_topic(promised: &Promised, arrivals: &[Arrival]) -> Verdict {
    let mut verdict = Verdict { accepted: promised.accepted.len(), ..Verdict::default() };
    let mut seen: HashMap<u64, HashSet<Option<&str>>> = HashMap::new();
    let mut newest = 0;
    for Arrival { note, key, .. } in arrivals {
        let keys = seen.entry(note.number).or_default();
        let (first, known) = (keys.is_empty(), !keys.insert(key.as_deref()));
        let sent_again = promised.again.contains(&note.number);
        if first {
            verdict.reordered += usize::from(note.number < newest);
            newest = newest.max(note.number);
        } else if known && (key.is_some() || !sent_again) {
            verdict.repeated += 1;
        } else if !known && !sent_again {
            verdict.rekeyed += 1;
        }
    }
    verdict.lost = promised.accepted.iter().filter(|accepted| !seen.contains_key(&accepted.note.number)).count();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::device::Accepted;
    use crate::kit::note::Note;

    fn note(number: u64) -> Note {
        Note { number, sent_us: 0 }
    }

    fn judged(again: &[u64], arrived: &[(u64, &str)]) -> [usize; 4] {
        let accepted = (1..=4).map(|number| Accepted { note: note(number), at_us: 0 }).collect();
        let promised = Promised { topic: "t".into(), accepted, again: again.iter().copied().collect() };
        let key = |key: &str| Some(key.into()).filter(|_| !key.is_empty());
        let arrival = |(number, text): &(u64, &str)| Arrival { note: note(*number), at_us: 0, key: key(text) };
        let arrivals = HashMap::from([("t".to_owned(), arrived.iter().map(arrival).collect())]);
        let verdict = judge(&[promised], &arrivals);
        assert_eq!(late(&arrivals).len(), verdict.reordered);
        [verdict.lost, verdict.repeated, verdict.reordered, verdict.rekeyed]
    }

    #[test]
    fn what_is_lost_repeated_reordered_or_rekeyed_is_seen() {
        assert_eq!(judged(&[], &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]), [0, 0, 0, 0]);
        assert_eq!(judged(&[], &[(1, "a"), (2, "b"), (4, "d")]), [1, 0, 0, 0]);
        assert_eq!(judged(&[], &[(2, "b"), (1, "a"), (4, "d"), (3, "c")]), [0, 0, 2, 0]);
        assert_eq!(judged(&[], &[(1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c"), (4, "d")]), [0, 2, 0, 0]);
        assert_eq!(judged(&[], &[(1, "a"), (1, "x"), (2, "b"), (3, "c"), (4, "d")]), [0, 0, 0, 1]);
        assert_eq!(judged(&[1], &[(1, "a"), (1, "x"), (1, "x"), (2, "b"), (3, "c"), (4, "d")]), [0, 1, 0, 0]);
        assert_eq!(judged(&[1], &[(1, ""), (1, ""), (2, ""), (2, ""), (3, ""), (4, "")]), [0, 1, 0, 0]);
    }
}
