//! What the tests of all filters share.

use toml::de::DeTable;

use super::{Chain, Recipe, configure};
use crate::config::{Problems, Table};
use crate::model::{BootId, Measure, Name, Quality, Sample, Stamp, TimeQuality};

/// A temperature of `value` °C, taken `mono_ms` after the start of this boot.
pub(super) fn sample(mono_ms: u64, value: f64) -> Sample {
    Sample {
        sensor: Name::new("test").unwrap(),
        reading: Measure::fixed("temperature", "°C", -40.0, 85.0, 2).is(value),
        stamp: Stamp {
            wall_ms: 1_700_000_000_000 + mono_ms as i64,
            mono_ms,
            boot: BootId::default(),
            quality: TimeQuality::Synced,
        },
        quality: Quality::Ok,
        sequence: 1,
    }
}

fn read(value: &str) -> (Option<Recipe>, Vec<String>) {
    let text = format!("filter = {value}");
    let document = DeTable::parse(&text).unwrap();
    let mut problems = Problems::default();
    let value = Table::new(&document).get("filter").unwrap();
    let recipe = configure(&value, &mut problems);
    let say = |help: &Option<String>| help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
    (recipe, problems.iter().map(|problem| format!("{}{}", problem.message, say(&problem.help))).collect())
}

/// The chain written as the TOML array `text`.
pub(super) fn chain(text: &str) -> Chain {
    let (recipe, problems) = read(text);
    assert_eq!(problems, [""; 0]);
    recipe.unwrap().chain()
}

/// What is wrong with the step `text`.
pub(super) fn problems(step: &str) -> Vec<String> {
    read(&format!("[{step}]")).1
}

/// What `chain` makes of values at times: the same, without what it held back.
pub(super) fn shown(chain: &mut Chain, taken: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let mut apply = |&(at, value): &(u64, f64)| chain.apply(sample(at, value));
    taken.iter().filter_map(|taken| apply(taken).map(|given| (given.stamp.mono_ms, given.reading.value))).collect()
}

/// As [`shown`], for samples a second apart and without their times.
pub(super) fn values(text: &str, taken: &[f64]) -> Vec<f64> {
    let timed: Vec<_> = taken.iter().enumerate().map(|(second, &value)| (second as u64 * 1000, value)).collect();
    shown(&mut chain(text), &timed).into_iter().map(|(_, value)| value).collect()
}
