//! Whether several topic filters together match everything that one filter matches. Pure.
//!
//! Asked level by level: the filters that still fit are followed as suffixes. A wildcard of the filter in question
//! stands for every name its level can have: the names that some suffix begins with, one by one, and any other.

use crate::model::Filter;

/// Steps after which the answer is no: with many wildcards in the rules the question can be hard (it contains the
/// tautology problem), and a client chooses the filter.
const STEPS: usize = 20_000;

/// What is left of a filter: its levels.
type Rest<'a> = &'a [&'a str];

/// Whether every topic that matches `filter` matches one of `set`. It may say no, never yes, when it cannot be
/// found out in a reasonable number of steps.
pub(super) fn cover(set: &[Filter], filter: &Filter) -> bool {
    if set.iter().any(|one| one.covers(filter)) {
        return true;
    }
    // A leading wildcard does not match `$...` (MQTT-4.7.2-1), so what is left needs no further care.
    let dollar = filter.as_str().starts_with('$');
    let hidden = |one: &&Filter| one.as_str().starts_with(if dollar { &['+', '#'][..] } else { &['$'][..] });
    let levels = |one: &Filter| -> Vec<String> { one.as_str().split('/').map(str::to_owned).collect() };
    let (wanted, set): (Vec<_>, Vec<_>) =
        (levels(filter), set.iter().filter(|one| !hidden(one) && one.overlaps(filter)).map(levels).collect());
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let set: Vec<Vec<&str>> = set.iter().map(|one| one.iter().map(String::as_str).collect()).collect();
    let rests: Vec<Rest<'_>> = set.iter().map(Vec::as_slice).collect();
    let mut steps = STEPS;
    covers_rest(&rests, &wanted, Path::Start, &mut steps)
}

/// What the topics looked at begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Nothing yet.
    Start,
    /// One empty level: that alone is no topic (MQTT-4.7.3-1).
    Empty,
    /// Something that can be a topic.
    Some,
}

impl Path {
    fn below(self, name: Option<&str>) -> Self {
        if self == Path::Start && name == Some("") { Path::Empty } else { Path::Some }
    }
}

fn covers_rest(set: &[Rest<'_>], wanted: Rest<'_>, path: Path, steps: &mut usize) -> bool {
    let ends = || path != Path::Some || set.iter().any(|rest| rest.is_empty());
    if set.iter().any(|rest| rest.first() == Some(&"#")) {
        return true;
    }
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    match wanted.split_first() {
        None => ends(),
        Some((&"+", left)) => every_name(set, path, left, steps),
        // `a/#` matches `a` too.
        Some((&"#", _)) => ends() && every_name(set, path, wanted, steps),
        Some((&name, left)) => covers_rest(&after(set, Some(name)), left, path.below(Some(name)), steps),
    }
}

/// Whether what follows is covered, whatever the name of this level is.
fn every_name(set: &[Rest<'_>], path: Path, left: Rest<'_>, steps: &mut usize) -> bool {
    let mut names: Vec<_> = set.iter().filter_map(|rest| rest.first().copied()).map(Some).collect();
    names.retain(|name| *name != Some("+") && !(path == Path::Start && name.is_some_and(|it| it.starts_with('$'))));
    // Any other name, which fits the fewest, comes first.
    names.push(None);
    names.sort_unstable();
    names.dedup();
    names.into_iter().all(|name| covers_rest(&after(set, name), left, path.below(name), steps))
}

/// What is left of those that fit a level called `name`, or called like none of them.
fn after<'a>(set: &[Rest<'a>], name: Option<&str>) -> Vec<Rest<'a>> {
    let fits = |level: &str| level == "+" || Some(level) == name;
    set.iter().filter_map(|rest| rest.split_first().filter(|(level, _)| fits(level)).map(|(_, left)| left)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Topic;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| Filter::new(text).unwrap()).collect()
    }

    fn covered(set: &[&str], filter: &str) -> bool {
        cover(&filters(set), &Filter::new(filter).unwrap())
    }

    #[test]
    fn one_or_several_together() {
        assert!(covered(&["a/#"], "a/+/c"));
        assert!(covered(&["a", "a/+", "a/+/+/#"], "a/#"));
        assert!(!covered(&["a/+", "a/+/+/#"], "a/#"), "`a` itself is missing");
        assert!(!covered(&["a", "a/+/#"], "#"));
        assert!(covered(&["+", "+/+/#"], "#"));
        assert!(!covered(&["a/b"], "a/+"));
        assert!(!covered(&[], "a"));
        assert!(!covered(&["#"], "$SYS/#"), "a leading wildcard does not match `$SYS`");
        assert!(covered(&["$SYS/#"], "$SYS/+/x"));
        assert!(!covered(&["+/a", "$b/+"], "+/+"));
        assert!(covered(&["/+"], "/x"));
    }

    #[test]
    fn a_question_that_is_too_hard_is_answered_no_and_soon() {
        // Each filter leaves out one name on one of 40 levels: 2^40 combinations without a bound.
        let mut set = Vec::new();
        for level in 0..40 {
            for name in ["a", "b"] {
                let levels = (0..40).map(|at| if at == level { name } else { "+" }).collect::<Vec<_>>();
                set.push(levels.join("/"));
            }
        }
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        assert!(!covered(&set, &["+"; 40].join("/")));
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let level = prop::sample::select(vec!["a", "b", "", "+", "+", "$c"]);
        (prop::collection::vec(level, 0..4), any::<bool>()).prop_map(|(mut levels, open)| {
            if open || levels.is_empty() || levels == [""] {
                levels.push("#");
            }
            Filter::new(&levels.join("/")).unwrap()
        })
    }

    /// Every topic of up to five levels over names that filters use, and one that none uses.
    static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| {
        let mut texts: Vec<String> = vec![];
        let mut longest: Vec<String> = ["a", "b", "", "$c", "z"].map(str::to_owned).to_vec();
        for _ in 0..5 {
            texts.extend(longest.iter().cloned());
            let more = longest.iter().flat_map(|text| ["a", "b", "", "$c", "z"].map(|name| format!("{text}/{name}")));
            longest = more.collect();
        }
        texts.iter().filter_map(|text| Topic::new(text).ok()).collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn the_answer_is_that_of_trying_every_topic(set in prop::collection::vec(filter(), 0..6), wanted in filter()) {
            let mut matching = TOPICS.iter().filter(|topic| wanted.matches(topic));
            let by_trying = matching.all(|topic| set.iter().any(|one| one.matches(topic)));
            prop_assert_eq!(cover(&set, &wanted), by_trying);
        }

        #[test]
        fn filters_overlap_when_some_topic_matches_both(a in filter(), b in filter()) {
            let by_trying = TOPICS.iter().any(|topic| a.matches(topic) && b.matches(topic));
            // These two have the empty text in common, which is no topic.
            let pair = [a.as_str(), b.as_str()];
            prop_assert_eq!(a.overlaps(&b) && !matches!(pair, ["+", "/#"] | ["/#", "+"]), by_trying);
        }
    }
}
