//! A monthly allowance of bytes on the wire, and what is done when it does not suffice.
//!
//! Invariants: what is held back waits in the store; alarms and commands are never held back; what is spent
//! survives restarts, and a power cut forgets at most the part since it was last written.

mod file;
mod keep;
mod ladder;
mod period;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::settings;
use super::uplink::Meter;
use crate::format::{BudgetStatus, Time};
use crate::model::{Stamp, TimeQuality};
use file::Spent;
pub(super) use keep::keep;
pub use ladder::Level;
use period::Period;

/// What is spent is written when it has grown by this part of the month's bytes...
const SHARE_UNWRITTEN: u64 = 200;

/// ...but not for less than so many bytes, ...
const LEAST_UNWRITTEN: u64 = 16 * 1024;

/// ...or when so much time has passed since it began to grow.
const LONGEST_UNWRITTEN: Duration = Duration::from_secs(3600);

/// The allowance of one bridge.
#[derive(Debug)]
pub struct Budget {
    settings: settings::Budget,
    meter: Arc<Meter>,
    file: Option<PathBuf>,
    level: watch::Sender<Level>,
    purse: Mutex<Purse>,
}

#[derive(Debug)]
struct Purse {
    spent: Spent,
    /// What the meter showed when it was last read.
    read: u64,
    /// What is in the file.
    written: Spent,
    /// Since when that is not all.
    unwritten_since: Option<Instant>,
    /// When the present level began, by the wall clock.
    since_ms: i64,
}

impl Budget {
    /// Goes on with what `file` says.
    pub(super) fn new(settings: settings::Budget, meter: Arc<Meter>, file: Option<PathBuf>, now: Stamp) -> Self {
        let spent = file.as_deref().map(file::read).unwrap_or_default();
        let read = meter.read().total();
        let purse = Purse { spent, read, written: spent, unwritten_since: None, since_ms: now.wall_ms };
        let budget = Self { settings, meter, file, level: watch::Sender::new(Level::Normal), purse: Mutex::new(purse) };
        budget.look(now);
        budget
    }

    /// The level now.
    pub(super) fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// The level now, and every change after that: none can fall in between.
    pub(super) fn levels(&self) -> (Level, watch::Receiver<Level>) {
        let mut levels = self.level.subscribe();
        let level = *levels.borrow_and_update();
        (level, levels)
    }

    /// Reads the meter and the calendar. True when the level has changed, or another month has begun.
    fn look(&self, now: Stamp) -> bool {
        let mut purse = self.purse();
        let total = self.meter.read().total();
        purse.spent.used += total - purse.read;
        purse.read = total;
        let turned = purse.turn(now, self.settings.resets_on_day);
        let limit = self.settings.per_month - self.settings.reserve;
        let Spent { used, passed, .. } = purse.spent;
        let changed = self.level.send_if_modified(|level| {
            let next = ladder::level(*level, used, limit, passed);
            std::mem::replace(level, next) != next
        });
        if changed {
            purse.since_ms = now.wall_ms;
        }
        changed || turned
    }

    /// What is to be written now, if anything; `last` when there is no later.
    fn to_write(&self, now: Instant, last: bool) -> Option<Spent> {
        let mut purse = self.purse();
        let Purse { spent, written, .. } = *purse;
        if spent.used == written.used && spent.from_ms == written.from_ms {
            return None;
        }
        let since = *purse.unwritten_since.get_or_insert(now);
        let bound = (self.settings.per_month / SHARE_UNWRITTEN).max(LEAST_UNWRITTEN);
        let grown = spent.used.abs_diff(written.used) >= bound || spent.from_ms != written.from_ms;
        (grown || last || now.duration_since(since) >= LONGEST_UNWRITTEN).then_some(spent)
    }

    fn wrote(&self, spent: Spent) {
        let mut purse = self.purse();
        (purse.written, purse.unwritten_since) = (spent, None);
    }

    /// How it stands.
    pub fn status(&self) -> BudgetStatus {
        let purse = self.purse();
        let Spent { from_ms, used, passed } = purse.spent;
        let resets = from_ms.map(|from_ms| Period::of(from_ms, self.settings.resets_on_day).to_ms);
        BudgetStatus {
            state: self.level.borrow().word(),
            since: Time(purse.since_ms),
            used,
            projected: ladder::projected(used, passed),
            per_month: self.settings.per_month,
            reserve: self.settings.reserve,
            resets: resets.map(Time),
        }
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse {
    /// Looks at the calendar, once the clock is set. True when another month has begun.
    fn turn(&mut self, now: Stamp, day: i8) -> bool {
        if now.quality == TimeQuality::Unsynced {
            return false;
        }
        let period = Period::of(now.wall_ms, day);
        let known = self.spent.from_ms;
        // A clock that steps back does not bring back what is spent.
        let turned = known.is_some_and(|from_ms| from_ms < period.from_ms);
        if turned {
            self.spent.used = 0;
        }
        if turned || known.is_none() {
            self.spent.from_ms = Some(period.from_ms);
        }
        if self.spent.from_ms == Some(period.from_ms) {
            self.spent.passed = period.passed(now.wall_ms);
        }
        turned
    }
}

#[cfg(test)]
mod tests;
