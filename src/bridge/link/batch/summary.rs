//! The readings of one topic in a batch as one: mean, least, greatest and count. Pure.
//!
//! A summary has the time and the key of the last reading that it stands for. Somebody else's messages, and readings
//! that are not numbers, stay as they are.

use std::collections::HashMap;

use crate::format::batch::{Body, Item};
use crate::model::Spread;

/// Readings of one topic and one quality become one item each; the order is that of their last readings.
/// `averages` tells of an item by its place whether that makes sense.
pub(super) fn summarised<'a>(items: &[Item<'a>], averages: impl Fn(usize) -> bool) -> Vec<Item<'a>> {
    let mut kept: Vec<Option<Item<'a>>> = Vec::with_capacity(items.len());
    let mut places: HashMap<_, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let mut item = *item;
        if let Some(group) = group(&item).filter(|_| averages(index))
            && let Some(before) = places.insert(group, kept.len()).and_then(|place| kept[place].take())
        {
            item = joined(&before, &item);
        }
        kept.push(Some(item));
    }
    kept.into_iter().flatten().collect()
}

/// What readings have in common that become one.
fn group<'a>(item: &Item<'a>) -> Option<(&'a str, &'a str, crate::model::Quality)> {
    match item.body {
        Body::Reading { value, unit, quality, .. } if value.is_finite() => Some((item.topic, unit, quality)),
        _ => None,
    }
}

/// Two readings, or summaries, as one summary in place of the later.
fn joined<'a>(earlier: &Item<'a>, later: &Item<'a>) -> Item<'a> {
    let (Some(first), Some(last)) = (mean(earlier), mean(later)) else { return *later };
    let Body::Reading { unit, decimals, quality, number, .. } = later.body else { return *later };
    let between_ms = u64::try_from(later.time_ms - earlier.time_ms).unwrap_or(0);
    let (value, spread) = Spread::joined(first, last, between_ms);
    Item { body: Body::Reading { value, unit, decimals, quality, number, spread: Some(spread) }, ..*later }
}

/// The value of a reading, and what it stands for: itself, unless it is told.
fn mean(item: &Item<'_>) -> Option<(f64, Spread)> {
    match item.body {
        Body::Reading { value, spread, .. } => Some((value, spread.unwrap_or(Spread::of(value)))),
        Body::Payload(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Quality, TimeQuality};

    fn reading(topic: &str, sequence: u64, value: f64) -> Item<'_> {
        let body =
            Body::Reading { value, unit: "°C", decimals: 1, quality: Quality::Ok, number: sequence, spread: None };
        let time_ms = sequence as i64 * 1000;
        Item { topic, time_ms, time_quality: TimeQuality::Synced, start: 1, sequence, body }
    }

    fn told(items: &[Item<'_>]) -> Vec<(String, u64, f64, Option<Spread>)> {
        let told = |item: &Item<'_>| match item.body {
            Body::Reading { value, spread, .. } => (item.topic.to_owned(), item.sequence, value, spread),
            Body::Payload(_) => (item.topic.to_owned(), item.sequence, f64::NAN, None),
        };
        items.iter().map(told).collect()
    }

    #[test]
    fn each_topic_has_its_mean_its_ends_and_its_count() {
        let items = [reading("a", 1, 20.0), reading("b", 2, 5.0), reading("a", 3, 26.0), reading("a", 4, 17.0)];
        let spread = Spread { min: 17.0, max: 26.0, count: 3, over_ms: 3000 };
        assert_eq!(
            told(&summarised(&items, |_| true)),
            [("b".into(), 2, 5.0, None), ("a".into(), 4, 21.0, Some(spread))]
        );
    }

    #[test]
    fn summaries_join_by_their_counts() {
        let mut old = reading("a", 9, 10.0);
        if let Body::Reading { spread, .. } = &mut old.body {
            *spread = Some(Spread { min: 1.0, max: 40.0, count: 3, over_ms: 5000 });
        }
        let spread = Spread { min: 1.0, max: 40.0, count: 4, over_ms: 6000 };
        assert_eq!(told(&summarised(&[old, reading("a", 10, 18.0)], |_| true)), [("a".into(), 10, 12.0, Some(spread))]);
    }

    #[test]
    fn messages_of_others_odd_numbers_and_other_qualities_stay_as_they_are() {
        let payload = |sequence| Item { body: Body::Payload(b"1"), ..reading("a", sequence, 0.0) };
        let mut suspect = reading("a", 4, 900.0);
        if let Body::Reading { quality, .. } = &mut suspect.body {
            *quality = Quality::Suspect;
        }
        let items = [payload(1), reading("a", 2, f64::NAN), reading("a", 3, 2.0), suspect, payload(5), payload(6)];
        let sequences: Vec<u64> = summarised(&items, |_| true).iter().map(|item| item.sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
        let counters = [reading("n", 1, 7.0), reading("n", 2, 8.0)];
        assert_eq!(summarised(&counters, |_| false).len(), 2);
    }
}
