//! The options of `serial-line`.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use super::shape::Shape;
use crate::bus::serial::{Parity, SerialSettings};
use crate::config::units::Every;
use crate::config::{Fields, Value, suggest};
use crate::drivers::options::{choice, number, optional};
use crate::model::{Measure, Name};

/// The longest line a device may be allowed.
const LONGEST_LINE: usize = 65_536;

/// Checked options.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) serial: SerialSettings,
    pub(super) shape: Shape,
    pub(super) decimal: char,
    pub(super) latin1: bool,
    pub(super) max_line: usize,
    pub(super) bad_lines: u32,
    /// How long the device may say nothing; zero is for ever.
    pub(super) silence: Duration,
    pub(super) sample: Option<String>,
    pub(super) details: BTreeMap<String, Detail>,
}

/// What a measure is beyond its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detail {
    #[serde(default)]
    pub(super) unit: String,
    /// As written in the line, when not given.
    pub(super) decimals: Option<u8>,
    /// A counter or a state: each value counts.
    #[serde(default)]
    pub(super) exact: bool,
}

impl Options {
    /// The measure called `name`, for a value written with `decimals`.
    pub(super) fn measure(&self, name: &str, decimals: u8) -> Measure {
        let detail = self.details.get(name);
        let unit = detail.map(|detail| detail.unit.clone()).unwrap_or_default();
        let decimals = detail.and_then(|detail| detail.decimals).unwrap_or(decimals);
        Measure { exact: detail.is_some_and(|detail| detail.exact), ..Measure::named(name, unit, decimals) }
    }
}

/// Reads all options; every problem is told.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Options> {
    let serial = read_serial(fields);
    let shape = read_shape(fields);
    let decimal = choice(fields, "decimal", &[(".", '.'), (",", ',')]);
    let latin1 = choice(fields, "encoding", &[("utf-8", false), ("latin-1", true)]);
    let max_line = fields.within("max_line", 256, 8..=LONGEST_LINE);
    let bad_lines = fields.within("bad_lines", 5, 1..=10_000);
    let silence: Option<Option<Every>> = optional(fields, "silence");
    let sample: Option<Option<String>> = optional(fields, "sample");
    let details: Option<Option<BTreeMap<String, Detail>>> = optional(fields, "measures");
    let options = Options {
        serial: serial?,
        shape: shape?,
        decimal,
        latin1,
        max_line,
        bad_lines,
        silence: silence?.map_or(Duration::from_secs(600), |every| every.0),
        sample: sample?.filter(|sample| !sample.is_empty()),
        details: details?.unwrap_or_default(),
    };
    check(&options, fields).then_some(options)
}

fn read_serial(fields: &mut Fields<'_, '_>) -> Option<SerialSettings> {
    let port: Option<String> = fields.need("port");
    let baud = fields.within("baud", 9600, 50..=4_000_000);
    let parity = choice(fields, "parity", &[("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)]);
    let data_bits = number(fields, "data_bits", &[8, 7, 6, 5]);
    let stop_bits = number(fields, "stop_bits", &[1, 2]);
    let port = port?;
    if port.is_empty() {
        fields.wrong("port", "`port` is empty", Some("name it as in /dev/serial/by-id, which never moves".into()));
        return None;
    }
    // Both are checked against lists of small numbers.
    let (data_bits, stop_bits) = (data_bits as u8, stop_bits as u8);
    Some(SerialSettings { port, baud, parity, data_bits, stop_bits })
}

/// Exactly one of `regex`, `csv` and `json`.
fn read_shape(fields: &mut Fields<'_, '_>) -> Option<Shape> {
    let separator = read_separator(fields);
    let (regex, csv, json) = (fields.value("regex"), fields.value("csv"), fields.value("json"));
    let shape = match (regex, csv, json) {
        (Some(regex), None, None) => read_pattern(&regex, fields),
        (None, Some(csv), None) => {
            let names: Vec<String> = csv.read("csv", fields.problems)?;
            let names = names.into_iter().map(|name| Some(name).filter(|name| !name.is_empty())).collect();
            Some(Shape::Columns { names, separator: separator? })
        }
        (None, None, Some(json)) => read_json(&json, fields),
        _ => {
            let help = "regex = 't=(?<temperature>\\S+)', csv = [\"temperature\", \"\"] or json = [\"temperature\"]";
            fields.wrong("regex", "a line needs exactly one of `regex`, `csv` and `json`", Some(help.into()));
            None
        }
    }?;
    named(&shape, fields).then_some(shape)
}

fn read_separator(fields: &mut Fields<'_, '_>) -> Option<char> {
    let separator: Option<Option<String>> = optional(fields, "separator");
    let separator = separator?.unwrap_or_else(|| ",".into());
    let mut characters = separator.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Some(one),
        _ => {
            fields.wrong("separator", format!("`separator` is one character, not {separator:?}"), None);
            None
        }
    }
}

fn read_pattern(value: &Value<'_>, fields: &mut Fields<'_, '_>) -> Option<Shape> {
    let text: String = value.read("regex", fields.problems)?;
    match Regex::new(&text) {
        Ok(regex) => Some(Shape::Pattern(regex)),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim().to_owned();
            fields.wrong("regex", format!("`regex`: {why}"), None);
            None
        }
    }
}

/// A list of keys, or a table from measures to keys and JSON pointers.
fn read_json(value: &Value<'_>, fields: &mut Fields<'_, '_>) -> Option<Shape> {
    if value.table().is_some() {
        let paths: BTreeMap<String, String> = value.read("json", fields.problems)?;
        return Some(Shape::Json(paths.into_iter().collect()));
    }
    let keys: Vec<String> = value.read("json", fields.problems)?;
    Some(Shape::Json(keys.into_iter().map(|key| (key.clone(), key)).collect()))
}

/// Whether the shape has measures, all with good names and no name twice.
fn named(shape: &Shape, fields: &mut Fields<'_, '_>) -> bool {
    let (names, key) = match shape {
        Shape::Pattern(_) => (shape.names(), "regex"),
        Shape::Columns { .. } => (shape.names(), "csv"),
        Shape::Json(_) => (shape.names(), "json"),
    };
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    let bad = names.iter().find_map(|name| Name::new(name).err().map(|error| format!("{name:?}: {error}")));
    let why = match (names.is_empty(), bad, twice) {
        (true, ..) => "it names no measure".to_owned(),
        (_, Some(bad), _) => bad,
        (.., Some((_, name))) => format!("two values are called {name:?}"),
        _ => return true,
    };
    fields.wrong(key, format!("`{key}`: {why}"), None);
    false
}

/// What only shows when everything is read.
fn check(options: &Options, fields: &mut Fields<'_, '_>) -> bool {
    let names = options.shape.names();
    if let Some(unknown) = options.details.keys().find(|name| !names.contains(&name.as_str())) {
        fields.wrong("measures", format!("the line has no value {unknown:?}"), Some(suggest(unknown, &names)));
        return false;
    }
    if options.details.values().filter_map(|detail| detail.decimals).any(|decimals| decimals > 9) {
        fields.wrong("measures", "`decimals` goes from 0 to 9", None);
        return false;
    }
    let sample = options.sample.as_deref().map(|sample| options.shape.parse(sample, options.decimal));
    if let Some(Err(why)) = sample {
        fields.wrong("sample", format!("`sample` does not fit: {why}"), None);
        return false;
    }
    true
}
