//! Topic names and topic filters (MQTT 3.1.1 and 5.0, section 4.7).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest topic name or filter, in bytes (a two-byte length on the wire).
const LONGEST: usize = 65_535;

/// A topic name: something one can publish to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(pub(super) Arc<str>);

/// A topic filter: something one can subscribe to. `$share/...` is not part of a filter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

/// Why a text is not a topic or not a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicError {
    /// At least one character is needed (MQTT-4.7.3-1).
    Empty,
    /// More than 65,535 bytes (MQTT-4.7.3-3).
    TooLong,
    /// U+0000 (MQTT-4.7.3-2).
    Nul,
    /// A wildcard in a topic name (MQTT-3.3.2-2), or one that does not fill its level (MQTT-4.7.1-1, -2, -3).
    Wildcard,
}

fn check(text: &str) -> Result<(), TopicError> {
    match text {
        "" => Err(TopicError::Empty),
        _ if text.len() > LONGEST => Err(TopicError::TooLong),
        _ if text.contains('\0') => Err(TopicError::Nul),
        _ => Ok(()),
    }
}

impl Topic {
    /// Checks a topic name.
    ///
    /// # Errors
    /// Says which rule of section 4.7 `text` breaks.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check(text)?;
        if text.contains(['+', '#']) {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text.into()))
    }

    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Filter {
    /// Checks a topic filter.
    ///
    /// # Errors
    /// Says which rule of section 4.7 `text` breaks.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let alone = level.len() == 1;
            let last = levels.peek().is_none();
            if (level.contains('#') && !(alone && last)) || (level.contains('+') && !alone) {
                return Err(TopicError::Wildcard);
            }
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` matches. A leading wildcard does not match a topic that starts with `$` (MQTT-4.7.2-1).
    pub fn matches(&self, topic: &Topic) -> bool {
        if topic.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.0.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether some topic matches both filters.
    pub fn overlaps(&self, other: &Filter) -> bool {
        let hides = |wild: &str, name: &str| wild.starts_with(['+', '#']) && name.starts_with('$');
        if hides(&self.0, &other.0) || hides(&other.0, &self.0) {
            return false;
        }
        let (mut a, mut b) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (a.next(), b.next()) {
                (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
                (Some(x), Some(y)) if x == "+" || y == "+" || x == y => {}
                _ => return false,
            }
        }
    }

    /// Whether every topic that matches `other` matches `self` too.
    pub fn covers(&self, other: &Filter) -> bool {
        if self.0.starts_with(['+', '#']) && other.0.starts_with('$') {
            return false;
        }
        let (mut a, mut b) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (a.next(), b.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(y)) if y != "#" => {}
                (Some(x), Some(y)) if x == y => {}
                _ => return false,
            }
        }
    }
}

impl From<&Topic> for Filter {
    fn from(topic: &Topic) -> Self {
        Self(Arc::clone(&topic.0))
    }
}

/// Topics are looked up by their text; order and hash are those of the text.
impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TopicError::Empty => "a topic needs at least one character",
            TopicError::TooLong => "a topic has at most 65535 bytes",
            TopicError::Nul => "a topic cannot contain the character U+0000",
            TopicError::Wildcard => {
                "`+` and `#` stand alone in their level, `#` only at the end, and neither in a topic name"
            }
        })
    }
}

impl std::error::Error for TopicError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    #[test]
    fn topics_and_filters_obey_section_4_7() {
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("a/+"), Err(TopicError::Wildcard));
        assert_eq!(Topic::new("a\0"), Err(TopicError::Nul));
        assert_eq!(Topic::new(&"a".repeat(65_536)), Err(TopicError::TooLong));
        for good in ["#", "+", "/", "a/#", "+/+/#", "/finance", "é/+"] {
            assert!(Filter::new(good).is_ok(), "{good}");
        }
        for bad in ["a#", "a/#/b", "a+", "+a/b", "##", "++"] {
            assert_eq!(Filter::new(bad), Err(TopicError::Wildcard), "{bad}");
        }
    }

    /// The examples of MQTT 5.0 sections 4.7.1.2, 4.7.1.3 and 4.7.2.
    #[test]
    fn matching_follows_the_examples_of_the_specification() {
        for (pattern, topic, matches) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor/Clients", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("a/b", "a/b/c", false),
        ] {
            assert_eq!(filter(pattern).matches(&Topic::new(topic).unwrap()), matches, "{pattern} {topic}");
        }
    }

    #[test]
    fn overlap_and_cover() {
        for (a, b, overlaps, covers) in [
            ("shed/#", "shed/cmd/#", true, true),
            ("shed/+/set", "shed/cmd/#", true, false),
            ("shed/a", "shed/b", false, false),
            ("#", "$SYS/x", false, false),
            ("a/+", "a/#", true, false),
            ("a/#", "a", true, true),
            ("+/b", "a/+", true, false),
        ] {
            assert_eq!(filter(a).overlaps(&filter(b)), overlaps, "{a} {b}");
            assert_eq!(filter(b).overlaps(&filter(a)), overlaps, "{b} {a}");
            assert_eq!(filter(a).covers(&filter(b)), covers, "{a} covers {b}");
        }
    }
}
