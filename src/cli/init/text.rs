//! A configuration as text. What is surely there is set; what may be connected is shown behind `#`.

use std::collections::HashSet;

use super::machine::Machine;
use crate::drivers::{Kind, Spec, find};
use crate::model::Name;

/// A commented configuration for `machine`, which is good as it is, and with every `#` taken away too.
pub(super) fn configuration(machine: &Machine) -> String {
    let name = machine.name.as_deref().filter(|name| Name::new(name).is_ok()).unwrap_or("weir");
    let mut text = head(name);
    text += &sensor("machine", "host", "30s", "", "Load, memory, disk, network, uptime of this machine.");
    for (name, driver, what, found) in [
        ("board", "hwmon", "What the kernel's hardware monitoring reads", &machine.hwmon),
        ("zones", "thermal", "The kernel's thermal zones", &machine.thermal),
        ("iio", "iio", "What the kernel's Industrial I/O reads", &machine.iio),
    ] {
        if !found.is_empty() {
            text += &sensor(name, driver, "30s", "", &format!("{what}; now: {}.", found.join(", ")));
        }
    }
    text += &thermometers(&machine.w1);
    text += &possible(machine);
    text + &cloud(name)
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

fn sensor(name: &str, driver: &str, every: &str, options: &str, comment: &str) -> String {
    let mut text = format!("\n# {comment}\n[[sensor]]\nname = {name:?}\ndriver = {driver:?}\nevery = {every:?}\n");
    if !options.is_empty() {
        text += &format!("options = {{ {options} }}\n");
    }
    text
}

/// Every 1-Wire thermometer, called by the end of its number.
fn thermometers(ids: &[String]) -> String {
    let mut used = HashSet::new();
    let one = |id: &String| {
        let end = &id[id.len().saturating_sub(4)..];
        let name = if used.insert(end.to_owned()) { format!("probe-{end}") } else { format!("probe-{id}") };
        sensor(&name, "ds18b20", "30s", &format!("id = {id:?}"), &format!("The thermometer {id} on the 1-Wire bus."))
    };
    ids.iter().map(one).collect()
}

/// What may be connected to the buses and ports of this machine.
fn possible(machine: &Machine) -> String {
    let mut text = String::new();
    for bus in &machine.i2c {
        let put = |example: &str| example.replace("i2c-1", bus);
        text +=
            &commented("bme280", &bus.replace("i2c-", "climate-"), &format!("A BME280 on {bus}, for example."), put);
    }
    for (index, port) in machine.serial.iter().enumerate() {
        let put = |example: &str| with_port(example, port);
        text += &commented("serial-line", &format!("line-{index}"), &format!("Text lines from {port}."), put);
    }
    if machine.gpio {
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

fn cloud(name: &str) -> String {
    format!(
        "\n\
         # To the cloud. Outages are bridged from disk; what was acknowledged arrives later.\n\
         #[[bridge]]\n\
         #name = \"cloud\"\n\
         #url = \"mqtts://broker.example.net:8883\"\n\
         # With `username` comes `password = {{ file = \"...\" }}`: it does not stand here.\n\
         #[[bridge.forward]]\n\
         #topics = [\"{name}/#\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::full;
    use super::*;
    use crate::config::Sources;
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

    #[test]
    fn it_is_good_on_a_bare_machine() {
        let plan = good(&configuration(&Machine::default()));
        assert_eq!((plan.gateway.name.as_str(), plan.sensors.len()), ("weir", 1));
    }

    #[test]
    fn it_is_good_on_a_full_machine_as_it_is_and_with_everything_switched_on() {
        let text = configuration(&full());
        let names = |plan: &Plan| plan.sensors.iter().map(|sensor| sensor.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&good(&text)), ["machine", "board", "zones", "iio", "probe-877d"]);
        let all = good(&uncommented(&text));
        let found = names(&all);
        assert!(found.contains(&"climate-1".into()) && found.contains(&"climate-20".into()), "{found:?}");
        assert_eq!(all.bridges.len(), 1);
    }

    #[test]
    fn a_host_name_that_is_no_topic_level_is_not_used() {
        let machine = Machine { name: Some("a b".into()), ..Machine::default() };
        assert_eq!(good(&configuration(&machine)).gateway.name.as_str(), "weir");
    }

    #[test]
    fn equal_ends_of_thermometers_do_not_clash() {
        let w1 = vec!["28-00000000877d".into(), "28-3c01e076877d".into()];
        assert_eq!(good(&configuration(&Machine { w1, ..Machine::default() })).sensors.len(), 3);
    }
}
