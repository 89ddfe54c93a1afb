//! The hub beside mosquitto and rumqttd: messages per second, CPU time per message, latency, memory.
//!
//! `cargo bench --bench hub [-- ROUNDS | short | restart]`; `scripts/bench/hub` builds it and runs it. weir is the real
//! program with its store. Every round measures each broker once per case, so that a machine that becomes slower
//! slows all. MQTT 3.1.1, payloads of 64 bytes; a message counts when a subscriber has it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on should panic, else it tells"
)]

mod broker;
mod client;
mod latency;
mod load;
mod memory;
mod restart;
mod table;

use std::time::Duration;

use broker::{Broker, KINDS};
use load::Case;
use table::Three;
use weir::model::Qos;

const fn case(name: &'static str, qos: Qos, publishers: usize, subscribers: usize, messages: usize) -> Case {
    Case { name, qos, publishers, subscribers, messages }
}

const CASES: [Case; 9] = [
    case("QoS 0,   1 to 1", Qos::AtMostOnce, 1, 1, 400_000),
    case("QoS 1,   1 to 1", Qos::AtLeastOnce, 1, 1, 100_000),
    case("QoS 2,   1 to 1", Qos::ExactlyOnce, 1, 1, 50_000),
    case("QoS 0, 100 to 1", Qos::AtMostOnce, 100, 1, 400_000),
    case("QoS 1, 100 to 1", Qos::AtLeastOnce, 100, 1, 100_000),
    case("QoS 2, 100 to 1", Qos::ExactlyOnce, 100, 1, 50_000),
    case("QoS 0, 1 to 100", Qos::AtMostOnce, 1, 100, 8_000),
    case("QoS 1, 1 to 100", Qos::AtLeastOnce, 1, 100, 3_000),
    case("QoS 2, 1 to 100", Qos::ExactlyOnce, 1, 100, 1_500),
];

/// How much is measured.
struct Plan {
    rounds: usize,
    /// Divides the number of messages.
    scale: usize,
    latencies: usize,
    connections: usize,
    retained: usize,
    demo_settles: Duration,
    /// Only cases whose name contains this.
    only: String,
}

impl Plan {
    fn new(rounds: usize) -> Self {
        let demo_settles = Duration::from_secs(10);
        let (connections, retained, only) = (1000, 100_000, String::new());
        Self { rounds, scale: 1, latencies: 5000, connections, retained, demo_settles, only }
    }

    /// Enough to see that everything works.
    fn short() -> Self {
        let demo_settles = Duration::from_secs(1);
        Self {
            rounds: 1,
            scale: 20,
            latencies: 500,
            connections: 200,
            retained: 5000,
            demo_settles,
            only: String::new(),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let plan = match words[..] {
        ["restart"] => return runtime().block_on(restart::measure(100_000)),
        ["serve-rumqttd", address] => return broker::serve_rumqttd(address),
        [] => Plan::new(5),
        ["short"] => Plan::short(),
        [rounds] => Plan::new(rounds.parse().unwrap()),
        [rounds, only] => Plan { only: only.to_owned(), ..Plan::new(rounds.parse().unwrap()) },
        _ => panic!("hub [ROUNDS [CASE] | short | restart]"),
    };
    runtime().block_on(measure(&plan));
}

async fn measure(plan: &Plan) {
    let brokers = KINDS.map(Broker::start);
    table::throughput_head();
    for case in CASES.iter().filter(|case| case.name.contains(&plan.only)) {
        let mut rounds: Three<Vec<_>> = Default::default();
        for _ in 0..plan.rounds {
            for (broker, figures) in brokers.iter().zip(&mut rounds) {
                figures.push(case.run(broker, plan.scale).await);
            }
        }
        table::throughput(case, &rounds);
    }
    if "latency".contains(&plan.only) {
        latencies(plan, &brokers).await;
    }
    drop(brokers);
    if "memory".contains(&plan.only) {
        memories(plan).await;
    }
}

async fn latencies(plan: &Plan, brokers: &[Broker; 3]) {
    let mut rounds: Three<Vec<_>> = Default::default();
    for _ in 0..plan.rounds {
        for (broker, figures) in brokers.iter().zip(&mut rounds) {
            figures.push(latency::latencies(broker, plan.latencies).await);
        }
    }
    table::latency(&rounds);
}

async fn memories(plan: &Plan) {
    let mut figures: Three<memory::Memory> = Default::default();
    for (kind, figures) in KINDS.into_iter().zip(&mut figures) {
        *figures = memory::measure(kind, plan.connections, plan.retained).await;
    }
    let demo = tokio::task::spawn_blocking({
        let settles = plan.demo_settles;
        move || broker::demo_resident_kib(settles)
    });
    table::memory(&figures, plan.connections, plan.retained, demo.await.unwrap());
}
