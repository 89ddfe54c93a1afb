//! What thinning leaves of readings, and what it writes for that.

use std::time::Duration;

use super::DAY_S;
use crate::bridge::thin::WINDOWS;

/// What a reading's spread adds to its record.
const SPREAD: f64 = 24.0;
/// Thinning has to save such a part of what is stored.
pub(super) const WORTH_IT: f64 = 0.25;
/// A file that becomes smaller takes the smaller one before it along: that is a quarter of it in the mean at first, while
/// the one before it is at most half a segment, and half of it later.
const JOINED: [f64; 2] = [0.25, 0.5];

/// Of something, what each length of windows leaves.
pub(super) type Left = [f64; WINDOWS.len()];

/// Bytes that are left of so many records a day.
pub(super) fn left(per_day: f64, record: f64, averaged: bool) -> Left {
    WINDOWS.map(|window: Duration| {
        let windows = DAY_S / window.as_secs_f64();
        if averaged && windows < per_day { windows * (record + SPREAD) } else { per_day * record }
    })
}

/// Bytes that are written until a byte is thinned as far as it goes, when windows leave these parts of it.
pub(super) fn rewritten(parts: Left) -> f64 {
    let (mut before, mut joined, mut sum) = (1.0, JOINED[0], 0.0);
    for part in parts.into_iter().filter(|part| *part > 0.0) {
        if part <= before * (1.0 - WORTH_IT) {
            sum += part.max(joined * before + part / 2.0);
            (before, joined) = (part, JOINED[1]);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the thinner wrote for 400,000 readings of one topic in a store of 16 segments on the simulated disk.
    #[test]
    fn what_is_written_is_what_was_counted() {
        for (every_s, counted) in [(1.0, 0.274), (10.0, 0.565), (30.0, 1.23)] {
            let (per_day, record) = (DAY_S / every_s, 69.0);
            let parts = left(per_day, record, true).map(|left| left / (per_day * record));
            let found = rewritten(parts);
            assert!((found / counted - 1.0).abs() < 0.1, "{every_s} s: {found}");
        }
    }

    #[test]
    fn what_is_not_thinned_is_written_once() {
        assert_eq!(rewritten(left(86_400.0, 69.0, false).map(|left| left / (86_400.0 * 69.0))), 0.0);
        assert_eq!(rewritten(left(24.0, 69.0, true).map(|left| left / (24.0 * 69.0))), 0.0);
        assert_eq!(rewritten([0.0; WINDOWS.len()]), 0.0);
    }
}
