//! What is shown: the peers side by side, and each target with its verdict.

use crate::backlog::Backlog;
use crate::case::{ROUND_TRIP, Times};
use crate::figures::{Commits, Figures};
use crate::kit::fleet::{Outcome, Plan};
use crate::kit::judge::Verdict;
use crate::peers::Kind;

pub(crate) fn head(times: Times) {
    let Times { before, outage, after, .. } = times;
    println!(
        "500 messages of 64 bytes per second, QoS 1, round trip {ROUND_TRIP:?}; link up {before:?}, fault {outage:?}, up \
         {after:?} and until everything has arrived. Bytes, flushes: on the disk for each message accepted."
    );
    println!(
        "{:<11} {:<14} {:>8} {:>6} {:>6} {:>6} {:>8} {:>9} {:>9} {:>7} {:>8} {:>13} {:>13} {:>13} {:>7}",
        "case",
        "gateway",
        "accepted",
        "lost",
        "again",
        "order",
        "B up",
        "B outage",
        "flushes",
        "MB RSS",
        "drain/s",
        "live p50/p99",
        "alarm p50/99",
        "PUBACK p50/99",
        "back s"
    );
}

pub(crate) fn rows(case: &str, figures: &[(Kind, Figures)]) {
    for (kind, it) in figures {
        let Verdict { accepted, lost, repeated, reordered, rekeyed } = it.verdict;
        println!(
            "{case:<11} {:<14} {accepted:>8} {lost:>6} {repeated:>6} {reordered:>6} {:>8} {:>9} {:>9} {:>7.1} {:>8} {:>13} {:>13} {:>13} {:>7}{}",
            kind.name(),
            one(it.bytes_up, 1),
            one(it.bytes_out, 1),
            one(it.flushes, 3),
            it.peak_mb,
            one(it.drain_per_s, 0),
            two(it.live_ms),
            two(it.alarm_ms),
            two(it.puback_ms),
            one(it.back_s, 2),
            if rekeyed > 0 { format!("  {rekeyed} under a second key") } else { String::new() }
        );
    }
}

/// What the case `worn` wrote to.
pub(crate) fn worn(figures: &[(Kind, Figures)], segment_mib: u64) {
    for Commits { count, asked, flushes, bytes, recycled, is_worn } in figures.iter().filter_map(|(_, it)| it.commits) {
        let used = if is_worn { "all used before" } else { "NOT all used before" };
        println!(
            "            segments of {segment_mib} MiB, {used}: {count} commits in a longer outage, {recycled} changes of \
             segment (at this pace one in {} commits), {asked} flushes asked for, {flushes} at the disk",
            (segment_mib << 20) * count / bytes.max(1)
        );
    }
}

fn one(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}

fn two(value: Option<[f64; 2]>) -> String {
    value.map_or("-".into(), |[low, high]| format!("{low:.0}/{high:.0}"))
}

/// Every target, with weir's figure: counts over all rounds, the worst of the rest.
pub(crate) fn verdicts(all: &[(&'static str, Kind, Figures)], backlog: Option<&Backlog>) {
    let weir = || all.iter().filter(|(_, kind, _)| *kind == Kind::Weir);
    let of = |case: &'static str| weir().filter(move |(name, ..)| *name == case).map(|(.., figures)| figures);
    let sum = |count: fn(&Verdict) -> usize| weir().map(|(.., it)| count(&it.verdict)).sum::<usize>() as f64;
    let worst = |case, figure: fn(&Figures) -> Option<f64>| of(case).filter_map(figure).reduce(f64::max);
    println!();
    let at_most = |what: &str, figure: Option<f64>, most: f64| line(what, figure, most, |figure, most| figure <= most);
    if weir().next().is_some() {
        at_most("acknowledged and lost, all cases", Some(sum(|it| it.lost)), 0.0);
        at_most("out of order per topic, all cases", Some(sum(|it| it.reordered)), 0.0);
        at_most("repeats under another dedupe key, all cases", Some(sum(|it| it.rekeyed)), 0.0);
    }
    let repeated = worst("drain-kill", |it| Some(it.verdict.repeated as f64));
    at_most("repeats after a kill while draining: window and 5 s of acknowledgements", repeated, 256.0 + 5.0 * 600.0);
    at_most("disk bytes per message in an outage, fresh segments", worst("clean", |it| it.bytes_out), 165.0);
    at_most("disk bytes per message in an outage, recycled segments", worst("worn", |it| it.bytes_out), 150.0);
    at_most("disk bytes per message with the link up", worst("clean", |it| it.bytes_up), 5.0);
    // A change of segment costs three more; a commit by itself is one flush, which a test of the store holds.
    let each = |it: &Figures| it.commits.map(|it| if it.is_worn { it.flushes_each() } else { f64::INFINITY });
    at_most("flushes per commit in recycled segments, changes of segment included", worst("worn", each), 1.1);
    let rate = of("clean").filter_map(|it| it.drain_per_s).reduce(f64::min);
    line("messages per second while draining, default settings", rate, 600.0 * 0.95, |figure, least| figure >= least);
    let twice = ROUND_TRIP.as_secs_f64() * 2000.0;
    at_most("live p99 while draining, another topic, ms", worst("clean", |it| it.live_ms.map(|it| it[1])), twice);
    at_most("live p99 while draining, alarms, ms", worst("clean", |it| it.alarm_ms.map(|it| it[1])), twice);
    let back = weir().filter_map(|(.., it)| it.back_s).reduce(f64::max);
    at_most("first message after the link is back, all cases, s", back, 2.0);
    if let Some(it) = backlog {
        let size = format!("with a backlog of {} MiB", it.mib);
        at_most(&format!("resident memory {size}, MB"), Some(it.peak_mb), 20.0);
        at_most(&format!("start to the first record sent {size}, s"), Some(it.first_s), 0.2);
        for (when, drain) in [("link mended", &it.mended), ("started again", &it.restarted)] {
            let rate = Some(drain.per_s);
            line(&format!("drain per second {size}, {when}"), rate, 600.0 * 0.95, |it, least| it >= least);
            let worst = |quantiles: Option<[f64; 2]>| Some(quantiles.map_or(f64::INFINITY, |it| it[1]));
            at_most(&format!("live p99 {size}, {when}, another topic, ms"), worst(drain.live_ms), twice);
            at_most(&format!("live p99 {size}, {when}, alarms, ms"), worst(drain.alarm_ms), twice);
        }
    }
}

fn line(what: &str, figure: Option<f64>, target: f64, met: impl Fn(f64, f64) -> bool) {
    let Some(figure) = figure else { return };
    let verdict = if met(figure, target) { "met" } else { "MISSED" };
    println!("{verdict:<7} {what}: {figure:.2} (target {target})");
}

pub(crate) fn fleet(plan: &Plan, it: &Outcome) {
    println!("{} gateways, broker away for {:?}: {:?}", plan.gateways, plan.outage, it.verdict);
    println!(
        "connects: {} in all, at most {} in a second and {} in a tenth; the last first one after {:.1} s; drained after \
         {:.1} s; largest gateway {:.1} MB",
        it.connected,
        it.peak_per_s,
        it.peak_per_100_ms,
        it.reconnected.as_secs_f64(),
        it.drained.as_secs_f64(),
        it.peak_kib as f64 * 1024.0 / 1e6
    );
    line("connects at the broker in any second", Some(it.peak_per_s as f64), 120.0, |figure, most| figure <= most);
    line("drained after, s", Some(it.drained.as_secs_f64()), 300.0, |figure, most| figure <= most);
    line("acknowledged and lost", Some(it.verdict.lost as f64), 0.0, |figure, most| figure <= most);
}
