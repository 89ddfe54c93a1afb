//! What is wrong with a configuration, and where.

use std::ops::Range;

/// A place in the configuration: bytes of all its files, counted through from the first one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Where it begins.
    pub start: usize,
    /// Where the next thing begins.
    pub end: usize,
}

impl From<Range<usize>> for Place {
    fn from(span: Range<usize>) -> Self {
        Self { start: span.start, end: span.end }
    }
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
    /// Another place that has to do with it, and what is there.
    pub also: Option<(Place, String)>,
    /// What would be right.
    pub help: Option<String>,
}

/// Every problem found so far.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    secrets: Vec<Place>,
    lenient: bool,
}

impl Problems {
    /// For a configuration that was good once: what is wrong [outside](Problems::outside) of it is a warning.
    pub fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }

    /// Notes that something outside of the configuration, a file or a variable, is not as it must be.
    pub fn outside(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        let severity = if self.lenient { Severity::Warning } else { Severity::Error };
        self.note(severity, Some(place), message.into(), help);
    }

    /// Notes an error.
    pub fn error(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>, help: Option<String>) {
        self.note(Severity::Error, place.into(), message.into(), help);
    }

    /// Notes a warning.
    pub fn warn(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>, help: Option<String>) {
        self.note(Severity::Warning, place.into(), message.into(), help);
    }

    /// Notes that two places of the configuration cannot both stand; `first` says what the other one is.
    pub fn clash(&mut self, place: Place, message: impl Into<String>, (first, what): (Place, &str)) {
        self.error(place, message, None);
        self.see_also(first, what);
    }

    /// Adds a second place, and what is there, to the problem noted last.
    pub fn see_also(&mut self, place: Place, what: &str) {
        if let Some(problem) = self.found.last_mut() {
            problem.also = Some((place, what.to_owned()));
        }
    }

    fn note(&mut self, severity: Severity, place: Option<Place>, message: String, help: Option<String>) {
        self.found.push(Problem { severity, place, message, also: None, help });
    }

    /// Keeps what stands at `place` out of every rendered line.
    pub fn conceal(&mut self, place: Place) {
        self.secrets.push(place);
    }

    /// The places that are never shown.
    pub fn secrets(&self) -> &[Place] {
        &self.secrets
    }

    /// Whether the configuration cannot be used.
    pub fn fatal(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many problems of this severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|problem| problem.severity == severity).count()
    }

    /// All problems, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// All problems, in the order of the files; those without a place first.
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut sorted: Vec<_> = self.found.iter().collect();
        sorted.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.start, place.end)));
        sorted
    }
}
