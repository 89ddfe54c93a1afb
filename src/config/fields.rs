//! Reading a table key by key: every problem is collected with its place, none ends the reading.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::nearest::nearest;

/// A place in one of the configuration files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which file, in the order they were read.
    pub file: usize,
    /// Bytes of that file.
    pub span: Range<usize>,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but is probably not what its owner wants.
    Warning,
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Where it is, unless it is about something that is missing altogether.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Every problem found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes an error.
    pub fn error(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Error, place: place.into(), message: message.into(), help });
    }

    /// Notes a warning.
    pub fn warn(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>, help: Option<String>) {
        self.0.push(Problem { severity: Severity::Warning, place: place.into(), message: message.into(), help });
    }

    /// Whether the configuration cannot be used.
    pub fn fatal(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All problems, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

/// One table of a configuration file, with the place of every key and value.
#[derive(Debug, Clone)]
pub struct Table<'t> {
    place: Place,
    inner: &'t DeTable<'t>,
}

/// One value of a configuration file, with its place.
#[derive(Debug, Clone, Copy)]
pub struct Value<'t> {
    file: usize,
    inner: &'t Spanned<DeValue<'t>>,
}

impl<'t> Table<'t> {
    /// The top table of file number `file`.
    pub fn new(file: usize, document: &'t Spanned<DeTable<'t>>) -> Self {
        Self { place: Place { file, span: document.span() }, inner: document.get_ref() }
    }

    /// The place of the whole table.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// The entries in the order of the file: key, place of the key, value.
    pub fn entries(&self) -> Vec<(&'t str, Place, Value<'t>)> {
        let file = self.place.file;
        let mut entries: Vec<_> = self.inner.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, inner)| (&**key.get_ref(), Place { file, span: key.span() }, Value { file, inner }))
            .collect()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Value<'t>> {
        self.inner.get(key).map(|inner| Value { file: self.place.file, inner })
    }

    /// Starts reading; `problems` takes what is wrong.
    pub fn fields<'p>(&self, problems: &'p mut Problems) -> Fields<'t, 'p> {
        Fields { table: self.clone(), problems, known: Vec::new() }
    }
}

impl<'t> Value<'t> {
    /// The place of the value.
    pub fn place(&self) -> Place {
        Place { file: self.file, span: self.inner.span() }
    }

    /// The value as a table, if it is one.
    pub fn table(&self) -> Option<Table<'t>> {
        let inner = self.inner.get_ref().as_table()?;
        Some(Table { place: self.place(), inner })
    }

    /// The elements, if it is an array.
    pub fn elements(&self) -> Option<Vec<Value<'t>>> {
        let array = self.inner.get_ref().as_array()?;
        Some(array.iter().map(|inner| Value { file: self.file, inner }).collect())
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
                let span = error.span().unwrap_or_else(|| self.inner.span());
                problems.error(Place { file: self.file, span }, format!("`{key}`: {}", error.message()), None);
                None
            }
        }
    }
}

/// Reads one table key by key. Call [`Fields::finish`] at the end: it reports the keys nobody asked for.
#[derive(Debug)]
pub struct Fields<'t, 'p> {
    table: Table<'t>,
    /// Where problems go; open, so that a reader can add its own.
    pub problems: &'p mut Problems,
    known: Vec<&'static str>,
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

    /// The value of `key`; a problem if it is not there.
    pub fn need<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let Some(value) = self.value(key) else {
            self.problems.error(self.table.place(), format!("`{key}` is missing here"), None);
            return None;
        };
        value.read(key, self.problems)
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
            if !self.known.contains(&key) {
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
        let mut fields = Table::new(0, &document).fields(&mut problems);
        assert_eq!(fields.or("address", 7), 7);
        assert_eq!(fields.maybe::<u8>("count"), None);
        assert_eq!(fields.need::<String>("bus"), None);
        fields.finish();
        let found: Vec<_> = problems.iter().map(|p| p.message.split(':').next().unwrap()).collect();
        assert_eq!(found, ["`count`", "`bus` is missing here", "unknown key `adress`"]);
        assert_eq!(problems.iter().last().unwrap().help.as_deref(), Some("did you mean `address`?"));
    }
}
