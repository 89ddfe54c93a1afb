//! `weir status`: how a running gateway is.

use std::io::Write;

use anyhow::bail;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};
use crate::gateway::report::{ChainReport, PartReport, Report};

/// `weir status`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// As one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let Answer::Status(report) = args.target.ask_once(&Request::Status)? else {
        bail!("the gateway answered something else");
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, &mut out)?;
    }
    // Scripts ask with the exit code whether somebody should look.
    let well = report.parts.iter().all(|part| part.state == "ok") && !report.store.failing && report.trouble.is_none();
    Ok(if well { Exit::Good } else { Exit::Failed })
}

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}   weir {}   {}", report.gateway, report.version, report.time)?;
    if let Some(trouble) = &report.trouble {
        writeln!(out, "ATTENTION {trouble}")?;
    }
    for part in &report.parts {
        print_part(part, out)?;
    }
    let counts: Vec<_> = report.hub.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "hub      {}", counts.join(", "))?;
    let store = &report.store;
    writeln!(out, "store    {} of {} bytes", store.used, store.quota)?;
    if store.failing {
        writeln!(out, "         THE DISK REFUSES WRITES: nothing is acknowledged")?;
    }
    if store.errors + store.damage > 0 {
        writeln!(out, "         {} failed writes, {} damaged pieces", store.errors, store.damage)?;
    }
    for ChainReport { key, backlog, elided, refused, lost } in &store.chains {
        writeln!(out, "         {key}: {backlog} waiting, {elided} never written, {refused} refused, {lost} lost")?;
    }
    Ok(())
}

fn print_part(part: &PartReport, out: &mut impl Write) -> std::io::Result<()> {
    let PartReport { kind, name, state, since, .. } = part;
    write!(out, "{kind:<8} {name:<20} {state:<9} since {since}")?;
    if let Some(reason) = &part.reason {
        write!(out, "  {reason}")?;
    }
    if part.skipped > 0 {
        write!(out, "  skipped {}", part.skipped)?;
    }
    if part.filtered > 0 {
        write!(out, "  filtered {}", part.filtered)?;
    }
    for (word, count) in &part.faults {
        write!(out, "  {word} {count}")?;
    }
    writeln!(out)
}
