//! `weir scan`: what is connected, and the tables that read it. All of it is TOML: what is no table is a comment.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Exit;
use crate::bus::gpio::{GpioChip, GpioLine};
use crate::bus::kernel::Files;
use crate::bus::{Buses, Settings};
use crate::inspect::scan::{Address, Candidate, Chip, I2cBus, Probing, Scan, populate, proposals, scan};
use crate::model::Fault;

/// How many free lines of a GPIO chip are named.
const MOST_LINES: usize = 64;

/// Arguments of `weir scan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// I2C buses to look at, such as i2c-1, also those that are left alone otherwise [default: all that lead outside]
    buses: Vec<String>,
    /// Look at a simulated machine
    #[arg(long)]
    simulate: bool,
    /// Look at the files of a machine below this directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true, conflicts_with = "simulate")]
    root: PathBuf,
}

/// Looks, and prints.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let found = look(&args.root, args.simulate, &args.buses)?;
    io::stdout().lock().write_all(text(&found).as_bytes())?;
    Ok(Exit::Good)
}

/// What this machine, or a simulated one, has.
pub(super) fn look(root: &Path, simulate: bool, wanted: &[String]) -> anyhow::Result<Scan> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let buses = Buses::new(Settings { simulate, kernel_root: root.to_owned(), ..Settings::default() });
        let files: Box<dyn Files> = if simulate { Box::new(populate(&buses)?) } else { Box::new(buses.files()) };
        Ok(scan(&buses, &*files, wanted).await)
    })
}

/// The whole answer.
fn text(scan: &Scan) -> String {
    let mut lines = Vec::new();
    i2c(&scan.i2c, &mut lines);
    section(
        "1-Wire",
        &mut lines,
        scan.one_wire.iter().map(|device| {
            format!("{}  {}", device.id, device.spec.map_or("no driver reads this family", |spec| spec.name))
        }),
    );
    section(
        "Serial ports, for the driver serial-line",
        &mut lines,
        scan.serial.iter().map(|port| match &port.node {
            Some(node) if *node == port.port => format!("{}  on the header", port.port),
            Some(node) => format!("{}  now {node}", port.port),
            None => format!("{}  this name may move", port.port),
        }),
    );
    gpio(&scan.gpio, &mut lines);
    section(
        "The kernel reads",
        &mut lines,
        scan.kernel.iter().map(|sensor| {
            let device = &sensor.device;
            let on = device.hardware.as_ref().map(|hardware| format!(" on {hardware}")).unwrap_or_default();
            let channels =
                if device.channels.is_empty() { "nothing to read".into() } else { device.channels.join(", ") };
            format!("{} {}{on}: {channels}", sensor.spec.name, device.name)
        }),
    );
    let comments: String =
        lines.iter().map(|line| format!("# {}", printable(line)).trim_end().to_owned() + "\n").collect();
    comments + &tables(scan)
}

/// A comment of TOML holds no control characters.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn section(title: &str, lines: &mut Vec<String>, entries: impl Iterator<Item = String>) {
    let entries: Vec<_> = entries.collect();
    lines.push(if entries.is_empty() { format!("{title}: none") } else { format!("{title}:") });
    lines.extend(entries.into_iter().map(|entry| format!("  {entry}")));
}

fn i2c(buses: &[I2cBus], lines: &mut Vec<String>) {
    section("I2C buses", lines, std::iter::empty());
    let Some(first) = lines.last_mut().filter(|_| !buses.is_empty()) else { return };
    *first = "I2C buses:".into();
    for bus in buses {
        let name = format!("  {} {}", bus.bus, bus.adapter);
        let name = name.trim_end();
        match &bus.probing {
            Probing::LeftAlone(why) => {
                lines.push(format!("{name}: left alone, {why}; `weir scan {}` looks at it anyhow", bus.bus));
            }
            Probing::Looked(found, fault) => {
                let nothing = if found.is_empty() && fault.is_none() { ": nothing answers" } else { "" };
                lines.push(format!("{name}{nothing}"));
                lines.extend(found.iter().map(|at| format!("    {}", chip(at))));
                lines.extend(fault.iter().map(|fault| format!("    the look ended early: {fault}")));
            }
        }
    }
}

fn chip(at: &Address) -> String {
    let what = match &at.chip {
        Chip::Bound(driver) => format!("in use by the kernel driver {driver}, not touched"),
        Chip::Known(candidates) => known(candidates),
        Chip::Foreign(name) => format!("{name}; no driver here reads it"),
        Chip::Unknown(Some(usual)) => format!("not recognised; usual here: {usual}"),
        Chip::Unknown(None) => "not recognised".into(),
    };
    format!("{:#04x}  {what}", at.address)
}

fn known(candidates: &[Candidate]) -> String {
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.spec.name).collect();
    let sure = if candidates.iter().all(|candidate| candidate.certain) { "" } else { "looks like " };
    format!("{sure}{}", names.join(" or "))
}

fn gpio(chips: &[(String, Result<GpioChip, Fault>)], lines: &mut Vec<String>) {
    let shown = |(node, chip): &(String, Result<GpioChip, Fault>)| match chip {
        Ok(chip) => lines_of(chip),
        Err(fault) => vec![format!("{node}: {fault}")],
    };
    section("GPIO chips", lines, chips.iter().flat_map(shown));
}

/// A chip, its lines in use with their users, and the free ones that have names.
fn lines_of(chip: &GpioChip) -> Vec<String> {
    let used = |(number, line): (usize, &GpioLine)| {
        let user = line.user.as_deref()?;
        let name = if line.name.is_empty() { format!("{}:{number}", chip.name) } else { line.name.clone() };
        Some(format!("  {name}  in use by {}", if user.is_empty() { "the kernel" } else { user }))
    };
    let mut lines = vec![format!("{} {}, {} lines", chip.name, chip.label, chip.lines.len())];
    lines.extend(chip.lines.iter().enumerate().filter_map(used));
    let is_free = |line: &&GpioLine| line.user.is_none() && !line.name.is_empty();
    let free: Vec<_> = chip.lines.iter().filter(is_free).map(|line| line.name.as_str()).collect();
    for row in free[..free.len().min(MOST_LINES)].chunks(16) {
        lines.push(format!("  free: {}", row.join(", ")));
    }
    if free.len() > MOST_LINES {
        lines.push(format!("  and {} more", free.len() - MOST_LINES));
    }
    lines
}

fn tables(scan: &Scan) -> String {
    let one = |it: crate::inspect::scan::Proposal| format!("\n# {}\n{}", printable(&it.about), it.table());
    proposals(scan).into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::plan::check;

    /// What a user does: the output behind the first lines of a configuration.
    fn accepted(text: &str) -> usize {
        let text = format!("[gateway]\nname = \"x\"\n\n{text}");
        let checked = check(Sources::from_text("scan.toml", &text));
        let (plan, report) = checked.map_err(|report| format!("{text}\n{report}")).unwrap();
        assert_eq!(report.to_string(), "", "{text}");
        plan.sensors.len()
    }

    #[test]
    fn the_answer_on_a_simulated_machine_is_a_good_configuration() {
        let text = text(&look(Path::new("/"), true, &[]).unwrap());
        assert!(text.contains("0x76  bme280"), "{text}");
        assert!(accepted(&text) >= 5, "{text}");
    }

    #[test]
    fn an_empty_machine_is_told_as_such() {
        assert_eq!(text(&Scan::default()).lines().count(), 5);
        assert_eq!(accepted(&text(&Scan::default())), 0);
    }
}
