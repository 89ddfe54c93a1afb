//! `weir gaps`: everything that is missing, with time and cause; from a running gateway, or from its store.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::Exit;
use super::control::Target;
use super::table::table;
use crate::config::Sources;
use crate::gateway::control::{Answer, Request};
use crate::gateway::gaps::{BridgeGap, Gaps, SensorGap};
use crate::plan;
use crate::store;

/// `weir gaps`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// The store's directory of a gateway that does not run, instead of a configuration
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "socket"])]
    dir: Option<PathBuf>,
    /// As one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let gaps = find(args)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &gaps)?;
        writeln!(out)?;
    } else {
        print(&gaps, &mut out)?;
    }
    Ok(Exit::Good)
}

fn find(args: &Args) -> anyhow::Result<Gaps> {
    if let Some(dir) = &args.dir {
        return of_store(dir.clone());
    }
    if args.target.is_reachable()? {
        return match args.target.ask_once(&Request::Gaps)? {
            Answer::Gaps(gaps) => Ok(gaps),
            _ => bail!("the gateway answered something else"),
        };
    }
    let Some(file) = args.target.configuration() else {
        bail!("no gateway runs at that socket: name its configuration with --config FILE, or its store with --dir DIR");
    };
    of_store(plan::state_dir_of(&Sources::read(&file)?).join("store"))
}

/// What the store of a gateway that does not run says.
fn of_store(dir: PathBuf) -> anyhow::Result<Gaps> {
    let listing = store::inspect(&dir).with_context(|| format!("cannot read the store in {}", dir.display()))?;
    Ok(Gaps::of_chains(listing.chains.iter().map(|chain| (&chain.key, &chain.gaps[..]))))
}

fn print(gaps: &Gaps, out: &mut impl Write) -> std::io::Result<()> {
    if gaps.bridges.is_empty() && gaps.sensors.is_empty() {
        return writeln!(out, "nothing is missing");
    }
    if !gaps.bridges.is_empty() {
        let head = ["BRIDGE", "CLASS", "CAUSE", "MISSING", "FROM", "TO", "SEQUENCES", "THE CLOUD"];
        let rows = gaps.bridges.iter().map(bridge);
        table(std::iter::once(head.map(str::to_owned).to_vec()).chain(rows), out)?;
    }
    if !gaps.sensors.is_empty() {
        let head = ["SENSOR", "CAUSE", "NO READING FROM", "TO"];
        let rows = gaps.sensors.iter().map(sensor);
        table(std::iter::once(head.map(str::to_owned).to_vec()).chain(rows), out)?;
    }
    Ok(())
}

fn bridge(gap: &BridgeGap) -> Vec<String> {
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "not known".to_owned());
    vec![
        gap.bridge.clone(),
        gap.class.clone(),
        gap.cause.clone(),
        gap.records.to_string(),
        time(&gap.from),
        time(&gap.to),
        format!("{} to {}", gap.first, gap.last),
        if gap.told { "knows" } else { "is not told yet" }.to_owned(),
    ]
}

fn sensor(gap: &SensorGap) -> Vec<String> {
    let to = gap.to.clone().unwrap_or_else(|| "now".to_owned());
    vec![gap.sensor.clone(), gap.reason.clone(), gap.from.clone(), to]
}
