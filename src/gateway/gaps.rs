//! Everything that is missing: messages that a bridge will never deliver, and times in which a sensor gave nothing.

use serde::{Deserialize, Serialize};

use super::ledger::{class, of_a_bridge};
use crate::format::Time;
use crate::runtime::{Board, Hole, Part};
use crate::store::{ChainKey, Gap};

/// All holes, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gaps {
    /// Messages that were taken and will never arrive.
    pub bridges: Vec<BridgeGap>,
    /// Times without readings; known only while the gateway runs, since its start.
    pub sensors: Vec<SensorGap>,
}

/// Messages of one class of a bridge that will never arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeGap {
    /// Whose.
    pub bridge: String,
    /// `alarm`, `command`, `telemetry`, `bulk`, or `set-aside`.
    pub class: String,
    /// Number of the queue, for the first part of the dedupe key.
    pub queue: u8,
    /// The first missing sequence number.
    pub first: u64,
    /// The last one; between them some may have been delivered.
    pub last: u64,
    /// How many are missing.
    pub records: u64,
    /// Why: `quota`, `damage`, `expired`, `refused`, `thinned`, `by-hand`, `not-kept`, or `several`.
    pub cause: String,
    /// When the first of them was taken, RFC 3339, if that is known.
    pub from: Option<String>,
    /// When the last of them was taken.
    pub to: Option<String>,
    /// When it was noticed.
    pub noted: Option<String>,
    /// Whether the cloud has acknowledged being told.
    pub told: bool,
}

/// A time without readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorGap {
    /// Whose.
    pub sensor: String,
    /// The last reading before, RFC 3339; the start of the gateway when there was none.
    pub from: String,
    /// The first reading after; nothing while it lasts.
    pub to: Option<String>,
    /// The last fault, as its word.
    pub reason: String,
}

impl Gaps {
    /// Those of some queues; what belongs to no bridge is left out.
    pub fn of_chains<'g>(chains: impl IntoIterator<Item = (&'g ChainKey, &'g [Gap])>) -> Self {
        let mut bridges: Vec<(Option<i64>, BridgeGap)> = Vec::new();
        for (key, gaps) in chains.into_iter().filter(|(key, _)| of_a_bridge(key)) {
            bridges.extend(gaps.iter().map(|gap| (gap.from_ms.or(gap.noted_ms), bridge_gap(key, gap))));
        }
        bridges.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.first.cmp(&right.first)));
        Self { bridges: bridges.into_iter().map(|(_, gap)| gap).collect(), sensors: Vec::new() }
    }

    /// The same with what the board knows of sensors.
    pub(super) fn with_sensors(mut self, board: &Board) -> Self {
        for (part, status) in board.all() {
            if let Part::Sensor(name) = part {
                self.sensors.extend(status.holes().map(|hole| sensor_gap(name.as_str(), &hole)));
            }
        }
        self.sensors.sort_by(|a, b| (&a.from, &a.sensor).cmp(&(&b.from, &b.sensor)));
        self
    }
}

fn bridge_gap(key: &ChainKey, gap: &Gap) -> BridgeGap {
    let time = |ms: Option<i64>| ms.map(|ms| Time(ms).to_string());
    BridgeGap {
        bridge: key.queue.to_string(),
        class: class(key).to_owned(),
        queue: key.class,
        first: gap.first,
        last: gap.last,
        records: gap.records,
        cause: gap.cause.word().to_owned(),
        from: time(gap.from_ms),
        to: time(gap.to_ms),
        noted: time(gap.noted_ms),
        told: gap.told,
    }
}

fn sensor_gap(sensor: &str, hole: &Hole) -> SensorGap {
    SensorGap {
        sensor: sensor.to_owned(),
        from: Time(hole.from.wall_ms).to_string(),
        to: hole.to.map(|to| Time(to.wall_ms).to_string()),
        reason: hole.reason.to_owned(),
    }
}
