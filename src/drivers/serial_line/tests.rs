//! Options, and a simulated device. Real terminals are in `tests/inputs/serial.rs`.

use super::*;
use crate::bus::{Buses, Settings};
use crate::config::{Problems, Table};
use proptest::prelude::*;
use toml::de::DeTable;

fn configured(text: &str) -> Result<Configured, String> {
    let document = DeTable::parse(text).unwrap();
    let mut problems = Problems::default();
    let mut fields = Table::new(&document).fields(&mut problems);
    let configured = configure(&mut fields);
    fields.finish();
    let told: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
    configured.filter(|_| told.is_empty()).ok_or_else(|| told.join(" | "))
}

fn simulated() -> Buses {
    Buses::new(Settings { simulate: true, ..Settings::default() })
}

#[test]
fn measures_have_their_units() {
    let measures = configured(SPEC.example).unwrap_or_else(|why| panic!("{why}")).measures;
    let shown: Vec<_> = measures.iter().map(|m| (&*m.name, &*m.unit, m.decimals)).collect();
    assert_eq!(shown, [("temperature", "°C", 1), ("humidity", "%", 3)]);
    let claims = configured("port = \"/dev/ttyUSB0\"\njson = [\"t\"]").ok().unwrap().claims;
    assert_eq!(claims, [Claim::Serial { port: "/dev/ttyUSB0".into() }]);
}

#[test]
fn wrong_options_are_told() {
    for (text, message) in [
        ("", "a line needs exactly one of"),
        ("csv = [\"a\"]\njson = [\"a\"]", "a line needs exactly one of"),
        ("regex = '(?<a'", "`regex`: "),
        ("regex = 'a=(.*)'", "`regex`: it names no measure"),
        ("csv = [\"\"]", "`csv`: it names no measure"),
        ("csv = [\"a\", \"a\"]", "`csv`: two values are called \"a\""),
        ("json = { \"a/b\" = \"a\" }", "`json`: \"a/b\": '/' is not allowed"),
        ("csv = [\"a\"]\nseparator = \"--\"", "`separator` is one character"),
        ("csv = [\"a\"]\nbaud = 49", "`baud` cannot be 49"),
        ("csv = [\"a\"]\nparity = \"evn\"", "`parity` cannot be \"evn\""),
        ("csv = [\"a\"]\ndata_bits = 9", "`data_bits` cannot be 9"),
        ("csv = [\"a\"]\nstop_bits = 0", "`stop_bits` cannot be 0"),
        ("csv = [\"a\"]\nmax_line = 1", "`max_line` cannot be 1"),
        ("csv = [\"a\"]\nsilence = \"10\"", "`silence`: "),
        ("csv = [\"a\"]\nmeasures = { b = { unit = \"V\" } }", "the line has no value \"b\""),
        ("csv = [\"a\"]\nmeasures = { a = { units = \"V\" } }", "`measures`: unknown field"),
        ("csv = [\"a\"]\nmeasures = { a = { decimals = 10 } }", "`decimals` goes from 0 to 9"),
        ("csv = [\"a\", \"b\"]\nsample = \"1\"", "`sample` does not fit: it has 1 columns, not 2"),
    ] {
        let why = configured(&format!("port = \"/dev/ttyUSB0\"\n{text}")).err().unwrap_or_default();
        assert!(why.starts_with(message), "{text}: {why}");
    }
    assert!(configured("port = \"\"\ncsv = [\"a\"]").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_simulated_device_says_what_the_driver_reads() {
    for text in [
        SPEC.example,
        "port = \"x\"\ncsv = [\"temperature\", \"\", \"humidity\"]\nseparator = \";\"\ndecimal = \",\"",
        "port = \"x\"\njson = { temperature = \"/air/0/t\", humidity = \"h\" }",
    ] {
        let configured = configured(text).unwrap_or_else(|why| panic!("{why}"));
        assert!(configured.is_simulated(&simulated()) && !configured.is_simulated(&Buses::default()));
        let mut driver = (configured.open)(&simulated()).unwrap();
        let mut seen = Vec::new();
        for _ in 0..20 {
            let readings = driver.sample().await.unwrap();
            assert_eq!(readings.len(), 2, "{readings:?}");
            assert!(readings.iter().all(|reading| (10.0..=30.0).contains(&reading.value)), "{readings:?}");
            seen.push(readings[0].value);
        }
        assert!(seen.iter().any(|value| *value != seen[0]), "{seen:?}");
    }
}

#[test]
fn a_pattern_without_a_sample_cannot_be_simulated() {
    let configured = configured("port = \"x\"\nregex = '(?<a>.)'").unwrap_or_else(|why| panic!("{why}"));
    let fault = (configured.open)(&simulated()).err().unwrap();
    assert!(fault.to_string().contains("`sample`"), "{fault}");
}

#[test]
fn noise_is_shown_harmlessly() {
    assert_eq!(decode(b"21.4 \xb0C", true).as_deref(), Some("21.4 °C"));
    assert_eq!(decode(b"21.4 \xb0C", false), None);
    assert_eq!(decode(b"21.4\x1b[2J", false), None);
    assert_eq!(show(b"\x1b\xff\"\\"), r#""\x1b\xff\"\\""#);
    assert_eq!(show(&[b'x'; 100]), format!("\"{}\"...", "x".repeat(60)));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), latin1: bool) {
        show(&bytes);
        decode(&bytes, latin1);
    }
}
