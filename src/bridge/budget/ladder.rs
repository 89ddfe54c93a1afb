//! How much is held back, by what the month would cost if it went on like this. Pure.

/// How a bridge spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Level {
    /// As configured.
    #[default]
    Normal = 0,
    /// Batches wait for ten times as long and hold four times as much.
    Longer = 1,
    /// The readings of one topic in a batch leave as their minimum, mean, maximum and count.
    Summaries = 2,
    /// Alarms and commands only; everything else waits in the store.
    Urgent = 3,
}

impl Level {
    /// The word in topics.
    pub fn word(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Longer => "longer-batches",
            Level::Summaries => "summaries",
            Level::Urgent => "urgent-only",
        }
    }
}

/// The projection, as a share of what may be spent, from which on each level holds.
const STEPS: [(f64, Level); 3] = [(1.0, Level::Longer), (1.15, Level::Summaries), (1.3, Level::Urgent)];

/// A level is left only when the projection is so much below its step: nothing flutters.
const SLACK: f64 = 0.1;

/// A head start, as a share of the month: its first hours say nothing about the rest.
const HEAD_START: f64 = 0.05;

/// What a whole month would cost, if `used` was spent in the part `passed` of it.
pub(super) fn projected(used: u64, passed: f64) -> u64 {
    (used as f64 * (1.0 + HEAD_START) / (passed + HEAD_START)) as u64
}

/// The level after `before`, when `used` of `limit` bytes are spent in the part `passed` of the month.
pub(super) fn level(before: Level, used: u64, limit: u64, passed: f64) -> Level {
    if used >= limit {
        return Level::Urgent;
    }
    let share = projected(used, passed) as f64 / limit as f64;
    let reached = |slack: f64| {
        let steps = STEPS.iter().rev().find(|(from, _)| share > from - slack);
        steps.map_or(Level::Normal, |(_, level)| *level)
    };
    // Up at the step itself, down only when it is well below.
    reached(0.0).max(reached(SLACK).min(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 36_000_000;

    #[test]
    fn the_ladder_goes_up_by_projection_and_down_with_slack() {
        let at = |before, share: f64| level(before, (LIMIT as f64 * share * 0.5) as u64, LIMIT, 0.475);
        for (share, up) in [
            (0.5, Level::Normal),
            (0.99, Level::Normal),
            (1.01, Level::Longer),
            (1.16, Level::Summaries),
            (1.31, Level::Urgent),
        ] {
            // 0.475 of the month and the head start are half of 1.05.
            assert_eq!(at(Level::Normal, share), up, "{share}");
        }
        assert_eq!(at(Level::Longer, 0.95), Level::Longer);
        assert_eq!(at(Level::Longer, 0.89), Level::Normal);
        assert_eq!(at(Level::Urgent, 1.21), Level::Urgent);
        assert_eq!(at(Level::Urgent, 1.19), Level::Summaries);
        assert_eq!(at(Level::Urgent, 0.5), Level::Normal);
    }

    #[test]
    fn a_first_burst_is_no_reason_to_hold_back_and_an_empty_purse_is() {
        assert_eq!(level(Level::Normal, LIMIT / 50, LIMIT, 0.0), Level::Normal);
        assert_eq!(level(Level::Normal, LIMIT / 10, LIMIT, 0.0), Level::Urgent);
        assert_eq!(level(Level::Normal, LIMIT, LIMIT, 1.0), Level::Urgent);
    }

    /// A month of a sender that wants far too much, hour by hour.
    #[test]
    fn whoever_wants_far_too_much_ends_the_month_with_the_limit_spent_and_not_more() {
        let (mut used, mut now, mut changes) = (0, Level::Normal, 0);
        for hour in 0..720 {
            let next = level(now, used, LIMIT, f64::from(hour) / 720.0);
            changes += u32::from(next != now);
            now = next;
            used += match now {
                Level::Normal => 500_000,
                Level::Longer => 200_000,
                Level::Summaries => 60_000,
                Level::Urgent => 1000,
            };
        }
        // The last hour before the purse is empty may cost more than is left.
        assert!((LIMIT * 9 / 10..LIMIT + 500_000).contains(&used), "{used}");
        assert!(changes < 150, "{changes}");
    }
}
