//! Names that are safe as one topic level and as one file name.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// The name of a gateway, sensor, output, bridge or measure: one topic level, one file name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// Nothing between the quotes.
    Empty,
    /// More than 64 bytes.
    TooLong,
    /// A character that is special in topics, in file names or in shells.
    Character(char),
}

impl Name {
    /// Checks that `text` is 1 to 64 bytes of letters, digits, `-`, `_` and `.`, not starting with a dot.
    ///
    /// # Errors
    /// Says which rule `text` breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > LONGEST {
            return Err(NameError::TooLong);
        }
        let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(bad) = text.chars().find(|&c| !safe(c)) {
            return Err(NameError::Character(bad));
        }
        if text.starts_with('.') {
            return Err(NameError::Character('.'));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("a name needs at least one character"),
            NameError::TooLong => write!(f, "a name has at most {LONGEST} bytes"),
            NameError::Character('.') => f.write_str("a name does not start with a dot"),
            NameError::Character(c) => {
                write!(f, "{c:?} is not allowed in a name: letters, digits, `-`, `_` and `.` are")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_topic_level() {
        for good in ["shed", "boiler-flow", "Küche_2", "a.b"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new(&"x".repeat(65)), Err(NameError::TooLong));
        for (bad, c) in [("a/b", '/'), ("a+", '+'), ("#", '#'), ("$SYS", '$'), ("a b", ' '), (".x", '.'), ("a\0", '\0')]
        {
            assert_eq!(Name::new(bad), Err(NameError::Character(c)), "{bad:?}");
        }
    }
}
