//! One fault, and all gateways under it at the same time.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::common::image::{Image, Traffic};
use crate::common::mosquitto::free_address;
use crate::common::proxy::Proxy;
use crate::figures::{Figures, Marks};
use crate::kit::cloud::Cloud;
use crate::kit::device::{Device, Promised};
use crate::kit::judge::missing;
use crate::kit::machine::{Ground, Machine, program};
use crate::kit::now_us;
use crate::peers::{Kind, Weir};

pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(100);
/// 500 messages per second.
const DEVICES: u32 = 10;
const EVERY: Duration = Duration::from_millis(20);
/// Room for a store of 128 MiB, with its segments as large as by default.
const IMAGE_MIB: u64 = 192;
/// A gateway that has sent nothing for so long since the link is back will not; later, since its last message.
const GIVES_UP: Duration = Duration::from_secs(45);
const QUIET: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(20);
/// Publishes besides the devices while the store is worn in: 5,000 messages per second more.
const FLOOD_EVERY: Duration = Duration::from_millis(2);
/// Time without power.
const DARK: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Cut,
    HalfOpen,
    /// Cut and mended, again and again.
    Flapping,
    /// The cloud takes messages, and neither keeps nor acknowledges them.
    Mute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    Nothing,
    Kill,
    KillDraining,
    Power,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    fault: Fault,
    strike: Strike,
    /// Outages before the one that is measured, so that it finds segments that were full before.
    worn: bool,
}

/// So much longer is the outage of the case `worn`: changes of segment, and what the file system commits by itself, come
/// once in a minute or two, and are to count for as much as they do.
const WORN_LONGER: u32 = 4;

const fn case(name: &'static str, fault: Fault, strike: Strike) -> Case {
    Case { name, fault, strike, worn: false }
}

pub(crate) const CASES: [Case; 8] = [
    case("clean", Fault::Cut, Strike::Nothing),
    case("kill", Fault::Cut, Strike::Kill),
    case("drain-kill", Fault::Cut, Strike::KillDraining),
    case("power", Fault::Cut, Strike::Power),
    case("half-open", Fault::HalfOpen, Strike::Nothing),
    case("flapping", Fault::Flapping, Strike::Nothing),
    case("mute", Fault::Mute, Strike::Nothing),
    Case { name: "worn", fault: Fault::Cut, strike: Strike::Nothing, worn: true },
];

/// Segments as large as by default.
const DEFAULT_SEGMENTS: &str = "max_size = \"128MiB\"\nsegment = \"8MiB\"";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The file system and the store come to rest.
    settles: Duration,
    pub(crate) before: Duration,
    pub(crate) outage: Duration,
    pub(crate) after: Duration,
    /// Of the case `backlog`.
    pub(crate) backlog_mib: u64,
    /// `[store]` of the case `worn`: what comes in its first outage fills two segments and no more than five.
    worn: &'static str,
    pub(crate) worn_segment_mib: u64,
}

impl Times {
    pub(crate) const FULL: Self = Self::new([8, 15, 30, 15], 1024, DEFAULT_SEGMENTS, 8);
    /// Enough to see that everything works.
    pub(crate) const SHORT: Self = Self::new([6, 5, 8, 4], 64, "max_size = \"128MiB\"\nsegment = \"1MiB\"", 1);

    const fn new(times_s: [u64; 4], backlog_mib: u64, worn: &'static str, worn_segment_mib: u64) -> Self {
        let [settles, before, outage, after] = times_s;
        let [settles, before, outage, after] = [
            Duration::from_secs(settles),
            Duration::from_secs(before),
            Duration::from_secs(outage),
            Duration::from_secs(after),
        ];
        Self { settles, before, outage, after, backlog_mib, worn, worn_segment_mib }
    }
}

impl Case {
    pub(crate) async fn run(self, peers: &[Kind], times: Times) -> Vec<(Kind, Figures)> {
        let peers = peers.iter().filter(|kind| !self.worn || **kind == Kind::Weir);
        let runs: JoinSet<_> = peers.map(|&kind| async move { (kind, self.run_one(kind, times).await) }).collect();
        let mut all = runs.join_all().await;
        all.sort_by_key(|(kind, _)| *kind as u8);
        all
    }

    fn weir(self, times: Times) -> Weir {
        if self.worn {
            let bridge = "replay = { rate = \"5000/s\" }";
            Weir { store: times.worn, bridge, hub: "" }
        } else {
            Weir { store: DEFAULT_SEGMENTS, ..Weir::default() }
        }
    }

    async fn run_one(self, kind: Kind, times: Times) -> Figures {
        let mut site = Site::start(kind, self, times).await;
        sleep(times.settles).await;
        if self.worn {
            site.wear_in(times.outage).await;
            // The end of the drain, and what the file system writes after it, is not what a good link costs.
            sleep(times.settles).await;
        }
        let begin = site.look();
        sleep(times.before).await;
        let down = site.look();
        let outage = if self.worn { times.outage * WORN_LONGER } else { times.outage };
        let ends = Instant::now() + outage;
        if matches!(self.strike, Strike::Kill | Strike::Power) {
            site.fault(self.fault, true, outage).await;
            sleep(outage / 2).await;
            site.strike(self.strike).await;
            sleep_until(ends).await;
        } else {
            site.fault(self.fault, true, outage).await;
            sleep_until(ends).await;
        }
        let up = site.look();
        site.fault(self.fault, false, outage).await;
        let after = Instant::now() + times.after;
        drop(timeout(GIVES_UP, site.resumed(up.at_us)).await);
        sleep(Duration::from_secs(1)).await;
        // A topic that began before the gateway is connected would have a backlog of its own.
        site.begin_live();
        if self.strike == Strike::KillDraining {
            sleep(Duration::from_secs(1)).await;
            site.strike(self.strike).await;
        }
        sleep_until(after).await;
        site.end(Marks { begin, down, up }).await
    }
}

/// What is read off at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at_us: u64,
    pub(crate) traffic: Option<Traffic>,
    pub(crate) store: Option<Store>,
}

/// What weir's store has done since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Store {
    pub(crate) commits: u64,
    /// Flushes that it asked for.
    pub(crate) flushes: u64,
    pub(crate) recycled: u64,
    /// Bytes of its files.
    pub(crate) used: u64,
}

struct Site {
    kind: Kind,
    cloud: Cloud,
    cable: Proxy,
    machine: Machine,
    devices: JoinSet<Promised>,
    live: JoinSet<Promised>,
    /// Of those that are not at work any more.
    promised: Vec<Promised>,
    stop: CancellationToken,
    stop_live: CancellationToken,
}

impl Site {
    async fn start(kind: Kind, case: Case, times: Times) -> Self {
        let cloud = Cloud::start().await;
        let cable = Proxy::start(cloud.address()).await;
        cable.delay(ROUND_TRIP / 2);
        let ground = Image::of_mib(IMAGE_MIB).map_or_else(
            |why| {
                println!("no disk of its own, so no power cuts and no figures of the disk: {why}");
                Ground::dir()
            },
            Ground::Image,
        );
        if case.worn
            && let Ground::Image(image) = &ground
        {
            // What is advised for SD cards: the file system's own commits are not those of the store.
            image.remount("noatime,lazytime,commit=60").unwrap();
        }
        let hub = free_address();
        let machine = Machine::start(ground, hub, kind.recipe(hub, cable.address(), &case.weir(times))).await;
        let (stop, stop_live) = (CancellationToken::new(), CancellationToken::new());
        while cloud.book().connects_us.is_empty() {
            sleep(POLL).await;
        }
        let device = |n| Device { topic: format!("bench/d{n}"), every: EVERY, window: 1000 };
        let devices = (0..DEVICES).map(|n| device(n).run(hub, stop.clone())).collect();
        let (live, promised) = (JoinSet::new(), Vec::new());
        Self { kind, cloud, cable, machine, devices, live, promised, stop, stop_live }
    }

    fn look(&self) -> Look {
        let store = if self.kind == Kind::Weir { store(&self.machine) } else { None };
        Look { at_us: now_us(), traffic: self.machine.ground.traffic(), store }
    }

    /// Two outages with more messages than otherwise. The first one fills new segments, and begins one more; the second
    /// one, half as long, fills that and goes on in those of the first.
    async fn wear_in(&mut self, outage: Duration) {
        self.cable.delay(Duration::ZERO);
        for part in [1, 2] {
            self.pull(true);
            let stop = CancellationToken::new();
            let device = |n| Device { topic: format!("bench/flood/{part}/{n}"), every: FLOOD_EVERY, window: 1000 };
            let flood: JoinSet<_> = (0..DEVICES).map(|n| device(n).run(self.machine.address(), stop.clone())).collect();
            sleep(outage / part).await;
            stop.cancel();
            self.promised.extend(flood.join_all().await);
            self.pull(false);
            self.caught_up().await;
        }
        self.cable.delay(ROUND_TRIP / 2);
    }

    /// Begins a fault, or ends it. A flapping link needs the whole time.
    async fn fault(&self, fault: Fault, on: bool, outage: Duration) {
        match fault {
            Fault::Cut => self.pull(on),
            Fault::HalfOpen => self.cable.stall(on, on),
            Fault::Mute => {
                self.cloud.mute(on);
                // A cloud that acknowledges again begins anew.
                if !on {
                    self.cable.cut();
                }
            }
            Fault::Flapping if on => {
                let ends = Instant::now() + outage;
                while Instant::now() < ends {
                    self.pull(true);
                    sleep(Duration::from_millis(fastrand::u64(300..1500))).await;
                    self.pull(false);
                    sleep(Duration::from_millis(fastrand::u64(300..1500))).await;
                }
                self.pull(true);
            }
            Fault::Flapping => self.pull(false),
        }
    }

    fn pull(&self, on: bool) {
        self.cable.refuse(on);
        if on {
            self.cable.cut();
        }
    }

    async fn strike(&mut self, strike: Strike) {
        let has_disk = matches!(self.machine.ground, Ground::Image(_));
        if strike == Strike::Power && has_disk {
            self.machine.cut_power()
        } else {
            self.machine.kill()
        }
        sleep(if strike == Strike::KillDraining { DARK / 4 } else { DARK }).await;
        self.machine.switch_on();
        self.machine.listens().await;
    }

    /// Devices whose topics have no backlog, one of them with alarms.
    fn begin_live(&mut self) {
        for topic in ["bench/live/0", "bench/alarm/0"] {
            let device = Device { topic: topic.into(), every: Duration::from_millis(50), window: 1000 };
            self.live.spawn(device.run(self.machine.address(), self.stop_live.clone()));
        }
    }

    /// Waits until something arrives that was sent after `since_us`, or before and arrived behind it.
    async fn resumed(&self, since_us: u64) {
        while self.last_arrival_us() < since_us {
            sleep(POLL).await;
        }
    }

    fn last_arrival_us(&self) -> u64 {
        let book = self.cloud.book();
        let of_devices = book.arrivals.iter().filter(|(topic, _)| topic.starts_with("bench/d"));
        of_devices.filter_map(|(_, arrivals)| arrivals.last()).map(|arrival| arrival.at_us).max().unwrap_or(0)
    }

    /// Waits until what arrives is as good as new.
    async fn caught_up(&self) {
        let behind = || {
            let book = self.cloud.book();
            let of_devices = book.arrivals.iter().filter(|(topic, _)| topic.starts_with("bench/d"));
            let newest = of_devices.filter_map(|(_, arrivals)| arrivals.last()).map(|it| it.note.sent_us);
            now_us().saturating_sub(newest.min().unwrap_or(0)) > 500_000
        };
        let waiting = async {
            while behind() {
                sleep(POLL).await;
            }
        };
        timeout(Duration::from_secs(300), waiting).await.expect("the backlog drains");
    }

    /// Ends the devices, waits for what may still come, and counts.
    async fn end(mut self, marks: Marks) -> Figures {
        self.stop.cancel();
        let mut promised = std::mem::take(&mut self.promised);
        while let Some(device) = self.devices.join_next().await {
            promised.push(device.unwrap());
        }
        loop {
            let (last, now) = (self.last_arrival_us(), now_us());
            let patience = if last > marks.up.at_us { QUIET } else { GIVES_UP };
            let quiet = Duration::from_micros(now.saturating_sub(last.max(marks.up.at_us)));
            if missing(&promised, &self.cloud.book().arrivals) == 0 || quiet > patience {
                break;
            }
            sleep(POLL * 5).await;
        }
        self.stop_live.cancel();
        drop(timeout(Duration::from_secs(10), async { while self.live.join_next().await.is_some() {} }).await);
        let peak_kib = self.machine.peak_kib();
        Figures::of(&promised, &self.cloud.book(), &marks, peak_kib)
    }
}

/// What `weir status` says.
fn store(machine: &Machine) -> Option<Store> {
    let mut command = std::process::Command::new(program());
    let config = machine.scratch().join("weir.toml");
    let output = command.args(["status", "--json", "--config"]).arg(config).output().ok()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let of = |name: &str| report["store"][name].as_u64();
    Some(Store { commits: of("commits")?, flushes: of("flushes")?, recycled: of("recycled")?, used: of("used")? })
}
