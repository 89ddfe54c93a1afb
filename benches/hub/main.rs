//! Messages per second through the hub and through mosquitto, measured in turn in one run.
//!
//! `cargo bench --bench hub [-- ROUNDS]`; `scripts/bench/hub` builds it and runs it. Every round measures
//! each broker once per case, so that a machine that becomes slower slows both. MQTT 3.1.1,
//! payloads of 64 bytes; a message counts when the subscriber has it.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should panic")]

mod broker;
mod load;

use std::io::Write;

use broker::Broker;
use load::Case;

const CASES: &[Case] = &[
    Case { name: "QoS 0,   1 to 1", qos: 0, publishers: 1, messages: 400_000 },
    Case { name: "QoS 1,   1 to 1", qos: 1, publishers: 1, messages: 100_000 },
    Case { name: "QoS 0, 100 to 1", qos: 0, publishers: 100, messages: 400_000 },
    Case { name: "QoS 1, 100 to 1", qos: 1, publishers: 100, messages: 100_000 },
];

/// Messages per second, and how many of a hundred arrived.
#[derive(Debug, Clone, Copy)]
struct Figure {
    rate: f64,
    arrived: f64,
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.next().as_deref() {
        Some("serve") => runtime.block_on(broker::serve()),
        first => {
            let rounds = first.and_then(|it| it.parse().ok()).unwrap_or(5);
            runtime.block_on(measure(rounds));
        }
    }
}

async fn measure(rounds: usize) {
    let mut out = std::io::stdout();
    writeln!(out, "{:16} {:>12} {:>12} {:>6}  (median of {rounds} rounds)", "", "weir", "mosquitto", "ratio").unwrap();
    let brokers = [Broker::weir(), Broker::mosquitto()];
    for case in CASES {
        let mut figures: [Vec<Figure>; 2] = Default::default();
        for _ in 0..rounds {
            for (broker, figures) in brokers.iter().zip(&mut figures) {
                figures.push(case.run(broker.address).await);
            }
        }
        let rate = |of: &[Figure]| median(of.iter().map(|it| it.rate).collect());
        let arrived = |of: &[Figure]| of.iter().map(|it| it.arrived).fold(100.0, f64::min);
        let [weir, other] = &figures;
        let loss = format!("arrived at worst: {:.1} %, {:.1} %", arrived(weir), arrived(other));
        let ratio = rate(weir) / rate(other);
        writeln!(out, "{:16} {:>10.0}/s {:>10.0}/s {ratio:>6.2}  {loss}", case.name, rate(weir), rate(other)).unwrap();
    }
    for broker in &brokers {
        writeln!(out, "{}", broker.memory()).unwrap();
    }
}
