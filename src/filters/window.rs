//! The last few values of a measure, each with its quality.

use std::collections::VecDeque;

use crate::config::Fields;
use crate::model::{Quality, Sample};

/// The most values a window holds; an hour of seconds fits.
const MOST: usize = 3600;

/// The last values, oldest first.
pub(super) struct Window {
    size: usize,
    values: VecDeque<(f64, Quality)>,
}

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self { size, values: VecDeque::with_capacity(size) }
    }

    /// Takes the newest value; the oldest leaves when there are too many.
    pub(super) fn push(&mut self, sample: &Sample) {
        if self.values.len() == self.size {
            self.values.pop_front();
        }
        self.values.push_back((sample.reading.value, sample.quality));
    }

    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = (f64, Quality)> {
        self.values.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
    }
}

/// The size of a window under `key`, at least `least`.
pub(super) fn size(fields: &mut Fields<'_, '_>, key: &'static str, least: usize) -> Option<usize> {
    let size: usize = fields.need(key)?;
    if !(least..=MOST).contains(&size) {
        fields.wrong(key, format!("`{key}`: {size} is not between {least} and {MOST}"), None);
        return None;
    }
    Some(size)
}

/// The worse of two qualities: what an average of both deserves.
pub(super) fn worse(a: Quality, b: Quality) -> Quality {
    let rank = |quality| match quality {
        Quality::Ok => 0,
        Quality::Simulated => 1,
        Quality::Suspect => 2,
        Quality::Stale => 3,
    };
    if rank(a) >= rank(b) { a } else { b }
}
