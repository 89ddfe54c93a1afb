//! Resident memory: idle, with idle connections, with retained messages; and the start with those.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};
use weir::model::Qos;

use crate::broker::{Broker, Kind};
use crate::client::{Input, client, subscriber};
use crate::load::publish;

/// How long a broker may take to come to rest.
const SETTLES: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_secs(3);
const WINDOW: usize = 100;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) idle_kib: u64,
    /// What one idle connection adds.
    pub(crate) connection_bytes: f64,
    pub(crate) retained_kib: u64,
    /// From SIGKILL's end to the first CONNACK, in milliseconds; and how many retained messages are there then.
    pub(crate) start_ms: f64,
    pub(crate) kept: usize,
}

/// Measures brokers of one kind that have done nothing before.
pub(crate) async fn measure(kind: Kind, connections: usize, retained: usize) -> Memory {
    let mut memory = Memory::default();
    let broker = Broker::start(kind);
    sleep(SETTLES).await;
    memory.idle_kib = broker.resident_kib();
    let mut idle = Vec::new();
    for number in 0..connections {
        idle.push(client(broker.address, &format!("idle{number:05}")).await);
    }
    sleep(SETTLES).await;
    memory.connection_bytes = (broker.resident_kib() - memory.idle_kib) as f64 * 1024.0 / connections as f64;
    drop((idle, broker));

    let mut broker = Broker::start(kind);
    let publisher = client(broker.address, "publisher").await;
    publish(publisher, Qos::AtLeastOnce, retained, WINDOW, topic, true).await;
    sleep(SETTLES).await;
    memory.retained_kib = broker.resident_kib();
    let began = Instant::now();
    broker.kill_and_start();
    drop(client(broker.address, "first").await);
    memory.start_ms = began.elapsed().as_secs_f64() * 1000.0;
    memory.kept = count(&broker, retained).await;
    memory
}

fn topic(number: usize) -> String {
    format!("bench/device{number:06}/temperature")
}

/// How many retained messages there are.
async fn count(broker: &Broker, wanted: usize) -> usize {
    let mut socket = subscriber(broker.address, "counter", "bench/+/temperature", Qos::AtMostOnce).await;
    let (mut input, mut count) = (Input::new(), 0);
    while count < wanted {
        let read = input.read(&mut socket, |kind, _| count += usize::from(kind == 3));
        let Ok(true) = timeout(SILENCE, read).await else { break };
    }
    socket.shutdown().await.ok();
    count
}
