//! Which labels wait in a chain since an earlier run.

use super::layout::filter::print;

/// Labels that are told apart in one chain; of older segments with more of them nothing is known.
const MOST: usize = 16 * 1024;

/// Ranges that are remembered one by one.
const MOVED: usize = 64;

/// Whether something with a certain label waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Certainly not.
    No,
    /// It is not known.
    Perhaps,
    /// Almost certainly.
    Yes,
}

/// What was found at start, and what happened to it since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// By print, ascending: no record with it has a higher sequence.
    lasts: Vec<(u32, u64)>,
    /// Up to here there may be anything.
    unknown: u64,
    /// The last sequence of the earlier runs.
    upto: u64,
    /// Ranges in which records got other sequences, until somebody asks.
    moved: Vec<(u64, u64)>,
}

impl Past {
    pub(crate) fn new(upto: u64) -> Self {
        Self { upto, ..Self::default() }
    }

    /// A segment that ends with `last` has these prints, ascending, or it is not known which. The newest comes first.
    pub(crate) fn take(&mut self, prints: Option<&[u32]>, last: u64) {
        let known = prints.filter(|_| self.unknown == 0);
        match known.map(|prints| merge(&self.lasts, prints, last)) {
            Some(merged) if merged.len() <= MOST => self.lasts = merged,
            _ => self.unknown = self.unknown.max(last),
        }
    }

    /// Whether a record before the sequence `before` with this label waits, with everything up to `ack` delivered.
    pub(crate) fn waits(&mut self, label: u64, ack: u64, before: u64) -> Waits {
        if ack >= self.upto && !self.lasts.is_empty() {
            self.lasts = Vec::new();
        }
        let print = print(label);
        let found = self.lasts.binary_search_by_key(&print, |(print, _)| *print);
        match found {
            _ if before <= ack + 1 => Waits::No,
            Ok(at) if self.lasts[at].1 > ack => Waits::Yes,
            _ if self.unknown > ack || self.upto + 1 < before => Waits::Perhaps,
            _ => Waits::No,
        }
    }

    /// Records from `first` to `last` are about to get other sequences among those.
    pub(crate) fn raise(&mut self, first: u64, last: u64) {
        let sequences = self.lasts.iter_mut().map(|(_, sequence)| sequence).chain([&mut self.unknown]);
        sequences.filter(|sequence| (first..=last).contains(*sequence)).for_each(|sequence| *sequence = last);
        let full = self.moved.len() >= MOVED;
        match self.moved.last_mut() {
            Some(before) if full => *before = (before.0.min(first), before.1.max(last)),
            _ => self.moved.push((first, last)),
        }
    }

    /// The ranges that were raised since this was asked before.
    pub(crate) fn take_moved(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.moved)
    }
}

/// Both in order; what was there already stays.
fn merge(lasts: &[(u32, u64)], prints: &[u32], last: u64) -> Vec<(u32, u64)> {
    let mut merged = Vec::with_capacity(lasts.len() + prints.len());
    let mut old = lasts.iter().copied().peekable();
    for &print in prints {
        while let Some(before) = old.next_if(|(other, _)| *other < print) {
            merged.push(before);
        }
        merged.push(old.next_if(|(other, _)| *other == print).unwrap_or((print, last)));
    }
    merged.extend(old);
    merged.shrink_to_fit();
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(segments: &[(Option<&[u64]>, u64)], upto: u64) -> Past {
        let mut past = Past::new(upto);
        for (labels, last) in segments {
            let prints = labels.map(|labels| {
                let mut prints: Vec<u32> = labels.iter().map(|label| print(*label)).collect();
                prints.sort_unstable();
                prints
            });
            past.take(prints.as_deref(), *last);
        }
        past
    }

    #[test]
    fn a_label_waits_until_its_last_segment_is_delivered() {
        let mut past = past(&[(Some(&[1, 2]), 30), (Some(&[2, 3]), 20), (None, 10)], 30);
        for (ack, waits) in [
            (0, [Waits::Yes, Waits::Yes, Waits::Yes, Waits::Perhaps]),
            (10, [Waits::Yes, Waits::Yes, Waits::Yes, Waits::No]),
            (20, [Waits::Yes, Waits::Yes, Waits::No, Waits::No]),
            (30, [Waits::No; 4]),
        ] {
            assert_eq!([1, 2, 3, 4].map(|label| past.waits(label, ack, 31)), waits, "{ack}");
        }
        assert_eq!(past.waits(4, 30, 33), Waits::Perhaps, "two records are of this run");
    }

    #[test]
    fn what_moves_is_expected_at_its_new_place() {
        let mut past = past(&[(Some(&[1]), 40), (Some(&[2]), 30), (Some(&[3]), 20), (Some(&[4]), 10)], 40);
        past.raise(11, 30);
        assert_eq!(
            [1, 2, 3, 4].map(|label| past.waits(label, 29, 41)),
            [Waits::Yes, Waits::Yes, Waits::Yes, Waits::No]
        );
        assert_eq!(past.waits(3, 30, 41), Waits::No);
    }

    #[test]
    fn more_labels_than_are_told_apart_are_not_known() {
        let many: Vec<u64> = (0..2 * MOST as u64).collect();
        let mut past = past(&[(Some(&[1]), 30), (Some(&many), 20), (Some(&[2]), 10)], 30);
        assert_eq!([1, 5].map(|label| past.waits(label, 0, 31)), [Waits::Yes, Waits::Perhaps]);
        assert_eq!(past.waits(5, 20, 31), Waits::No);
    }
}
