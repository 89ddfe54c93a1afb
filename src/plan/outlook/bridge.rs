//! What a bridge takes of the streams, class by class, and how long it needs to send it after an outage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::disk::{self, Flow};
use super::link::{self, LinkOutlook};
use super::stream::Stream;
use super::{Assumptions, DAY_S, Span};
use crate::bridge::record::{Body, Record};
use crate::bridge::rules::{Route, Rules};
use crate::bridge::{Batch, Class, Forward, Settings};
use crate::model::Message;
use crate::plan::Plan;

/// Outages that the drain is worked out for, in days.
const OUTAGES: [u32; 3] = [1, 7, 30];

/// One bridge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BridgeOutlook {
    /// Its name.
    pub name: String,
    /// Its classes, the most important first; those that nothing known goes to are left out.
    pub classes: Vec<ClassOutlook>,
    /// After outages.
    pub drains: Vec<Drain>,
    /// Messages per second that a backlog is sent with.
    pub replay_per_s: f64,
    /// Unacknowledged messages that this takes; what the cloud should allow as Receive Maximum.
    pub window: u64,
    /// The wire.
    pub link: LinkOutlook,
}

/// One class of a bridge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassOutlook {
    /// `alarm`, `command`, `telemetry` or `bulk`.
    pub class: &'static str,
    /// Messages a day.
    pub messages_per_day: Span,
    /// Bytes of one record in the store, without its share of a frame.
    pub record: f64,
    /// Bytes of the store that a day without a link takes.
    pub stored_per_day: Span,
    /// Days without a link until readings of this class are thinned, if they are.
    pub days_whole: Option<Span>,
    /// Days without a link until something of this class is lost or refused.
    pub days_offline: Span,
}

/// The end of one outage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drain {
    /// How long the outage was, in days.
    pub days: u32,
    /// Messages that wait at its end, with the most traffic.
    pub messages: f64,
    /// Seconds until all of them are delivered; nothing when more comes in than is sent.
    pub seconds: Option<f64>,
}

/// What one bridge takes.
#[derive(Default)]
pub(super) struct Load {
    /// By class.
    pub(super) flows: BTreeMap<Class, Flow>,
    /// Every stream that it takes.
    pub(super) taken: Vec<Taken>,
    /// Classes that are written even while the link is up, because their batches take longer than `max_loss`.
    pub(super) late: BTreeSet<Class>,
    /// The shortest time to live of each class.
    pub(super) ttl: BTreeMap<Class, Duration>,
}

/// One stream on its way through a bridge.
pub(super) struct Taken {
    /// Where it goes.
    pub(super) route: Route,
    /// One of its messages.
    pub(super) message: Message,
    /// Messages a day.
    pub(super) per_day: Span,
    /// The rule that it goes by.
    pub(super) rule: usize,
}

impl Load {
    /// Takes note of what a rule says about time.
    fn heed(&mut self, rule: &Forward, max_loss: Duration) {
        let waits = |batch: &Batch| batch.max_age > max_loss && rule.class != Class::Alarm;
        if rule.batch.as_ref().is_some_and(waits) {
            self.late.insert(rule.class);
        }
        if let Some(ttl) = rule.ttl {
            let known = self.ttl.entry(rule.class).or_insert(ttl);
            *known = ttl.min(*known);
        }
    }

    /// What expires is lost too.
    fn within_ttl(&self, class: Class, days: Span) -> Span {
        let ttl = self.ttl.get(&class).map_or(f64::INFINITY, |ttl| ttl.as_secs_f64() / DAY_S);
        days.map(|days| days.min(ttl))
    }

    fn messages_per_day(&self) -> Span {
        self.flows.values().map(|flow| flow.messages).sum()
    }
}

/// Sends every stream through the rules of one bridge.
pub(super) fn load(plan: &Plan, bridge: &Settings, streams: &[Stream]) -> Load {
    let rules = Rules::new(&plan.gateway.name, bridge);
    let mut load = Load::default();
    for stream in streams {
        let (Some(per_day), Some(route)) = (stream.per_day, rules.route(&stream.message)) else { continue };
        let Some(rule) = rules.rule_of(&stream.message.topic) else { continue };
        load.heed(&bridge.forward[rule], plan.store.max_loss);
        let bytes = record_len(&stream.message, &route);
        load.flows.entry(route.class).or_default().add(stream, per_day, bytes);
        load.taken.push(Taken { route, message: stream.message.clone(), per_day, rule });
    }
    load
}

/// The bytes of one record as the bridge writes it.
fn record_len(message: &Message, route: &Route) -> usize {
    let stamp = super::filtered::sample(&crate::model::Measure::named("x", "", 0), 1_000_000, 0.0).stamp;
    let body = match &message.source {
        Some(source) => Body::Sample((**source).clone()),
        None => Body::Publish { payload: message.payload.clone(), properties: message.properties.clone() },
    };
    let Route { topic, prefix_len, qos, .. } = route.clone();
    Record { topic, prefix_len, qos, retain: message.retain, stamp, body }.encode().len()
}

/// The classes, drains and the wire of one bridge; `all` are the loads of all bridges, which share the quota.
pub(super) fn outlook(
    plan: &Plan,
    bridge: &Settings,
    load: &Load,
    all: &[Load],
    assumptions: &Assumptions,
) -> BridgeOutlook {
    let class = |(class, flow): (&Class, &Flow)| ClassOutlook {
        class: class.word(),
        messages_per_day: flow.messages,
        record: flow.record(),
        stored_per_day: disk::space_per_day(&plan.store, flow),
        days_whole: disk::thins(&plan.store, *class)
            .then(|| load.within_ttl(*class, disk::days_whole(&plan.store, *class, all))),
        days_offline: load.within_ttl(*class, disk::days_offline(&plan.store, *class, all)),
    };
    let classes: Vec<_> = load.flows.iter().map(class).collect();
    let replay_per_s = replay_per_s(bridge, load, assumptions);
    let drain = |days| drain(days, &classes, load, replay_per_s);
    let window = (replay_per_s * assumptions.round_trip.as_secs_f64()).ceil() as u64;
    let link = link::outlook(bridge, load);
    let drains = OUTAGES.into_iter().map(drain).collect();
    BridgeOutlook { name: bridge.name.to_string(), drains, replay_per_s, window, link, classes }
}

/// The least of the rates of the replay, in messages and in bytes, and of what the window lets through.
fn replay_per_s(bridge: &Settings, load: &Load, assumptions: &Assumptions) -> f64 {
    let through = f64::from(bridge.in_flight) / assumptions.round_trip.as_secs_f64().max(1e-3);
    let bounded = |bound: f64| if bound > 0.0 { bound } else { f64::INFINITY };
    let rate = bounded(f64::from(bridge.replay.rate_per_s));
    let bytes = bounded(bridge.replay.bytes_per_s as f64) / link::mean_packet(bridge, load);
    through.min(rate).min(bytes)
}

/// What comes in meanwhile queues behind what is there.
fn drain(days: u32, classes: &[ClassOutlook], load: &Load, replay_per_s: f64) -> Drain {
    let held = |class: &ClassOutlook| {
        // What is thinned becomes fewer messages.
        let whole = class.days_whole.unwrap_or(class.days_offline);
        class.messages_per_day.most * f64::from(days).min(whole.least)
    };
    let messages: f64 = classes.iter().map(held).sum();
    let left_per_s = replay_per_s - load.messages_per_day().most / DAY_S;
    Drain { days, messages, seconds: (left_per_s > 0.0).then(|| messages / left_per_s) }
}
