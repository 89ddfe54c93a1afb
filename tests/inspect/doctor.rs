//! `weir doctor`: every machine as expected, and what it finds on this one.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::machine::{Machine, said, weir};

#[test]
fn every_machine_is_told_as_expected() {
    let mut different = Vec::new();
    for machine in Machine::all() {
        let config = machine.root().join("etc/weir/weir.toml");
        let output = machine.weir(&["doctor", "--config", config.to_str().expect("UTF-8")]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(i32::from(text.contains("\nproblem "))), "{text}");
        different.extend(machine.compare("doctor", &text));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The findings of a configuration on this machine, and the exit code.
pub(crate) fn findings(text: &str) -> (Vec<Value>, Option<i32>) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("weir.toml");
    fs::write(&file, format!("[gateway]\nname = \"x\"\nstate_dir = {:?}\n{text}", dir.path())).expect("writable");
    examine(file.to_str().expect("UTF-8"))
}

/// The findings about the configuration in a file, whom each cloud has 2 s to answer.
pub(crate) fn examine(file: &str) -> (Vec<Value>, Option<i32>) {
    let output = weir(&["doctor", "--json", "--patience", "2", "--config", file]);
    let document: Value = serde_json::from_str(&said(&output)).expect("JSON");
    let findings = document["findings"].as_array().expect("a list").clone();
    let problems = findings.iter().filter(|finding| finding["grade"] == "problem").count();
    assert_eq!(document["problems"], problems);
    assert_eq!(output.status.code(), Some(i32::from(problems > 0)), "{document}");
    (findings, output.status.code())
}

/// The only finding that says `words`: its grade, and whether it says what to do.
#[track_caller]
pub(crate) fn the_one(findings: &[Value], words: &str) -> (String, bool) {
    let fits = |finding: &&Value| finding["what"].as_str().expect("text").contains(words);
    let found: Vec<_> = findings.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{words}: {findings:#?}");
    (found[0]["grade"].as_str().expect("a word").to_owned(), found[0].get("advice").is_some())
}

#[test]
fn whoever_has_the_hubs_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let config = format!("[hub]\nlisten = [\"{address}\", \"192.0.2.1:1883\"]\n");
    let (found, code) = findings(&config);
    let us = format!("{address} is taken by ");
    assert_eq!((the_one(&found, &us), code), (("problem".into(), true), Some(1)));
    assert_eq!(the_one(&found, &format!("(process {})", std::process::id())).0, "problem");
    assert_eq!(the_one(&found, "no interface of this machine has the address 192.0.2.1"), ("problem".into(), true));
    drop(listener);
    let (found, _) = findings(&config);
    assert_eq!(the_one(&found, &format!("{address} is free")).0, "ok");
}

#[test]
fn a_wrong_configuration_is_a_problem_and_none_is_not() {
    let (found, code) = findings("nam = 1\n");
    assert_eq!((the_one(&found, "weir cannot start"), code), (("problem".into(), true), Some(1)));
    let (found, _) = examine("/nowhere/weir.toml");
    assert_eq!(the_one(&found, "there is no /nowhere/weir.toml").0, "ok");
}

/// As with `| head`: whoever reads goes away, and nobody complains.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in
        [&["schema"][..], &["scan"], &["doctor", "--json", "--config", "/nowhere"], &["doctor", "--config", "/nowhere"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command.args(args).stdout(writer).stderr(Stdio::piped()).output().expect("it was built");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(0) && errors.is_empty(), "{args:?}: {:?} {errors}", output.status);
    }
}
