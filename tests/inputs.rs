//! Inputs over real files, real terminals and real threads.

#[path = "inputs/demo.rs"]
mod demo;
#[path = "inputs/kernel.rs"]
mod kernel;
#[path = "inputs/serial.rs"]
mod serial;
#[path = "inputs/terminal.rs"]
mod terminal;

use std::time::Duration;

use weir::bus::Buses;
use weir::config::{Problems, Table};
use weir::drivers::{Configured, Driver, find};
use weir::model::{Fault, Reading};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The driver called `name` with `options`, which must be right.
fn configured(name: &str, options: &str) -> Configured {
    let document = toml::de::DeTable::parse(options).expect("the options are TOML");
    let mut problems = Problems::default();
    let mut fields = Table::new(&document).fields(&mut problems);
    let configured = (find(name).expect("the driver exists").configure)(&mut fields);
    fields.finish();
    assert!(problems.iter().next().is_none(), "{problems:?}");
    configured.expect("nothing is wrong")
}

/// The same, opened.
fn open(name: &str, options: &str, buses: &Buses) -> Box<dyn Driver> {
    (configured(name, options).open)(buses).expect("opening touches nothing that could fail")
}

/// One round of readings as names and values.
async fn sample(driver: &mut Box<dyn Driver>) -> Result<Vec<(String, f64)>, Fault> {
    let round = tokio::time::timeout(PATIENCE, driver.sample()).await.expect("an answer in time")?;
    let shown = |reading: Reading| (reading.measure.name.into_owned(), (reading.value * 1e6).round() / 1e6);
    Ok(round.into_iter().map(shown).collect())
}

/// Compares a round with what it should be.
#[track_caller]
fn same(round: &Result<Vec<(String, f64)>, Fault>, expected: &[(&str, f64)]) {
    let round = round.as_ref().expect("a good round");
    let round: Vec<_> = round.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(round, expected);
}
