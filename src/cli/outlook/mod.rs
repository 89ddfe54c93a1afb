//! `weir plan [FILE]`: what a configuration amounts to, in readings, days offline, card wear and megabytes.

mod text;

use std::io::Write as _;
use std::path::PathBuf;

use super::Exit;
use crate::config::units::{Bytes, Every};
use crate::model::Topic;
use crate::plan::outlook::{Assumptions, Lan, outlook};
use crate::plan::{self};

/// `weir plan`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; `conf.d/*.toml` beside it belongs to it
    #[arg(default_value = plan::DEFAULT_PATH)]
    file: PathBuf,
    /// What may be written to the card before it wears out [default: 16TB, a card of 32 GB written 500 times]
    #[arg(long, value_name = "SIZE", value_parser = Bytes::parse)]
    endurance: Option<Bytes>,
    /// Publishers on the LAN, as in "10/s x 64B" or "2/m x 200B on shed/dev/meter"; may be repeated
    #[arg(long, value_name = "RATE", value_parser = lan)]
    lan: Vec<Lan>,
    /// From here to the cloud and back
    #[arg(long, value_name = "TIME", value_parser = Every::parse, default_value = "100ms")]
    round_trip: Every,
    /// As one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let plan = match plan::load(&args.file) {
        Ok((plan, _)) => plan,
        Err(report) => return super::check::refuse(&report),
    };
    let usual = Assumptions::default();
    let assumptions = Assumptions {
        endurance: args.endurance.map_or(usual.endurance, |bytes| bytes.0 as f64),
        round_trip: args.round_trip.0,
        lan: args.lan.clone(),
    };
    let outlook = outlook(&plan, &assumptions);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &outlook)?;
        writeln!(out)?;
    } else {
        text::print(&outlook, &assumptions, &mut out)?;
    }
    Ok(Exit::Good)
}

/// Understands `10/s x 64B`, and a topic behind ` on `.
fn lan(text: &str) -> Result<Lan, String> {
    let wrong = || format!("{text:?} is not what devices send: write a rate and a size, as in \"10/s x 64B\"");
    let (what, topic) = match text.split_once(" on ") {
        Some((what, topic)) => (what, Some(Topic::new(topic.trim()).map_err(|why| why.to_string())?)),
        None => (text, None),
    };
    let (rate, size) = what.split_once(['x', '×']).ok_or_else(wrong)?;
    let (number, unit) = rate.trim().split_once('/').ok_or_else(wrong)?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let size = Bytes::parse(size.trim())?;
    let fine = number.is_finite() && (0.0..=1e6).contains(&number) && size.0 <= 268_435_455;
    let payload = usize::try_from(size.0).map_err(|_| wrong())?;
    if fine { Ok(Lan { per_s: number / seconds, payload, topic }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_send_is_understood() {
        let plain = Lan { per_s: 10.0, payload: 64, topic: None };
        assert_eq!(lan("10/s x 64B"), Ok(plain.clone()));
        assert_eq!(lan("10/s×64B"), Ok(plain));
        let topic = Some(Topic::new("shed/dev/meter").unwrap());
        assert_eq!(lan("3/m x 1KiB on shed/dev/meter"), Ok(Lan { per_s: 0.05, payload: 1024, topic }));
        for wrong in
            ["", "10", "10/s", "10/s x", "x 64B", "10 x 64B", "10/y x 64B", "-1/s x 1B", "nan/s x 1B", "1/s x 1GB"]
        {
            assert!(lan(wrong).is_err(), "{wrong}");
        }
        assert!(lan("1/s x 1B on a/#").is_err());
    }
}
