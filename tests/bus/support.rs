//! Drivers as a gateway opens them, and what happens to their rounds.

use std::time::Duration;

use tokio::time::{Instant, interval};
use weir::bus::{BusStatus, Buses, Settings};
use weir::config::{Problems, Table};
use weir::drivers::{Driver, Open, find};

/// Opens `driver` with `options` again and again.
pub(crate) fn opener(driver: &str, options: &str) -> Open {
    let document = toml::de::DeTable::parse(options).unwrap();
    let mut problems = Problems::default();
    let mut fields = Table::new(&document).fields(&mut problems);
    let configured = (find(driver).unwrap().configure)(&mut fields);
    fields.finish();
    assert!(!problems.fatal(), "{options}");
    configured.unwrap().open
}

/// `driver` on the bus `i2c-1` with its default address.
pub(crate) fn open(buses: &Buses, driver: &str) -> Box<dyn Driver> {
    opener(driver, "bus = \"i2c-1\"")(buses).unwrap()
}

/// Buses whose chips are all simulated.
pub(crate) fn simulated_buses() -> Buses {
    Buses::new(Settings { simulate: true, ..Settings::default() })
}

/// The counters of the bus `i2c-1`.
pub(crate) fn status(buses: &Buses) -> BusStatus {
    buses.status().into_iter().find(|status| status.name == "i2c-1").unwrap()
}

/// Samples every `period` for `rounds` rounds: the word of each round's fault or "ok", and how late it came.
pub(crate) async fn rounds(
    mut driver: Box<dyn Driver>,
    period: Duration,
    rounds: u32,
) -> Vec<(&'static str, Duration)> {
    let mut ticks = interval(period);
    let mut outcomes = Vec::new();
    for _ in 0..rounds {
        let due = ticks.tick().await;
        let word = driver.sample().await.map_or_else(|fault| fault.word(), |_| "ok");
        outcomes.push((word, Instant::now() - due));
    }
    outcomes
}

/// How many of the outcomes are `word`.
pub(crate) fn count(outcomes: &[(&str, Duration)], word: &str) -> usize {
    outcomes.iter().filter(|(outcome, _)| *outcome == word).count()
}
