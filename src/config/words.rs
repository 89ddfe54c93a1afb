//! Values and keys in a reader's words.

use super::nearest::nearest;

/// The nearest of `names`, or all of them.
pub fn suggest(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names) {
        Some(near) => format!("did you mean {near:?}?"),
        None => one_of(names),
    }
}

pub(super) fn one_of(names: &[&str]) -> String {
    let one = if names.len() == 1 { "" } else { "one of " };
    format!("write {one}{}", quoted(names))
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// Serde's words for a value that does not fit, as a sentence about `key`.
pub(super) fn plain(key: &str, message: &str) -> String {
    let unfit = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match unfit.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, wanted)) => {
            let kind = got.split(' ').next().unwrap_or(got);
            format!("`{key}` must be {}, not {} {got}", human(wanted), article(kind))
        }
        None => format!("`{key}`: {message}"),
    }
}

pub(super) fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// What serde calls by Rust's names, in a reader's words.
fn human(wanted: &str) -> String {
    match wanted {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "a whole number, zero or more".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list in [ ]".into(),
        "a map" => "a table".into(),
        wanted if wanted.starts_with("struct ") => "a table".into(),
        wanted => wanted.into(),
    }
}
