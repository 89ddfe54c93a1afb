//! `[[output]]`.

use std::time::Duration;

use super::{OutputPlan, device};
use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};

const STATES: [(&str, bool); 2] = [("off", false), ("on", true)];

pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Option<OutputPlan> {
    let mut fields = table.fields(problems);
    let name = device::name(&mut fields);
    let driver = device::driver(&mut fields, true);
    let options = fields.table("options");
    let boot = fields.word("boot", &STATES).unwrap_or(false);
    let link = fields.table("on_link_lost");
    let max_on = span(&mut fields, "max_on");
    let command_ttl = span(&mut fields, "command_ttl");
    device::options_belong(&mut fields, driver);
    fields.finish();
    let on_link_lost = link.and_then(|table| read_link(&table, problems));
    let configured = driver.and_then(|driver| device::configure(driver, options.as_ref(), table, problems));
    Some(OutputPlan { name: name?, driver: driver?, configured: configured?, boot, on_link_lost, max_on, command_ttl })
}

fn span(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Duration> {
    let allowed = Every(Duration::from_millis(10))..=Every(Duration::from_secs(365 * 86_400));
    fields.maybe_within(key, allowed).map(|every| every.0)
}

/// `{ after = "10m", set = "off" }`
fn read_link(table: &Table<'_>, problems: &mut Problems) -> Option<(Duration, bool)> {
    let mut fields = table.fields(problems);
    if !fields.has("after") {
        fields.need::<Every>("after");
    }
    let after = span(&mut fields, "after");
    let set = fields.word("set", &STATES).unwrap_or(false);
    fields.finish();
    Some((after?, set))
}
