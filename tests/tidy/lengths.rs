//! How long files and functions may be: the median and the tail, in lines, tests included.

use super::source::rust_files;

const FILE_MOST: usize = 500;
const FILE_MEDIAN: usize = 170;
const FUNCTION_MOST: usize = 70;
const FUNCTION_P90: usize = 35;

#[test]
fn files_are_short() {
    let mut lengths = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for file in rust_files(folder) {
            let lines = file.text.lines().count();
            assert!(lines <= FILE_MOST, "{} has {lines} lines, more than {FILE_MOST}", file.path);
            lengths.push(lines);
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= FILE_MEDIAN, "half of all files have more than {median} lines");
}

#[test]
fn functions_are_short() {
    let mut lengths = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for file in rust_files(folder) {
            for (name, lines) in functions(&file.text) {
                assert!(lines <= FUNCTION_MOST, "{}: {name} has {lines} lines, more than {FUNCTION_MOST}", file.path);
                lengths.push(lines);
            }
        }
    }
    lengths.sort_unstable();
    let p90 = lengths[lengths.len() * 9 / 10];
    assert!(p90 <= FUNCTION_P90, "one function in ten has more than {p90} lines");
}

/// Name and length of every function. rustfmt closes each one with a brace at the column where it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let closing = format!("{}}}", " ".repeat(indent));
        let one_line = line.trim_end().ends_with(['}', ';']);
        let end = if one_line { Some(0) } else { lines[at..].iter().position(|line| *line == closing) };
        if let Some(end) = end {
            found.push((name, end + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "fn" => return words.next().map(|name| name.split(['(', '<']).next().unwrap_or_default().to_owned()),
            "pub" | "async" | "const" | "unsafe" | "pub(super)" | "pub(crate)" => {}
            _ => return None,
        }
    }
    None
}

#[test]
fn functions_are_measured() {
    let text = "fn a() {}\nimpl X {\n    pub async fn b<T>(\n        x: T,\n    ) {\n        x\n    }\n}\n";
    assert_eq!(functions(text), [("a".into(), 1), ("b".into(), 5)]);
}
