//! A configuration as text. What is surely there is set; what may be connected is shown behind `#`.

use super::Choices;
use crate::config::Sources;
use crate::drivers::{Kind, Spec, find};
use crate::inspect::scan::{Chip, Probing, Scan};

/// A commented configuration, which is good as it is, and with every `#` taken away too.
pub(super) fn configuration(scan: &Scan, choices: &Choices) -> String {
    let mut text = head(&choices.name);
    text += &sensor("machine", "host", "30s", "Load, memory, disk, network, uptime of this machine.");
    for (name, driver, what) in [
        ("board", "hwmon", "What the kernel's hardware monitoring reads"),
        ("zones", "thermal", "The kernel's thermal zones"),
        ("iio", "iio", "What the kernel's Industrial I/O reads"),
    ] {
        let of_driver = scan.kernel.iter().filter(|found| found.spec.name == driver);
        let mut found: Vec<_> = of_driver.map(|found| found.device.name.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        if !found.is_empty() {
            text += &sensor(name, driver, "30s", &format!("{what}; now: {}.", plain(&found.join(", "))));
        }
    }
    for found in &choices.sensors {
        text += &format!("\n# {}\n{}", plain(&found.about), found.table());
    }
    text += &possible(scan);
    text + &cloud(&choices.name, choices.cloud.as_deref())
}

/// What is wrong with a configuration, if anything.
pub(super) fn problem(text: &str) -> Option<String> {
    let checked = crate::plan::check(Sources::from_text("weir.toml", text));
    let report = checked.err()?;
    let worst = report.problems.sorted().first().map(|problem| problem.message.clone());
    Some(worst.unwrap_or_else(|| report.to_string()))
}

/// A comment of TOML holds no control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn head(name: &str) -> String {
    format!(
        "# Written by `weir init`. `weir drivers` lists what can be read; `weir check` finds every mistake at once.\n\
         # Lines that begin with `#` and no blank are settings to switch on by taking the `#` away.\n\
         \n\
         [gateway]\n\
         # The first level of every topic.\n\
         name = {name:?}\n\
         \n\
         [hub]\n\
         # This machine only. \"0.0.0.0:1883\" is the whole network; see `allow_anonymous` before you do that.\n\
         listen = [\"127.0.0.1:1883\"]\n"
    )
}

fn sensor(name: &str, driver: &str, every: &str, comment: &str) -> String {
    format!("\n# {comment}\n[[sensor]]\nname = {name:?}\ndriver = {driver:?}\nevery = {every:?}\n")
}

/// What may be connected to the buses and ports of this machine.
fn possible(scan: &Scan) -> String {
    let mut text = String::new();
    let is_unknown = |chip: &Chip| !matches!(chip, Chip::Known(_));
    for bus in &scan.i2c {
        let Probing::Looked(found, _) = &bus.probing else { continue };
        if found.iter().all(|at| is_unknown(&at.chip)) {
            let put = |example: &str| example.replace("i2c-1", &bus.bus);
            let name = bus.bus.replace("i2c-", "climate-");
            text += &commented("bme280", &name, &format!("A BME280 on {}, for example.", bus.bus), put);
        }
    }
    for (index, port) in scan.serial.iter().enumerate() {
        let put = |example: &str| with_port(example, &port.port);
        let comment = format!("Text lines from {}.", plain(&port.port));
        text += &commented("serial-line", &format!("line-{index}"), &comment, put);
    }
    if !scan.gpio.is_empty() {
        text += &commented("gpio-in", "button", "A push button on a GPIO line.", str::to_owned);
        text += &commented("gpio-out", "relay", "A relay on a GPIO line.", str::to_owned);
    }
    text
}

/// A sensor or output behind `#`, with the driver's own example as `put` changes it; nothing when there is no such driver.
fn commented(driver: &str, name: &str, comment: &str, put: impl Fn(&str) -> String) -> String {
    let Some(spec) = find(driver) else { return String::new() };
    let lines = format!(
        "[[{}]]\nname = {name:?}\ndriver = {driver:?}\n{}{}",
        if spec.kind == Kind::Output { "output" } else { "sensor" },
        if spec.kind == Kind::Polled { "every = \"30s\"\n" } else { "" },
        options(spec, &put(spec.example)),
    );
    let lines: String = lines.lines().map(|line| format!("#{line}\n")).collect();
    format!("\n# {comment} More: weir drivers {driver}\n{lines}")
}

fn options(spec: &Spec, example: &str) -> String {
    let table = if spec.kind == Kind::Output { "output" } else { "sensor" };
    format!("[{table}.options]\n{}\n", example.trim())
}

/// The example with its `port` replaced.
fn with_port(example: &str, port: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == "port" => format!("port = {port:?}"),
        _ => line.to_owned(),
    };
    example.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn cloud(name: &str, url: Option<&str>) -> String {
    let off = if url.is_some() { "" } else { "#" };
    let url = url.unwrap_or("mqtts://broker.example.net:8883");
    format!(
        "\n\
         # To the cloud. Outages are bridged from disk; what was acknowledged arrives later.\n\
         {off}[[bridge]]\n\
         {off}name = \"cloud\"\n\
         {off}url = {url:?}\n\
         # With `username` comes `password = {{ file = \"...\" }}`: it does not stand here.\n\
         {off}[[bridge.forward]]\n\
         {off}topics = [\"{name}/#\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::{Plan, check};

    fn good(text: &str) -> Plan {
        let (plan, report) =
            check(Sources::from_text("init.toml", text)).map_err(|report| format!("{text}\n{report}")).unwrap();
        assert_eq!(report.to_string(), "");
        plan
    }

    fn uncommented(text: &str) -> String {
        let line =
            |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n";
        text.lines().map(line).collect()
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.sensors.iter().map(|sensor| sensor.name.to_string()).collect()
    }

    fn whole(scan: &Scan) -> String {
        configuration(scan, &Choices::all(scan))
    }

    #[test]
    fn it_is_good_on_a_bare_machine() {
        let plan = good(&whole(&Scan::default()));
        assert_eq!((plan.gateway.name.as_str(), plan.sensors.len()), ("weir", 1));
    }

    #[test]
    fn it_is_good_on_a_full_machine_as_it_is_and_with_everything_switched_on() {
        let scan = crate::cli::scan::look(Path::new("/"), true, &[]).unwrap();
        let text = whole(&scan);
        let found = names(&good(&text));
        for name in ["machine", "zones", "bme280-76", "sht4x-44", "probe-877d"] {
            assert!(found.contains(&name.to_owned()), "{name}: {found:?}");
        }
        let all = good(&uncommented(&text));
        let more = names(&all);
        assert!(more.contains(&"line-0".into()) && more.contains(&"button".into()), "{more:?}");
        assert!(!more.contains(&"climate-1".into()), "something is known on that bus: {more:?}");
        assert_eq!(all.bridges.len(), 1);
    }

    #[test]
    fn a_cloud_that_was_named_is_switched_on() {
        let choices = Choices { cloud: Some("mqtt://192.0.2.1".into()), ..Choices::all(&Scan::default()) };
        assert_eq!(good(&configuration(&Scan::default(), &choices)).bridges[0].endpoints[0].host, "192.0.2.1");
    }

    #[test]
    fn a_host_name_that_is_no_topic_level_is_not_used() {
        let scan = Scan { host: Some("a b".into()), ..Scan::default() };
        assert_eq!(good(&whole(&scan)).gateway.name.as_str(), "weir");
    }
}
