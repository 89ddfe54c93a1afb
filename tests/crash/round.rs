//! One round: clients at work, disasters in between, and the verdict when everything has come to rest.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::book::What;
use crate::churn::Churner;
use crate::judge::{Finding, Wants, judge, lost};
use crate::keep;
use crate::machine::{Disaster, Machine};
use crate::publish::Publisher;
use crate::session::Session;
use crate::subscribe::{Receiver, Temper};
use crate::world::{Phase, World};

/// Disasters while the clients work; one more follows when they have come to rest.
pub(crate) const DISASTERS: usize = 3;
const PUBLISHERS: usize = 3;
/// How long acknowledged messages may take to arrive after the last disaster.
const DRAIN: Duration = Duration::from_secs(20);

/// Broken promises whose story is told.
pub(crate) const STORIES: usize = 4;

/// Name, receiver, MQTT 5, filter, QoS, temper.
type Cast = (&'static str, &'static str, bool, &'static str, u8, Temper);

const RECEIVERS: [Cast; 7] = [
    ("quick4", "quick4", false, "quick/#", 2, Temper::Quick),
    ("quick5", "quick5", true, "quick/#", 1, Temper::Quick),
    ("slow4", "slow4", false, "slow/#", 2, Temper::Fickle),
    ("slow5", "slow5", true, "slow/#", 2, Temper::Slow),
    ("down4", "down4", false, "slow/#", 1, Temper::Fickle),
    ("team4", "team", false, "$share/team/team/#", 2, Temper::Quick),
    ("team5", "team", true, "$share/team/team/#", 2, Temper::Slow),
];

const WANTS: [Wants; 6] = [
    Wants { receiver: "quick4", kind: "quick", qos: 2, ordered: true },
    Wants { receiver: "quick5", kind: "quick", qos: 1, ordered: true },
    Wants { receiver: "slow4", kind: "slow", qos: 2, ordered: true },
    Wants { receiver: "slow5", kind: "slow", qos: 2, ordered: true },
    Wants { receiver: "down4", kind: "slow", qos: 1, ordered: true },
    Wants { receiver: "team", kind: "team", qos: 2, ordered: false },
];

/// What a round did, and what is wrong.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) acknowledged: usize,
    pub(crate) repeats: usize,
    /// Broken promises, each with the story of its message.
    pub(crate) findings: Vec<String>,
}

impl Verdict {
    /// Of a round that did not come to its end.
    pub(crate) fn broken(seed: u64, why: &JoinError) -> Self {
        Self { seed, acknowledged: 0, repeats: 0, findings: vec![why.to_string()] }
    }
}

/// Plays the round with this seed.
pub(crate) async fn play(seed: u64, disaster: Disaster) -> Verdict {
    let mut chance = Rng::with_seed(seed);
    let world = World::new(free_address());
    let mut machine = Machine::start(world.address, disaster).await;
    let receivers = receivers(&world, &mut chance).await;
    keep::mark(Arc::clone(&world)).await;
    let churner = Session::new("churner", "churner", chance.bool(), &world.book);
    let churner = Churner::new(churner, chance.fork());

    let receiving: JoinSet<_> = receivers.into_iter().map(|it| it.live(Arc::clone(&world))).collect();
    let churning = tokio::spawn(churner.live(Arc::clone(&world)));
    let publishing: JoinSet<()> = publishers(&world, &mut chance).map(|it| it.live(Arc::clone(&world))).collect();
    for _ in 0..DISASTERS {
        sleep(Duration::from_millis(chance.u64(20..400))).await;
        crash(&mut machine, &world, &mut chance).await;
        keep::look(Arc::clone(&world)).await;
    }
    sleep(Duration::from_millis(chance.u64(20..200))).await;
    world.enter(Phase::Drain);
    publishing.join_all().await;
    drained(&world).await;
    world.enter(Phase::End);
    let (receivers, churner) = (receiving.join_all().await, churning.await.expect("the churner does not panic"));

    // Now everything is done: nobody gets anything twice, and what was kept is the last of all.
    crash(&mut machine, &world, &mut chance).await;
    keep::look(Arc::clone(&world)).await;
    receivers.into_iter().map(|it| it.look(Arc::clone(&world))).collect::<JoinSet<()>>().join_all().await;
    churner.look(Arc::clone(&world)).await;
    verdict(seed, &world, &machine)
}

/// Those who receive; all have subscribed.
async fn receivers(world: &Arc<World>, chance: &mut Rng) -> Vec<Receiver> {
    let cast = RECEIVERS.iter().map(|&(name, receiver, v5, filter, qos, temper)| {
        let session = Session::new(name, receiver, v5, &world.book);
        Receiver { session, filter, qos, temper, chance: chance.fork() }.begin(Arc::clone(world))
    });
    cast.collect::<JoinSet<_>>().join_all().await
}

fn publishers<'a>(world: &'a Arc<World>, chance: &'a mut Rng) -> impl Iterator<Item = Publisher> + 'a {
    (0..PUBLISHERS).map(|number| {
        let name = format!("p{number}");
        Publisher::new(Session::new(&name, &name, number % 2 == 1, &world.book), chance.fork())
    })
}

/// The disaster, sometimes another one while the gateway comes back, and the gateway is there again.
async fn crash(machine: &mut Machine, world: &World, chance: &mut Rng) {
    let weir = "weir".into();
    let times = if chance.u8(..4) == 0 { 2 } else { 1 };
    for time in 0..times {
        if time > 0 {
            sleep(Duration::from_millis(chance.u64(0..150))).await;
        }
        world.book.write(&weir, What::Crashed, "", 0, String::new());
        machine.crash();
    }
    machine.listens().await;
    world.book.write(&weir, What::Started, "", 0, String::new());
}

/// Waits until every acknowledged message has arrived, but not for ever: the judge says what has not.
async fn drained(world: &World) {
    let missing = || {
        let mut findings = Vec::new();
        world.book.read(|events| WANTS.iter().for_each(|wants| lost(events, wants, &mut findings)));
        findings.len()
    };
    let all = async {
        let (mut before, mut since) = (usize::MAX, Instant::now());
        // A round that loses messages need not wait for them all the time.
        while since.elapsed() < DRAIN / 4 {
            match missing() {
                0 => return,
                now if now < before => (before, since) = (now, Instant::now()),
                _ => {}
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    drop(timeout(DRAIN, all).await);
}

fn verdict(seed: u64, world: &World, machine: &Machine) -> Verdict {
    let count = |what| world.book.read(|events| events.iter().filter(|event| event.what == what).count());
    let findings = world.book.read(|events| judge(events, &WANTS));
    let tell = |(at, finding): (usize, &Finding)| {
        let Finding { what, topic, number } = finding;
        let told = at < STORIES && !topic.is_empty();
        format!("{topic} {number}: {what}\n{}", if told { world.book.story(topic, *number) } else { String::new() })
    };
    let alarming = |line: &&str| ["WARN", "ERROR", "panicked"].iter().any(|word| line.contains(word));
    let log = machine.log();
    let findings =
        findings.iter().enumerate().map(tell).chain(log.lines().filter(alarming).map(|line| format!("log: {line}\n")));
    let findings = findings.collect();
    Verdict { seed, acknowledged: count(What::Acknowledged), repeats: count(What::SentAgain), findings }
}

/// An address of the gateway's own: nobody else takes it while the gateway is away.
fn free_address() -> SocketAddr {
    let ip = Ipv4Addr::new(127, fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("it is bound")
}
