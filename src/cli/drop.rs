//! `weir store drop`: deletes what a removed bridge has left in the store. The lock on the store decides who does
//! it: a gateway that runs, asked through its control socket, or this program.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};
use crate::model::Name;
use crate::plan;
use crate::store::disk::RealDisk;
use crate::store::{OpenError, Settings, Store, WhenFull};

/// The hub's queue: its sessions and retained messages.
const HUB: &str = "hub";

/// Deletes `queue` from the store in `dir`, which `config` named unless it was named itself.
pub(super) fn run(config: Option<&Path>, dir: &Path, queue: &str) -> anyhow::Result<Exit> {
    let name = Name::new(queue).map_err(|error| anyhow::anyhow!("{queue} is no name of a queue: {error}"))?;
    ensure!(queue != HUB, "{HUB} holds the broker's own sessions and retained messages; it cannot be dropped");
    ensure!(dir.is_dir(), "there is no store in {}", dir.display());
    let records = match open(config, dir, &name)? {
        Some(store) => drop_in(store, &name)?,
        None => ask(config, dir, queue)?,
    };
    writeln!(std::io::stdout().lock(), "dropped {records} records of {queue}")?;
    Ok(Exit::Good)
}

/// The store, unless a gateway has it.
fn open(config: Option<&Path>, dir: &Path, queue: &Name) -> anyhow::Result<Option<Store>> {
    let plan = config.map(plan::load).and_then(Result::ok).map(|(plan, _)| plan);
    let used = plan.as_ref().is_some_and(|plan| plan.bridges.iter().any(|bridge| bridge.name == *queue));
    let settings = plan.map_or_else(|| settings(dir), |plan| plan.store);
    let cannot = || format!("cannot open the store in {}", dir.display());
    match Store::open(Box::new(RealDisk::new(dir).with_context(cannot)?), settings) {
        Ok(_) if used => bail!("bridge {queue} is in the configuration: take it out first"),
        Ok(store) => Ok(Some(store)),
        Err(OpenError::Locked) => Ok(None),
        Err(error) => Err(error).with_context(cannot),
    }
}

/// For a store whose configuration nobody named: nothing is written to it but what is gone.
fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        max_size: 1 << 40,
        segment_size: 8 << 20,
        max_loss: Duration::from_secs(1),
        when_full: WhenFull::Reject,
        max_commits_per_s: 20,
    }
}

fn drop_in(store: Store, queue: &Name) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let dropped = store.drop_queue(queue).await.with_context(|| format!("queue {queue} was not dropped"));
        store.close().await?;
        dropped
    })
}

/// Asks the gateway that has the store.
fn ask(config: Option<&Path>, dir: &Path, queue: &str) -> anyhow::Result<u64> {
    let targets = Target::candidates(config, dir.parent().unwrap_or(dir));
    let request = Request::Drop { queue: queue.to_owned() };
    for target in &targets {
        if target.is_reachable()? {
            return match target.ask_once(&request)? {
                Answer::Dropped { records } => Ok(records),
                _ => bail!("the gateway answered something else"),
            };
        }
    }
    bail!("a gateway has the store in {} and cannot be reached: stop it, or name its --config", dir.display())
}
