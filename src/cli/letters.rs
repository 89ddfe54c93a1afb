//! `weir store letters` and `weir store replay`: what a cloud refuses for good.

use std::io::Write as _;

use anyhow::bail;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};

pub(super) fn list(target: &Target, bridge: &str) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    for answer in target.ask(&Request::Letters { bridge: bridge.to_owned() })? {
        match answer? {
            Answer::Letter { number, topic, taken, why, key } => {
                let topic = if topic.is_empty() { "(damaged)" } else { &topic };
                writeln!(out, "{number} {topic} {taken} {key}: {why}")?;
            }
            Answer::Error { error } => bail!(error),
            _ => bail!("the gateway answered something else"),
        }
    }
    Ok(Exit::Good)
}

pub(super) fn replay(target: &Target, bridge: &str, drop: bool) -> anyhow::Result<Exit> {
    let Answer::Emptied { letters } = target.ask_once(&Request::Replay { bridge: bridge.to_owned(), drop })? else {
        bail!("the gateway answered something else");
    };
    let done = if drop { "forgotten" } else { "on their way again" };
    writeln!(std::io::stdout(), "{letters} messages {done}")?;
    Ok(Exit::Good)
}
