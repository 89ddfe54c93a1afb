//! Power cuts: hub, store and bridge in this process, on the simulated disk, with a real cloud.
//!
//! The cloud is away while the power is cut again and again, so that only the disk can keep what was
//! acknowledged. A disk that never syncs must lose some of it, or the test would prove nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use weir::config::Sources;
use weir::gateway::{Gateway, Options};
use weir::plan::{self, Plan};
use weir::runtime::Clock;
use weir::store::disk::sim::SimDisk;

use crate::cloud::{Arrivals, collect};
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::lan::{Acknowledged, Device};

/// Seeds per run of the test.
const SEEDS: u64 = 8;
/// Cuts per seed.
const CUTS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing_that_was_acknowledged() {
    let mut runs: JoinSet<(u64, usize)> = (0..SEEDS).map(|seed| run(seed, true)).collect();
    while let Some(end) = runs.join_next().await {
        let (seed, lost) = end.expect("a run ends");
        assert_eq!(lost, 0, "seed {seed}: acknowledged messages were lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_syncs_is_caught() {
    let runs: JoinSet<(u64, usize)> = (0..4).map(|seed| run(seed, false)).collect();
    let lost: usize = runs.join_all().await.into_iter().map(|(_, lost)| lost).sum();
    assert!(lost > 0, "nothing was lost without a sync: the cuts do not cut");
}

#[tokio::test]
async fn a_gateway_without_its_store_says_so() {
    let disk = SimDisk::new(1);
    let nowhere = free_address();
    let plan = plan(free_address(), nowhere);
    let gateway = Gateway::start(plan, Box::new(disk), Clock::system(), Options::default()).await.expect("it starts");
    assert!(timeout(Duration::from_millis(100), gateway.failed()).await.is_err(), "all is well");
    gateway.store().clone().close().await.expect("nothing to lose");
    let why = timeout(Duration::from_secs(10), gateway.failed()).await.expect("it is noticed");
    assert!(why.contains("store"), "{why}");
}

/// One gateway through several cuts; gives how many acknowledged messages never reached the cloud.
async fn run(seed: u64, syncs: bool) -> (u64, usize) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed);
    if !syncs {
        disk.never_sync();
    }
    let mut cloud = Mosquitto::start().await;
    let (arrivals, collector) = collect(cloud.address(), "site/#").await;
    let address = free_address();
    let stop = CancellationToken::new();
    let devices: JoinSet<Acknowledged> = (0..2).map(|n| device(n).run(address, stop.clone())).collect();
    let mut life = Life::begin(&disk, address, cloud.address());
    wait_until(|| !arrivals.lock().expect("no panic in there").is_empty()).await;

    cloud.stop();
    for cut in 0..CUTS {
        sleep(Duration::from_millis(chance.u64(100..1500))).await;
        disk = disk.crash(seed * 100 + cut);
        life.end();
        life = Life::begin(&disk, address, cloud.address());
    }
    sleep(Duration::from_millis(500)).await;
    cloud.start_again().await;
    sleep(Duration::from_millis(500)).await;
    stop.cancel();
    let acknowledged: Acknowledged = devices.join_all().await.into_iter().flatten().collect();
    wait_until(|| last_arrived(&acknowledged, &arrivals)).await;
    life.end();
    collector.abort();
    (seed, lost(&acknowledged, &arrivals))
}

fn device(n: usize) -> Device {
    Device { name: format!("d{n}"), topics: 2, every: Duration::from_millis(10) }
}

/// One life of the machine: a gateway in a runtime of its own, so that it can end without a word.
struct Life(Runtime);

impl Life {
    fn begin(disk: &SimDisk, hub: SocketAddr, cloud: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (plan, disk) = (plan(hub, cloud), Box::new(disk.clone()));
        runtime.spawn(async move {
            let gateway = Gateway::start(plan, disk, Clock::system(), Options::default()).await.expect("it starts");
            std::future::pending::<()>().await;
            drop(gateway);
        });
        Self(runtime)
    }

    /// All tasks are dropped where they stand; nothing is told to stop.
    fn end(self) {
        std::thread::spawn(move || self.0.shutdown_timeout(Duration::from_secs(5))).join().expect("no panic");
    }
}

pub(crate) fn plan(hub: SocketAddr, cloud: SocketAddr) -> Plan {
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"/nowhere\"\n[hub]\nlisten = [\"{hub}\"]\n\
         [store]\nmax_size = \"16MiB\"\nsegment = \"64KiB\"\n\
         [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{cloud}\"\nclient_id = \"gw\"\n\
         [[bridge.forward]]\ntopics = [\"lan/#\"]\nprefix = \"site/\"\n"
    );
    match plan::check(Sources::from_text("weir.toml", &text)) {
        Ok((plan, _)) => plan,
        Err(report) => panic!("{:?}", report.problems),
    }
}

async fn wait_until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.expect("it happens within 60 s");
}

fn got(arrivals: &Arrivals, topic: &str) -> HashSet<u64> {
    let arrivals = arrivals.lock().expect("no panic in there");
    let numbers = arrivals.get(&format!("site/{topic}")).into_iter().flatten();
    numbers.map(|arrival| String::from_utf8_lossy(&arrival.payload).parse().expect("a number")).collect()
}

/// Whether the newest acknowledged message of every topic is there: whatever is older was sent before it.
fn last_arrived(acknowledged: &Acknowledged, arrivals: &Arrivals) -> bool {
    acknowledged.iter().all(|(topic, numbers)| got(arrivals, topic).contains(numbers.last().expect("not empty")))
}

pub(crate) fn lost(acknowledged: &Acknowledged, arrivals: &Arrivals) -> usize {
    let of_topic = |(topic, numbers): (&String, &Vec<u64>)| {
        let got = got(arrivals, topic);
        numbers.iter().filter(|number| !got.contains(number)).count()
    };
    acknowledged.iter().map(of_topic).sum()
}
