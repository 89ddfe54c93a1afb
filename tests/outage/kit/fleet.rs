//! Many gateways, each its own process, and one broker that goes and comes back.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::cloud::Cloud;
use super::device::{Device, Promised};
use super::judge::{Verdict, judge, missing};
use super::machine::{Ground, Machine, weir};
use super::now_us;
use crate::common::mosquitto::free_address;

/// Starts at the same time.
const AT_ONCE: usize = 8;
/// How long a fleet may take for anything.
const PATIENCE: Duration = Duration::from_secs(400);
const POLL: Duration = Duration::from_millis(20);
/// Devices go on for so long after the broker is back.
const TAIL: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) gateways: usize,
    pub(crate) outage: Duration,
    /// Between two messages of one gateway's device.
    pub(crate) every: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// Connections that the broker got when it was back.
    pub(crate) connected: usize,
    /// The most of them within any second, and within any tenth of a second.
    pub(crate) peak_per_s: usize,
    pub(crate) peak_per_100_ms: usize,
    /// From the broker's return to its last first connection.
    pub(crate) reconnected: Duration,
    /// From the broker's return until everything that waited for it has arrived.
    pub(crate) drained: Duration,
    /// Memory of the largest gateway.
    pub(crate) peak_kib: u64,
}

/// Plays it.
pub(crate) async fn run(plan: &Plan) -> Outcome {
    let mut cloud = Cloud::start().await;
    let mut machines = switch_on(plan, &cloud).await;
    let stop = CancellationToken::new();
    let device = |(n, machine): (usize, &Machine)| {
        let device = Device { topic: format!("bench/g{n}"), every: plan.every, window: 100 };
        device.run(machine.address(), stop.clone())
    };
    let devices: JoinSet<Promised> = machines.iter().enumerate().map(device).collect();
    until(|| cloud.book().arrivals.len() == plan.gateways, "every gateway delivers").await;

    cloud.close().await;
    sleep(plan.outage).await;
    let (before, back_us, back) = (cloud.book().connects_us.len(), now_us(), Instant::now());
    cloud.open().await;
    until(|| cloud.book().connects_us.len() >= before + plan.gateways, "all come back").await;
    let reconnected = back.elapsed();
    let waited = |cloud: &Cloud| {
        let book = cloud.book();
        let newest = |arrivals: &Vec<super::cloud::Arrival>| arrivals.last().map_or(0, |last| last.note.sent_us);
        book.arrivals.values().filter(|arrivals| newest(arrivals) < back_us).count()
    };
    until(|| waited(&cloud) == 0, "all have sent what waited").await;
    let drained = back.elapsed();
    sleep(TAIL).await;
    stop.cancel();
    let promised = devices.join_all().await;
    until(|| missing(&promised, &cloud.book().arrivals) == 0, "everything acknowledged arrives").await;
    let book = cloud.book();
    let connects = &book.connects_us[before..];
    Outcome {
        verdict: judge(&promised, &book.arrivals),
        connected: connects.len(),
        peak_per_s: peak(connects, 1_000_000),
        peak_per_100_ms: peak(connects, 100_000),
        reconnected,
        drained,
        peak_kib: machines.iter_mut().map(Machine::peak_kib).max().unwrap_or(0),
    }
}

async fn switch_on(plan: &Plan, cloud: &Cloud) -> Vec<Machine> {
    let (mut starting, mut machines) = (JoinSet::new(), Vec::new());
    let url = cloud.address();
    for n in 0..plan.gateways {
        if starting.len() >= AT_ONCE {
            machines.extend(starting.join_next().await.map(|end| end.expect("it starts")));
        }
        starting.spawn(async move {
            let hub = free_address();
            let configure = move |state: &Path| {
                format!(
                    "[gateway]\nname = \"g{n}\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{hub}\"]\n\
                     [store]\nmax_size = \"16MiB\"\nsegment = \"64KiB\"\n\
                     [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{url}\"\nclient_id = \"g{n}\"\n\
                     [[bridge.forward]]\ntopics = [\"bench/#\"]\nprefix = \"site/\"\n"
                )
            };
            Machine::start(Ground::dir(), hub, weir(configure)).await
        });
    }
    machines.extend(starting.join_all().await);
    machines
}

async fn until(done: impl Fn() -> bool, what: &str) {
    let waiting = async {
        while !done() {
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

/// The most of these moments, which are in order, within any window of `window_us`.
fn peak(moments_us: &[u64], window_us: u64) -> usize {
    let within =
        |(at, first): (usize, &u64)| moments_us[at..].iter().take_while(|moment| **moment < first + window_us).count();
    moments_us.iter().enumerate().map(within).max().unwrap_or(0)
}
