//! The machine the gateway runs on: processor temperature, load, memory, disk, network, uptime.
//!
//! From procfs (kernel `Documentation/filesystems/proc.rst`), the thermal zones and `statvfs`.
//! A machine without a processor temperature, as virtual ones are, simply has no such measure.

mod parse;

use std::sync::Arc;

use async_trait::async_trait;

use super::options::optional;
use super::{Configured, Driver, Kind, Open, Recognise, Simulate, Spec};
use crate::bus::kernel::{Access, Files, Kernel, Tree};
use crate::config::Fields;
use crate::model::{Fault, Measure, Name, Reading};

pub(super) static SPEC: Spec = Spec {
    name: "host",
    summary: "The machine itself: processor temperature, load, memory, disk, network, uptime",
    measures: &MEASURES,
    kind: Kind::Polled,
    options: &[
        ("measures", "[]", "which of its measures; all without any"),
        ("mount", "\"/\"", "the directory whose file system `disk_used` and `disk_free` are about"),
        (
            "interfaces",
            "[]",
            "network interfaces, each with measures of its own (net_rx_eth0, net_tx_eth0); without any, the sum of all but lo",
        ),
    ],
    example: "mount = \"/\"",
    configure,
    simulate: Simulate::No,
    recognise: Recognise::No,
    captures: &[],
};

const MOST: f64 = u64::MAX as f64;

static MEASURES: [Measure; 12] = [
    Measure::fixed("cpu_temperature", "°C", -40.0, 150.0, 1),
    Measure::fixed("load1", "", 0.0, 1e6, 2),
    Measure::fixed("load5", "", 0.0, 1e6, 2),
    Measure::fixed("load15", "", 0.0, 1e6, 2),
    Measure::fixed("memory_used", "%", 0.0, 100.0, 1),
    Measure::fixed("memory_free", "%", 0.0, 100.0, 1),
    Measure::fixed("disk_used", "%", 0.0, 100.0, 1),
    Measure::fixed("disk_free", "B", 0.0, MOST, 0),
    Measure::fixed("net_rx", "B", 0.0, MOST, 0).exact(),
    Measure::fixed("net_tx", "B", 0.0, MOST, 0).exact(),
    Measure::fixed("uptime", "s", 0.0, 1e12, 0).exact(),
    Measure::fixed("processes", "", 0.0, 1e9, 0),
];

struct Options {
    measures: Vec<Measure>,
    mount: String,
    interfaces: Vec<String>,
}

struct Host {
    options: Arc<Options>,
    kernel: Kernel,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let interfaces: Option<Option<Vec<String>>> = optional(fields, "interfaces");
    let mount: Option<Option<String>> = optional(fields, "mount");
    let wanted: Option<Option<Vec<String>>> = optional(fields, "measures");
    let interfaces = interfaces?.unwrap_or_default();
    let possible = possible(&interfaces, fields)?;
    let measures = choose(&wanted?.unwrap_or_default(), possible, fields)?;
    let mount = mount?.unwrap_or_else(|| "/".into());
    if !mount.starts_with('/') {
        fields.wrong("mount", format!("`mount` is a directory from the root on, not {mount:?}"), None);
        return None;
    }
    let options = Arc::new(Options { measures: measures.clone(), mount, interfaces });
    let open: Open = Box::new(move |buses| {
        // On another file system it is another device: one that hangs does not stop the others.
        let access = Access { family: "host", line: "host", device: &options.mount };
        Ok(Box::new(Host { options: Arc::clone(&options), kernel: buses.kernel(access, |_| Tree::default()) }))
    });
    Some(Configured { open, measures, claims: Vec::new() })
}

/// All measures that these options allow.
fn possible(interfaces: &[String], fields: &mut Fields<'_, '_>) -> Option<Vec<Measure>> {
    if interfaces.is_empty() {
        return Some(MEASURES.to_vec());
    }
    let mut measures = MEASURES.to_vec();
    measures.retain(|measure| !measure.name.starts_with("net_"));
    for interface in interfaces {
        for direction in ["net_rx", "net_tx"] {
            let name = format!("{direction}_{interface}");
            if let Err(error) = Name::new(&name) {
                fields.wrong("interfaces", format!("{interface:?}: {error}"), None);
                return None;
            }
            measures.push(Measure { max: MOST, min: 0.0, ..Measure::named(name, "B", 0).exact() });
        }
    }
    Some(measures)
}

/// Those of the possible measures that are wanted, in the order of the table.
fn choose(wanted: &[String], possible: Vec<Measure>, fields: &mut Fields<'_, '_>) -> Option<Vec<Measure>> {
    let names: Vec<_> = possible.iter().map(|measure| &*measure.name).collect();
    for name in wanted {
        if !names.contains(&name.as_str()) {
            let help = crate::config::suggest(name, &names);
            fields.wrong("measures", format!("the host has no measure {name:?}"), Some(help));
            return None;
        }
    }
    let is_wanted = |measure: &Measure| wanted.is_empty() || wanted.iter().any(|name| *name == measure.name);
    Some(possible.into_iter().filter(is_wanted).collect())
}

#[async_trait]
impl Driver for Host {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let options = Arc::clone(&self.options);
        self.kernel.run(move |files| read(files, &options)).await
    }
}

/// One round: only what is wanted is read.
fn read(files: &dyn Files, options: &Options) -> Result<Vec<Reading>, Fault> {
    let mut readings = Vec::with_capacity(options.measures.len());
    let mut once = parse::Once::new(files, &options.mount);
    for measure in &options.measures {
        let value = match &*measure.name {
            "cpu_temperature" => parse::cpu_temperature(files)?,
            "load1" => Some(once.load()?[0]),
            "load5" => Some(once.load()?[1]),
            "load15" => Some(once.load()?[2]),
            "processes" => Some(once.load()?[3]),
            "memory_used" => Some(100.0 - once.memory_free_percent()?),
            "memory_free" => Some(once.memory_free_percent()?),
            "disk_used" => Some(parse::used_percent(once.space()?)),
            "disk_free" => Some(once.space()?.available as f64),
            "uptime" => Some(parse::uptime(&files.read("proc/uptime")?)?),
            name => Some(once.network(name, &options.interfaces)?),
        };
        readings.extend(value.map(|value| measure.is(value)));
    }
    Ok(readings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Problems, Table};
    use toml::de::DeTable;

    fn configured(text: &str) -> Result<Configured, String> {
        let document = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let configured = configure(&mut Table::new(&document).fields(&mut problems));
        configured.ok_or_else(|| problems.iter().map(|problem| problem.message.clone()).collect())
    }

    fn options(text: &str) -> Options {
        let measures = configured(text).unwrap_or_else(|why| panic!("{why}")).measures;
        let named = measures.iter().filter_map(|measure| measure.name.strip_prefix("net_rx_"));
        Options { interfaces: named.map(str::to_owned).collect(), measures, mount: "/data".into() }
    }

    /// A Raspberry Pi 4 as its kernel shows it.
    fn pi() -> Tree {
        let eth = "  eth0: 1200345    9876    0    0    0     0          0         7  345678    1234    0    0    0     0       0          0";
        let wlan = " wlan0:18446744073709551615 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0";
        let lo = "    lo:  999  9 0 0 0 0 0 0  999  9 0 0 0 0 0 0";
        Tree::default()
            .with("proc/loadavg", "0.52 0.38 1.10 2/345 12345\n")
            .with("proc/uptime", "350735.47 234388.90\n")
            .with(
                "proc/meminfo",
                "MemTotal:        4000000 kB\nMemFree:          100 kB\nMemAvailable:    3000000 kB\n",
            )
            .with("proc/net/dev", &format!("Inter-| Receive\n face |bytes packets\n{lo}\n{eth}\n{wlan}\n"))
            .with("/data#space", "1000 400 300")
            .with("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
            .with("sys/class/thermal/thermal_zone0/temp", "48312")
    }

    fn shown(tree: &Tree, options: &Options) -> Vec<(String, f64)> {
        let readings = read(tree, options).unwrap();
        readings.into_iter().map(|reading| (reading.measure.name.into_owned(), reading.value)).collect()
    }

    #[test]
    fn everything_is_read() {
        let named = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
        let expected = [
            ("cpu_temperature", 48.312),
            ("load1", 0.52),
            ("load5", 0.38),
            ("load15", 1.1),
            ("memory_used", 25.0),
            ("memory_free", 75.0),
            ("disk_used", 600.0 / 900.0 * 100.0),
            ("disk_free", 300.0),
            ("net_rx", 1_200_345.0 + MOST),
            ("net_tx", 345_679.0),
            ("uptime", 350_735.47),
            ("processes", 345.0),
        ];
        assert_eq!(shown(&pi(), &options("")), expected.iter().map(named).collect::<Vec<_>>());
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        let tree = Tree::default().with("proc/uptime", "7.00 1.00");
        assert_eq!(shown(&tree, &options("measures = [\"uptime\"]")), [("uptime".into(), 7.0)]);
        assert!(read(&tree, &options("")).is_err());
    }

    #[test]
    fn each_interface_has_measures_of_its_own() {
        let wanted = options("interfaces = [\"eth0\"]\nmeasures = [\"net_rx_eth0\", \"net_tx_eth0\"]");
        let expected = [("net_rx_eth0".into(), 1_200_345.0), ("net_tx_eth0".into(), 345_678.0)];
        assert_eq!(shown(&pi(), &wanted), expected);
        let gone = options("interfaces = [\"wwan0\"]");
        assert_eq!(read(&pi(), &gone).unwrap_err(), Fault::NotPresent("no network interface wwan0".into()));
    }

    #[test]
    fn wrong_options_are_told() {
        for (text, message) in [
            ("measures = [\"cpu_temp\"]", "the host has no measure \"cpu_temp\""),
            ("measures = [\"net_rx_eth0\"]", "the host has no measure"),
            ("mount = \"data\"", "`mount` is a directory"),
            ("interfaces = [\"a/b\"]", "\"a/b\": '/' is not allowed"),
            ("interfaces = 1", "`interfaces` must be"),
        ] {
            let why = configured(text).err().unwrap();
            assert!(why.starts_with(message), "{why}");
        }
    }

    #[tokio::test]
    async fn this_machine_answers() {
        let buses = crate::bus::Buses::default();
        let mut driver = (configured("").ok().unwrap().open)(&buses).unwrap();
        let readings = driver.sample().await.unwrap();
        let rest: Vec<_> = readings.iter().map(|reading| &*reading.measure.name).collect();
        assert!(rest.ends_with(&["uptime", "processes"]) && rest.len() >= 11, "{rest:?}");
        for reading in &readings {
            let range = reading.measure.min..=reading.measure.max;
            assert!(range.contains(&reading.value), "{reading:?}");
        }
    }
}
