//! A reading for tests.

use crate::model::{BootId, Measure, Name, Quality, Sample, Stamp, TimeQuality};

/// Number 4711 of the sensor `greenhouse`, taken on 2026-11-22 at 10:15:00.123 UTC.
pub(super) fn sample(measure: &str, unit: &str, decimals: u8, value: f64) -> Sample {
    let (boot, quality) = (BootId::default(), TimeQuality::Synced);
    Sample {
        sensor: Name::new("greenhouse").unwrap(),
        reading: Measure::named(measure, unit, decimals).is(value),
        stamp: Stamp { wall_ms: 1_795_342_500_123, mono_ms: 1, boot, quality },
        quality: Quality::Ok,
        sequence: 4711,
    }
}
