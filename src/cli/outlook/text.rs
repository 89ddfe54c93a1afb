//! The outlook as tables of plain text.

use std::io::{self, Write};

use crate::cli::table::numbers;
use crate::config::units::Every;
use crate::plan::outlook::{Assumptions, BridgeOutlook, Outlook, SensorOutlook, Span, StoreOutlook, Wear};

pub(super) fn print(outlook: &Outlook, assumptions: &Assumptions, out: &mut impl Write) -> io::Result<()> {
    sensors(outlook, assumptions, out)?;
    for bridge in &outlook.bridges {
        writeln!(out)?;
        self::bridge(bridge, out)?;
    }
    writeln!(out)?;
    store(&outlook.store, assumptions, out)?;
    if !outlook.warnings.is_empty() {
        writeln!(out)?;
    }
    outlook.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
}

fn sensors(outlook: &Outlook, assumptions: &Assumptions, out: &mut impl Write) -> io::Result<()> {
    let head = ["READINGS", "DRIVER", "EVERY", "READ A DAY", "PUBLISHED A DAY", "PAYLOAD"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(outlook.sensors.iter().map(sensor));
    for lan in &assumptions.lan {
        let a_day = count(lan.per_s * 86_400.0);
        rows.push(["on the LAN", "", "", &a_day, &a_day, &bytes(lan.payload as f64)].map(str::to_owned).to_vec());
    }
    let unknown =
        assumptions.lan.is_empty().then_some("what devices on the LAN publish is not known: --lan \"10/s x 64B\"");
    numbers(rows, out)?;
    unknown.map_or(Ok(()), |line| writeln!(out, "{line}"))
}

fn sensor(sensor: &SensorOutlook) -> Vec<String> {
    let every = sensor.every_ms.map_or_else(String::new, |ms| Every(std::time::Duration::from_millis(ms)).to_string());
    let read = sensor.readings_per_day.map_or_else(|| "unknown".to_owned(), count);
    let measures = sensor.measures.iter();
    let published = measures.clone().map(|measure| measure.messages_per_day).sum::<Option<Span>>();
    let published = published.filter(|_| sensor.readings_per_day.is_some());
    let published = published.map_or_else(|| "events".to_owned(), |published| span(published, count));
    let largest = measures.map(|measure| measure.payload).max();
    let payload = largest.map_or_else(String::new, |largest| bytes(largest as f64));
    vec![sensor.name.clone(), sensor.driver.clone(), every, read, published, payload]
}

fn bridge(bridge: &BridgeOutlook, out: &mut impl Write) -> io::Result<()> {
    let head = [&format!("BRIDGE {}", bridge.name), "MESSAGES A DAY", "RECORD", "STORED A DAY", "OFFLINE UNTIL LOSS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let thins = bridge.classes.iter().any(|class| class.days_whole.is_some());
    if thins {
        rows[0].insert(4, "UNTIL THINNED".to_owned());
    }
    for class in &bridge.classes {
        let mut row = vec![
            class.class.to_owned(),
            span(class.messages_per_day, count),
            bytes(class.record),
            span(class.stored_per_day, bytes),
            span(class.days_offline, days),
        ];
        if thins {
            row.insert(4, class.days_whole.map_or_else(|| "never".to_owned(), |whole| span(whole, days)));
        }
        rows.push(row);
    }
    numbers(rows, out)?;
    for drain in &bridge.drains {
        let time = drain
            .seconds
            .map_or_else(|| "never delivered".to_owned(), |seconds| format!("delivered in {}", time(seconds)));
        let outage = if drain.days == 1 { "1 day".to_owned() } else { format!("{} days", drain.days) };
        writeln!(out, "after {outage:<8} {} messages at most, {time}", count(drain.messages))?;
    }
    let (rate, window) = (bridge.replay_per_s, bridge.window);
    writeln!(
        out,
        "a backlog is sent with {rate:.0} per second, {window} of them unacknowledged: the cloud's Receive Maximum limits it"
    )?;
    writeln!(
        out,
        "(mosquitto allows 20 if nothing else is set, which is {:.0} per second)",
        20.0 * rate / window.max(1) as f64
    )?;
    let link = &bridge.link;
    let mut rows = vec![vec!["on the wire, a month".to_owned(), "MEGABYTES".to_owned()]];
    rows.push(vec!["as configured".to_owned(), span(link.mb_per_month, megabytes)]);
    rows.push(vec!["  of it to stay connected".to_owned(), span(link.keeping, megabytes)]);
    rows.extend(
        link.ways.iter().map(|way| vec![format!("readings in {}", way.way), span(way.mb_per_month, megabytes)]),
    );
    numbers(rows, out)
}

fn store(store: &StoreOutlook, assumptions: &Assumptions, out: &mut impl Write) -> io::Result<()> {
    let head = [&format!("CARD of {}", bytes(store.endurance)), "COMMITS A DAY", "WRITTEN A DAY", "WORN OUT IN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let row = |name: &str, wear: &Wear| {
        let years = wear.years.map_or_else(|| "never by this".to_owned(), self::years);
        vec![name.to_owned(), count(wear.commits_per_day), bytes(wear.written_per_day), years]
    };
    rows.push(row("link up", &store.online));
    rows.push(row("no link, for ever", &store.offline));
    numbers(rows, out)?;
    if store.thins {
        writeln!(
            out,
            "store full: old readings become one a minute, then one in 5, 15, 60 minutes, before any is lost; what that writes is counted"
        )?;
    }
    let ms = assumptions.round_trip.as_millis();
    writeln!(
        out,
        "link up: what the cloud acknowledges (round trip {ms} ms) before its commit is due is never written; a batch that waits longer than max_loss is"
    )?;
    writeln!(out, "assumed: a card of 32 GB x 500 writes is 16 TB; a write of 4 kB wears it like ten of them")?;
    writeln!(out, "not in it: the system's own writes, and what devices on the LAN have kept (retained, sessions)")
}

/// `least to most`, or one of them when they look the same.
fn span(span: Span, show: impl Fn(f64) -> String) -> String {
    let (low, high) = (span.least.min(span.most), span.least.max(span.most));
    match (show(low), show(high)) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} to {high}"),
    }
}

fn count(count: f64) -> String {
    let digits = format!("{:.0}", count.ceil());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 1e12 => format!("{:.0} TB", bytes / 1e12),
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        bytes if bytes >= 1e3 => format!("{:.1} kB", bytes / 1e3),
        bytes => format!("{bytes:.0} B"),
    }
}

fn megabytes(megabytes: f64) -> String {
    format!("{megabytes:.1}")
}

fn days(days: f64) -> String {
    match days {
        days if days >= 3652.5 => "over 10 years".to_owned(),
        days if days >= 730.0 => format!("{:.1} years", days / 365.25),
        days if days >= 3.0 => format!("{:.0} days", days.floor()),
        days => format!("{:.1} hours", days * 24.0),
    }
}

fn years(years: f64) -> String {
    if years >= 100.0 { "over 100 years".to_owned() } else { format!("{years:.1} years") }
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 172_800.0 => format!("{:.1} days", seconds / 86_400.0),
        seconds if seconds >= 7200.0 => format!("{:.1} hours", seconds / 3600.0),
        seconds if seconds >= 120.0 => format!("{:.0} minutes", seconds / 60.0),
        seconds => format!("{:.0} seconds", seconds.ceil()),
    }
}
