//! Readings as they come: a table that updates in place on a terminal, lines otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::format::number;
use crate::gateway::Gateway;
use crate::hub::Subscription;
use crate::model::{Filter, Sample};
use crate::runtime::logging::Tail;

/// How often the table is drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// Readings that wait while the terminal is slow.
const QUEUE: usize = 256;
/// Lines of the terminal that the table leaves to the head and to what was logged.
const OTHER_LINES: usize = 12;

/// Whether readings can be shown as a table.
pub(super) fn is_table() -> bool {
    std::io::stdout().is_terminal()
}

/// Readings of one gateway, on their way to the terminal.
pub(super) struct Live {
    head: String,
    readings: Subscription,
    /// What was logged, for the lines below the table.
    tail: Option<Tail>,
}

impl Live {
    pub(super) fn new(gateway: &Gateway, tail: Option<Tail>) -> Self {
        let filter = Filter::new(&format!("{}/#", gateway.name())).expect("a name is a safe topic level");
        Self { head: head(gateway), readings: gateway.hub().subscribe(vec![filter], QUEUE), tail }
    }

    /// Shows readings until it is dropped, or until nobody reads what is printed: the gateway goes on without.
    pub(super) async fn show(self) {
        let end = if is_table() { self.table().await } else { self.lines().await };
        if let Err(error) = end {
            tracing::debug!(%error, "nobody watches any more");
        }
    }

    async fn lines(mut self) -> std::io::Result<()> {
        print(&self.head)?;
        while let Some(delivery) = self.readings.recv().await {
            if let Some(source) = &delivery.message.source {
                print(&format!("{}\n", row(&source.sample)))?;
            }
        }
        Ok(())
    }

    async fn table(mut self) -> std::io::Result<()> {
        let mut table = Table { tail: self.tail.unwrap_or_default(), ..Table::default() };
        let mut ticks = interval(REDRAW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        print(&self.head)?;
        loop {
            tokio::select! {
                delivery = self.readings.recv() => match delivery {
                    Some(delivery) => delivery.message.source.iter().for_each(|source| table.take(&source.sample)),
                    None => return Ok(()),
                },
                _ = ticks.tick() => print(&table.draw())?,
            }
        }
    }
}

fn head(gateway: &Gateway) -> String {
    let addresses: Vec<_> = gateway.local_addrs().iter().map(ToString::to_string).collect();
    let mut head = format!("weir serves MQTT at {}\n", addresses.join(", "));
    if let Some(address) = gateway.local_addrs().first() {
        let (host, port, name) = (address.ip(), address.port(), gateway.name());
        writeln!(head, "subscribe with: mosquitto_sub -h {host} -p {port} -v -t '{name}/#'\n").expect("a string");
    }
    head
}

/// The last reading of each measure, and how many lines stand on the terminal.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, (String, Instant)>,
    drawn: usize,
    tail: Tail,
}

/// How many rows the table may have, so that the first stays in sight, and how wide they may be, so
/// that none wraps. More measures than rows are counted below.
fn room() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            (usize::from(size.ws_row).saturating_sub(OTHER_LINES).max(4), usize::from(size.ws_col) - 1)
        }
        _ => (24 - OTHER_LINES, 79),
    }
}

impl Table {
    fn take(&mut self, sample: &Sample) {
        let key = format!("{}/{}", sample.sensor, sample.reading.measure.name);
        self.rows.insert(key, (row(sample), Instant::now()));
    }

    /// All lines over those drawn before: up, then each one anew and cleared to its end.
    fn draw(&mut self) -> String {
        let (rows, widest) = room();
        let mut lines: Vec<String> = self.rows.values().take(rows).map(|(row, at)| aged(row, *at)).collect();
        if self.rows.len() > rows {
            lines.push(format!("... and {} more", self.rows.len() - rows));
        }
        lines.extend(self.tail.lines());
        let mut text = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        for line in &lines {
            let line: String = line.chars().take(widest).collect();
            writeln!(text, "\r{line}\x1b[K").expect("a string");
        }
        self.drawn = lines.len();
        text + "\x1b[J"
    }
}

fn aged(row: &str, at: Instant) -> String {
    match at.elapsed().as_secs() {
        0..=2 => row.to_owned(),
        age => format!("{row} {age} s ago"),
    }
}

fn row(sample: &Sample) -> String {
    let measure = &sample.reading.measure;
    let value = number(sample.reading.value, measure.decimals);
    let (name, unit, quality) = (format!("{}/{}", sample.sensor, measure.name), &measure.unit, sample.quality.word());
    format!("{name:<34} {value:>14} {unit:<6} {quality:<9}")
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootId, Measure, Name, Quality, Stamp, TimeQuality};

    fn sample(sensor: &str, value: f64) -> Sample {
        let stamp = Stamp { wall_ms: 0, mono_ms: 0, boot: BootId::default(), quality: TimeQuality::Synced };
        Sample {
            sensor: Name::new(sensor).unwrap(),
            reading: Measure::fixed("temperature", "°C", -40.0, 85.0, 1).is(value),
            stamp,
            quality: Quality::Ok,
            sequence: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_drawn_over_itself() {
        let mut table = Table::default();
        table.take(&sample("a", 1.0));
        assert!(table.draw().starts_with("\ra/temperature"));
        table.take(&sample("a", 2.0));
        table.take(&sample("b", 3.0));
        let text = table.draw();
        assert!(text.starts_with("\x1b[1A\ra/temperature") && text.contains(" 2 °C"), "{text:?}");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(table.draw().contains("5 s ago"));
        assert_eq!(table.drawn, 2);
    }
}
