//! `weir schema`: every key of the configuration, for editors and for people.
//!
//! It is made from the sample configuration, which shows every key and is held to that by a test.

use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};

use super::Exit;
use crate::config::{Problems, Sources, Table, Value, parse};
use crate::drivers::{DRIVERS, Kind, Spec};

/// Every key with its default.
const SAMPLE: &str = include_str!("../../config/weir.toml");

/// Tables whose keys are not the loader's: a driver checks them, or they are names.
const FREE: [&str; 2] = ["options", "filter"];
/// Keys that take another kind of value than the sample shows.
const ALSO: [(&str, &str); 4] = [("url", "array"), ("proxy", "object"), ("key", "object"), ("password", "object")];

/// Arguments of `weir schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As a configuration for people: every key with what it means and its default
    #[arg(long)]
    sample: bool,
}

/// Prints a JSON Schema, or the sample.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    if args.sample {
        out.write_all(SAMPLE.as_bytes())?;
    } else {
        serde_json::to_writer_pretty(&mut out, &schema())?;
        writeln!(out)?;
    }
    Ok(Exit::Good)
}

/// The schema of a whole configuration.
fn schema() -> Json {
    let sources = Sources::from_text("weir.toml", &uncommented());
    let document = parse(&sources, &mut Problems::default());
    let mut schema = object(&Table::new(&document), &sources, "");
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".into(), json!("Configuration of weir"));
    schema.insert("required".into(), json!(["gateway"]));
    Json::Object(schema)
}

/// The sample with every setting switched on, line by line the same.
fn uncommented() -> String {
    let set = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SAMPLE.lines().map(set).collect()
}

/// A table: its keys, and those that must be there.
fn object(table: &Table<'_>, sources: &Sources, path: &str) -> Map<String, Json> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (key, place, value) in table.entries() {
        let line = sources.locate(place.start).map_or(0, |spot| spot.line);
        let about = comment(line);
        let path = format!("{path}.{key}");
        // What stands in the sample without a `#`, or is said to be needed.
        let is_set = SAMPLE.lines().nth(line.saturating_sub(1)).is_some_and(|text| text.starts_with(key));
        if is_set || about.contains("Needed") {
            required.push(key);
        }
        let mut schema = of_value(key, &value, sources, &path);
        if !about.is_empty() {
            schema.insert("description".into(), json!(about));
        }
        properties.insert(key.to_owned(), Json::Object(schema));
    }
    let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
    if path == ".bus" {
        // Its keys are names of buses, of which the sample shows one.
        let any = properties.into_iter().next().map_or(json!(true), |(_, bus)| bus);
        schema.insert("additionalProperties".into(), any);
        return schema;
    }
    schema.insert("properties".into(), Json::Object(properties));
    schema.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema
}

/// One key's value.
fn of_value(key: &str, value: &Value<'_>, sources: &Sources, path: &str) -> Map<String, Json> {
    let kind = |kind: &str| Map::from_iter([("type".to_owned(), json!(kind))]);
    if FREE.contains(&key) {
        return kind("object");
    }
    if key == "driver" {
        return Map::from_iter([("enum".to_owned(), json!(drivers(path == ".output.driver")))]);
    }
    if let Some(table) = value.table() {
        return also(key, object(&table, sources, path));
    }
    let elements = value.elements().unwrap_or_default();
    if let Some(table) = elements.first().and_then(Value::table) {
        let mut schema = kind("array");
        schema.insert("items".into(), Json::Object(object(&table, sources, path)));
        return schema;
    }
    let mut schema = match value.kind() {
        "integer" | "boolean" | "array" | "string" => kind(value.kind()),
        _ => kind("number"),
    };
    schema.insert("examples".into(), json!([value.read::<Json>(key, &mut Problems::default())]));
    also(key, schema)
}

/// Lets a key have its other kind of value too.
fn also(key: &str, schema: Map<String, Json>) -> Map<String, Json> {
    match ALSO.iter().find(|(name, kind)| *name == key && schema["type"] != *kind) {
        Some((_, kind)) => Map::from_iter([("anyOf".to_owned(), json!([schema, { "type": kind }]))]),
        None if ALSO.iter().any(|(name, _)| *name == key) => {
            // The sample shows one of the ways to give a secret.
            Map::from_iter([("type".to_owned(), json!(["object", "string"]))])
        }
        None => schema,
    }
}

fn drivers(outputs: bool) -> Vec<&'static str> {
    let fits = |spec: &&&Spec| (spec.kind == Kind::Output) == outputs;
    DRIVERS.iter().filter(fits).map(|spec| spec.name).collect()
}

/// The comment above a line of the sample, which begins with `#` and a blank; lines count from 1.
fn comment(line: usize) -> String {
    let above: Vec<_> = SAMPLE.lines().take(line.saturating_sub(1)).collect();
    let lines = above.iter().rev().map_while(|line| line.strip_prefix("# "));
    let mut lines: Vec<_> = lines.collect();
    lines.reverse();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a schema has to say against a value: enough of JSON Schema for ours.
    fn faults(schema: &Json, value: &Json, path: &str, found: &mut Vec<String>) {
        if let Some(any) = schema["anyOf"].as_array() {
            let fits = |schema: &Json| {
                let mut inner = Vec::new();
                faults(schema, value, path, &mut inner);
                inner.is_empty()
            };
            if !any.iter().any(fits) {
                found.push(format!("{path}: none fits"));
            }
            return;
        }
        let kind = match value {
            Json::Object(_) => "object",
            Json::Array(_) => "array",
            Json::String(_) => "string",
            Json::Bool(_) => "boolean",
            Json::Number(number) if number.is_i64() => "integer",
            _ => "number",
        };
        let kinds = &schema["type"];
        if !(kinds.is_null() || *kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))) {
            found.push(format!("{path}: {kind} instead of {kinds}"));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            found.push(format!("{path}: not one of {}", schema["enum"]));
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.get(key.as_str().unwrap()).is_none() {
                found.push(format!("{path}: {key} is missing"));
            }
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Json::Null, Json::Bool(false)) => found.push(format!("{path} is unknown")),
                (Json::Null, other) => faults(other, inner, &path, found),
                (known, _) => faults(known, inner, &path, found),
            }
        }
        for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
            faults(&schema["items"], inner, &format!("{path}[{index}]"), found);
        }
    }

    fn check(text: &str) -> Vec<String> {
        let value: Json = toml::from_str(text).unwrap();
        let mut found = Vec::new();
        faults(&schema(), &value, "", &mut found);
        found
    }

    #[test]
    fn what_we_ship_fits() {
        for text in [SAMPLE, &uncommented(), include_str!("../../config/demo.toml")] {
            assert_eq!(check(text), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_wrong_does_not_fit() {
        let good = "[gateway]\nname = \"x\"\n";
        for (more, fault) in [
            ("nam = 1", ".gateway.nam is unknown"),
            ("[[sensor]]\nname = \"a\"", ".sensor[0]: \"driver\" is missing"),
            ("[[sensor]]\nname = \"a\"\ndriver = \"gpio-out\"", ".sensor[0].driver: not one of"),
            ("[hub]\nlisten = 1883", ".hub.listen: integer instead of \"array\""),
            ("[bus.i2c-3]\nspeed = 1", ".bus.i2c-3.speed is unknown"),
            ("[[bridge]]\nname = \"c\"\nurl = 5", ".bridge[0].url: none fits"),
        ] {
            let found = check(&format!("{good}{more}"));
            assert!(found.len() == 1 && found[0].starts_with(fault), "{more}: {found:?}");
        }
        assert!(check("")[0].contains("gateway"));
        assert_eq!(
            check(&format!("{good}[[bridge]]\nname = \"c\"\nurl = [\"mqtt://a\"]\nproxy = {{ url = \"http://p\" }}")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn keys_are_explained() {
        let schema = schema();
        let about = &schema["properties"]["sensor"]["items"]["properties"]["every"]["description"];
        assert!(about.as_str().unwrap().starts_with("How often it is read"), "{about}");
    }
}
