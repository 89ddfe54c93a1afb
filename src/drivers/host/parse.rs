//! The texts of procfs.

use crate::bus::kernel::{Files, Space};
use crate::model::Fault;

/// Files that serve several measures of a round, read once.
pub(super) struct Once<'f> {
    files: &'f dyn Files,
    mount: &'f str,
    load: Option<[f64; 4]>,
    memory: Option<f64>,
    space: Option<Space>,
    network: Option<String>,
}

impl<'f> Once<'f> {
    pub(super) fn new(files: &'f dyn Files, mount: &'f str) -> Self {
        Self { files, mount, load: None, memory: None, space: None, network: None }
    }

    /// Load over 1, 5 and 15 minutes, and the number of tasks.
    pub(super) fn load(&mut self) -> Result<[f64; 4], Fault> {
        if self.load.is_none() {
            self.load = Some(load(&self.files.read("proc/loadavg")?)?);
        }
        Ok(self.load.expect("read above"))
    }

    pub(super) fn memory_free_percent(&mut self) -> Result<f64, Fault> {
        if self.memory.is_none() {
            self.memory = Some(memory_free_percent(&self.files.read("proc/meminfo")?)?);
        }
        Ok(self.memory.expect("read above"))
    }

    pub(super) fn space(&mut self) -> Result<Space, Fault> {
        if self.space.is_none() {
            self.space = Some(self.files.space(self.mount)?);
        }
        Ok(self.space.expect("read above"))
    }

    /// Bytes in the direction of the measure `net_rx...` or `net_tx...`: of the interface behind it, or the
    /// sum of all but `lo` when no interfaces were named.
    pub(super) fn network(&mut self, measure: &str, interfaces: &[String]) -> Result<f64, Fault> {
        if self.network.is_none() {
            self.network = Some(self.files.read("proc/net/dev")?);
        }
        let text = self.network.as_deref().expect("read above");
        let column = if measure.starts_with("net_tx") { 8 } else { 0 };
        if interfaces.is_empty() {
            return Ok(interface_bytes(text, column).filter(|(name, _)| *name != "lo").map(|(_, bytes)| bytes).sum());
        }
        let wanted = &measure["net_rx_".len()..];
        let found = interface_bytes(text, column).find(|(name, _)| *name == wanted);
        found.map(|(_, bytes)| bytes).ok_or_else(|| Fault::NotPresent(format!("no network interface {wanted}")))
    }
}

fn number(text: Option<&str>, file: &str) -> Result<f64, Fault> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| Fault::BadData(format!("{file}: {text:?} is not a number")))
}

/// `0.52 0.38 1.10 2/345 12345`: loads, running/all tasks, last process.
fn load(text: &str) -> Result<[f64; 4], Fault> {
    let mut words = text.split_whitespace();
    let mut next = || number(words.next(), "/proc/loadavg");
    let [one, five, fifteen] = [next()?, next()?, next()?];
    let tasks = words.next().and_then(|tasks| tasks.split_once('/')).map(|(_, all)| all);
    Ok([one, five, fifteen, number(tasks, "/proc/loadavg")?])
}

/// What programs could still get, in percent of all memory. Kernels before 3.14 do not say.
fn memory_free_percent(text: &str) -> Result<f64, Fault> {
    let entry = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        number(line.and_then(|rest| rest.split_whitespace().next()), "/proc/meminfo")
    };
    let (total, available) = (entry("MemTotal")?, entry("MemAvailable")?);
    if total <= 0.0 {
        return Err(Fault::BadData("/proc/meminfo: no memory at all".into()));
    }
    Ok((available / total * 100.0).clamp(0.0, 100.0))
}

/// Seconds since the start, and behind it the idle time of all processors.
pub(super) fn uptime(text: &str) -> Result<f64, Fault> {
    number(text.split_whitespace().next(), "/proc/uptime")
}

/// Each interface and one column of `/proc/net/dev`. The name may touch the first number.
fn interface_bytes(text: &str, column: usize) -> impl Iterator<Item = (&str, f64)> {
    text.lines().skip(2).filter_map(move |line| {
        let (name, numbers) = line.split_once(':')?;
        Some((name.trim(), numbers.split_whitespace().nth(column)?.parse().ok()?))
    })
}

/// What is used of what can be used, as `df` counts: the reserve for root is neither.
pub(super) fn used_percent(space: Space) -> f64 {
    let used = space.total.saturating_sub(space.free) as f64;
    let usable = used + space.available as f64;
    if usable > 0.0 { used / usable * 100.0 } else { 0.0 }
}

/// Zones and chips that show the processor, best first; `Tctl` and `Package id 0` are the chips' first channel.
const ZONES: [&str; 5] = ["cpu-thermal", "cpu_thermal", "x86_pkg_temp", "soc-thermal", "cpu0-thermal"];
const CHIPS: [&str; 4] = ["cpu_thermal", "coretemp", "k10temp", "zenpower"];

/// The processor's temperature in °C, where there is one. A zone that is there and does not answer is a fault.
pub(super) fn cpu_temperature(files: &dyn Files) -> Result<Option<f64>, Fault> {
    let zone = find(files, "sys/class/thermal", "type", &ZONES).map(|dir| format!("{dir}/temp"));
    let chip = || find(files, "sys/class/hwmon", "name", &CHIPS).map(|dir| format!("{dir}/temp1_input"));
    let Some(file) = zone.or_else(chip) else { return Ok(None) };
    let millidegrees = number(Some(&files.read(&file)?), &file)?;
    Ok(Some(millidegrees / 1000.0))
}

fn find(files: &dyn Files, class: &str, name_file: &str, names: &[&str]) -> Option<String> {
    let dirs: Vec<_> = files.list(class).ok()?.into_iter().map(|entry| format!("{class}/{entry}")).collect();
    let called = |dir: &&String, name: &str| files.read(&format!("{dir}/{name_file}")).is_ok_and(|found| found == name);
    names.iter().find_map(|name| dirs.iter().find(|dir| called(dir, name)).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn junk_is_told_and_never_a_value() {
        assert!(load("").is_err() && load("0.1 0.2 0.3").is_err() && load("a b c 1/2 3").is_err());
        assert!(load("nan 0 0 1/2 3").is_err());
        assert!(memory_free_percent("MemTotal: 100 kB").is_err());
        assert!(memory_free_percent("MemTotal: 0 kB\nMemAvailable: 0 kB").is_err());
        assert!(uptime("").is_err());
    }

    #[test]
    fn both_ends_of_a_disk() {
        let space = |total, free, available| used_percent(Space { total, free, available });
        assert_eq!(space(100, 100, 100), 0.0);
        assert_eq!(space(100, 5, 0), 100.0);
        assert_eq!(space(0, 0, 0), 0.0);
        assert_eq!(space(u64::MAX, u64::MAX / 2, u64::MAX / 2).round(), 50.0);
    }

    #[test]
    fn the_processor_is_found_by_name() {
        assert_eq!(cpu_temperature(&Tree::default()), Ok(None));
        let other = Tree::default()
            .with("sys/class/thermal/thermal_zone0/type", "acpitz")
            .with("sys/class/thermal/thermal_zone0/temp", "1")
            .with("sys/class/hwmon/hwmon3/name", "coretemp")
            .with("sys/class/hwmon/hwmon3/temp1_input", "-1500");
        assert_eq!(cpu_temperature(&other), Ok(Some(-1.5)));
        let zone = "sys/class/thermal/thermal_zone1";
        let broken = other
            .with(&format!("{zone}/type"), "x86_pkg_temp")
            .with_live(&format!("{zone}/temp"), || Err(Fault::Bus("EIO".into())));
        assert!(cpu_temperature(&broken).is_err());
    }
}
