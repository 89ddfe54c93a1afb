//! What a line looks like: a pattern, columns, or JSON.

use regex::Regex;
use serde_json::Value as Json;

use super::value::{self, Value};

/// How values are found in a line.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Named groups of a regular expression.
    Pattern(Regex),
    /// Columns between separators; those without a name are left out.
    Columns { names: Vec<Option<String>>, separator: char },
    /// A JSON object: measure, and key or JSON pointer.
    Json(Vec<(String, String)>),
}

/// The values of a line, each with its measure's name.
pub(super) type Values<'s> = Vec<(&'s str, Value)>;

impl Shape {
    /// The names of all measures.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Shape::Pattern(pattern) => pattern.capture_names().flatten().collect(),
            Shape::Columns { names, .. } => names.iter().flatten().map(String::as_str).collect(),
            Shape::Json(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// The values in `line`: at least one, and every one that is there must be a number.
    pub(super) fn parse(&self, line: &str, decimal: char) -> Result<Values<'_>, String> {
        let values = match self {
            Shape::Pattern(pattern) => parse_pattern(pattern, line, decimal)?,
            Shape::Columns { names, separator } => parse_columns(names, *separator, line, decimal)?,
            Shape::Json(fields) => parse_json(fields, line)?,
        };
        if values.is_empty() { Err("it has none of the values".into()) } else { Ok(values) }
    }
}

fn parse_pattern<'s>(pattern: &'s Regex, line: &str, decimal: char) -> Result<Values<'s>, String> {
    let captures = pattern.captures(line).ok_or("it does not match the pattern")?;
    let named = pattern.capture_names().flatten();
    let there = named.filter_map(|name| captures.name(name).map(|text| (name, text.as_str())));
    there.map(|(name, text)| Ok((name, value::read(text, decimal)?))).collect()
}

/// A space as separator stands for any white space. An empty column has no value.
fn parse_columns<'s>(
    names: &'s [Option<String>],
    separator: char,
    line: &str,
    decimal: char,
) -> Result<Values<'s>, String> {
    let columns: Vec<_> = match separator {
        ' ' => line.split_whitespace().collect(),
        _ => line.split(separator).map(str::trim).collect(),
    };
    // One column too few or too many means that bytes were lost or that two lines ran into each other.
    if columns.len() != names.len() {
        return Err(format!("it has {} columns, not {}", columns.len(), names.len()));
    }
    let named = names.iter().zip(columns).filter_map(|(name, text)| Some((name.as_deref()?, text)));
    named.filter(|(_, text)| !text.is_empty()).map(|(name, text)| Ok((name, value::read(text, decimal)?))).collect()
}

fn parse_json<'s>(fields: &'s [(String, String)], line: &str) -> Result<Values<'s>, String> {
    let object: Json = serde_json::from_str(line).map_err(|error| format!("it is not JSON: {error}"))?;
    let at = |path: &str| if path.starts_with('/') { object.pointer(path) } else { object.get(path) };
    let there = fields.iter().filter_map(|(name, path)| Some((name.as_str(), at(path)?)));
    let number = |json: &Json| match json {
        Json::Number(number) => value::read(&number.to_string(), '.'),
        Json::String(text) => value::read(text, '.'),
        Json::Bool(on) => Ok(Value { number: f64::from(*on), decimals: 0 }),
        other => Err(format!("{other} is not a number")),
    };
    there.filter(|(_, json)| !json.is_null()).map(|(name, json)| Ok((name, number(json)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(shape: &Shape, line: &str) -> Result<Vec<(String, f64)>, String> {
        let values = shape.parse(line, '.')?;
        Ok(values.into_iter().map(|(name, value)| (name.to_owned(), value.number)).collect())
    }

    fn check(shape: &Shape, line: &str, expected: &[(&str, f64)]) {
        let found = parse(shape, line).unwrap_or_else(|why| panic!("{line}: {why}"));
        let found: Vec<_> = found.iter().map(|(name, number)| (name.as_str(), *number)).collect();
        assert_eq!(found, expected, "{line}");
    }

    fn pattern() -> Shape {
        Shape::Pattern(Regex::new(r"temp=(?<t>\S+)(?: hum=(?<h>\S+))?").unwrap())
    }

    fn columns(separator: char) -> Shape {
        let names = vec![Some("t".into()), None, Some("h".into())];
        Shape::Columns { names, separator }
    }

    fn json() -> Shape {
        Shape::Json(vec![("t".into(), "temp".into()), ("h".into(), "/air/humidity".into()), ("on".into(), "on".into())])
    }

    #[test]
    fn patterns() {
        check(&pattern(), "x temp=21.4 hum=40", &[("t", 21.4), ("h", 40.0)]);
        check(&pattern(), "temp=-3", &[("t", -3.0)]);
        assert_eq!(parse(&pattern(), "tmp=1").unwrap_err(), "it does not match the pattern");
        assert_eq!(parse(&pattern(), "temp=nan").unwrap_err(), "\"nan\" is not a number");
    }

    #[test]
    fn column_by_column() {
        check(&columns(';'), "21.4; ok ;40", &[("t", 21.4), ("h", 40.0)]);
        check(&columns(' '), " 21.4  ok\t40 ", &[("t", 21.4), ("h", 40.0)]);
        check(&columns(','), ",x,40", &[("h", 40.0)]);
        assert_eq!(parse(&columns(','), "21.4,40").unwrap_err(), "it has 2 columns, not 3");
        assert_eq!(parse(&columns(','), "1,2,3,4").unwrap_err(), "it has 4 columns, not 3");
        assert_eq!(parse(&columns(','), "temp,state,hum").unwrap_err(), "\"temp\" is not a number");
        assert_eq!(parse(&columns(','), ",x,").unwrap_err(), "it has none of the values");
    }

    #[test]
    fn keys_and_pointers() {
        let line = r#"{"temp":21.40,"air":{"humidity":"40"},"on":true}"#;
        check(&json(), line, &[("t", 21.4), ("h", 40.0), ("on", 1.0)]);
        check(&json(), r#"{"temp":null,"on":false}"#, &[("on", 0.0)]);
        assert!(parse(&json(), r#"{"temp":[1]}"#).is_err());
        assert!(parse(&json(), r#"{"temp":21.4"#).unwrap_err().starts_with("it is not JSON"));
        assert_eq!(parse(&json(), "21.4").unwrap_err(), "it has none of the values");
    }

    proptest! {
        #[test]
        fn no_line_panics_or_gives_what_is_no_number(line in "\\PC{0,40}") {
            for shape in [pattern(), columns(','), columns(' '), json()] {
                for (_, value) in shape.parse(&line, '.').unwrap_or_default() {
                    prop_assert!(value.number.is_finite());
                }
            }
        }
    }
}
