//! Clients that are programs of their own: each does the same round with every QoS, retained messages and a will.

use std::path::PathBuf;
use std::process::Command;

use crate::bench;
use crate::house::{House, SCHEMES};
use crate::program::Program;

/// A file beside this one.
fn file(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Whether a client could not be installed here, which is told.
fn is_missing(client: &str) -> bool {
    let without = std::env::var("WEIR_TEST_WITHOUT").unwrap_or_default();
    let missing = without.split(' ').any(|name| name == client);
    if missing {
        eprintln!("SKIPPED: {client} could not be installed");
    }
    missing
}

/// A program against every one of these doors, with both versions, all at once.
async fn round(client: &str, command: &[&str], schemes: &[&str]) {
    let house = House::open().await;
    let mut programs = Vec::new();
    for scheme in schemes {
        let url = house.url(scheme);
        // The names of Paho's C library.
        let url = if client == "c" { url.replace("mqtts:", "ssl:").replace("mqtt:", "tcp:") } else { url };
        for version in ["4", "5"] {
            let (ca, prefix) = (house.ca(), format!("{client}/{scheme}/{version}"));
            let arguments = [&command[1..], &[&url, version, &ca, &prefix]].concat();
            let program = Program::start(command[0], &arguments, "scripts/test installs it");
            programs.push((prefix, program));
        }
    }
    for (prefix, program) in programs {
        assert_eq!(program.try_output().await, "OK\n", "{prefix}");
    }
}

fn python() -> String {
    std::env::var("WEIR_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[tokio::test]
async fn paho_in_python() {
    round("paho", &[&python(), &file("paho_client.py")], &SCHEMES).await;
}

/// Offline queues and properties too.
#[tokio::test]
async fn paho_in_python_in_depth() {
    let bench = bench::hub().await;
    let port = bench.address.port().to_string();
    let hint = "scripts/test makes a Python with paho-mqtt and names it in WEIR_TEST_PYTHON";
    let program = Program::start(&python(), &[&file("paho_depth.py"), &port], hint);
    assert_eq!(program.output().await, "OK\n");
}

#[tokio::test]
async fn gmqtt() {
    round("gmqtt", &[&python(), &file("gmqtt_client.py")], &["mqtt", "mqtts"]).await;
}

#[tokio::test]
async fn mqtt_js() {
    if !is_missing("mqttjs") {
        round("mqttjs", &["node", &file("js/client.js")], &SCHEMES).await;
    }
}

#[tokio::test]
async fn paho_in_c() {
    if is_missing("paho-c") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program: PathBuf = dir.path().join("paho");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(&program);
    let built = compiler.args([&file("paho.c"), "-lpaho-mqtt3cs"]).status().expect("a C compiler is there");
    assert!(built.success(), "paho.c is not built; install libpaho-mqtt-dev, as scripts/test does");
    round("c", &[program.to_str().unwrap()], &SCHEMES).await;
}
