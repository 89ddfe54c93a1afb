//! One story: a store, a bridge's outbox, its link, and a cloud.

use std::collections::{BTreeSet, HashMap};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::BytesMut;
use fastrand::Rng;
use tokio::task::unconstrained;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cloud::{Cloud, Mood};
use super::world::{TOPICS, World, switched_on};
use crate::bridge::Connect;
use crate::bridge::core::Core;
use crate::bridge::link::{self, End, Report};
use crate::bridge::past::Past;
use crate::bridge::uplink::Peer;
use crate::bridge::uplink::codec::Welcome;
use crate::hub::{self, Durable as _, Hub};
use crate::model::{Name, Receipt, TimeQuality, Verdict};
use crate::runtime::Clock;
use crate::runtime::clock::Hand;
use crate::store;
use crate::store::disk::sim::SimDisk;

/// On a good link something happens within this time as long as anything waits: the longest pause after refusals is half
/// a minute, and it may have just begun.
const PATIENCE: Duration = Duration::from_secs(40);
/// Time goes on in steps between these, the longer the less happens.
const TICKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(320)];
/// As often the link may be woken without any time passing.
const TURNS: usize = 20_000;

/// A waker that only remembers.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

type Session = Pin<Box<dyn Future<Output = Report>>>;

pub(super) struct Rig {
    rng: Rng,
    world: World,
    disk: SimDisk,
    core: Arc<Core>,
    clock: Hand,
    past: Past,
    session: Option<Session>,
    woken: Arc<Flag>,
    cloud: Cloud,
    /// By topic the last number.
    numbers: HashMap<&'static str, u64>,
    /// What nobody has been told of yet.
    open: Vec<(&'static str, u64, Receipt)>,
    /// What was acknowledged.
    safe: Vec<(&'static str, u64)>,
}

impl Rig {
    pub(super) async fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let hub = hub::Settings::new(Name::new("shed").expect("a name"));
        let hub = Hub::start(hub, CancellationToken::new()).await.expect("it has no doors");
        let disk = SimDisk::new(rng.u64(..));
        let (shown, clock) = Clock::by_hand(switched_on());
        let mut world = World::new(&mut rng, hub, shown);
        let core = Arc::new(world.start(&mut rng, &disk));
        let cloud = Cloud::new(world.codec, rng.u64(..));
        Self {
            rng,
            world,
            disk,
            core,
            clock,
            past: Past::new(1),
            session: None,
            woken: Arc::default(),
            cloud,
            numbers: HashMap::new(),
            open: Vec::new(),
            safe: Vec::new(),
        }
    }

    pub(super) async fn step(&mut self) -> Result<(), String> {
        match self.rng.u8(0..20) {
            0..=6 => self.offer()?,
            7..=12 => {
                let time = Duration::from_millis(*self.rng.choice(&[10, 50, 300, 1000, 12_000]).expect("not empty"));
                self.pass(time).await?;
            }
            13 => self.connect(),
            14 => self.cut(),
            15..=16 => self.change_mood(),
            17 => self.die(),
            18 if self.rng.bool() => self.clock.turn(|stamp| {
                (stamp.wall_ms, stamp.quality) = (1_790_000_000_000 + stamp.mono_ms as i64, TimeQuality::Synced);
            }),
            _ => self.calm().await?,
        }
        self.look()
    }

    /// What was acknowledged is there, also after one more death.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        if self.rng.bool() {
            self.die();
        }
        self.calm().await?;
        self.look()
    }

    fn offer(&mut self) -> Result<(), String> {
        let topics = self.rng.usize(1..TOPICS.len() + 1);
        let most = if self.rng.u8(0..12) == 0 { 700 } else { 60 };
        for _ in 0..self.rng.usize(1..most) {
            self.offer_one(topics);
            if self.rng.u8(0..20) == 0 {
                self.settle()?;
            }
        }
        if self.rng.bool() {
            self.until_written();
        }
        Ok(())
    }

    /// One message on one of so many topics.
    fn offer_one(&mut self, topics: usize) {
        let topic = TOPICS[self.rng.usize(0..topics)];
        let number = self.numbers.entry(topic).or_default();
        *number += 1;
        let (number, receipt) = (*number, Receipt::new());
        let message = self.world.message(&mut self.rng, topic, number);
        // What is not taken is not acknowledged either.
        drop(self.core.outbox.offer(&message, Some(receipt.ticket())));
        self.open.push((topic, number, receipt));
    }

    /// Waits for the disk while the link does nothing.
    fn until_written(&self) {
        while self.core.store.status().chains.iter().any(|chain| chain.pending > 0) {
            std::thread::yield_now();
        }
    }

    fn connect(&mut self) {
        let (near, far) = tokio::io::duplex(1 << self.rng.u32(6..17));
        let welcome = Welcome {
            receive_max: self.rng.u16(1..100),
            packet_max: 1 << 20,
            keepalive_s: None,
            retain: true,
            qos_1: true,
        };
        let peer = Peer { stream: Box::new(near), codec: self.world.codec, welcome, inbox: BytesMut::new() };
        let start = self.past.start();
        let core = Arc::clone(&self.core);
        let session = async move { link::run(&core, peer, start, &CancellationToken::new()).await };
        self.session = Some(Box::pin(unconstrained(session)));
        self.cloud.connect(far, welcome.receive_max);
        self.woken.0.store(true, Ordering::Release);
    }

    fn cut(&mut self) {
        // The link notices, unless the whole of it goes at once.
        self.cloud.cut();
        if self.rng.bool() {
            self.session = None;
        }
        self.woken.0.store(true, Ordering::Release);
    }

    /// SIGKILL, or the power fails.
    fn die(&mut self) {
        self.session = None;
        self.cloud.cut();
        self.disk = if self.rng.bool() { self.disk.kill() } else { self.disk.crash(self.rng.u64(..)) };
        self.collect();
        self.open.clear();
        self.past = Past::new(1);
        self.core = Arc::new(self.world.start(&mut self.rng, &self.disk));
    }

    fn change_mood(&mut self) {
        let latency = Duration::from_millis(*self.rng.choice(&[0, 5, 100, 1000]).expect("not empty"));
        let busy = if self.world.refuses && self.rng.bool() { self.rng.u32(2..50) } else { 0 };
        let (mute, deaf) = (self.rng.u8(0..6) == 0, self.rng.u8(0..6) == 0);
        self.cloud.mood = Mood { latency, mute, deaf, busy };
    }

    /// The link is good until nothing waits any more. When it is nearly so, a few come in between.
    async fn calm(&mut self) -> Result<(), String> {
        self.cloud.mood = Mood { latency: Duration::from_millis(self.rng.u64(0..200)), ..Mood::default() };
        let (mut before, mut since) = (self.state(), Instant::now());
        if self.cloud.owes {
            // It would take the link as long as four round trips to notice.
            self.cut();
        }
        let mut late = self.rng.usize(0..16);
        while self.core.backlog() > 0 {
            if self.session.is_none() {
                self.connect();
            }
            if late > 0 && self.core.backlog() < 50 && self.rng.u8(0..4) == 0 {
                late -= 1;
                self.offer_one(TOPICS.len());
            }
            let time = TICKS[0] * self.rng.u32(1..20);
            self.pass(time).await?;
            let state = self.state();
            if state != before {
                (before, since) = (state, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("it stands still: {}", self.describe()));
            }
        }
        if self.world.settings.connect != Connect::Always {
            self.pass(PATIENCE).await?;
            if self.session.is_some() {
                return Err(format!("nothing waits, and the session goes on: {}", self.describe()));
            }
        }
        Ok(())
    }

    fn state(&self) -> (usize, u64) {
        (self.cloud.arrived.len(), self.core.backlog())
    }

    fn describe(&self) -> String {
        let chain = |chain: &store::Chain| (chain.key().class, chain.first_unacked(), chain.next_sequence());
        let chains: Vec<_> =
            self.core.outbox.chains.iter().map(chain).filter(|(_, first, next)| first < next).collect();
        format!("{} arrived; class, first, next: {chains:?}", self.cloud.arrived.len())
    }

    async fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        let mut tick = if self.settle()? { TICKS[0] } else { TICKS[1] };
        while Instant::now() < end {
            tick = tick.min(end - Instant::now()).max(TICKS[0]);
            self.clock.advance(tick);
            tokio::time::advance(tick).await;
            tick = if self.settle()? { TICKS[0] } else { (tick * 2).min(TICKS[1]) };
        }
        Ok(())
    }

    /// Until nobody has anything to do before time goes on; says whether anybody had.
    fn settle(&mut self) -> Result<bool, String> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        for turn in 0..TURNS {
            let mut any = self.woken.0.swap(false, Ordering::AcqRel);
            if any && let Some(Poll::Ready(report)) = self.session.as_mut().map(|it| it.as_mut().poll(&mut context)) {
                self.session = None;
                self.ended(&report)?;
            }
            any |= self.cloud.turn(&mut context, Instant::now());
            if !any {
                // Whatever the store was asked before this it has answered then.
                finish(self.core.outbox.dead.chain.sealed(u64::MAX)).map_err(|error| error.to_string())?;
                if !self.woken.0.load(Ordering::Acquire) {
                    return Ok(turn > 0);
                }
            }
        }
        Err(format!("the link never rests: {}", self.describe()))
    }

    fn ended(&mut self, report: &Report) -> Result<(), String> {
        self.past.learn(report);
        self.cloud.cut();
        match &report.end {
            End::Closed | End::Io(_) | End::Silent | End::Drained => Ok(()),
            end => Err(format!("the link ends: {end}")),
        }
    }

    fn collect(&mut self) {
        let settled = self.open.extract_if(.., |(_, _, receipt)| receipt.verdict().is_some());
        let safe = settled.filter(|(_, _, receipt)| receipt.verdict() == Some(Verdict::Safe));
        self.safe.extend(safe.map(|(topic, number, _)| (topic, number)));
    }

    /// Every topic in order, counting first arrivals; when nothing waits, everything that was acknowledged.
    fn look(&mut self) -> Result<(), String> {
        self.collect();
        if self.cloud.flooded > 0 {
            return Err("the cloud gets more at once than it takes".into());
        }
        let mut seen: HashMap<&str, BTreeSet<u64>> = HashMap::new();
        for (topic, number) in &self.cloud.arrived {
            let seen = seen.entry(topic).or_default();
            let last = seen.last().copied().unwrap_or(0);
            if !seen.insert(*number) {
                continue;
            }
            // A fresh one passes its own backlog; at QoS 0 nothing is promised; in a batch nothing is refused.
            let ordered = !["fresh/a", "qos0/a", "t/bad"].contains(&topic.as_str()) && !self.world.refuses;
            if *number <= last && ordered {
                return Err(format!("{topic} {number} came after {last}"));
            }
        }
        if self.core.backlog() > 0 || self.world.small {
            return Ok(());
        }
        let promised = self.safe.iter().filter(|(topic, _)| !topic.starts_with("qos0") && !topic.ends_with("bad"));
        for (topic, number) in promised {
            if !seen.get(topic).is_some_and(|seen| seen.contains(number)) {
                return Err(format!("{topic} {number} was acknowledged and never came"));
            }
        }
        Ok(())
    }
}

/// Waits for something that another thread does, without letting time go on.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(unconstrained(future));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(end) = future.as_mut().poll(&mut context) {
            return end;
        }
        std::thread::yield_now();
    }
}
