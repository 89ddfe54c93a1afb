//! Batches read by others: `weir decode`, and the decoders in config/decoders.
//!
//! `scripts/test` installs what they need, as for tests/clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use weir::format::batch::{self, Body, Compress, Encoding, Header, Item, decode, encode};
use weir::model::{Quality, Spread, TimeQuality};

const HEADER: Header<'static> = Header { store: "00112233445566778899aabbccddeeff", chain: "cloud.2" };
const BEGAN: i64 = 1_795_342_500_123;

/// The root of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn reading(at: u64, topic: &str, value: f64, quality: Quality) -> Item<'_> {
    let time_ms = BEGAN + at as i64 * 333 + i64::from(at % 5 == 4) * -700;
    let time_quality = [TimeQuality::Synced, TimeQuality::Corrected][usize::from(at > 40)];
    let unit = if topic.ends_with("humidity") { "%" } else { "°C" };
    let spread = (at % 7 == 6).then_some(Spread { min: value - 0.5, max: value + 1.25, count: 30, over_ms: 870_000 });
    let body = Body::Reading { value, unit, decimals: 2, quality, number: at / 3, spread };
    Item { topic, time_ms, time_quality, start: 3, sequence: 4711 + at, body }
}

/// Everything that a batch can hold: streams that go on and that do not, means, messages, holes in the keys.
fn items() -> Vec<Item<'static>> {
    let topics = ["shed/greenhouse/temperature", "shed/greenhouse/humidity", "shed/küche 1/temperature"];
    let mut items: Vec<_> = (0..60)
        .map(|at| {
            let quality = [Quality::Ok, Quality::Suspect, Quality::Stale, Quality::Simulated][(at / 20) as usize];
            reading(at, topics[at as usize % 3], 20.0 + (at * at % 97) as f64 / 100.0, quality)
        })
        .collect();
    for (at, payload) in [(10, &b"on"[..]), (20, b"{\"a\":1}"), (30, b"\xff\x00"), (40, "grün".as_bytes())] {
        items[at].body = Body::Payload(payload);
        items[at].topic = "shed/lan/door";
    }
    for (at, value) in [(11, f64::NAN), (12, 1e17), (13, -0.001), (14, 1e300)] {
        let Body::Reading { value: old, .. } = &mut items[at].body else { panic!("a reading") };
        *old = value;
    }
    items[50].start = 4;
    items[55].sequence += 1000;
    items
}

/// Every encoding, packed or not, and what is no batch; the lines that must come out.
fn batches(dir: &Path) -> (Vec<PathBuf>, Vec<Value>) {
    let items = items();
    let (mut files, mut lines) = (Vec::new(), Vec::new());
    for ((name, encoding), (packed, compress)) in
        Encoding::ALL.into_iter().flat_map(|encoding| Compress::ALL.map(|compress| (encoding, compress)))
    {
        for part in [&items[..], &items[..1], &items[5..25]] {
            let file = dir.join(format!("{name}-{packed}-{}", part.len()));
            let payload = encode(encoding, compress, &HEADER, part);
            let entries = decode(&payload, None).unwrap();
            lines.extend(entries.iter().map(|entry| serde_json::from_str::<Value>(&entry.line()).unwrap()));
            std::fs::write(&file, payload).unwrap();
            files.push(file);
        }
    }
    (files, lines)
}

/// Runs `weir decode` with `args`.
fn weir(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("decode").args(args).output().unwrap()
}

/// A directory with the dictionaries in it, as `weir decode` writes them.
fn dictionaries() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let written = weir(&[Path::new("--dictionaries"), dir.path()]);
    assert!(written.status.success(), "{written:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), batch::DICTIONARIES.len());
    dir
}

fn objects(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| numbers(serde_json::from_str(line).unwrap())).collect()
}

/// All numbers as doubles: JavaScript and Python write 1.0 and 1e17 in their own ways.
fn numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key, numbers(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other,
    }
}

fn same(found: Vec<Value>, wanted: Vec<Value>) {
    let wanted: Vec<_> = wanted.into_iter().map(numbers).collect();
    for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert_eq!(found, wanted, "record {at}");
    }
    assert_eq!(found.len(), wanted.len());
}

/// The decoder's own program on all batches, and on damaged ones, of which it says that they are.
fn others_read(command: &[&str], decoder: &Path) {
    let (dir, dictionaries) = (tempfile::tempdir().unwrap(), dictionaries());
    let (mut files, mut wanted) = batches(dir.path());
    let mut found = run(command, decoder, dictionaries.path(), &files);
    same(std::mem::take(&mut found), std::mem::take(&mut wanted));
    for file in &mut files {
        let mut payload = std::fs::read(&file).unwrap();
        payload.truncate(payload.len() / 2);
        std::fs::write(&file, payload).unwrap();
    }
    let found = run(command, decoder, dictionaries.path(), &files);
    assert!(found.iter().filter(|line| line.get("error").is_some()).count() >= files.len() * 2 / 3, "{found:?}");
}

fn run(command: &[&str], decoder: &Path, dictionaries: &Path, files: &[PathBuf]) -> Vec<Value> {
    let mut program = Command::new(command[0]);
    program.args(&command[1..]).arg(decoder).arg(dictionaries).args(files);
    objects(&program.output().unwrap_or_else(|error| panic!("{}: {error}; scripts/test installs it", command[0])))
}

#[test]
fn weir_reads_its_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (files, wanted) = batches(dir.path());
    let found = files.iter().flat_map(|file| objects(&weir(&[file]))).collect();
    same(found, wanted);
}

#[test]
fn weir_says_what_it_cannot_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("text");
    for (content, said) in [
        (&b"hello"[..], "this is no batch"),
        (b"\x8c\x02", "newer weir"),
        (b"[{\"key\":\"x\"}]", "bad key"),
        (&vec![b' '; (16 << 20) + 1], "too large"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = weir(&[&file]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said) && output.status.code() == Some(1), "{error}");
    }
    let as_senml = weir(&[Path::new("--format"), Path::new("senml"), &dir.path().join("none")]);
    assert!(String::from_utf8_lossy(&as_senml.stderr).contains("cannot read"));
}

#[test]
fn the_python_decoder_reads_them() {
    let python = std::env::var("WEIR_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let program = root().join("tests/decoders/python.py");
    others_read(&[&python, program.to_str().unwrap()], &root().join("config/decoders"));
}

#[test]
fn the_javascript_decoder_reads_them() {
    let without = std::env::var("WEIR_TEST_WITHOUT").unwrap_or_default();
    if without.split(' ').any(|name| name == "mqttjs") {
        eprintln!("SKIPPED: node could not be installed");
        return;
    }
    let program = root().join("tests/decoders/node.mjs");
    others_read(&["node", program.to_str().unwrap()], &root().join("config/decoders/weir_decode.mjs"));
}
