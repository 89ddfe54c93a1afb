//! What becomes of messages in an outage: weir beside mosquitto 2.0 and 2.1 under the same faults at the same time.
//!
//! `scripts/bench/outage`, `scripts/bench/fleet` and `scripts/bench/rabbitmq` run it. Each gateway has devices, a cloud,
//! a cable and a disk of its own; devices send 500 messages of 64 bytes per second at QoS 1, the round trip is 100 ms.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on should panic, else it tells"
)]

mod backlog;
mod case;
mod cluster;
#[path = "../../tests/common/mod.rs"]
mod common;
mod figures;
#[path = "../../tests/outage/kit/mod.rs"]
mod kit;
mod peers;
mod table;

use std::time::Duration;

use case::{CASES, Times};
use figures::Figures;
use peers::Kind;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match words[..] {
            ["fleet", gateways, outage_s] => fleet(gateways.parse().unwrap(), outage_s.parse().unwrap()).await,
            ["cluster", control, ref nodes @ ..] => cluster::run(control, nodes).await,
            ["short", ref cases @ ..] => outages(1, Times::SHORT, cases).await,
            [rounds, ref cases @ ..] => outages(rounds.parse().unwrap(), Times::FULL, cases).await,
            [] => outages(1, Times::FULL, &[]).await,
        }
    });
}

/// All cases whose name is among `wanted`, or all.
async fn outages(rounds: usize, times: Times, wanted: &[&str]) {
    let asked = |name: &str| wanted.is_empty() || wanted.contains(&name);
    for name in wanted {
        let known = *name == "backlog" || CASES.iter().any(|case| case.name == *name);
        assert!(known, "there is no case {name}; there are {:?} and backlog", CASES.map(|case| case.name));
    }
    let peers = peers::available();
    let mut all: Vec<(&'static str, Kind, Figures)> = Vec::new();
    table::head(times);
    for _ in 0..rounds {
        for case in CASES.iter().filter(|case| asked(case.name)) {
            let figures = case.run(&peers, times).await;
            table::rows(case.name, &figures);
            if case.name == "worn" {
                table::worn(&figures, times.worn_segment_mib);
            }
            all.extend(figures.into_iter().map(|(kind, figures)| (case.name, kind, figures)));
        }
    }
    let backlog = if asked("backlog") { Some(backlog::measure(times).await) } else { None };
    table::verdicts(&all, backlog.as_ref());
}

async fn fleet(gateways: usize, outage_s: u64) {
    let outage = Duration::from_secs(outage_s);
    let plan = kit::fleet::Plan { gateways, outage, every: Duration::from_millis(500) };
    let outcome = kit::fleet::run(&plan).await;
    table::fleet(&plan, &outcome);
}
