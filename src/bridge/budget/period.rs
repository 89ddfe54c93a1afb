//! The months that a budget counts by. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// From one reset to the next, in milliseconds since 1970; the end belongs to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Period {
    /// The period that `wall_ms` belongs to, when periods begin on day `day` (1 to 28) at midnight UTC.
    pub(super) fn of(wall_ms: i64, day: i8) -> Self {
        let date = Timestamp::from_millisecond(wall_ms).unwrap_or_default().to_zoned(TimeZone::UTC).date();
        let reset = date.with().day(day).build().unwrap_or(date);
        let first = if reset > date { month_later(reset, -1) } else { reset };
        Self { from_ms: midnight_ms(first), to_ms: midnight_ms(month_later(first, 1)) }
    }

    /// How much of it has passed, 0 to 1.
    pub(super) fn passed(self, wall_ms: i64) -> f64 {
        let (length, passed) = (self.to_ms - self.from_ms, wall_ms - self.from_ms);
        (passed as f64 / length.max(1) as f64).clamp(0.0, 1.0)
    }
}

fn month_later(date: Date, months: i32) -> Date {
    date.checked_add(Span::new().months(months)).unwrap_or(date)
}

fn midnight_ms(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(0, |midnight| midnight.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn period(now: &str, day: i8) -> (String, String) {
        let Period { from_ms, to_ms } = Period::of(ms(now), day);
        let text = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
        (text(from_ms), text(to_ms))
    }

    #[test]
    fn a_period_begins_on_its_day_of_the_month() {
        let november = ("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into());
        assert_eq!(period("2026-11-22T10:15:00Z", 1), november);
        assert_eq!(period("2026-11-01T00:00:00Z", 1), november);
        let turn = ("2026-12-28T00:00:00Z".into(), "2027-01-28T00:00:00Z".into());
        assert_eq!(period("2027-01-27T23:59:59.999Z", 28), turn);
        assert_eq!(period("2026-02-27T12:00:00Z", 28).0, "2026-01-28T00:00:00Z");
        assert_eq!(period("1970-01-01T00:00:00Z", 2).0, "1969-12-02T00:00:00Z");
    }

    #[test]
    fn the_part_that_has_passed() {
        let period = Period::of(ms("2026-11-10T00:00:00Z"), 1);
        assert_eq!(period.passed(ms("2026-11-16T00:00:00Z")), 0.5);
        assert_eq!((period.passed(0), period.passed(i64::MAX)), (0.0, 1.0));
    }
}
