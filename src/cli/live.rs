//! Readings as they come: a table that updates in place on a terminal, lines otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::format::number;
use crate::hub::{Hub, Subscription};
use crate::model::{Filter, Name, Sample};

/// How often the table is drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// Readings that wait while the terminal is slow.
const QUEUE: usize = 256;
/// Rows of the table; more measures than that are counted below it.
const ROWS: usize = 40;

/// Shows the readings of `gateway` until it is dropped, or until nobody reads what is printed.
pub(super) async fn show(hub: Hub, gateway: Name, addresses: Vec<String>) {
    let filter = Filter::new(&format!("{gateway}/#")).expect("a name is a safe topic level");
    let subscription = hub.subscribe(vec![filter], QUEUE);
    let head = head(&gateway, &addresses);
    // Printing fails when the reader went away; the gateway goes on without being watched.
    let _gone: std::io::Result<()> = if std::io::stdout().is_terminal() {
        table(subscription, &head).await
    } else {
        lines(subscription, &head).await
    };
}

fn head(gateway: &Name, addresses: &[String]) -> String {
    let mut head = format!("weir serves MQTT at {}\n", addresses.join(", "));
    if let Some((host, port)) = addresses.first().and_then(|address| address.rsplit_once(':')) {
        let host = host.trim_matches(['[', ']']);
        writeln!(head, "subscribe with: mosquitto_sub -h {host} -p {port} -v -t '{gateway}/#'").expect("a string");
    }
    head
}

async fn lines(mut subscription: Subscription, head: &str) -> std::io::Result<()> {
    print(head)?;
    while let Some(delivery) = subscription.recv().await {
        if let Some(sample) = &delivery.message.sample {
            print(&format!("{}\n", row(sample)))?;
        }
    }
    Ok(())
}

async fn table(mut subscription: Subscription, head: &str) -> std::io::Result<()> {
    let mut rows: BTreeMap<String, (String, Instant)> = BTreeMap::new();
    let mut ticks = interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    print(head)?;
    let mut drawn = 0;
    loop {
        tokio::select! {
            Some(delivery) = subscription.recv() => {
                if let Some(sample) = &delivery.message.sample {
                    let key = format!("{}/{}", sample.sensor, sample.reading.measure.name);
                    rows.insert(key, (row(sample), Instant::now()));
                }
            }
            _ = ticks.tick() => {
                let text = draw(&rows, drawn);
                drawn = rows.len().min(ROWS) + usize::from(rows.len() > ROWS);
                print(&text)?;
            }
        }
    }
}

/// The rows over those drawn before: up, then each line anew and cleared to its end.
fn draw(rows: &BTreeMap<String, (String, Instant)>, drawn: usize) -> String {
    let mut text = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
    for (row, at) in rows.values().take(ROWS) {
        let age = at.elapsed().as_secs();
        let age = if age >= 2 { format!("{age} s ago") } else { String::new() };
        writeln!(text, "\r{row} {age}\x1b[K").expect("a string");
    }
    if rows.len() > ROWS {
        writeln!(text, "\r... and {} more\x1b[K", rows.len() - ROWS).expect("a string");
    }
    text
}

fn row(sample: &Sample) -> String {
    let measure = &sample.reading.measure;
    let value = number(sample.reading.value, measure.decimals);
    let (sensor, unit, quality) = (&sample.sensor, &measure.unit, sample.quality.word());
    format!("{:<32} {value:>14} {unit:<6} {quality:<9}", format!("{sensor}/{}", measure.name))
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
