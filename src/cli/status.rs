//! `weir status`: how a running gateway is.

use std::io::Write;

use anyhow::bail;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};
use crate::gateway::ledger::{BridgeAccount, SensorAccount};
use crate::gateway::report::{BudgetReport, CostReport, PartReport, Report};

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
    for costs in &report.costs {
        print_costs(costs, out)?;
    }
    let counts: Vec<_> = report.hub.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "hub      {}", counts.join(", "))?;
    let store = &report.store;
    writeln!(out, "store    {} of {} bytes", store.used, store.quota)?;
    if store.crowded {
        writeln!(out, "         THE FILE SYSTEM IS NEARLY FULL: old records go before the quota is used up")?;
    }
    if store.failing {
        writeln!(out, "         THE DISK REFUSES WRITES: nothing is acknowledged")?;
    }
    if store.errors + store.damage > 0 {
        writeln!(out, "         {} failed writes, {} damaged pieces", store.errors, store.damage)?;
    }
    books(report, out)?;
    Ok(())
}

/// What became of everything, and what is missing.
fn books(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let ledger = &report.ledger;
    if !ledger.is_even() {
        writeln!(out, "         THE BOOKS DO NOT ADD UP: please report it, with `weir status --json`")?;
    }
    let sum = |of: fn(&SensorAccount) -> u64| ledger.sensors.iter().map(of).sum::<u64>();
    let (taken, published) = (sum(|account| account.taken), sum(|account| account.published));
    if taken > 0 {
        writeln!(out, "readings {taken} taken = {published} published + {} filtered", taken - published)?;
    }
    for account in &ledger.bridges {
        print_account(account, out)?;
    }
    let gaps = &report.gaps;
    if !gaps.bridges.is_empty() || !gaps.sensors.is_empty() {
        let missing: u64 = gaps.bridges.iter().map(|gap| gap.records).sum();
        let untold = gaps.bridges.iter().filter(|gap| !gap.told).count();
        let (times, sensors) = (gaps.bridges.len(), gaps.sensors.len());
        write!(out, "gaps     {times} in messages ({missing} missing, {untold} not told to the cloud yet), ")?;
        writeln!(out, "{sensors} in readings: `weir gaps` lists them")?;
    }
    Ok(())
}

fn print_account(account: &BridgeAccount, out: &mut impl Write) -> std::io::Result<()> {
    let BridgeAccount { bridge, class, stored, acknowledged, waiting, dropped, refused, in_use } = account;
    let lost: u64 = dropped.values().sum();
    write!(
        out,
        "messages {bridge} {class}: {stored} stored = {acknowledged} delivered + {waiting} waiting + {lost} dropped"
    )?;
    if lost > 0 {
        let causes: Vec<_> = dropped.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
        write!(out, " ({})", causes.join(", "))?;
    }
    if *refused > 0 {
        write!(out, "; {refused} refused")?;
    }
    writeln!(out)?;
    if !in_use && *waiting > 0 {
        writeln!(
            out,
            "ATTENTION no bridge is called {bridge}: {waiting} messages wait for one; `weir store drop {bridge}` deletes them"
        )?;
    }
    Ok(())
}

fn print_costs(costs: &CostReport, out: &mut impl Write) -> std::io::Result<()> {
    let CostReport { bridge, received, sent, budget, .. } = costs;
    write!(out, "wire     {bridge:<20} {sent} bytes sent, {received} received")?;
    if let Some(BudgetReport { state, used, projected, per_month, resets }) = budget {
        let [used, projected, per_month] = [used, projected, per_month].map(|bytes| *bytes as f64 / 1e6);
        write!(out, "; budget {state}: {used:.1} of {per_month:.1} MB, {projected:.1} MB projected")?;
        if let Some(resets) = resets {
            write!(out, ", resets {resets}")?;
        }
    }
    writeln!(out)
}

fn print_part(part: &PartReport, out: &mut impl Write) -> std::io::Result<()> {
    let PartReport { kind, name, state, since, .. } = part;
    write!(out, "{kind:<8} {name:<20} {state:<9} since {since}")?;
    for more in [&part.reason, &part.note].into_iter().flatten() {
        write!(out, "  {more}")?;
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
