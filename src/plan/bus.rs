//! `[bus.NAME]`.

use std::time::Duration;

use crate::bus::{Backend, BusSettings, Family, Settings};
use crate::config::units::Every;
use crate::config::{Problems, Table};

pub(super) fn read(table: Option<&Table<'_>>, problems: &mut Problems) -> Settings {
    let mut settings = Settings::default();
    for (name, place, value) in table.map(Table::entries).unwrap_or_default() {
        let Some(family) = Family::of(name) else {
            let help = "buses are called `i2c-N`, `gpio`, `w1`, `hwmon`, `iio`, `thermal`, `host` and `serial`";
            problems.error(place, format!("there is no bus `{name}`"), Some(help.into()));
            continue;
        };
        match value.table() {
            Some(table) => {
                settings.buses.insert(name.to_owned(), read_one(&table, name, family, problems));
            }
            None => value.expected(name, "a table", problems),
        }
    }
    settings
}

fn read_one(table: &Table<'_>, name: &str, family: Family, problems: &mut Problems) -> BusSettings {
    let default = BusSettings::of(family);
    let mut fields = table.fields(problems);
    let allowed = Every(Duration::from_millis(1))..=Every(Duration::from_secs(60));
    let deadline = fields.within("deadline", Every(default.deadline), allowed).0;
    let words = family.backends().iter().map(|backend| (backend.word(), *backend)).collect::<Vec<_>>();
    let backend = fields.word("backend", &words).unwrap_or_default();
    fields.finish();
    let numbered = name.strip_prefix("i2c-").is_none_or(|rest| rest.parse::<u16>().is_ok());
    if !numbered && backend != Backend::Simulated {
        let message = format!("`{name}` can only be a simulated bus: real ones are called `i2c-` and a number");
        problems.error(table.place(), message, Some("backend = \"simulated\"".into()));
    }
    BusSettings { deadline, backend }
}
