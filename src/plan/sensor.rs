//! `[[sensor]]`.

use std::collections::HashMap;
use std::time::Duration;

use super::{Publish, SensorPlan, device};
use crate::config::units::Every;
use crate::config::{Fields, Problems, Table, nearest};
use crate::drivers::{Configured, Kind, Spec};
use crate::filters::Recipe;
use crate::model::{Format, Qos};

/// How often a polled sensor is read when nothing else is said.
const EVERY: Duration = Duration::from_secs(10);
/// How long one round may take when nothing else is said.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many failed rounds in a row make the device be opened anew when nothing else is said.
const STRIKES: u32 = 3;

pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Option<SensorPlan> {
    let mut fields = table.fields(problems);
    let name = device::name(&mut fields);
    let driver = device::driver(&mut fields, false);
    let options = fields.table("options");
    let every = every(&mut fields, driver);
    let deadline = deadline(&mut fields, driver);
    let strikes = fields.within("strikes", STRIKES, 1..=100);
    let publish = fields.table("publish");
    let filter = fields.table("filter");
    device::options_belong(&mut fields, driver);
    fields.finish();
    let publish = read_publish(publish.as_ref(), problems);
    let configured = driver.and_then(|driver| device::configure(driver, options.as_ref(), table, problems));
    let recipes = filter.map(|table| read_filters(&table, driver, configured.as_ref(), problems)).unwrap_or_default();
    Some(SensorPlan {
        name: name?,
        driver: driver?,
        configured: configured?,
        every,
        deadline,
        strikes,
        recipes,
        publish,
    })
}

fn pushed(driver: Option<&Spec>) -> bool {
    driver.is_some_and(|driver| driver.kind == Kind::Pushed)
}

/// The interval; a sensor that speaks by itself has none.
fn every(fields: &mut Fields<'_, '_>, driver: Option<&Spec>) -> Option<Duration> {
    let allowed = Every(Duration::from_millis(100))..=Every(Duration::from_secs(86_400));
    let every = fields.within("every", Every(EVERY), allowed);
    if !pushed(driver) {
        return Some(every.0);
    }
    refuse_polling(fields, driver, "every");
    None
}

fn deadline(fields: &mut Fields<'_, '_>, driver: Option<&Spec>) -> Duration {
    let allowed = Every(Duration::from_millis(10))..=Every(Duration::from_secs(600));
    let deadline = fields.within("deadline", Every(DEADLINE), allowed);
    if pushed(driver) {
        refuse_polling(fields, driver, "deadline");
    }
    deadline.0
}

fn refuse_polling(fields: &mut Fields<'_, '_>, driver: Option<&Spec>, key: &'static str) {
    if fields.has(key) {
        let name = driver.map_or("", |driver| driver.name);
        let message = format!("`{key}` means nothing here: `{name}` speaks when its device does");
        fields.wrong(key, message, Some(format!("leave `{key}` out")));
    }
}

fn read_publish(table: Option<&Table<'_>>, problems: &mut Problems) -> Publish {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let qos = fields.within("qos", 1, 0..=2);
    let publish = Publish {
        qos: Qos::from_level(qos).unwrap_or(Qos::AtLeastOnce),
        retain: fields.or("retain", true),
        format: fields.word("format", &Format::ALL).unwrap_or(Format::Json),
    };
    fields.finish();
    publish
}

/// The chains, each for a measure that the driver has.
fn read_filters(
    table: &Table<'_>,
    driver: Option<&'static Spec>,
    configured: Option<&Configured>,
    problems: &mut Problems,
) -> HashMap<String, Recipe> {
    let measures = configured.map(|configured| &configured.measures[..]).or(driver.map(|driver| driver.measures));
    let names: Vec<&str> = measures.unwrap_or_default().iter().map(|measure| &*measure.name).collect();
    let mut recipes = HashMap::new();
    for (measure, place, value) in table.entries() {
        // A driver that learns its measures from the kernel lists none.
        if !names.is_empty() && !names.contains(&measure) {
            let help = match nearest(measure, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it measures {}", names.join(", ")),
            };
            let driver = driver.map_or("", |driver| driver.name);
            problems.error(place, format!("`{driver}` does not measure `{measure}`"), Some(help));
        }
        if let Some(recipe) = crate::filters::configure(&value, problems) {
            recipes.insert(measure.to_owned(), recipe);
        }
    }
    recipes
}
