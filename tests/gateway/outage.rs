//! An outage of the cloud with a SIGKILL in the middle: everything acknowledged arrives, in order.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cloud::{Arrival, Arrivals, collect};
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::lan::{Acknowledged, Device};
use crate::process::Weir;

/// Kill times are drawn from these; one run each.
const SEEDS: u64 = 10;
const OUTAGE: Duration = Duration::from_secs(20);
/// Four devices, each 50 messages per second.
const DEVICES: usize = 4;
/// Unacknowledged messages of the bridge, and of acknowledgements that were not written yet (5 s at 200/s).
const WINDOW: usize = 256 + 5 * 200;

/// Devices publish into the gateway while the cloud goes away for 20 s and the gateway is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_arrives_in_order_through_an_outage_and_a_kill() {
    all((0..SEEDS).map(|seed| run(seed, String::new()))).await;
}

/// The same when the messages travel in batches, one of which is on its way or half full as the gateway is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_keep_what_is_acknowledged_too() {
    let batches = [("json", "none"), ("senml", "none"), ("delta", "zstd")];
    let runs = (100..).zip(batches).map(|(seed, (format, compress))| {
        let rule = format!("batch = {{ max_age = \"700ms\", format = \"{format}\", compress = \"{compress}\" }}\n");
        run(seed, rule)
    });
    all(runs).await;
}

/// All runs at once: they wait for most of the time.
async fn all(runs: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut runs: JoinSet<()> = runs.collect();
    while let Some(run) = runs.join_next().await {
        run.expect("this run holds the promise");
    }
}

async fn run(seed: u64, rule: String) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut cloud = Mosquitto::start().await;
    let (arrivals, collector) = collect(cloud.address(), "site/#").await;
    let address = free_address();
    let (_dir, config) = configuration(address, cloud.address(), &rule);
    let mut weir = Weir::start(&config, address).await;
    let stop = CancellationToken::new();
    let devices: JoinSet<Acknowledged> = (0..DEVICES).map(|n| device(n).run(address, stop.clone())).collect();
    wait_for_arrivals(&arrivals, 200).await;

    cloud.stop();
    let (began, killed_after) = (Instant::now(), OUTAGE.mul_f64(chance.f64()));
    sleep(killed_after).await;
    weir.kill_and_start().await;
    let killed = Instant::now();
    sleep(OUTAGE.saturating_sub(began.elapsed())).await;
    cloud.start_again().await;

    sleep(Duration::from_secs(3)).await;
    stop.cancel();
    let acknowledged: Acknowledged = devices.join_all().await.into_iter().flatten().collect();
    if !all_arrive(&arrivals, &acknowledged).await {
        let missing = describe(&acknowledged, &arrivals.lock().expect("no panic in there"), began);
        panic!("seed {seed}: acknowledged and not there 60 s later, killed after {killed_after:?}:{missing}");
    }
    collector.abort();
    let arrivals = arrivals.lock().expect("no panic in there").clone();
    judge(&acknowledged, &arrivals, seed);
    assert!(arrivals.keys().any(|topic| topic.starts_with("site/demo/machine/")), "readings arrive too");
    assert_eq!(weir.terminate(), Some(0), "seed {seed}: SIGTERM ends it well {:?}", killed.elapsed());
}

fn device(n: usize) -> Device {
    Device { name: format!("d{n}"), topics: 3, every: Duration::from_millis(20) }
}

/// All demo sensors and one bridge, with `rule` added to what it forwards.
fn configuration(hub: SocketAddr, cloud: SocketAddr, rule: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let demo = include_str!("../../config/demo.toml");
    let state = format!("\"{}\"", dir.path().join("state").display());
    let mut text = demo.replace("127.0.0.1:1883", &hub.to_string()).replace("\"weir-data\"", &state);
    let bridge = format!(
        "\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{cloud}\"\nclient_id = \"demo-gw\"\n\
         [[bridge.forward]]\ntopics = [\"#\"]\nprefix = \"site/\"\n{rule}"
    );
    text.push_str(&bridge);
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, text).expect("the scratch directory is writable");
    (dir, config)
}

async fn wait_for_arrivals(arrivals: &Arrivals, count: usize) {
    let enough = async {
        while arrivals.lock().expect("no panic in there").values().map(Vec::len).sum::<usize>() < count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), enough).await.expect("messages reach the cloud");
}

async fn all_arrive(arrivals: &Arrivals, acknowledged: &Acknowledged) -> bool {
    let all = async {
        while missing(acknowledged, &arrivals.lock().expect("no panic in there")) > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), all).await.is_ok()
}

/// What is missing, and when its neighbours arrived, in seconds since the cloud went away.
fn describe(acknowledged: &Acknowledged, arrivals: &BTreeMap<String, Vec<Arrival>>, began: Instant) -> String {
    let mut text = String::new();
    for (topic, wanted) in acknowledged {
        let arrived = arrivals.get(&format!("site/{topic}")).map(Vec::as_slice).unwrap_or_default();
        let there = numbers(arrived);
        let seconds = |at: Instant| at.duration_since(began).as_secs_f64() - began.duration_since(at).as_secs_f64();
        for lost in wanted.iter().filter(|number| !there.contains(number)) {
            let near = there.iter().zip(arrived).filter(|(number, _)| number.abs_diff(*lost) < 10);
            let near: Vec<_> = near.map(|(number, arrival)| format!("{number} {:+.3}", seconds(arrival.at))).collect();
            write!(text, "\n{topic} {lost}; near it: {}", near.join(", ")).expect("a string");
        }
    }
    text
}

fn numbers(arrivals: &[Arrival]) -> Vec<u64> {
    let number = |arrival: &Arrival| String::from_utf8_lossy(&arrival.payload).parse().expect("a number");
    arrivals.iter().map(number).collect()
}

fn missing(acknowledged: &Acknowledged, arrivals: &BTreeMap<String, Vec<Arrival>>) -> usize {
    let missing = |(topic, wanted): (&String, &Vec<u64>)| {
        let got: HashSet<u64> =
            arrivals.get(&format!("site/{topic}")).map(|got| numbers(got)).unwrap_or_default().into_iter().collect();
        wanted.iter().filter(|number| !got.contains(number)).count()
    };
    acknowledged.iter().map(missing).sum()
}

/// Order per topic, counting the first arrival of each; repeats carry the key of their first arrival.
fn judge(acknowledged: &Acknowledged, arrivals: &BTreeMap<String, Vec<Arrival>>, seed: u64) {
    assert_eq!(missing(acknowledged, arrivals), 0, "seed {seed}");
    let (mut total, mut repeats) = (0, 0);
    for (topic, arrived) in arrivals.iter().filter(|(topic, _)| topic.starts_with("site/lan/")) {
        let mut keys: BTreeMap<u64, &str> = BTreeMap::new();
        for (number, arrival) in numbers(arrived).into_iter().zip(arrived) {
            total += 1;
            match keys.get(&number) {
                Some(key) => {
                    repeats += 1;
                    assert_eq!(*key, arrival.key, "seed {seed}: {topic} {number} came again under another key");
                }
                None => {
                    let last = keys.last_key_value().map_or(0, |(last, _)| *last);
                    assert!(number > last, "seed {seed}: {topic} {number} came after {last}");
                    assert!(arrival.key.contains('='), "seed {seed}: {topic} {number} has no key");
                    keys.insert(number, &arrival.key);
                }
            }
        }
    }
    assert!(repeats <= WINDOW, "seed {seed}: {repeats} repeats of {total}");
    let promised: usize = acknowledged.values().map(Vec::len).sum();
    println!("seed {seed}: {promised} acknowledged, {total} arrived, {repeats} repeats");
}
