//! Reading a table key by key: every problem is collected with its place, none ends the reading.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::nearest::nearest;
use super::problems::{Place, Problems};

/// One table of a configuration file, with the place of every key and value.
#[derive(Debug, Clone)]
pub struct Table<'t> {
    place: Place,
    /// What a table is called that is not there, but should be.
    missing: Option<&'static str>,
    inner: &'t DeTable<'t>,
}

/// One value of a configuration file, with its place.
#[derive(Debug, Clone, Copy)]
pub struct Value<'t> {
    inner: &'t Spanned<DeValue<'t>>,
}

impl<'t> Table<'t> {
    /// The top table.
    pub fn new(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self { place: document.span().into(), missing: None, inner: document.get_ref() }
    }

    /// A table without entries, for one that is not there.
    pub fn empty() -> Self {
        static EMPTY: LazyLock<Spanned<DeTable<'static>>> = LazyLock::new(|| Spanned::new(0..0, DeTable::new()));
        Table::new(&EMPTY)
    }

    /// A table without entries for `name`, which is not there; its problems are shown at `place`.
    pub fn missing(name: &'static str, place: Place) -> Self {
        Table { place, missing: Some(name), ..Table::empty() }
    }

    /// The place of the whole table.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The entries in the order of the file: key, place of the key, value.
    pub fn entries(&self) -> Vec<(&'t str, Place, Value<'t>)> {
        let mut entries: Vec<_> = self.inner.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().map(|(key, inner)| (&**key.get_ref(), key.span().into(), Value { inner })).collect()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.inner.get(key).map(|inner| Value { inner })
    }

    /// The place of the key itself.
    pub fn key_place(&self, key: &str) -> Option<Place> {
        self.inner.get_key_value(key).map(|(key, _)| key.span().into())
    }

    /// Starts reading; `problems` takes what is wrong.
    pub fn fields<'p>(&self, problems: &'p mut Problems) -> Fields<'t, 'p> {
        Fields { table: self.clone(), problems, known: Vec::new(), later: Vec::new() }
    }
}

impl<'t> Value<'t> {
    /// The place of the value.
    pub fn place(&self) -> Place {
        self.inner.span().into()
    }

    /// The value as a table, if it is one.
    pub fn table(&self) -> Option<Table<'t>> {
        let inner = self.inner.get_ref().as_table()?;
        Some(Table { place: self.place(), missing: None, inner })
    }

    /// The value as text, if it is a string.
    pub fn text(&self) -> Option<&'t str> {
        self.inner.get_ref().as_str()
    }

    /// The elements, if it is an array.
    pub fn elements(&self) -> Option<Vec<Value<'t>>> {
        let array = self.inner.get_ref().as_array()?;
        Some(array.iter().map(|inner| Value { inner }).collect())
    }

    /// The kind of value, as TOML calls it: `string`, `integer`, `table` ...
    pub fn kind(&self) -> &'static str {
        self.inner.get_ref().type_str()
    }

    /// The value as a `T`; what is wrong goes to `problems`, with the place inside a nested value.
    pub fn read<T: DeserializeOwned>(&self, key: &str, problems: &mut Problems) -> Option<T> {
        match T::deserialize(ValueDeserializer::from(self.inner.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                let place = error.span().map_or_else(|| self.place(), Place::from);
                problems.error(place, plain(key, error.message()), None);
                None
            }
        }
    }

    /// The value as one of a few words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let Some(text) = self.text() else {
            self.expected(key, &format!("one of {}", quoted(&names)), problems);
            return None;
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            problems.error(self.place(), format!("`{key}` cannot be {text:?}"), Some(suggest(text, &names)));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// Notes that the value is of the wrong kind.
    pub fn expected(&self, key: &str, wanted: &str, problems: &mut Problems) {
        let kind = self.kind();
        problems.error(self.place(), format!("`{key}` must be {wanted}, not {} {kind}", article(kind)), None);
    }
}

/// The nearest of `names`, or all of them.
pub fn suggest(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names) {
        Some(near) => format!("did you mean {near:?}?"),
        None => one_of(names),
    }
}

fn one_of(names: &[&str]) -> String {
    let one = if names.len() == 1 { "" } else { "one of " };
    format!("write {one}{}", quoted(names))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// Serde's words for a value that does not fit, as a sentence about `key`.
fn plain(key: &str, message: &str) -> String {
    let unfit = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match unfit.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, wanted)) => {
            let kind = got.split(' ').next().unwrap_or(got);
            format!("`{key}` must be {}, not {} {got}", human(wanted), article(kind))
        }
        None => format!("`{key}`: {message}"),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// What serde calls by Rust's names, in a reader's words.
fn human(wanted: &str) -> String {
    match wanted {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "a whole number, zero or more".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list in [ ]".into(),
        "a map" => "a table".into(),
        wanted if wanted.starts_with("struct ") => "a table".into(),
        wanted => wanted.into(),
    }
}

/// Reads one table key by key. Call [`Fields::finish`] at the end: it reports the keys nobody asked for.
#[derive(Debug)]
pub struct Fields<'t, 'p> {
    table: Table<'t>,
    /// Where problems go; open, so that a reader can add its own.
    pub problems: &'p mut Problems,
    known: Vec<&'static str>,
    later: Vec<&'static str>,
}

impl<'t> Fields<'t, '_> {
    /// The raw value of `key`, which is known from now on.
    pub fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The value of `key`, if it is there and right.
    pub fn maybe<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        self.value(key)?.read(key, self.problems)
    }

    /// The value of `key`, or `default` if it is not there or wrong.
    pub fn or<T: DeserializeOwned>(&mut self, key: &'static str, default: T) -> T {
        self.maybe(key).unwrap_or(default)
    }

    /// The value of `key` when it is inside `range`, or `default`.
    pub fn within<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: DeserializeOwned + PartialOrd + Display,
    {
        self.maybe_within(key, range).unwrap_or(default)
    }

    /// The value of `key`, if it is there, right, and inside `range`.
    pub fn maybe_within<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: DeserializeOwned + PartialOrd + Display,
    {
        let value = self.maybe(key)?;
        if range.contains(&value) {
            return Some(value);
        }
        let help = format!("write something from {} to {}", range.start(), range.end());
        self.wrong(key, format!("`{key}` cannot be {value}"), Some(help));
        None
    }

    /// The value of `key`; a problem if it is not there.
    pub fn need<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let Some(value) = self.value(key) else {
            let (message, help) = match self.table.missing {
                Some(table) => {
                    (format!("`{table}` with `{key}` is missing here"), format!("{table} = {{ {key} = ... }}"))
                }
                None => (format!("`{key}` is missing here"), String::new()),
            };
            self.problems.error(self.table.place(), message, Some(help).filter(|help| !help.is_empty()));
            return None;
        };
        value.read(key, self.problems)
    }

    /// The value of `key` as `parse` understands its text.
    pub fn text<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.value(key)?;
        let Some(text) = value.text() else {
            value.expected(key, "a string", self.problems);
            return None;
        };
        parse(text).map_err(|why| self.wrong(key, format!("`{key}`: {why}"), None)).ok()
    }

    /// The value of `key`, which must be one of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.value(key)?;
        value.word(key, words, self.problems)
    }

    /// As [`word`](Self::word), where some words have no meaning yet and are refused.
    pub fn word_or_later<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, Option<T>)]) -> Option<T> {
        let found = self.word(key, words)?;
        if found.is_none() {
            let built = words.iter().filter_map(|(word, meaning)| meaning.map(|_| *word));
            let help = one_of(&built.collect::<Vec<_>>());
            self.wrong(key, format!("this `{key}` is not yet supported"), Some(help));
        }
        found
    }

    /// The table called `key`, if there is one.
    pub fn table(&mut self, key: &'static str) -> Option<Table<'t>> {
        let value = self.value(key)?;
        let table = value.table();
        if table.is_none() {
            value.expected(key, "a table", self.problems);
        }
        table
    }

    /// The tables written `[[header]]`, the last part of which is `key`; none when there are none.
    pub fn tables(&mut self, key: &'static str, header: &str) -> Vec<Table<'t>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(elements) = value.elements() else {
            let help = format!("there can be several: write [[{header}]]");
            self.wrong(key, format!("`{key}` must be a list of tables, not one {}", value.kind()), Some(help));
            return Vec::new();
        };
        let tables = elements.into_iter().filter_map(|element| {
            let table = element.table();
            if table.is_none() {
                element.expected(key, "a list of tables", self.problems);
            }
            table
        });
        tables.collect()
    }

    /// Refuses every key that belongs into the table `home` beside it.
    pub fn belong(&mut self, keys: &[&'static str], home: &str) {
        for key in keys {
            if let Some(place) = self.table.key_place(key).filter(|_| !self.known.contains(key)) {
                let help = format!("write {home} = {{ {key} = ... }}");
                self.problems.error(place, format!("`{key}` belongs into `{home}`"), Some(help));
                self.later.push(key);
            }
        }
    }

    /// Refuses `key`, which exists in the design but not in this version.
    pub fn not_yet(&mut self, key: &'static str) {
        self.later.push(key);
        if let Some(place) = self.table.key_place(key) {
            self.problems.error(place, format!("`{key}` is not yet supported"), Some(format!("leave `{key}` out")));
        }
    }

    /// The value of `key`, read already, or the whole table.
    pub(super) fn get(&self, key: &str) -> Value<'t> {
        self.table.get(key).expect("only asked for keys that were just read")
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The place of `key`'s value, or of the whole table when it is not there.
    pub fn place(&self, key: &str) -> Place {
        self.table.get(key).map_or_else(|| self.table.place(), |value| value.place())
    }

    /// Notes that the value of `key` is wrong.
    pub fn wrong(&mut self, key: &str, message: impl Into<String>, help: Option<String>) {
        let place = self.place(key);
        self.problems.error(place, message, help);
    }

    /// Reports every key that nobody asked for, with the nearest one that exists.
    pub fn finish(self) {
        for (key, place, _) in self.table.entries() {
            if !self.known.contains(&key) && !self.later.contains(&key) {
                let help = match nearest(key, &self.known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", self.known.join(", ")),
                };
                self.problems.error(place, format!("unknown key `{key}`"), Some(help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_table_is_found_in_one_pass() {
        let text = "adress = 1\ncount = \"x\"\n";
        let document = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let mut fields = Table::new(&document).fields(&mut problems);
        assert_eq!(fields.or("address", 7), 7);
        assert_eq!(fields.maybe::<u8>("count"), None);
        assert_eq!(fields.need::<String>("bus"), None);
        fields.finish();
        let found: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            found,
            [
                "`count` must be a whole number from 0 to 255, not a string \"x\"",
                "`bus` is missing here",
                "unknown key `adress`"
            ]
        );
        assert_eq!(problems.iter().last().unwrap().help.as_deref(), Some("did you mean `address`?"));
    }
}
