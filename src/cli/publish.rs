//! `weir pub`: publishes one message through the hub.

use std::io::{Read as _, Write as _};

use anyhow::bail;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};

/// `weir pub`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Topic name
    topic: String,
    /// Payload; read from standard input when it is left out
    payload: Option<String>,
    /// Quality of service
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Let the hub keep it as the topic's last value
    #[arg(short, long)]
    retain: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let payload = match args.payload {
        Some(text) => text.into_bytes(),
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            bytes
        }
    };
    let request = Request::Pub { topic: args.topic, payload, qos: args.qos, retain: args.retain };
    match args.target.ask_once(&request)? {
        Answer::Published { verdict } if verdict == "safe" => Ok(Exit::Good),
        Answer::Published { verdict } => {
            writeln!(std::io::stderr().lock(), "not acknowledged: {verdict}")?;
            Ok(Exit::Failed)
        }
        _ => bail!("the gateway answered something else"),
    }
}
