//! A large backlog: memory, the time from start to the first record sent, the drain, and who passes it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use weir::hub::codec::{Packet, Publish, Version, decode};
use weir::model::Qos;

use crate::case::{ROUND_TRIP, Times};
use crate::common::mosquitto::free_address;
use crate::common::proxy::Proxy;
use crate::figures::quantiles;
use crate::kit::cloud::{Arrival, Cloud};
use crate::kit::device::{Device, welcomed};
use crate::kit::machine::{Ground, Machine};
use crate::kit::note::Note;
use crate::kit::now_us;
use crate::peers::{Kind, Weir};

/// Of a record that fills the store.
const PAYLOAD: usize = 400;
const PUBLISHERS: usize = 8;
const WINDOW: u64 = 500;
/// How long the drain is watched, once it runs.
const WATCHED: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) mib: u64,
    pub(crate) peak_mb: f64,
    pub(crate) first_s: f64,
    /// When the link comes back, and when the gateway was killed and started besides.
    pub(crate) mended: Drain,
    pub(crate) restarted: Drain,
}

/// A part of the drain.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) per_s: f64,
    /// Of another topic, and of one with alarms: p50 and p99.
    pub(crate) live_ms: Option<[f64; 2]>,
    pub(crate) alarm_ms: Option<[f64; 2]>,
}

/// Fills a store, mends the link, kills the gateway, and measures it from its next start on.
pub(crate) async fn measure(times: Times) -> Backlog {
    let mib = times.backlog_mib;
    let cloud = Cloud::start().await;
    let cable = Proxy::start(cloud.address()).await;
    cable.refuse(true);
    let hub = free_address();
    // Filled as fast as the disk takes it: the bounds of daily use would make that a matter of hours.
    let more = Weir {
        store: "max_size = \"4GiB\"\nmax_commits = 1000",
        hub: "limits = { in_flight = 1000, memory = \"48MiB\" }",
        bridge: "",
    };
    let recipe = Kind::Weir.recipe(hub, cable.address(), &more);
    let mut machine = Machine::start(Ground::dir(), hub, recipe).await;
    let filled = fill(hub, mib << 20).await;
    let filling_mb = megabytes(&mut machine);
    println!("\nbacklog: {filled} records in {mib} MiB; {filling_mb:.1} MB RSS while it was filled");
    cable.refuse(false);
    more_than(&cloud, 0).await;
    let mended = drain(&cloud, &cable, hub, 0).await;
    machine.kill();

    cable.delay(Duration::ZERO);
    // What was on its way has arrived.
    sleep(ROUND_TRIP * 2).await;
    let before = cloud.book().count();
    let began = Instant::now();
    machine.switch_on();
    more_than(&cloud, before).await;
    let first_s = began.elapsed().as_secs_f64();
    let restarted = drain(&cloud, &cable, hub, 1).await;
    Backlog { mib, peak_mb: megabytes(&mut machine), first_s, mended, restarted }
}

fn megabytes(machine: &mut Machine) -> f64 {
    machine.peak_kib() as f64 * 1024.0 / 1e6
}

/// Waits until more than so many messages have arrived.
async fn more_than(cloud: &Cloud, count: usize) {
    while cloud.book().count() <= count {
        sleep(POLL).await;
    }
}

/// The drain over the long line, with devices that pass it, the `round`th ones.
async fn drain(cloud: &Cloud, cable: &Proxy, hub: SocketAddr, round: usize) -> Drain {
    cable.delay(ROUND_TRIP / 2);
    // The line is as long as it will be, and the gateway has noticed.
    sleep(Duration::from_secs(2)).await;
    let (stop, mut devices) = (CancellationToken::new(), JoinSet::new());
    let topics = [format!("bench/live/{round}"), format!("bench/alarm/{round}")];
    for topic in topics.clone() {
        let device = Device { topic, every: Duration::from_millis(50), window: 1000 };
        devices.spawn(device.run(hub, stop.clone()));
    }
    let from_us = now_us();
    sleep(WATCHED).await;
    let to_us = now_us();
    stop.cancel();
    devices.detach_all();
    let book = cloud.book();
    assert!(book.nonsense.is_empty(), "{:?}", book.nonsense);
    let within = |it: &&Arrival| (from_us..to_us).contains(&it.at_us);
    let of_backlog = book.arrivals.iter().filter(|(topic, _)| topic.starts_with("bench/fill"));
    let drained = of_backlog.flat_map(|(_, all)| all).filter(within).count();
    let [live_ms, alarm_ms] =
        topics.map(|topic| quantiles(book.arrivals.get(&topic)?.iter().map(|it| it.at_us - it.note.sent_us)));
    Drain { per_s: drained as f64 / ((to_us - from_us) as f64 / 1e6), live_ms, alarm_ms }
}

/// Publishes until the payloads alone make so many bytes; gives how many messages that were.
async fn fill(hub: SocketAddr, bytes: u64) -> u64 {
    let each = bytes / PAYLOAD as u64 / PUBLISHERS as u64;
    let publishers: JoinSet<_> = (0..PUBLISHERS).map(|n| publish(hub, format!("bench/fill{n}"), each)).collect();
    publishers.join_all().await;
    each * PUBLISHERS as u64
}

async fn publish(hub: SocketAddr, topic: String, count: u64) {
    let mut stream = welcomed(hub, &topic).await.unwrap();
    let (mut sent, mut acknowledged, mut inbox, mut out) = (0, 0, Vec::new(), Vec::new());
    while acknowledged < count {
        while sent < count && sent - acknowledged < WINDOW {
            sent += 1;
            let payload = Note { number: sent, sent_us: now_us() }.payload(PAYLOAD);
            let (packet_id, topic, qos) = ((sent % 65_535) as u16 + 1, topic.as_str(), Qos::AtLeastOnce);
            let publish =
                Publish { dup: false, qos, retain: false, topic, packet_id, properties: None, payload: &payload };
            Packet::Publish(publish).encode(Version::V4, &mut out);
        }
        stream.write_all(&out).await.unwrap();
        out.clear();
        assert!(stream.read_buf(&mut inbox).await.unwrap() > 0, "the gateway closed the connection");
        let mut at = 0;
        while let Some((_, size)) = decode(&inbox[at..], Version::V4, 1 << 20).unwrap() {
            at += size;
            acknowledged += 1;
        }
        inbox.drain(..at);
    }
}
