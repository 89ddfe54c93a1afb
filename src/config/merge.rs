//! All files of a configuration as one tree, whose places count through all files.

use std::collections::BTreeMap;
use std::mem;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problems::{Place, Problems};
use super::sources::{Source, Sources};

/// Parses every file and merges them: tables by their keys, lists of tables by appending.
///
/// Syntax errors and keys that are given twice go to `problems`.
pub fn parse<'s>(sources: &'s Sources, problems: &mut Problems) -> Spanned<DeTable<'s>> {
    let mut all = DeTable::new();
    let mut span = 0..0;
    for source in sources.iter() {
        let document = parse_one(source, problems);
        span.end = document.span().end;
        merge(&mut all, document.into_inner(), problems);
    }
    Spanned::new(span, all)
}

/// The top tables that say something else in `new` than in `old`, by name.
pub fn changed_tables(old: &Sources, new: &Sources) -> Vec<String> {
    let read = |sources| -> BTreeMap<String, Option<toml::Value>> {
        let document = parse(sources, &mut Problems::default()).into_inner();
        let value = |value: Spanned<_>| toml::Value::deserialize(ValueDeserializer::from(value)).ok();
        document.into_iter().map(|(key, it)| (key.into_inner().into_owned(), value(it))).collect()
    };
    let (old, new) = (read(old), read(new));
    let mut names: Vec<_> = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).collect();
    names.sort();
    names.dedup();
    names.into_iter().cloned().collect()
}

fn parse_one<'s>(source: &'s Source, problems: &mut Problems) -> Spanned<DeTable<'s>> {
    let (mut document, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let place = Place { start: span.start + source.base, end: span.end + source.base };
        problems.error(place, error.message(), None);
    }
    if let Some(at) = source.broken {
        let place = Place { start: source.base + at, end: source.base + at + 1 };
        problems.error(place, "this byte is not UTF-8", Some("save the file as UTF-8".into()));
    }
    let span = document.span();
    shift_table(document.get_mut(), source.base);
    Spanned::new(span.start + source.base..span.end + source.base, document.into_inner())
}

/// Moves every place of `table` by `base` bytes.
fn shift_table(table: &mut DeTable<'_>, base: usize) {
    for (key, mut value) in mem::take(table) {
        let span = key.span();
        shift(&mut value, base);
        table.insert(Spanned::new(span.start + base..span.end + base, key.into_inner()), value);
    }
}

fn shift(value: &mut Spanned<DeValue<'_>>, base: usize) {
    let span = value.span();
    let mut inner = mem::replace(value.get_mut(), DeValue::Boolean(false));
    match &mut inner {
        DeValue::Table(table) => shift_table(table, base),
        DeValue::Array(array) => array.iter_mut().for_each(|element| shift(element, base)),
        _ => {}
    }
    *value = Spanned::new(span.start + base..span.end + base, inner);
}

fn merge<'s>(into: &mut DeTable<'s>, from: DeTable<'s>, problems: &mut Problems) {
    for (key, value) in from {
        let Some((first_key, _)) = into.get_key_value(&**key.get_ref()) else {
            into.insert(key, value);
            continue;
        };
        let first = Place::from(first_key.span());
        let Some(present) = into.get_mut(&**key.get_ref()) else { continue };
        match (present.get_mut(), value.into_inner()) {
            (DeValue::Table(into), DeValue::Table(from)) => merge(into, from, problems),
            (DeValue::Array(into), DeValue::Array(from)) if tables(into) && tables(&from) => {
                from.into_iter().for_each(|element| into.push(element));
            }
            _ => {
                let message = format!("`{}` is given in two files", key.get_ref());
                problems.clash(key.span().into(), message, (first, "first given here"));
            }
        }
    }
}

fn tables(array: &[Spanned<DeValue<'_>>]) -> bool {
    array.iter().all(|element| element.get_ref().is_table())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Table;

    fn two(first: &str, second: &str) -> Sources {
        let mut sources = Sources::from_text("1.toml", first);
        sources.add("2.toml".into(), second.as_bytes());
        sources
    }

    #[test]
    fn tables_merge_and_lists_of_tables_append() {
        let sources = two("[hub]\na = 1\n[[sensor]]\nname = 1\n", "[hub]\nb = 2\n[[sensor]]\nname = 2\n");
        let mut problems = Problems::default();
        let document = parse(&sources, &mut problems);
        assert_eq!(problems.iter().count(), 0);
        let top = Table::new(&document);
        assert_eq!(top.get("hub").unwrap().table().unwrap().entries().len(), 2);
        let sensors = top.get("sensor").unwrap().elements().unwrap();
        let spots: Vec<_> = sensors
            .iter()
            .map(|sensor| sensor.table().unwrap().get("name").unwrap().place().start)
            .map(|start| sources.locate(start).map(|spot| (spot.source.path.clone(), spot.line, spot.column)).unwrap())
            .collect();
        assert_eq!(spots, [("1.toml".into(), 4, 8), ("2.toml".into(), 4, 8)]);
    }

    #[test]
    fn the_same_key_in_two_files_names_both_places() {
        let sources = two("[hub]\na = 1\n", "[hub]\na = 2\n");
        let mut problems = Problems::default();
        parse(&sources, &mut problems);
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.message, "`a` is given in two files");
        let spot = |place: &Place| sources.locate(place.start).map(|spot| spot.source.path.clone()).unwrap();
        assert_eq!(spot(problem.place.as_ref().unwrap()).to_str(), Some("2.toml"));
        assert_eq!(spot(&problem.also.as_ref().unwrap().0).to_str(), Some("1.toml"));
    }

    #[test]
    fn several_syntax_errors_are_found_at_once() {
        let sources = two("a = \nb = 1\n", "c = [1\n[d\n");
        let mut problems = Problems::default();
        parse(&sources, &mut problems);
        assert!(problems.iter().count() >= 2, "{problems:?}");
    }
}
