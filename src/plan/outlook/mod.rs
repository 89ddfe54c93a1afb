//! What a plan amounts to: readings a day, days offline, card wear, megabytes a month. Pure arithmetic.
//!
//! Sizes come from the real encoders, rates from the real filters; everything else that the figures
//! rest on is a named constant here or a field of [`Assumptions`].
//!
//! Reading order: `stream` (what is published), `bridge` (what of it a bridge takes), `disk` (what
//! that is on the card, with `thinning`), `link` (what it is on the wire), `warnings`.

mod bridge;
mod disk;
mod filtered;
mod link;
mod stream;
mod thinning;
mod warnings;

use std::time::Duration;

use serde::Serialize;

use super::Plan;
use crate::model::Topic;

pub use bridge::{BridgeOutlook, ClassOutlook, Drain};
pub use disk::{StoreOutlook, Wear};
pub use link::{LinkOutlook, Way};
pub use stream::{MeasureOutlook, SensorOutlook};

const DAY_S: f64 = 86_400.0;
/// Days of the month that the link is reckoned for.
const MONTH_DAYS: f64 = 30.0;

/// What cannot be known from the configuration.
#[derive(Debug, Clone)]
pub struct Assumptions {
    /// Bytes that may be written to the card before it wears out.
    pub endurance: f64,
    /// From the gateway to the cloud and back.
    pub round_trip: Duration,
    /// Publishers on the LAN.
    pub lan: Vec<Lan>,
}

impl Default for Assumptions {
    /// A card of 32 GB that can be written 500 times, and 100 ms to the cloud and back.
    fn default() -> Self {
        Self { endurance: 16e12, round_trip: Duration::from_millis(100), lan: Vec::new() }
    }
}

/// Publishers on the LAN, at QoS 1 and an even pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Lan {
    /// Messages per second.
    pub per_s: f64,
    /// Bytes of one payload.
    pub payload: usize,
    /// Their topic; `<gateway>/lan/device` if nothing else is said.
    pub topic: Option<Topic>,
}

/// Between nothing ever changing and everything always changing: what `deadband` and its like make of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Span {
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Span {
    fn exactly(value: f64) -> Self {
        Self { least: value, most: value }
    }

    fn times(self, factor: f64) -> Self {
        Self { least: self.least * factor, most: self.most * factor }
    }

    /// Applies `f` to both ends.
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { least: f(self.least), most: f(self.most) }
    }
}

impl std::ops::Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { least: self.least + other.least, most: self.most + other.most }
    }
}

impl std::iter::Sum for Span {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::default(), |sum, span| sum + span)
    }
}

/// Everything that was worked out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// The gateway's name.
    pub gateway: String,
    /// The sensors.
    pub sensors: Vec<SensorOutlook>,
    /// Messages a day from the LAN, as assumed.
    pub lan_per_day: f64,
    /// The bridges.
    pub bridges: Vec<BridgeOutlook>,
    /// The store and the card under it.
    pub store: StoreOutlook,
    /// What does not fit together.
    pub warnings: Vec<String>,
}

/// Works out what `plan` amounts to.
pub fn outlook(plan: &Plan, assumptions: &Assumptions) -> Outlook {
    let streams = stream::all(plan, assumptions);
    let loads: Vec<_> = plan.bridges.iter().map(|bridge| bridge::load(plan, bridge, &streams)).collect();
    let store = disk::store(plan, &loads, assumptions);
    let bridges = plan.bridges.iter().zip(&loads);
    let bridges = bridges.map(|(bridge, load)| bridge::outlook(plan, bridge, load, &loads, assumptions)).collect();
    let sensors = plan.sensors.iter().map(|sensor| stream::sensor(sensor, &streams)).collect();
    let mut outlook = Outlook {
        gateway: plan.gateway.name.to_string(),
        sensors,
        lan_per_day: assumptions.lan.iter().map(|lan| lan.per_s * DAY_S).sum(),
        bridges,
        store,
        warnings: Vec::new(),
    };
    outlook.warnings = warnings::find(plan, &outlook, &streams, &loads, assumptions);
    outlook
}

#[cfg(test)]
mod tests;
