//! From what was promised and what arrived to the figures of the table. Pure.

use std::collections::HashMap;

use crate::case::Look;
use crate::kit::cloud::{Arrival, Book};
use crate::kit::device::Promised;
use crate::kit::judge::{Verdict, judge};

/// Samples below which a latency says nothing.
const ENOUGH: usize = 20;

/// What was read off when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) begin: Look,
    pub(crate) down: Look,
    pub(crate) up: Look,
}

/// One gateway in one case. What cannot be told is missing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) verdict: Verdict,
    /// Bytes on the disk for each message accepted, with the link up and in the outage.
    pub(crate) bytes_up: Option<f64>,
    pub(crate) bytes_out: Option<f64>,
    /// Flushes in the outage, for each message accepted.
    pub(crate) flushes: Option<f64>,
    pub(crate) commits: Option<Commits>,
    pub(crate) peak_mb: f64,
    /// Messages per second that arrived while the backlog drained.
    pub(crate) drain_per_s: Option<f64>,
    /// Of a topic without backlog, and of one with alarms, meanwhile: p50 and p99, in milliseconds.
    pub(crate) live_ms: Option<[f64; 2]>,
    pub(crate) alarm_ms: Option<[f64; 2]>,
    /// From PUBLISH to PUBACK at a device in the outage: p50 and p99, in milliseconds.
    pub(crate) puback_ms: Option<[f64; 2]>,
    /// From the link's return to the first message.
    pub(crate) back_s: Option<f64>,
}

/// What weir's store did in the outage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commits {
    pub(crate) count: u64,
    /// Flushes that it asked for, and those that reached the disk.
    pub(crate) asked: u64,
    pub(crate) flushes: u64,
    pub(crate) bytes: u64,
    /// Segments that it took from those used before.
    pub(crate) recycled: u64,
    /// It had used segments again before the outage, and made none in it.
    pub(crate) is_worn: bool,
}

impl Commits {
    fn of(down: &Look, up: &Look) -> Option<Self> {
        let (before, after) = (down.store?, up.store?);
        let traffic = up.traffic?.since(down.traffic?);
        Some(Self {
            // After a kill its counters begin anew.
            count: after.commits.checked_sub(before.commits).filter(|count| *count > 0)?,
            asked: after.flushes.checked_sub(before.flushes)?,
            flushes: traffic.flushes,
            bytes: traffic.bytes,
            recycled: after.recycled.checked_sub(before.recycled)?,
            is_worn: before.recycled > 0 && after.used == before.used,
        })
    }

    pub(crate) fn flushes_each(self) -> f64 {
        self.flushes as f64 / self.count as f64
    }
}

impl Figures {
    pub(crate) fn of(promised: &[Promised], book: &Book, marks: &Marks, peak_kib: u64) -> Self {
        let (begin, down, up) = (marks.begin, marks.down, marks.up);
        let accepted = |from: &Look, to: &Look| {
            let within = |at_us: u64| (from.at_us..to.at_us).contains(&at_us);
            promised.iter().flat_map(|it| &it.accepted).filter(|it| within(it.at_us)).count() as f64
        };
        let traffic = |from: &Look, to: &Look| Some(to.traffic?.since(from.traffic?));
        let per_message = |what: f64, messages: f64| (messages > 0.0).then_some(what / messages);
        let (in_up, in_out) = (accepted(&begin, &down), accepted(&down, &up));
        let out = traffic(&down, &up);
        let drain = Drain::of(&book.arrivals, up.at_us);
        let live = |topic| drain.and_then(|drain| drain.latency(book.arrivals.get(topic)?));
        let pubacks = promised.iter().flat_map(|it| &it.accepted);
        let pubacks = pubacks.filter(|it| (down.at_us..up.at_us).contains(&it.note.sent_us));
        Self {
            verdict: judge(promised, &book.arrivals),
            bytes_up: traffic(&begin, &down).and_then(|it| per_message(it.bytes as f64, in_up)),
            bytes_out: out.and_then(|it| per_message(it.bytes as f64, in_out)),
            flushes: out.and_then(|it| per_message(it.flushes as f64, in_out)),
            commits: Commits::of(&down, &up),
            peak_mb: peak_kib as f64 * 1024.0 / 1e6,
            drain_per_s: drain.and_then(Drain::per_s),
            live_ms: live("bench/live/0"),
            alarm_ms: live("bench/alarm/0"),
            puback_ms: quantiles(pubacks.map(|it| it.at_us - it.note.sent_us)),
            back_s: drain.map(|drain| (drain.first_us - up.at_us) as f64 / 1e6),
        }
    }
}

/// The time in which what was sent before the link's return arrived.
#[derive(Debug, Clone, Copy)]
struct Drain {
    first_us: u64,
    last_us: u64,
    messages: usize,
}

impl Drain {
    fn of(arrivals: &HashMap<String, Vec<Arrival>>, up_us: u64) -> Option<Self> {
        let of_devices = || arrivals.iter().filter(|(topic, _)| topic.starts_with("bench/d")).flat_map(|(_, all)| all);
        let late = || of_devices().filter(|it| it.at_us >= up_us);
        let first_us = late().map(|it| it.at_us).min()?;
        let last_us = late().filter(|it| it.note.sent_us < up_us).map(|it| it.at_us).max()?;
        let messages = late().filter(|it| it.at_us <= last_us).count();
        Some(Self { first_us, last_us, messages })
    }

    /// Only where it took long enough to have a rate.
    fn per_s(self) -> Option<f64> {
        let took_s = self.last_us.saturating_sub(self.first_us) as f64 / 1e6;
        (took_s > 0.05).then(|| self.messages as f64 / took_s)
    }

    fn latency(self, arrivals: &[Arrival]) -> Option<[f64; 2]> {
        let within = |it: &&Arrival| (self.first_us..self.last_us).contains(&it.note.sent_us);
        quantiles(arrivals.iter().filter(within).map(|it| it.at_us - it.note.sent_us))
    }
}

/// p50 and p99 of microseconds, in milliseconds.
pub(crate) fn quantiles(us: impl Iterator<Item = u64>) -> Option<[f64; 2]> {
    let mut sorted: Vec<u64> = us.collect();
    sorted.sort_unstable();
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    (sorted.len() >= ENOUGH).then(|| [at(0.5), at(0.99)])
}
