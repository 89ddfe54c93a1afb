//! What `weir plan` says about whole configurations, compared byte for byte.
//!
//! Each `tests/plan/NAME.toml` has a `NAME.expected` beside it. Lines `# arg: ...` in it are arguments of the command.
//! `UPDATE_EXPECTED=1 cargo test --test plan` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn weir_plan(file: &Path, more: &[&str]) -> Output {
    let text = fs::read_to_string(file).expect("it is there");
    let args = text.lines().filter_map(|line| line.strip_prefix("# arg: "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("plan").arg(file).args(args).args(more).output().expect("it was built")
}

fn said(output: Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/plan").expect("tests run in the crate's root");
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

#[test]
fn every_plan_is_worked_out_as_expected() {
    let files = files();
    assert!(files.len() >= 5, "{}", files.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut different = Vec::new();
    for file in files {
        let (found, expected) = (said(weir_plan(&file, &[])), file.with_extension("expected"));
        if update {
            fs::write(&expected, &found).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            different.push(format!("--- {}\n{found}", expected.display()));
        }
    }
    assert!(different.is_empty(), "not as expected; found:\n{}", different.join("\n"));
}

#[test]
fn the_same_figures_come_as_json() {
    for file in files() {
        let document: Value = serde_json::from_str(&said(weir_plan(&file, &["--json"]))).expect("JSON");
        assert_eq!(document["gateway"], "shed", "{}", file.display());
        let sum = |value: &Value| value.as_array().map_or(0.0, |all| all.iter().filter_map(messages).sum::<f64>());
        let published = document["sensors"].as_array().expect("a list").iter().map(|sensor| sum(&sensor["measures"]));
        let published = published.sum::<f64>() + document["lan_per_day"].as_f64().expect("a number");
        // Every message goes to a bridge at most once.
        for bridge in document["bridges"].as_array().expect("a list") {
            assert!(sum(&bridge["classes"]) <= published + 1e-6, "{}", file.display());
        }
    }
}

fn messages(value: &Value) -> Option<f64> {
    value["messages_per_day"]["most"].as_f64()
}

#[test]
fn a_wrong_configuration_and_wrong_arguments_are_told() {
    let output = weir_plan(Path::new("tests/check/unknown-key.toml"), &[]);
    assert_eq!(output.status.code(), Some(78));
    for wrong in [["--lan", "much"], ["--endurance", "16"], ["--round-trip", "slow"]] {
        let output = weir_plan(Path::new("config/demo.toml"), &wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
