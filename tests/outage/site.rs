//! One gateway with devices before it and a cloud behind it.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::common::mosquitto::free_address;
use crate::common::proxy::Proxy;
use crate::kit::cloud::Cloud;
use crate::kit::device::{Device, Promised};
use crate::kit::judge::{Verdict, judge, missing};
use crate::kit::machine::{Ground, Machine, weir};
use crate::kit::now_us;

/// How long what was acknowledged may take to arrive when the link is back.
const DRAIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What is wrong with the way to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections break and cannot be made.
    Cut,
    /// Nothing passes, and nobody is told.
    HalfOpen,
    /// The cloud takes messages, and neither keeps nor acknowledges them.
    Mute,
}

/// The way to the cloud, and how fast a backlog goes along it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) one_way: Duration,
    pub(crate) replay_per_s: u32,
}

pub(crate) struct Site {
    pub(crate) cloud: Cloud,
    pub(crate) cable: Proxy,
    pub(crate) machine: Machine,
    devices: JoinSet<Promised>,
    stop: CancellationToken,
}

impl Site {
    /// Starts everything; `devices` devices publish, each every `every`, and the first messages have arrived.
    pub(crate) async fn start(ground: Ground, line: Line, devices: usize, every: Duration) -> Self {
        let Line { one_way, replay_per_s } = line;
        let cloud = Cloud::start().await;
        let cable = Proxy::start(cloud.address()).await;
        cable.delay(one_way);
        let (hub, up) = (free_address(), cable.address());
        let configure = move |state: &Path| {
            format!(
                "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{hub}\"]\n\
                 [store]\nmax_size = \"16MiB\"\nsegment = \"64KiB\"\n\
                 [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{up}\"\nclient_id = \"shed\"\n\
                 replay = {{ rate = \"{replay_per_s}/s\" }}\n[[bridge.forward]]\ntopics = [\"bench/#\"]\nprefix = \"site/\"\n"
            )
        };
        let machine = Machine::start(ground, hub, weir(configure)).await;
        let stop = CancellationToken::new();
        let device = |n| Device { topic: format!("bench/d{n}"), every, window: 200 };
        let devices = (0..devices).map(|n| device(n).run(hub, stop.clone())).collect();
        let site = Self { cloud, cable, machine, devices, stop };
        site.until_arrived(50).await;
        site
    }

    async fn until_arrived(&self, count: usize) {
        let arrived = async {
            while self.cloud.book().count() < count {
                sleep(POLL).await;
            }
        };
        timeout(DRAIN, arrived).await.unwrap_or_else(|_| panic!("nothing arrives:\n{}", self.machine.log()));
    }

    /// Begins or ends a fault.
    pub(crate) fn fault(&self, fault: Fault, on: bool) {
        match fault {
            Fault::Cut => self.cable.refuse(on),
            Fault::HalfOpen => self.cable.stall(on, on),
            Fault::Mute => self.cloud.mute(on),
        }
        // A cloud that acknowledges again begins anew: nobody acknowledges later what was ignored.
        if fault == Fault::Cut || (fault == Fault::Mute && !on) {
            self.cable.cut();
        }
    }

    /// Waits until what arrives is as good as new.
    pub(crate) async fn caught_up(&self) {
        let behind = || {
            let book = self.cloud.book();
            let newest = book.arrivals.values().filter_map(|arrivals| arrivals.last()).map(|it| it.note.sent_us);
            now_us().saturating_sub(newest.min().unwrap_or(0)) > 500_000
        };
        let waiting = async {
            while behind() {
                sleep(POLL).await;
            }
        };
        timeout(DRAIN, waiting).await.expect("the backlog drains");
    }

    /// Ends the devices, waits until everything they were promised has arrived, but not for ever, and judges.
    pub(crate) async fn end(mut self) -> (Verdict, Duration) {
        self.stop.cancel();
        let mut promised = Vec::new();
        while let Some(device) = self.devices.join_next().await {
            promised.push(device.expect("a device does not panic"));
        }
        let began = Instant::now();
        while missing(&promised, &self.cloud.book().arrivals) > 0 && began.elapsed() < DRAIN {
            sleep(POLL).await;
        }
        let book = self.cloud.book();
        assert!(book.nonsense.is_empty(), "{:?}", book.nonsense);
        (judge(&promised, &book.arrivals), began.elapsed())
    }
}
