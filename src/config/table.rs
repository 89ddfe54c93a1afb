//! Tables and values of a configuration, each with its place.

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::fields::Fields;
use super::problems::{Place, Problems};
use super::words::{article, plain, quoted, suggest};

/// One table of a configuration file, with the place of every key and value.
#[derive(Debug, Clone)]
pub struct Table<'t> {
    place: Place,
    /// What a table is called that is not there, but should be.
    pub(super) missing: Option<&'static str>,
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
        Fields::new(self.clone(), problems)
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
