//! The tables of normative statements, and which tests name them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who is able to violate a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Server,
    Client,
    Both,
}

/// One normative statement of a specification.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) who: Who,
    /// What it demands, in our own words.
    pub(crate) demand: String,
    /// Why no test covers it.
    pub(crate) reason: Option<String>,
}

/// A test and the statements it names in its doc lines.
#[derive(Debug)]
pub(crate) struct Test {
    /// `connect::mqtt_3_1_0_1_...`
    pub(crate) name: String,
    pub(crate) ids: Vec<String>,
}

/// `tests/mqtt`.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mqtt")
}

/// Reads `statements-<version>.txt`: `id | server, client or both | demand | reason, if not covered`.
pub(crate) fn statements(version: &str) -> Vec<Statement> {
    let text = fs::read_to_string(home().join(format!("statements-{version}.txt"))).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(statement).collect()
}

fn statement(line: &str) -> Statement {
    let mut fields = line.split('|').map(str::trim);
    let mut field = || fields.next().unwrap_or_else(|| panic!("a field is missing: {line}")).to_owned();
    let id = field();
    let who = match field().as_str() {
        "server" => Who::Server,
        "client" => Who::Client,
        "both" => Who::Both,
        other => panic!("server, client or both, not {other}: {line}"),
    };
    let demand = field();
    assert!(!demand.is_empty(), "what does it demand? {line}");
    Statement { id, who, demand, reason: fields.next().map(str::to_owned) }
}

/// Every test below `tests/mqtt/<folder>` with its statements.
pub(crate) fn tests(folder: &str) -> Vec<Test> {
    let mut files: Vec<_> = fs::read_dir(home().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| tests_of(file)).collect()
}

fn tests_of(file: &Path) -> Vec<Test> {
    let module = file.file_stem().unwrap().to_str().unwrap();
    let text = fs::read_to_string(file).unwrap();
    let (mut found, mut ids, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("/// [").and_then(|rest| rest.split_once(']')) {
            ids.push(id.0.to_owned());
        } else if line.contains("test") && line.starts_with("#[") {
            is_test = true;
        } else if let Some(name) = line.trim_start_matches("async ").strip_prefix("fn ") {
            let name = name.split('(').next().unwrap_or_default();
            assert!(is_test || ids.is_empty(), "{module}::{name} names statements and is no test");
            if is_test {
                found.push(Test { name: format!("{module}::{name}"), ids: std::mem::take(&mut ids) });
            }
            is_test = false;
        }
    }
    found
}

/// The tests of each statement.
pub(crate) fn by_statement(tests: &[Test]) -> BTreeMap<&str, Vec<&str>> {
    let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in tests {
        for id in &test.ids {
            map.entry(id).or_default().push(&test.name);
        }
    }
    map
}
