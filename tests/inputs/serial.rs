//! `serial-line` over real pseudo-terminals.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use weir::bus::Buses;
use weir::drivers::Driver;
use weir::model::Fault;

use super::terminal::Terminal;
use super::{open, same, sample};

const PATTERN: &str = r"regex = '^temp=(?<temperature>-?\d+\.\d) hum=(?<humidity>\d+\.\d)$'";

/// A terminal and the driver on it.
fn plugged(options: &str) -> (TempDir, Terminal, Box<dyn Driver>) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let terminal = Terminal::plug_in(&scratch.path().join("port"));
    let driver = open("serial-line", &terminal.options(options), &Buses::default());
    (scratch, terminal, driver)
}

#[tokio::test]
async fn lines_come_through_whole() {
    let (_scratch, terminal, mut driver) = plugged(PATTERN);
    terminal.say(b"p=21.3 hum=40.0\r\ntemp=21.4 hum=40.2\r\ntemp=-3.0 hum=40.3\r");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
    same(&sample(&mut driver).await, &[("temperature", -3.0), ("humidity", 40.3)]);
    terminal.say(b"temp=22.0 hum=41.0\n");
    same(&sample(&mut driver).await, &[("temperature", 22.0), ("humidity", 41.0)]);
}

#[tokio::test]
async fn a_waiting_driver_that_is_dropped_loses_nothing() {
    let (_scratch, terminal, mut driver) = plugged(PATTERN);
    terminal.say(b"\n");
    for piece in ["temp=2", "1.4 h", "um=4", "0.2"] {
        terminal.say(piece.as_bytes());
        let cut_short = timeout(Duration::from_millis(30), driver.sample()).await;
        assert!(cut_short.is_err(), "the line has no end yet");
    }
    terminal.say(b"\n");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
}

#[tokio::test]
async fn noise_and_endless_lines_are_survived() {
    let (_scratch, terminal, mut driver) = plugged(&format!("{PATTERN}\nmax_line = 32"));
    let mut noise: Vec<u8> = (0..=255).cycle().take(700).collect();
    noise.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    noise.truncate(100);
    terminal.say(b"\n");
    terminal.say(&noise);
    terminal.say(b"\ntemp=21.4 hum=40.2\n\xfftemp=99.9 hum=99.9\ntemp=21.5 hum=40.2 and a tail that is too long\n");
    terminal.say(b"temp=21.6 hum=40.4\n");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
    same(&sample(&mut driver).await, &[("temperature", 21.6), ("humidity", 40.4)]);
}

#[tokio::test]
async fn bad_lines_in_a_row_are_a_fault_and_a_good_one_forgives() {
    let (_scratch, terminal, mut driver) = plugged(&format!("{PATTERN}\nbad_lines = 3"));
    terminal.say(b"\nbad\nbad\ntemp=21.4 hum=40.2\nbad\nworse\nworst\ntemp=21.5 hum=40.2\n");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
    let Err(Fault::BadData(why)) = sample(&mut driver).await else { panic!("three bad lines are a fault") };
    assert!(why.contains("3 bad lines") && why.contains("\"worst\""), "{why}");
    same(&sample(&mut driver).await, &[("temperature", 21.5), ("humidity", 40.2)]);
}

/// A wrong speed gives bytes without an end: that must not look like silence.
#[tokio::test]
async fn garbage_without_an_end_is_a_fault() {
    let (_scratch, terminal, mut driver) = plugged(&format!("{PATTERN}\nmax_line = 64"));
    terminal.say(&[0xfe; 2000]);
    assert_eq!(sample(&mut driver).await.unwrap_err().word(), "bad_data");
}

#[tokio::test]
async fn a_device_that_is_plugged_in_again_is_heard_again() {
    let (scratch, terminal, mut driver) = plugged(PATTERN);
    terminal.say(b"\ntemp=21.4 hum=40.2\ntemp=2");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
    drop(terminal);
    assert_eq!(sample(&mut driver).await.unwrap_err().word(), "not_present");
    assert_eq!(sample(&mut driver).await.unwrap_err().word(), "not_present", "it is still gone");
    let terminal = Terminal::plug_in(&scratch.path().join("port"));
    // Without a restart the two halves would make one line.
    terminal.say(b"9.9 hum=40.2\ntemp=21.6 hum=40.2\n");
    same(&sample(&mut driver).await, &[("temperature", 21.6), ("humidity", 40.2)]);
}

#[tokio::test]
async fn a_silent_device_is_a_fault() {
    let (_scratch, terminal, mut driver) = plugged(&format!("{PATTERN}\nsilence = \"500ms\""));
    terminal.say(b"\ntemp=21.4 hum=40.2\nnothing that fits\n");
    same(&sample(&mut driver).await, &[("temperature", 21.4), ("humidity", 40.2)]);
    assert_eq!(sample(&mut driver).await, Err(Fault::Timeout));
    terminal.say(b"temp=21.5 hum=40.2\n");
    same(&sample(&mut driver).await, &[("temperature", 21.5), ("humidity", 40.2)]);
}

#[tokio::test]
async fn what_is_no_port_is_a_fault() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let file = scratch.path().join("file");
    std::fs::write(&file, "temp=21.4").expect("the scratch directory is writable");
    let buses = Buses::default();
    for (path, word) in [(scratch.path().join("missing"), "not_present"), (file, "bus")] {
        let options = format!("port = \"{}\"\ncsv = [\"a\"]", path.display());
        let mut driver = open("serial-line", &options, &buses);
        assert_eq!(sample(&mut driver).await.unwrap_err().word(), word, "{}", path.display());
    }
}

#[tokio::test]
async fn a_port_has_one_user() {
    let (_scratch, terminal, mut driver) = plugged("csv = [\"a\"]");
    terminal.say(b"\n1\n");
    same(&sample(&mut driver).await, &[("a", 1.0)]);
    let mut other = open("serial-line", &terminal.options("csv = [\"a\"]"), &Buses::default());
    assert_eq!(sample(&mut other).await.unwrap_err().word(), "busy");
    drop(driver);
    terminal.say(b"\n2\n");
    same(&sample(&mut other).await, &[("a", 2.0)]);
}

/// Several thousand lines in pieces of odd lengths, from a thread that does not wait for the reader.
#[tokio::test]
async fn a_fast_device_in_odd_pieces() {
    let (_scratch, terminal, mut driver) = plugged("csv = [\"n\", \"double\"]\nbaud = 115200");
    let text: String = (0..3000).map(|n| format!("{n},{}\r\n", n * 2)).collect();
    let writer = std::thread::spawn(move || {
        terminal.say(b"\n");
        text.as_bytes().chunks(37).for_each(|piece| terminal.say(piece));
        terminal
    });
    for n in 0..3000 {
        let n = f64::from(n);
        same(&sample(&mut driver).await, &[("n", n), ("double", n * 2.0)]);
    }
    let _terminal = writer.join().expect("the writer does not panic");
    let quiet = timeout(Duration::from_millis(20), driver.sample()).await;
    assert!(quiet.is_err(), "nothing more was said");
}
