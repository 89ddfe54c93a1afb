//! An outage that outlasts a small store: readings lose detail and nothing is lost, with a SIGKILL in the middle.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use weir::bridge::DEDUPE_KEY;
use weir::store::{self, Cause, ChainInfo};

use crate::cloud::{Arrival, Arrivals, collect};
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::lan::{Acknowledged, Device};
use crate::process::Weir;

/// Readings that have to be gone into others before the gateway is killed, and again before the link returns.
const ENOUGH: u64 = 4000;
/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the host's sensor counts: never a mean.
const COUNTERS: [&str; 3] = ["uptime", "net_rx", "net_tx"];

/// Sensors that fill a store of 1 MiB within seconds, and two devices: one of them publishes alarms.
fn configuration(dir: &Path, hub: SocketAddr, cloud: SocketAddr) -> PathBuf {
    let state = dir.join("state");
    let mut text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{hub}\"]\n\
         [store]\nmax_size = \"1MiB\"\nsegment = \"64KiB\"\n\
         [[sensor]]\nname = \"machine\"\ndriver = \"host\"\nevery = \"200ms\"\n"
    );
    for n in 0..24 {
        let (bus, address) = (n / 2, 0x76 + n % 2);
        write!(
            text,
            "[[sensor]]\nname = \"s{n}\"\ndriver = \"bme280\"\nevery = \"100ms\"\n\
             options = {{ bus = \"i2c-{bus}\", address = {address} }}\n"
        )
        .expect("a string");
    }
    (0..12).for_each(|bus| write!(text, "[bus.i2c-{bus}]\nbackend = \"simulated\"\n").expect("a string"));
    let bridge = format!(
        "[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{cloud}\"\nreplay = {{ rate = \"10000/s\" }}\n\
         [[bridge.forward]]\ntopics = [\"lan/alarm/#\"]\nclass = \"alarm\"\nprefix = \"site/\"\n\
         [[bridge.forward]]\ntopics = [\"lan/#\", \"shed/+/+\"]\nprefix = \"site/\"\n"
    );
    text.push_str(&bridge);
    let config = dir.join("weir.toml");
    std::fs::write(&config, text).expect("the scratch directory is writable");
    config
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("{what} does not come"));
}

/// What `weir status` says, as soon as it is what is wanted.
async fn reports(config: &Path, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let seen = async {
        while !wanted(&last) {
            let mut process = Command::new(env!("CARGO_BIN_EXE_weir"));
            process.args(["status", "--json", "--config"]).arg(config).stdin(Stdio::null());
            let end = tokio::task::spawn_blocking(move || process.output().expect("weir starts"));
            let output = end.await.expect("no panic");
            // It may not run at this moment.
            last = serde_json::from_slice(&output.stdout).unwrap_or_default();
        }
    };
    let seen = timeout(PATIENCE, seen).await;
    assert!(seen.is_ok(), "{what} does not come: {last}");
    last
}

/// The account of what the sensors say.
fn telemetry(report: &Value) -> &Value {
    let accounts = report["ledger"]["bridges"].as_array().map(Vec::as_slice).unwrap_or_default();
    accounts.iter().find(|account| account["class"] == "telemetry").unwrap_or(&Value::Null)
}

/// That account, as soon as it says what is wanted.
async fn says(config: &Path, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let is_wanted = |report: &Value| Some(telemetry(report)).filter(|it| !it.is_null()).is_some_and(&wanted);
    telemetry(&reports(config, what, is_wanted).await).clone()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Readings that are gone into others.
fn thinned(account: &Value) -> u64 {
    count(&account["dropped"]["thinned"])
}

/// Run, chain and sequence of an arrival.
fn key(arrival: &Arrival) -> Option<(u64, String, u64)> {
    let id = arrival.key.split(';').find_map(|pair| pair.strip_prefix(DEDUPE_KEY)?.strip_prefix('='))?;
    let mut parts = id.split('/').skip(1);
    let start = parts.next()?.parse().ok()?;
    let chain = parts.next()?.to_owned();
    Some((start, chain, parts.next()?.parse().ok()?))
}

/// How many readings an arrival stands for.
fn readings(topic: &str, arrival: &Arrival) -> u64 {
    let document: Value = serde_json::from_slice(&arrival.payload).unwrap_or_default();
    let aggregate = &document["aggregate"];
    if aggregate.is_null() {
        return 1;
    }
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{topic}: {document}"));
    let (min, mean, max) = (number(&aggregate["min"]), number(&document["value"]), number(&aggregate["max"]));
    assert!(min <= mean && mean <= max && count(&aggregate["count"]) > 1, "{topic}: {document}");
    assert!(!COUNTERS.iter().any(|counter| topic.ends_with(counter)), "{topic}: {document}");
    count(&aggregate["count"])
}

/// What of a chain has arrived and is acknowledged, each once: messages, readings that they stand for, and windows.
fn arrived(chain: &ChainInfo, arrivals: &BTreeMap<String, Vec<Arrival>>) -> (u64, u64, u64) {
    let (mut seen, mut stand_for, mut windows) = (HashSet::new(), 0, 0);
    let name = format!("{}.{}", chain.key.queue, chain.key.class);
    for (topic, arrival) in arrivals.iter().flat_map(|(topic, all)| all.iter().map(move |arrival| (topic, arrival))) {
        let Some((start, of, sequence)) = key(arrival) else { continue };
        if of == name && sequence <= chain.ack && seen.insert((start, sequence)) {
            let readings = readings(topic, arrival);
            (stand_for, windows) = (stand_for + readings, windows + u64::from(readings > 1));
        }
    }
    (seen.len() as u64, stand_for, windows)
}

/// The cloud knows every gap that is left in the list.
fn judge_gaps(chain: &ChainInfo, arrivals: &BTreeMap<String, Vec<Arrival>>) {
    let told = arrivals.get("site/shed/bridge/cloud/gap").map(Vec::as_slice).unwrap_or_default();
    let told: Vec<Value> = told.iter().filter_map(|it| serde_json::from_slice(&it.payload).ok()).collect();
    for gap in &chain.gaps {
        let same = |document: &&Value| {
            let id = document["id"].as_str().unwrap_or_default();
            id.ends_with(&format!("/{}.{}/gap/{}", chain.key.queue, chain.key.class, gap.id))
        };
        let document = told.iter().find(same).unwrap_or_else(|| panic!("{gap:?} is not told: {told:?}"));
        assert_eq!((count(&document["count"]), &document["cause"]), (gap.records, &gap.cause.word().into()));
        assert!(gap.told, "{gap:?}");
    }
}

/// Everything a device was promised has arrived as it was, in order.
fn judge_device(acknowledged: &Acknowledged, arrivals: &BTreeMap<String, Vec<Arrival>>) {
    for (topic, wanted) in acknowledged {
        let arrived = arrivals.get(&format!("site/{topic}")).map(Vec::as_slice).unwrap_or_default();
        let mut numbers: Vec<u64> = Vec::new();
        for arrival in arrived {
            let number = String::from_utf8_lossy(&arrival.payload).parse().expect("a number, as it was published");
            if !numbers.contains(&number) {
                assert!(numbers.last().is_none_or(|last| *last < number), "{topic}: {number} is late");
                numbers.push(number);
            }
        }
        let missing: Vec<_> = wanted.iter().filter(|number| numbers.binary_search(number).is_err()).collect();
        assert!(missing.is_empty(), "{topic}: {missing:?} of {} are missing", wanted.len());
    }
}

/// A broker that is away, with a subscriber whose session it keeps.
async fn away() -> (Mosquitto, Arrivals, JoinHandle<()>) {
    let mut cloud = Mosquitto::start().await;
    let (arrivals, collector) = collect(cloud.address(), "#").await;
    let stop = CancellationToken::new();
    let probe = Device { name: "probe".into(), topics: 1, every: Duration::from_millis(20) };
    let probe = tokio::spawn(probe.run(cloud.address(), stop.clone()));
    until("the subscription", || !arrivals.lock().expect("no panic in there").is_empty()).await;
    stop.cancel();
    probe.await.expect("no panic");
    cloud.stop();
    (cloud, arrivals, collector)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_that_outlasts_the_store_costs_detail_and_nothing_else() {
    let (dir, hub) = (tempfile::tempdir().expect("a scratch directory"), free_address());
    let (mut cloud, arrivals, collector) = away().await;
    let config = configuration(dir.path(), hub, cloud.address());
    let mut weir = Weir::start(&config, hub).await;
    let stop = CancellationToken::new();
    let device = |name: &str| Device { name: name.into(), topics: 3, every: Duration::from_millis(100) };
    let devices: JoinSet<Acknowledged> =
        ["alarm", "meter"].into_iter().map(|name| device(name).run(hub, stop.clone())).collect();

    let before = says(&config, "thinning", |account| thinned(account) > ENOUGH).await;
    weir.kill_and_start().await;
    says(&config, "thinning after the kill", |account| thinned(account) > thinned(&before) + ENOUGH).await;
    cloud.start_again().await;
    says(&config, "an end of the backlog", |account| count(&account["waiting"]) < 300).await;
    stop.cancel();
    let acknowledged: Acknowledged = devices.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.values().map(Vec::len).sum::<usize>() > 50, "{acknowledged:?}");
    let untold = |report: &Value| {
        report["gaps"]["bridges"].as_array().map_or(1, |gaps| gaps.iter().filter(|gap| gap["told"] != true).count())
    };
    let report = reports(&config, "that the cloud knows all gaps", |report| untold(report) == 0).await;
    let account = telemetry(&report);
    let dropped = account["dropped"].as_object().expect("some were thinned");
    assert!(dropped.keys().all(|cause| cause == "thinned"), "{account}");
    let sum = count(&account["acknowledged"]) + count(&account["waiting"]) + thinned(account);
    assert_eq!(sum, count(&account["stored"]), "{account}");
    assert_eq!(weir.terminate(), Some(0));

    let listing = store::inspect(&dir.path().join("state/store")).expect("the store is there");
    let chains: Vec<_> = listing.chains.iter().filter(|chain| chain.key.queue.as_str() == "cloud").collect();
    let all_there = || {
        let arrivals = arrivals.lock().expect("no panic in there");
        chains.iter().all(|chain| arrived(chain, &arrivals).0 + chain.dropped.total() >= chain.ack)
    };
    until("everything", all_there).await;
    collector.abort();
    let arrivals = arrivals.lock().expect("no panic in there").clone();
    let mut all_windows = 0;
    for chain in chains {
        // Every sequence that is acknowledged has arrived, in a window if not by itself.
        let (messages, readings, windows) = arrived(chain, &arrivals);
        assert_eq!(chain.dropped.total(), chain.dropped.of(Cause::Thinned), "{chain:?}");
        assert_eq!((messages + chain.dropped.total(), readings), (chain.ack, chain.ack), "{chain:?}");
        judge_gaps(chain, &arrivals);
        all_windows += windows;
    }
    judge_device(&acknowledged, &arrivals);
    assert!(all_windows > 20, "{all_windows}");
    println!("{all_windows} windows stand for {} readings more: {account}", thinned(account));
}
