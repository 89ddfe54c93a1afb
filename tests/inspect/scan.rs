//! `weir scan`: every machine as expected, and its answer as a configuration.

use std::fs;

use super::machine::{Machine, said, weir};

/// Behind `[gateway]`, as a user puts it, `weir check` has nothing to say against it.
fn is_a_good_configuration(text: &str) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("weir.toml");
    fs::write(&file, format!("[gateway]\nname = \"x\"\n{text}")).expect("writable");
    let checked = weir(&["check", file.to_str().expect("UTF-8")]);
    assert_eq!(checked.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&checked.stdout));
    assert_eq!(said(&checked).lines().count(), 1, "no warnings: {}", said(&checked));
}

#[test]
fn every_machine_is_told_as_expected_and_its_answer_is_a_configuration() {
    let mut different = Vec::new();
    for machine in Machine::all() {
        let output = machine.weir(&["scan"]);
        assert_eq!(output.status.code(), Some(0));
        is_a_good_configuration(&said(&output));
        different.extend(machine.compare("scan", &said(&output)));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn this_machine_and_a_simulated_one_are_scanned() {
    is_a_good_configuration(&said(&weir(&["scan"])));
    let simulated = said(&weir(&["scan", "--simulate"]));
    is_a_good_configuration(&simulated);
    for found in ["0x76  bme280", "28-3c01e076877d  ds18b20", "driver  = \"sht4x\"", "free: GPIO0,"] {
        assert!(simulated.contains(found), "{found}: {simulated}");
    }
}
