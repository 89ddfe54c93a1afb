//! Reading a table key by key: every problem is collected with its place, none ends the reading.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use super::nearest::nearest;
use super::problems::{Place, Problems};
use super::table::{Table, Value};

/// Reads one table key by key. Call [`Fields::finish`] at the end: it reports the keys nobody asked for.
#[derive(Debug)]
pub struct Fields<'t, 'p> {
    table: Table<'t>,
    /// Where problems go; open, so that a reader can add its own.
    pub problems: &'p mut Problems,
    known: Vec<&'static str>,
    later: Vec<&'static str>,
}

impl<'t, 'p> Fields<'t, 'p> {
    pub(super) fn new(table: Table<'t>, problems: &'p mut Problems) -> Self {
        Self { table, problems, known: Vec::new(), later: Vec::new() }
    }

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
    use toml::de::DeTable;

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
