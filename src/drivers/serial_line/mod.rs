//! A device that writes lines to a serial port: a microcontroller, a scale, a meter.
//!
//! Each good line gives a round of readings. A line that does not fit is thrown away; `bad_lines` of them in a
//! row are a fault, because then the speed is wrong or the device says something else than it used to. So is a
//! device that says nothing for as long as `silence`, and a port that goes away.

mod lines;
mod options;
mod shape;
mod speak;
mod value;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Claim, Configured, Driver, Kind, Open, Recognise, Simulate, Spec};
use crate::bus::serial::SerialPort;
use crate::config::Fields;
use crate::model::{Fault, Reading};
use lines::{Found, Lines};
use options::Options;

pub(super) static SPEC: Spec = Spec {
    name: "serial-line",
    summary: "Any device that writes lines to a serial port: picked apart by a pattern, as CSV or as JSON",
    measures: &[],
    kind: Kind::Pushed,
    options: &[
        ("port", "", "the device node; best from /dev/serial/by-id, whose names never move"),
        ("baud", "9600", "bits per second"),
        ("parity", "\"none\"", "\"none\", \"even\" or \"odd\""),
        ("data_bits", "8", "5 to 8"),
        ("stop_bits", "1", "1 or 2"),
        ("regex", "", "either this: a pattern whose named groups are the measures"),
        ("csv", "", "or this: the measure of each column, \"\" for a column to leave out"),
        ("json", "", "or this: keys of an object, [\"temp\"], or measures with JSON pointers, { temp = \"/air/t\" }"),
        ("separator", "\",\"", "between columns of `csv`; \" \" is any white space"),
        ("decimal", "\".\"", "the decimal sign of `regex` and `csv`: \".\" or \",\""),
        ("encoding", "\"utf-8\"", "\"utf-8\" or \"latin-1\"; in UTF-8, noise on the line shows as a bad line"),
        (
            "measures",
            "{}",
            "units and decimals: { temperature = { unit = \"°C\", decimals = 1 } }; exact = true for counters, which are never averaged",
        ),
        ("max_line", "256", "the longest line in bytes; a longer one is a bad line"),
        ("bad_lines", "5", "how many bad lines in a row are a fault"),
        ("silence", "\"10m\"", "how long the device may say nothing that fits; \"0s\" is for ever"),
        (
            "sample",
            "\"\"",
            "a line as the device writes it: `weir check` tries it, `--simulate` says it with other values",
        ),
    ],
    example: r#"port = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"
regex = 'temp=(?<temperature>\S+) hum=(?<humidity>\S+)'
measures = { temperature = { unit = "°C", decimals = 1 }, humidity = { unit = "%" } }
sample = "temp=21.4 hum=40.2""#,
    configure,
    simulate: Simulate::Serial,
    recognise: Recognise::No,
    captures: &[],
};

/// Bytes taken from the port at a time.
const CHUNK: usize = 1024;
/// How much of a bad line is told.
const SHOWN: usize = 60;

struct SerialLine {
    options: Arc<Options>,
    port: SerialPort,
    lines: Lines,
    bad: u32,
    last_bad: String,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let options = Arc::new(options::read(fields)?);
    let measures = options.shape.names().into_iter().map(|name| options.measure(name, 3)).collect();
    let claims = vec![Claim::Serial { port: options.serial.port.clone() }];
    let open: Open = Box::new(move |buses| {
        let port = buses.serial(options.serial.clone(), |world| speak::speaker(Arc::clone(&options), world))?;
        let lines = Lines::new(options.max_line);
        Ok(Box::new(SerialLine { options: Arc::clone(&options), port, lines, bad: 0, last_bad: String::new() }))
    });
    Some(Configured { open, measures, claims })
}

#[async_trait]
impl Driver for SerialLine {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        match self.options.silence {
            Duration::ZERO => self.next_round().await,
            silence => timeout(silence, self.next_round()).await.unwrap_or(Err(Fault::Timeout)),
        }
    }
}

impl SerialLine {
    /// Waits for a line that fits. Whatever was heard stays in `self` when the future is dropped.
    async fn next_round(&mut self) -> Result<Vec<Reading>, Fault> {
        loop {
            while let Some(found) = self.lines.next() {
                if let Some(readings) = self.judge(&found)? {
                    return Ok(readings);
                }
            }
            if self.port.open().await? {
                self.lines.restart();
            }
            let mut chunk = [0; CHUNK];
            let count = self.port.read(&mut chunk).await?;
            self.lines.push(&chunk[..count]);
        }
    }

    /// The readings of a good line; nothing for a bad one, or a fault when it was one too many.
    fn judge(&mut self, found: &Found) -> Result<Option<Vec<Reading>>, Fault> {
        match self.parse(found) {
            Ok(readings) => {
                self.bad = 0;
                Ok(Some(readings))
            }
            Err(why) => {
                self.bad += 1;
                self.last_bad = why;
                if self.bad < self.options.bad_lines {
                    return Ok(None);
                }
                self.bad = 0;
                let count = self.options.bad_lines;
                Err(Fault::BadData(format!("{count} bad lines in a row, the last one: {}", self.last_bad)))
            }
        }
    }

    fn parse(&self, found: &Found) -> Result<Vec<Reading>, String> {
        let Found::Line(bytes) = found else {
            return Err(format!("it has more than {} bytes", self.options.max_line));
        };
        let text = decode(bytes, self.options.latin1).ok_or_else(|| format!("noise in {}", show(bytes)))?;
        let values = self.options.shape.parse(&text, self.options.decimal);
        let values = values.map_err(|why| format!("{why}: {}", show(bytes)))?;
        Ok(values.into_iter().map(|(name, v)| self.options.measure(name, v.decimals).is(v.number)).collect())
    }
}

/// The text of a line; nothing when it has control characters or is not in the encoding.
fn decode(bytes: &[u8], latin1: bool) -> Option<String> {
    let text = match latin1 {
        true => bytes.iter().map(|&byte| char::from(byte)).collect(),
        false => std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    text.chars().all(|c| c == '\t' || !c.is_control()).then_some(text)
}

/// A line as shown in a fault: short, and nothing in it moves a terminal's cursor.
fn show(bytes: &[u8]) -> String {
    let end = bytes.len().min(SHOWN);
    let more = if end < bytes.len() { "..." } else { "" };
    format!("\"{}\"{more}", bytes[..end].escape_ascii())
}

#[cfg(test)]
mod tests;
