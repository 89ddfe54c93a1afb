//! `weir sub`: shows messages as they pass through the hub.

use std::io::Write as _;

use anyhow::bail;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};

/// `weir sub`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Topic filters
    #[arg(required = true)]
    filters: Vec<String>,
    /// End after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<usize>,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let answers = args.target.ask(&Request::Sub { filters: args.filters })?;
    for answer in answers.take(args.count.unwrap_or(usize::MAX)) {
        match answer? {
            Answer::Message { topic, payload, .. } => {
                let mut out = std::io::stdout().lock();
                write!(out, "{topic} ")?;
                out.write_all(&payload)?;
                writeln!(out)?;
            }
            Answer::Error { error } => bail!(error),
            _ => bail!("the gateway answered something else"),
        }
    }
    Ok(Exit::Good)
}
