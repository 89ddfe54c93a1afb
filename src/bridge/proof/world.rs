//! What a story begins with: how the bridge is configured, its store, and the messages.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::bridge::core::{Core, Timing};
use crate::bridge::outbox::Outbox;
use crate::bridge::rules::Rules;
use crate::bridge::settings::tests::{forward, settings};
use crate::bridge::uplink::codec::Codec;
use crate::bridge::{Batch, Class, Connect, Forward, Replay, Settings, labelled, lanes};
use crate::format::batch::{Compress, Encoding};
use crate::hub::Hub;
use crate::model::{BootId, Format, Measure, Message, Name, Qos, Quality, Sample, Source, Stamp, TimeQuality, Topic};
use crate::runtime::Clock;
use crate::store::disk::sim::SimDisk;
use crate::store::{self, Store, WhenFull};

/// Bytes of a segment.
const SEGMENT: u64 = 16 << 10;

/// Those with the prefix `s/` carry readings.
pub(super) const TOPICS: [&str; 10] =
    ["t/a", "t/b", "t/c", "s/a", "t/d", "fresh/a", "alarm/a", "qos0/a", "s/b", "t/bad"];

/// What stays the same over all lives of the gateway.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    /// What the cloud speaks. In MQTT 3.1.1 it has no way to refuse a message but to close.
    pub(super) codec: Codec,
    /// The cloud refuses some for a while. Those are overtaken, and come again with all that overtook them.
    pub(super) refuses: bool,
    /// The store is small and messages are large: some go for others, or are refused.
    pub(super) small: bool,
    when_full: WhenFull,
}

/// A restart may bring another class for some topics, and other batches.
fn forwards(rng: &mut Rng) -> Vec<Forward> {
    let batch = Batch {
        max_count: rng.usize(1..20),
        max_bytes: 4096,
        max_age: Duration::from_millis(rng.u64(0..2000)),
        encoding: Encoding::Json,
        compress: Compress::None,
        topic: None,
    };
    let batch = (rng.u8(0..4) == 0).then_some(batch);
    let class = *rng.choice(&[Class::Telemetry, Class::Telemetry, Class::Bulk]).expect("not empty");
    vec![
        Forward { class: Class::Alarm, ..forward("alarm/#", "") },
        Forward { fresh: true, ..forward("fresh/#", "") },
        Forward { qos: Qos::AtMostOnce, ..forward("qos0/#", "") },
        Forward { class, ..forward("t/c", "") },
        Forward { batch, ..forward("#", "") },
    ]
}

fn bridge(rng: &mut Rng) -> Settings {
    let rate_per_s = *rng.choice(&[0, 50, 200, 1000]).expect("not empty");
    let connect = if rng.u8(0..6) == 0 { Connect::Scheduled(Duration::from_secs(60)) } else { Connect::Always };
    let live_first = rng.u8(0..8) > 0;
    Settings {
        in_flight: rng.u16(1..40),
        connect,
        clock_wait: Duration::from_secs(rng.u64(0..20)),
        keepalive: Duration::from_secs(600),
        replay: Replay { rate_per_s, bytes_per_s: 0, live_first },
        forward: forwards(rng),
        ..settings()
    }
}

impl World {
    pub(super) fn new(rng: &mut Rng, hub: Hub, clock: Clock) -> Self {
        let settings = bridge(rng);
        let when_full = if rng.bool() { WhenFull::DropOldest } else { WhenFull::Reject };
        let codec = if rng.u8(0..3) == 0 { Codec::V4 } else { Codec::V5 };
        let refuses = codec == Codec::V5 && rng.u8(0..4) == 0;
        Self { hub, clock, settings, codec, refuses, small: rng.u8(0..4) == 0, when_full }
    }

    /// A gateway starts, on what is on the disk.
    pub(super) fn start(&mut self, rng: &mut Rng, disk: &SimDisk) -> Core {
        if rng.u8(0..3) == 0 {
            self.settings.forward = forwards(rng);
        }
        // What is offered goes to the disk at once, or the link may be quicker.
        let max_loss = Duration::from_millis(*rng.choice(&[0, 5]).expect("not empty"));
        let (store, settings) = (self.open(disk, max_loss), &self.settings);
        let rules = Rules::new(&Name::new("shed").expect("a name"), settings);
        let chains = std::array::from_fn(|lane| store.chain(lanes::key(&settings.name, lane)));
        let dead = store.chain(lanes::dead_letters(&settings.name));
        let outbox = Outbox::new(Arc::new(rules), chains, dead, self.clock.clone(), "shed".into());
        Core::new(settings.clone(), self.hub.clone(), store, Arc::new(outbox), Timing::default())
    }

    fn open(&self, disk: &SimDisk, max_loss: Duration) -> Store {
        let settings = store::Settings {
            dir: Default::default(),
            max_size: if self.small { (128 << 10) + 6 * SEGMENT } else { 64 << 20 },
            segment_size: SEGMENT,
            max_loss,
            when_full: self.when_full,
            max_commits_per_s: 100_000,
        };
        Store::open_labelled(Box::new(disk.clone()), settings, labelled).expect("the disk is good")
    }

    /// A message with a number in it.
    pub(super) fn message(&self, rng: &mut Rng, topic: &str, number: u64) -> Arc<Message> {
        let padding = ".".repeat(if self.small { rng.usize(0..2000) } else { 0 });
        let message = Message::own(Topic::new(topic).expect("a topic"), format!("{number}{padding}").as_bytes());
        let source = topic.starts_with("s/").then(|| Arc::new(reading(number, self.clock.now())));
        Arc::new(Message { source, ..message.with_qos(Qos::AtLeastOnce) })
    }
}

fn reading(number: u64, stamp: Stamp) -> Source {
    let sensor = Name::new("s").expect("a name");
    let reading = Measure::named("t", "", 0).is(number as f64);
    Source { sample: Sample { sensor, reading, stamp, quality: Quality::Ok, sequence: number }, format: Format::Value }
}

/// A gateway has been switched on, and its clock is not set yet.
pub(super) fn switched_on() -> Stamp {
    Stamp { wall_ms: 1000, mono_ms: 1, boot: BootId([1; 16]), quality: TimeQuality::Unsynced }
}
