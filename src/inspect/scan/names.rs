//! Names for what was found, each once.

use std::collections::HashSet;

use crate::model::Name;

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The first of `wishes` that is free; else the last with a number behind it.
    pub(super) fn take(&mut self, wishes: &[String]) -> String {
        let wishes: Vec<_> = wishes.iter().map(|wish| slug(wish)).collect();
        let last = wishes.last().cloned().unwrap_or_default();
        let numbered = (2..).map(|number| format!("{last}-{number}"));
        let mut all = wishes.into_iter().chain(numbered);
        let name = all.find(|name| !self.0.contains(name)).expect("numbers do not end");
        self.0.insert(name.clone());
        name
    }
}

/// A text as a name: lower case, with `-` for what a name cannot have.
fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let text: String = text.chars().map(plain).take(48).collect();
    let text = text.trim_matches(['-', '.']);
    if Name::new(text).is_ok() { text.to_owned() } else { "sensor".to_owned() }
}

/// A text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_good_and_unique() {
        let mut names = Names::default();
        let mut take = |wishes: &[&str]| names.take(&wishes.iter().map(|&wish| wish.to_owned()).collect::<Vec<_>>());
        assert_eq!(take(&["cpu_thermal"]), "cpu-thermal");
        assert_eq!(take(&["cpu thermal", "cpu-thermal-x"]), "cpu-thermal-x");
        assert_eq!(take(&["CPU_thermal"]), "cpu-thermal-2");
        assert_eq!(take(&["..°°"]), "sensor");
        assert_eq!(take(&[&"x".repeat(99)]).len(), 48);
    }

    #[test]
    fn strings_survive_toml() {
        for text in ["1-0044", "a\\x20b\"c", "°\u{1b}\n"] {
            let parsed: toml::Table = toml::from_str(&format!("x = {}", quoted(text))).unwrap();
            assert_eq!(parsed["x"].as_str(), Some(text));
        }
    }
}
