//! `weir check [FILE]`: every problem of a configuration in one run.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::Exit;
use crate::config::Report;
use crate::plan::{self, Plan};

/// Arguments of `weir check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; `conf.d/*.toml` beside it belongs to it
    #[arg(default_value = plan::DEFAULT_PATH)]
    file: PathBuf,
}

/// Prints every problem, or one line about what was found.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    let colour = io::stdout().is_terminal();
    Ok(match plan::load(&args.file) {
        Ok((plan, report)) => {
            write!(out, "{}", warnings(&report, colour))?;
            writeln!(out, "{}", good(&args.file, &plan))?;
            Exit::Good
        }
        Err(report) => {
            write!(out, "{}", report.render(colour))?;
            Exit::WrongConfiguration
        }
    })
}

/// Tells why a configuration cannot be used, on standard error.
pub(super) fn refuse(report: &Report) -> anyhow::Result<Exit> {
    tell(report)?;
    Ok(Exit::WrongConfiguration)
}

/// Prints a report on standard error, where the output of the command is not.
pub(super) fn tell(report: &Report) -> io::Result<()> {
    let colour = io::stderr().is_terminal();
    io::stderr().lock().write_all(report.render(colour).as_bytes())
}

/// The warnings and an empty line, if there are any.
fn warnings(report: &Report, colour: bool) -> String {
    match report.render(colour) {
        text if text.is_empty() => text,
        text => text + "\n",
    }
}

/// One line: the file is good, and what is in it.
fn good(file: &Path, plan: &Plan) -> String {
    let count = |number: usize, one: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        many => Some(format!("{many} {one}s")),
    };
    let counts =
        [count(plan.sensors.len(), "sensor"), count(plan.outputs.len(), "output"), count(plan.bridges.len(), "bridge")];
    let found: Vec<_> = counts.into_iter().flatten().collect();
    let found = if found.is_empty() { "a hub and nothing else".to_owned() } else { found.join(", ") };
    let listen: Vec<_> = plan.hub.listen.iter().map(ToString::to_string).collect();
    let listen = if listen.is_empty() { "nowhere".to_owned() } else { listen.join(", ") };
    format!("{} is good: gateway `{}` with {found}; the hub listens on {listen}", file.display(), plan.gateway.name)
}
