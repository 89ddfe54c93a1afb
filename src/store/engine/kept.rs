//! What a sealed segment has, known without reading it.

use super::scan::Run;

/// Ranges that are remembered of a segment. One with more holes is read before it is dropped.
const MOST: usize = 8;

/// The sequences in a segment: ranges of neighbours, by first and last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept(Box<[(u64, u64)]>);

impl Kept {
    /// What is in these runs; nothing when that is nothing or has too many holes.
    pub(super) fn of(runs: &[Run]) -> Option<Self> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for run in runs {
            match ranges.last_mut().filter(|range| (range.0..=range.1 + 1).contains(&run.first)) {
                Some(range) => range.1 = range.1.max(run.last),
                None => ranges.push(run.range()),
            }
        }
        (1..=MOST).contains(&ranges.len()).then(|| Self(ranges.into()))
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Option<Vec<(u64, u64)>> {
        let run = |(first, last)| Run { first, last, after: first - 1, block: 1, blocks: 1 };
        let runs: Vec<Run> = ranges.into_iter().map(run).collect();
        Some(Kept::of(&runs)?.ranges().collect())
    }

    #[test]
    fn neighbours_are_one_range_and_too_many_are_none() {
        assert_eq!(of([(1, 4), (5, 9), (8, 12), (20, 20)]), Some(vec![(1, 12), (20, 20)]));
        assert_eq!(of((1..=9).map(|n| (10 * n, 10 * n))), None);
        assert_eq!(of([]), None);
    }
}
