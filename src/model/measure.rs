//! What is measured, and one measured value.

use std::borrow::Cow;

/// A quantity that a driver reads: its name, unit and possible range.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The topic level below the sensor, for example `temperature`.
    pub name: Cow<'static, str>,
    /// The unit as printed, for example `°C`; empty when it has none.
    pub unit: Cow<'static, str>,
    /// The lowest value the device can give, in `unit`.
    pub min: f64,
    /// The highest value the device can give, in `unit`.
    pub max: f64,
    /// How many decimals carry information.
    pub decimals: u8,
    /// Each value counts, and a mean of several would say nothing: counters and states. Such readings are not thinned.
    pub exact: bool,
}

impl Measure {
    /// A measure known at compile time; `min` and `max` in `unit`.
    pub const fn fixed(name: &'static str, unit: &'static str, min: f64, max: f64, decimals: u8) -> Self {
        Self { name: Cow::Borrowed(name), unit: Cow::Borrowed(unit), min, max, decimals, exact: false }
    }

    /// A measure whose name and unit come from the configuration or the kernel; any finite value.
    pub fn named(name: impl Into<String>, unit: impl Into<String>, decimals: u8) -> Self {
        let (name, unit) = (Cow::Owned(name.into()), Cow::Owned(unit.into()));
        Self { name, unit, min: f64::MIN, max: f64::MAX, decimals, exact: false }
    }

    /// The same, for a counter or a state.
    pub const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// A reading of this measure.
    pub fn is(&self, value: f64) -> Reading {
        Reading { measure: self.clone(), value, spread: None }
    }
}

/// What a mean does not tell of the readings it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The least, in the measure's unit.
    pub min: f64,
    /// The greatest, in the measure's unit.
    pub max: f64,
    /// How many.
    pub count: u32,
    /// From the first to the last, whose time the mean has; milliseconds.
    pub over_ms: u64,
}

impl Spread {
    /// Of one reading.
    pub fn of(value: f64) -> Self {
        Self { min: value, max: value, count: 1, over_ms: 0 }
    }

    /// Mean and spread of two means, the later `between_ms` milliseconds behind the earlier.
    pub fn joined((before, a): (f64, Self), (after, b): (f64, Self), between_ms: u64) -> (f64, Self) {
        let count = a.count.saturating_add(b.count);
        // Weighted, so that the sum of many large values cannot overflow.
        let share = f64::from(b.count) / f64::from(count);
        let (min, max) = (a.min.min(b.min), a.max.max(b.max));
        let over_ms = a.over_ms.saturating_add(between_ms).max(b.over_ms);
        ((before * (1.0 - share) + after * share).clamp(min, max), Self { min, max, count, over_ms })
    }
}

/// One value of one measure. It knows neither when nor by whom it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub measure: Measure,
    /// The value, in the measure's unit; always finite when it leaves a driver.
    pub value: f64,
    /// When it stands for several readings, and `value` is their mean.
    pub spread: Option<Spread>,
}
