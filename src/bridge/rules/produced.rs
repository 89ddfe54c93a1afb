//! Which local topics a receive rule can produce.

use crate::bridge::Receive;
use crate::model::Filter;

/// Filters that match every local topic the rule can produce, and as few others as a filter can say.
/// Empty for a subscription none of whose topics begins with what is to be stripped.
pub fn produced(rule: &Receive) -> Vec<Filter> {
    rule.topics.iter().filter_map(|filter| produced_by(filter, &rule.strip, &rule.prefix)).collect()
}

/// What is left of `filter` without `strip` in front, behind `prefix`.
pub(super) fn produced_by(filter: &Filter, strip: &str, prefix: &str) -> Option<Filter> {
    let rest = without(filter.as_str(), strip)?;
    Filter::new(&joined(prefix, &rest)).ok()
}

/// The levels of `filter` that remain when every topic it matches loses `strip`.
/// A level of which only a part remains unknown becomes `+`.
fn without(filter: &str, strip: &str) -> Option<Vec<String>> {
    let mut levels = filter.split('/');
    let mut strip_levels = strip.split('/').peekable();
    while let Some(wanted) = strip_levels.next() {
        let last = strip_levels.peek().is_none();
        let level = match levels.next() {
            Some("#") => return Some(vec!["#".into()]),
            Some(level) => level,
            None if last && wanted.is_empty() => return Some(vec![]),
            None => return None,
        };
        if last {
            let rest = if level == "+" { "+" } else { level.strip_prefix(wanted)? };
            return Some([rest].into_iter().chain(levels).map(str::to_owned).collect());
        }
        if level != "+" && level != wanted {
            return None;
        }
    }
    None
}

/// `prefix` and `rest` as one filter. Wildcards fill their level: `a` + `+` becomes `+`, `a` + `#` becomes `#`.
fn joined(prefix: &str, rest: &[String]) -> String {
    let (parents, partial) = prefix.rsplit_once('/').map_or(("", prefix), |(parents, partial)| (parents, partial));
    let parents = if prefix.contains('/') { format!("{parents}/") } else { String::new() };
    let first = match rest.first().map_or("", String::as_str) {
        "#" => "#".into(),
        "+" => "+".into(),
        text => format!("{partial}{text}"),
    };
    let others: String = rest.iter().skip(1).map(|level| format!("/{level}")).collect();
    format!("{parents}{first}{others}")
}
