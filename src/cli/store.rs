//! `weir store`: what lies in a store's directory, and whether it is whole, whether a gateway runs on it or not;
//! deleting what a removed bridge has left behind; dead letters, which are asked for at the gateway that runs.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;

use super::control::Target;
use super::{Exit, drop, letters};
use crate::plan;
use crate::store::{self, Contents, Listing};

/// Arguments of `weir store`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Configuration file of the gateway, to find its store
    #[arg(long, value_name = "FILE", default_value = plan::DEFAULT_PATH, global = true)]
    config: PathBuf,
    /// The store's directory, instead of a configuration
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List queues, what waits in them, what was lost, and segments
    List,
    /// Read every byte and tell what is wrong
    Verify,
    /// List what the cloud of a bridge refuses for good; asks the running gateway
    Letters {
        /// Name of the bridge
        bridge: String,
        /// Control socket of the gateway [default: that of the service, or of --config]
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Send what the cloud of a bridge has refused for good once more, or forget it; asks the running gateway
    Replay {
        /// Name of the bridge
        bridge: String,
        /// Forget it instead
        #[arg(long)]
        drop: bool,
        /// Control socket of the gateway [default: that of the service, or of --config]
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Delete what waits in a queue that no bridge uses any more
    Drop {
        /// The name of the queue: that of the bridge which was removed
        queue: String,
    },
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let target = |socket: &Option<PathBuf>| {
        let config = Some(args.config.clone()).filter(|config| config != plan::DEFAULT_PATH && socket.is_none());
        Target::new(config, socket.clone())
    };
    match &args.what {
        What::List | What::Drop { .. } => look(args, false),
        What::Verify => look(args, true),
        What::Letters { bridge, socket } => letters::list(&target(socket), bridge),
        What::Replay { bridge, drop, socket } => letters::replay(&target(socket), bridge, *drop),
    }
}

/// What can be seen from outside.
fn look(args: &Args, verify: bool) -> anyhow::Result<Exit> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => match plan::load(&args.config) {
            Ok((plan, _)) => plan.store.dir,
            Err(report) => return super::check::refuse(&report),
        },
    };
    if let What::Drop { queue } = &args.what {
        return drop::run(args.dir.is_none().then_some(args.config.as_path()), &dir, queue);
    }
    let cannot = || format!("cannot read the store in {}", dir.display());
    let mut out = std::io::stdout().lock();
    if !verify {
        list(&store::inspect(&dir).with_context(cannot)?, &mut out)?;
        return Ok(Exit::Good);
    }
    let report = store::verify(&dir).with_context(cannot)?;
    report.problems.iter().try_for_each(|problem| writeln!(out, "problem: {problem}"))?;
    report.remarks.iter().try_for_each(|remark| writeln!(out, "remark: {remark}"))?;
    let contents = report.listing.segments.iter().filter_map(|segment| segment.contents);
    let records: u64 = contents.map(|contents| contents.records).sum();
    writeln!(out, "{} segments, {records} records read", report.listing.segments.len())?;
    Ok(if report.problems.is_empty() { Exit::Good } else { Exit::Failed })
}

fn list(listing: &Listing, out: &mut impl Write) -> std::io::Result<()> {
    match listing.id {
        Some(id) => writeln!(out, "store {id}, run {}", listing.start)?,
        None => writeln!(out, "no store yet, or its ledger cannot be read")?,
    }
    for chain in &listing.chains {
        let (key, ack, backlog, lost) = (&chain.key, chain.ack, chain.backlog, chain.dropped.lost());
        let size: u64 = listing.segments.iter().filter(|it| it.key == *key).map(|it| it.size).sum();
        writeln!(out, "queue {key}: delivered up to {ack}, {backlog} waiting, {lost} lost, {size} bytes on disk")?;
        for gap in &chain.gaps {
            let known = if gap.told { ", told" } else { "" };
            writeln!(out, "  gap {} to {}: {} records, {}{known}", gap.first, gap.last, gap.records, gap.cause)?;
        }
    }
    for segment in &listing.segments {
        let range = segment.range.map_or("empty".to_owned(), |(first, last)| format!("{first} to {last}"));
        let (file, of) = (&segment.file, segment.size / 4096);
        match segment.contents {
            Some(Contents { blocks, frames, .. }) => {
                writeln!(out, "segment {file}: {range}, {frames} frames, {blocks} of {of} blocks")?;
            }
            None => writeln!(out, "segment {file}: {range}, {of} blocks")?,
        }
    }
    Ok(())
}
