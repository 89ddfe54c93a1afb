//! What a check found, ready to be shown.

use std::fmt;

use super::problems::{Problems, Severity};
use super::render::{render, summary};
use super::sources::Sources;

/// The files of a configuration and what is wrong with them.
#[derive(Debug, Default)]
pub struct Report {
    /// The files.
    pub sources: Sources,
    /// What is wrong; empty when all is well.
    pub problems: Problems,
}

impl Report {
    /// Every problem with its place, and one line that sums up; empty when there are no problems.
    pub fn render(&self, colour: bool) -> String {
        render(&self.problems, &self.sources, colour)
    }

    /// How many errors and warnings there are, as in `2 errors, 1 warning`; nothing when there are none.
    pub fn summary(&self) -> Option<String> {
        summary(&self.problems)
    }

    /// The first error in one line with its place, for logs and status.
    pub fn first_error(&self) -> Option<String> {
        let problem = self.problems.sorted().into_iter().find(|problem| problem.severity == Severity::Error)?;
        let spot = problem.place.as_ref().and_then(|place| self.sources.locate(place.start));
        Some(match spot {
            Some(spot) => format!("{}:{}:{}: {}", spot.source.path.display(), spot.line, spot.column, problem.message),
            None => problem.message.clone(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
