//! From the configuration to a chain.

use std::fmt;

use super::{Chain, FILTERS, Make, Spec, find};
use crate::config::{Problems, Table, Value, nearest};

/// The checked filters of one measure; makes any number of chains.
#[derive(Default)]
pub struct Recipe(Vec<(&'static str, Make)>);

impl Recipe {
    /// A chain that has seen nothing yet.
    pub fn chain(&self) -> Chain {
        let mut chain = Chain::default();
        self.0.iter().for_each(|(name, make)| chain.push(name, make()));
        chain
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads the filters of one measure: an array of steps, or a single step.
///
/// `None` when a problem was noted; all steps are looked at even then.
pub fn configure(value: &Value<'_>, problems: &mut Problems) -> Option<Recipe> {
    let steps = value.elements().unwrap_or_else(|| vec![*value]);
    let made: Vec<_> = steps.iter().map(|step| read_step(step, problems)).collect();
    made.into_iter().collect::<Option<_>>().map(Recipe)
}

fn read_step(value: &Value<'_>, problems: &mut Problems) -> Option<(&'static str, Make)> {
    let Some(table) = value.table() else {
        let help = format!("write {}", FILTERS[0].example);
        problems.error(value.place(), format!("a step is a table, not this {}", value.kind()), Some(help));
        return None;
    };
    let spec = filter_of(&table, problems)?;
    let mut fields = table.fields(problems);
    let make = (spec.configure)(&mut fields);
    fields.finish();
    make.map(|make| (spec.name, make))
}

/// The one filter that the step names.
fn filter_of(table: &Table<'_>, problems: &mut Problems) -> Option<&'static Spec> {
    let entries = table.entries();
    let mut named = entries.iter().filter_map(|(key, place, _)| find(key).map(|spec| (spec, place)));
    match (named.next(), named.next()) {
        (Some((spec, _)), None) => return Some(spec),
        (Some(_), Some((_, second))) => {
            let help = "their order counts, so give each its own step: [{ ... }, { ... }]";
            problems.error(second.clone(), "two filters in one step", Some(help.into()));
        }
        (None, _) => no_filter(table, problems),
    }
    None
}

fn no_filter(table: &Table<'_>, problems: &mut Problems) {
    let names: Vec<_> = FILTERS.iter().map(|spec| spec.name).collect();
    let known = format!("known here: {}", names.join(", "));
    match table.entries().first() {
        Some((key, place, _)) => {
            let help = nearest(key, &names).map_or(known, |near| format!("did you mean `{near}`?"));
            problems.error(place.clone(), format!("unknown filter `{key}`"), Some(help));
        }
        None => problems.error(table.place(), "a step names one filter", Some(known)),
    }
}
