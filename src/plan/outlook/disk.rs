//! What the streams are on the card: space in the quota, commits, wear.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bridge::Load;
use super::stream::Stream;
use super::thinning::{Left, WORTH_IT, left, rewritten};
use super::{Assumptions, DAY_S, Span};
use crate::bridge::Class;
use crate::plan::Plan;
use crate::store::{Settings, WhenFull};

/// A block of the store's files, and the least that a commit writes.
const BLOCK: f64 = 4096.0;
/// What a frame is besides its records, and where frames begin.
const FRAME: (f64, f64) = (48.0, 16.0);
/// The length in front of each record.
const LENGTH: f64 = 2.0;
/// Bytes that are worth a commit at once.
const PLENTY: f64 = 65_536.0;
/// What somebody waits for is committed when nothing else has come for so long, in seconds.
const PATIENCE_S: f64 = 0.05;
/// Segments of this size and above end with a larger filter.
const LARGE: u64 = 4 << 20;
/// The file with the gaps.
const LEDGER: u64 = 128 << 10;
/// What the device gets for each byte that is overwritten in place, measured on ext4: 4,227 bytes for a block.
const FILE_SYSTEM: f64 = 4227.0 / 4096.0;
/// What a card writes inside for a write of 4 kB, in such writes; assumed. Larger writes cost what they are.
const AMPLIFICATION: f64 = 10.0;
const YEAR_DAYS: f64 = 365.25;
/// Classes from telemetry on leave a tenth to the others, when there are so many segments.
const SHARED_FROM: u64 = 8;

/// All of one class of one bridge.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    /// Messages a day.
    pub(super) messages: Span,
    /// Bytes of their records a day.
    bytes: Span,
    /// Rounds a day, by source: what comes in one round is committed together.
    rounds: BTreeMap<usize, Span>,
    /// Messages a day that somebody waits for.
    waited: f64,
    /// Bytes that each length of windows leaves of a day's records, at the least and at the most.
    thinned: [Left; 2],
}

impl Flow {
    pub(super) fn add(&mut self, stream: &Stream, per_day: Span, record: usize) {
        self.messages = self.messages + per_day;
        self.bytes = self.bytes + per_day.times(record as f64);
        let averaged = stream.message.source.as_ref().is_some_and(|source| !source.sample.reading.measure.exact);
        for (sum, per_day) in self.thinned.iter_mut().zip([per_day.least, per_day.most]) {
            let left = left(per_day, record as f64 + LENGTH, averaged);
            sum.iter_mut().zip(left).for_each(|(sum, left)| *sum += left);
        }
        let rounds = self.rounds.entry(stream.source).or_default();
        *rounds = Span { least: rounds.least.max(per_day.least), most: rounds.most.max(per_day.most) };
        self.waited += if stream.waits { per_day.most } else { 0.0 };
    }

    /// What each length of windows leaves, as a part of all; all of it where nothing is thinned.
    fn parts(&self, thins: bool) -> [Left; 2] {
        let all = [self.bytes.least + LENGTH * self.messages.least, self.bytes.most + LENGTH * self.messages.most];
        let part = |(left, all): (Left, f64)| left.map(|left| if thins && all > 0.0 { left / all } else { 1.0 });
        let [least, most] = self.thinned;
        [(least, all[0]), (most, all[1])].map(part)
    }

    /// The mean record in bytes.
    pub(super) fn record(&self) -> f64 {
        if self.messages.most > 0.0 { self.bytes.most / self.messages.most } else { 0.0 }
    }
}

/// One end of a [`Flow`], per second.
struct Rate {
    messages: f64,
    bytes: f64,
    commits: f64,
}

fn rate(store: &Settings, flow: &Flow, end: impl Fn(Span) -> f64) -> Rate {
    let (messages, bytes) = (end(flow.messages) / DAY_S, end(flow.bytes) / DAY_S);
    let rounds: f64 = flow.rounds.values().map(|span| end(*span)).sum::<f64>() / DAY_S;
    let waited = flow.waited / DAY_S;
    // With pauses longer than the patience each of them is committed by itself.
    let alone = if waited * PATIENCE_S < 1.0 { waited } else { 0.0 };
    let windows = 1.0 / store.max_loss.as_secs_f64().max(1e-3);
    let commits = rounds.min(windows.max(alone)).max(bytes / PLENTY);
    Rate { messages, bytes, commits: commits.min(f64::from(store.max_commits_per_s)) }
}

impl Rate {
    /// Bytes of one frame.
    fn frame(&self) -> f64 {
        let records = (self.bytes + LENGTH * self.messages) / self.commits.max(f64::MIN_POSITIVE);
        ((FRAME.0 + records) / FRAME.1).ceil() * FRAME.1
    }

    /// Bytes that a commit takes of a segment: frames share a block as long as they fit; of large ones only whole ones
    /// go into a segment.
    fn space(&self, store: &Settings) -> f64 {
        let frame = self.frame();
        let (room, whole) = if frame <= BLOCK { (BLOCK, frame) } else { (room(store), self.written()) };
        room / (room / whole).floor().max(1.0)
    }

    /// Bytes that a commit writes: whole blocks.
    fn written(&self) -> f64 {
        (self.frame() / BLOCK).ceil() * BLOCK
    }
}

/// Bytes of the store that a day without a link takes.
pub(super) fn space_per_day(store: &Settings, flow: &Flow) -> Span {
    let end = |end: fn(Span) -> f64| {
        let rate = rate(store, flow, end);
        if rate.messages > 0.0 { rate.commits * rate.space(store) * DAY_S } else { 0.0 }
    };
    Span { least: end(|span| span.least), most: end(|span| span.most) }
}

/// Bytes of records that fit: whole segments without their ends; one segment is the hub's, and one is kept free
/// for thinning. Of the rest a tenth is kept for alarms and commands.
fn capacity(store: &Settings, class: Class) -> f64 {
    let reserve = if store.when_full == WhenFull::Thin { store.segment_size } else { 0 };
    let segments = store.max_size.saturating_sub(LEDGER + reserve) / store.segment_size;
    let kept = if class < Class::Telemetry || segments < SHARED_FROM { 0 } else { (segments / 10).max(1) };
    // The hub's segment is in the tenth.
    segments.saturating_sub(kept.max(1)) as f64 * room(store)
}

/// Bytes of a segment that frames may take: not its header, and not the filter of what is in it.
fn room(store: &Settings) -> f64 {
    let filter = if store.segment_size < LARGE { BLOCK } else { 4.0 * BLOCK };
    store.segment_size as f64 - BLOCK - filter
}

/// Whether a class may be thinned.
pub(super) fn thins(store: &Settings, class: Class) -> bool {
    store.when_full == WhenFull::Thin && class >= Class::Telemetry
}

/// Bytes of the store that a day without a link takes when it is thinned as far as it goes.
fn thinned_per_day(store: &Settings, class: Class, flow: &Flow) -> Span {
    let share = |[.., last]: Left| if last <= 1.0 - WORTH_IT { last } else { 1.0 };
    let ([least, most], space) = (flow.parts(thins(store, class)), space_per_day(store, flow));
    Span { least: space.least * share(least), most: space.most * share(most) }
}

/// Days without a link until something of `class` is lost: less important classes go first, of all bridges.
/// When nothing may be dropped, all classes are refused together.
pub(super) fn days_offline(store: &Settings, class: Class, loads: &[Load]) -> Span {
    days(store, class, loads, |other, flow| thinned_per_day(store, other, flow))
}

/// Days without a link until readings of `class` are thinned.
pub(super) fn days_whole(store: &Settings, class: Class, loads: &[Load]) -> Span {
    days(store, class, loads, |_, flow| space_per_day(store, flow))
}

fn days(store: &Settings, class: Class, loads: &[Load], space: impl Fn(Class, &Flow) -> Span) -> Span {
    let counts = |other: &Class| store.when_full == WhenFull::Reject || *other <= class;
    let flows = loads.iter().flat_map(|load| &load.flows).filter(|(other, _)| counts(other));
    let per_day: Span = flows.map(|(other, flow)| space(*other, flow)).sum();
    let days = |per_day: f64| if per_day > 0.0 { capacity(store, class) / per_day } else { f64::INFINITY };
    Span { least: days(per_day.most), most: days(per_day.least) }
}

/// The store and the card under it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreOutlook {
    /// The quota in bytes.
    pub quota: u64,
    /// Whether old readings are thinned before anything is dropped.
    pub thins: bool,
    /// Bytes the card can take, as assumed.
    pub endurance: f64,
    /// While the link is up.
    pub online: Wear,
    /// In an outage that never ends, with the most traffic; what thinning writes is in it.
    pub offline: Wear,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wear {
    /// Writes with a flush, a day.
    pub commits_per_day: f64,
    /// Bytes that the gateway writes, a day.
    pub written_per_day: f64,
    /// Bytes that the card is assumed to write inside for that, a day.
    pub worn_per_day: f64,
    /// Years until the endurance is used up; nothing when nothing is written.
    pub years: Option<f64>,
}

pub(super) fn store<'l>(plan: &Plan, loads: &'l [Load], assumptions: &Assumptions) -> StoreOutlook {
    let all = loads.iter().flat_map(|load| &load.flows);
    let late = |load: &'l Load| load.flows.iter().filter(|(class, _)| load.late.contains(class));
    let again = |class, flow: &Flow| rewritten(flow.parts(thins(&plan.store, class))[1]);
    StoreOutlook {
        quota: plan.store.max_size,
        thins: loads.iter().flat_map(|load| load.flows.keys()).any(|class| thins(&plan.store, *class)),
        endurance: assumptions.endurance,
        // What the cloud acknowledges before its commit is due is never written: all but batches that wait longer.
        online: wear(&plan.store, loads.iter().flat_map(late).map(|(_, flow)| (flow, 0.0)), assumptions),
        offline: wear(&plan.store, all.map(|(class, flow)| (flow, again(*class, flow))), assumptions),
    }
}

/// Of flows, and of what part of each is written again when it is thinned.
fn wear<'f>(store: &Settings, flows: impl Iterator<Item = (&'f Flow, f64)>, assumptions: &Assumptions) -> Wear {
    let mut wear = Wear { commits_per_day: 0.0, written_per_day: 0.0, worn_per_day: 0.0, years: None };
    let rates = flows.map(|(flow, again)| (rate(store, flow, |span| span.most), again));
    let mut rates: Vec<_> = rates.filter(|(rate, _)| rate.messages > 0.0).collect();
    // All queues together keep to the limit; what waits longer is committed together.
    let wanted: f64 = rates.iter().map(|(rate, _)| rate.commits).sum();
    let granted = (f64::from(store.max_commits_per_s) / wanted.max(f64::MIN_POSITIVE)).min(1.0);
    rates.iter_mut().for_each(|(rate, _)| rate.commits *= granted);
    for (rate, again) in rates {
        let commits = rate.commits * DAY_S;
        let space = commits * rate.space(store);
        // Every segment that is used again costs its header and both copies of the ledger. Thinning writes large pieces.
        let (turns, thinned) = (space / (store.segment_size as f64 - BLOCK), space * again);
        wear.commits_per_day += commits;
        wear.written_per_day += (commits * rate.written() + turns * 3.0 * BLOCK + thinned) * FILE_SYSTEM;
        let small = AMPLIFICATION * BLOCK;
        wear.worn_per_day += (commits * rate.written().max(small) + turns * 3.0 * small + thinned) * FILE_SYSTEM;
    }
    let years = assumptions.endurance / (wear.worn_per_day * YEAR_DAYS);
    Wear { years: (wear.worn_per_day > 0.0).then_some(years), ..wear }
}
