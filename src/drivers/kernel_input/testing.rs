//! What the tests of the three drivers share.

use super::*;
use crate::bus::kernel::Tree;

/// The options in `text`, which must be right.
pub(in crate::drivers) fn wanted(text: &str) -> Wanted {
    let document = toml::de::DeTable::parse(text).unwrap();
    let mut problems = crate::config::Problems::default();
    let wanted = choose::read_options(&mut crate::config::Table::new(&document).fields(&mut problems));
    assert_eq!(problems.iter().next(), None);
    wanted.unwrap()
}

/// The readings of `wanted` from `tree`: name, value, unit.
pub(in crate::drivers) fn readings(
    class: &'static Class,
    wanted: &Wanted,
    tree: &Tree,
) -> Result<Vec<(String, f64, String)>, Fault> {
    let mut sources = find::find(class, wanted, tree)?;
    let readings = read_all(tree, &mut sources, wanted)?;
    let shown = |reading: Reading| {
        let value = (reading.value * 1e9).round() / 1e9;
        (reading.measure.name.into_owned(), value, reading.measure.unit.into_owned())
    };
    Ok(readings.into_iter().map(shown).collect())
}

/// As [`readings`], to compare with literals.
pub(in crate::drivers) fn check(class: &'static Class, wanted: &Wanted, tree: &Tree, expected: &[(&str, f64, &str)]) {
    let found = readings(class, wanted, tree).unwrap();
    let found: Vec<_> = found.iter().map(|(name, value, unit)| (&**name, *value, &**unit)).collect();
    assert_eq!(found, expected);
}
