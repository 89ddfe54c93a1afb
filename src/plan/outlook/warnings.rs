//! What does not fit together.

use super::bridge::Load;
use super::stream::Stream;
use super::{Assumptions, BridgeOutlook, ClassOutlook, Outlook};
use crate::bridge::Settings;
use crate::bridge::rules::Rules;
use crate::config::units::Every;
use crate::plan::Plan;

/// Years below which a card is said to wear out.
const SOON: f64 = 5.0;

pub(super) fn find(
    plan: &Plan,
    outlook: &Outlook,
    streams: &[Stream],
    loads: &[Load],
    assumptions: &Assumptions,
) -> Vec<String> {
    let mut found = Vec::new();
    unknown(outlook, &mut found);
    nowhere(plan, streams, &mut found);
    for ((bridge, outlook), loads) in plan.bridges.iter().zip(&outlook.bridges).zip(loads) {
        replay(bridge, outlook, assumptions, &mut found);
        for late in &loads.late {
            let (name, class, loss) = (&outlook.name, late.word(), Every(plan.store.max_loss));
            found.push(format!(
                "bridge {name}: batches of class {class} wait longer than max_loss = {loss}, so every message is written to the card first"
            ));
        }
        for class in outlook.classes.iter().filter(|class| class.days_offline.least < 1.0) {
            let hours = class.days_offline.least * 24.0;
            let (name, class) = (&outlook.name, class.class);
            found.push(format!(
                "bridge {name}: after {hours:.1} hours offline the oldest {class} gives way: raise max_size in [store]"
            ));
        }
        let soon_thinned = |class: &&ClassOutlook| class.days_whole.is_some_and(|whole| whole.least < 1.0);
        for class in outlook.classes.iter().filter(soon_thinned).filter(|class| class.days_offline.least >= 1.0) {
            let hours = class.days_whole.map_or(0.0, |whole| whole.least * 24.0);
            let (name, class) = (&outlook.name, class.class);
            found.push(format!(
                "bridge {name}: after {hours:.1} hours offline the oldest {class} is thinned: raise max_size in [store]"
            ));
        }
    }
    let offline = &outlook.store.offline;
    if let Some(years) = offline.years.filter(|years| *years < SOON) {
        found.push(format!(
            "without a link the card is worn out in {years:.1} years: a larger max_loss or a smaller max_commits in [store] means fewer writes"
        ));
    }
    found
}

/// Sensors that the figures leave out.
fn unknown(outlook: &Outlook, found: &mut Vec<String>) {
    let left_out = |pushed: bool| {
        let sensors = outlook.sensors.iter().filter(|sensor| sensor.readings_per_day.is_none());
        let named = sensors.filter(|sensor| sensor.every_ms.is_none() == pushed).map(|sensor| sensor.name.as_str());
        named.collect::<Vec<_>>().join(", ")
    };
    let (pushed, polled) = (left_out(true), left_out(false));
    if !pushed.is_empty() {
        found.push(format!("{pushed}: speaks when something happens; the figures are without it"));
    }
    if !polled.is_empty() {
        found.push(format!("{polled}: what it measures shows only when it is opened; the figures are without it"));
    }
}

/// Streams from the LAN that are assumed, and that no bridge takes.
fn nowhere(plan: &Plan, streams: &[Stream], found: &mut Vec<String>) {
    let rules: Vec<_> = plan.bridges.iter().map(|bridge| Rules::new(&plan.gateway.name, bridge)).collect();
    for stream in streams.iter().filter(|stream| stream.message.source.is_none()) {
        if !rules.is_empty() && rules.iter().all(|rules| rules.route(&stream.message).is_none()) {
            let topic = &stream.message.topic;
            found.push(format!(
                "no bridge forwards {topic}: name a topic, as in --lan \"10/s x 64B on {}/x\"",
                plan.gateway.name
            ));
        }
    }
}

/// Whether a backlog ever ends, and what the cloud has to allow.
fn replay(bridge: &Settings, outlook: &BridgeOutlook, assumptions: &Assumptions, found: &mut Vec<String>) {
    let name = &outlook.name;
    let live: f64 = outlook.classes.iter().map(|class| class.messages_per_day.most / super::DAY_S).sum();
    if live >= outlook.replay_per_s {
        let rate = outlook.replay_per_s;
        found.push(format!(
            "bridge {name}: {live:.1} messages per second come in and {rate:.1} are sent: a backlog never ends"
        ));
    }
    let wanted = f64::from(bridge.replay.rate_per_s);
    if outlook.replay_per_s < wanted {
        let (window, ms) = (bridge.in_flight, assumptions.round_trip.as_millis());
        let needed = (wanted * assumptions.round_trip.as_secs_f64()).ceil();
        found.push(format!("bridge {name}: in_flight = {window} at a round trip of {ms} ms is {:.0} per second; {wanted} need {needed}", outlook.replay_per_s));
    }
}
