//! What a budget and a schedule change on a connection.

use std::time::Duration;

use tokio::time::Instant;

use super::Link;
use super::batch::Limits;
use crate::bridge::budget::Level;
use crate::bridge::lanes::{LANES, class_of};
use crate::bridge::{Batch, Class, Connect};
use crate::format::batch::MOST_BYTES;

/// While money is short, batches wait so many times longer...
const LONGER: u32 = 10;

/// ...and hold so many times more, up to the most that a batch can hold.
const LARGER: usize = 4;
const MOST_RECORDS: usize = 1000;

impl Link<'_> {
    /// Whether the records of a lane wait in the store for better times.
    pub(super) fn is_held_back(&self, lane: usize) -> bool {
        self.level == Level::Urgent && !is_urgent(lane)
    }

    /// When a batch of a lane is full, and how long its first record may wait.
    pub(super) fn limits(&self, lane: usize, batch: &Batch) -> (Limits, Duration) {
        let Batch { max_count, max_bytes, max_age, .. } = *batch;
        // Alarms wait for nobody, and nothing waits beyond the end of a scheduled session; a backlog still fills batches.
        let hasty = class_of(lane) == Class::Alarm as usize || self.is_scheduled();
        let age = if hasty { Duration::ZERO } else { max_age };
        if self.level == Level::Normal {
            return (Limits { count: max_count, bytes: max_bytes }, age);
        }
        // What becomes a few summaries may be many records.
        let limits = match self.is_brief(lane) {
            true => Limits { count: MOST_RECORDS, bytes: MOST_BYTES },
            false => {
                Limits { count: (max_count * LARGER).min(MOST_RECORDS), bytes: (max_bytes * LARGER).min(MOST_BYTES) }
            }
        };
        (limits, age * LONGER)
    }

    /// Whether the readings of a lane leave as summaries.
    pub(super) fn is_brief(&self, lane: usize) -> bool {
        self.level == Level::Summaries && !is_urgent(lane)
    }

    /// When a scheduled session may end, as things are now.
    pub(super) fn sleepy_at(&self) -> Option<Instant> {
        let idle = self.is_scheduled() && self.stop_at.is_none() && self.flights.len() == 0 && self.pipe.is_idle();
        let done = |lane| self.is_held_back(lane) || (self.is_dry(lane) && self.batches[lane].is_empty());
        // What is being set aside is done with first: in the next session it would come again.
        let rests = self.parked.is_none() && self.asides.is_empty();
        let drained = idle && rests && (0..LANES).all(done);
        drained.then(|| self.last_sent.max(self.arrived) + self.core.timing.quiet)
    }

    fn is_scheduled(&self) -> bool {
        self.core.settings.connect != Connect::Always
    }
}

/// Whether no budget ever holds a lane back.
fn is_urgent(lane: usize) -> bool {
    class_of(lane) <= Class::Command as usize
}
