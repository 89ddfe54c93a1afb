//! Publishes that the peer has not acknowledged yet, by packet id.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Gap;

/// The packet id of our one SUBSCRIBE; publishes never use it.
pub(super) const SUBSCRIBE_ID: u16 = u16::MAX;

/// Records on their way at once, at most: some packet ids stay free for what else is published.
pub(super) const MOST_FLYING: usize = 65_000;

/// The slowest link that is not taken for dead, in bytes per second: unacknowledged data gets the time
/// that it would need there.
const SLOWEST_BYTES_PER_S: u32 = 8192;

/// What is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cargo {
    /// A record: which lane, which sequence number.
    Record(usize, u64),
    /// Several records of one lane in one publish, with their sequence numbers in ascending order; and those of them
    /// that went into others.
    Batch(usize, Box<[u64]>, Box<[u64]>),
    /// The bridge's own state.
    Status,
    /// A gap of a chain.
    Gap(usize, Gap),
}

#[derive(Debug)]
struct Flight {
    cargo: Cargo,
    bytes: usize,
    since: Instant,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Flights {
    flying: HashMap<u16, Flight>,
    bytes: usize,
    last_id: u16,
    /// Since when the peer owes us an acknowledgement.
    owing_since: Instant,
    /// Smoothed as in RFC 6298 section 2.
    round_trip: Option<Duration>,
}

impl Flights {
    pub(super) fn new(now: Instant) -> Self {
        Self { flying: HashMap::new(), bytes: 0, last_id: 0, owing_since: now, round_trip: None }
    }

    /// The packet id of the next publish.
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = if self.last_id >= SUBSCRIBE_ID - 1 { 1 } else { self.last_id + 1 };
            if !self.flying.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// A publish of `bytes` bytes left under `id`.
    pub(super) fn depart(&mut self, id: u16, cargo: Cargo, bytes: usize, now: Instant) {
        if self.flying.is_empty() {
            self.owing_since = now;
        }
        self.bytes += bytes;
        self.flying.insert(id, Flight { cargo, bytes, since: now });
    }

    /// The peer answered `id`: what it was, unless there is no such flight.
    pub(super) fn land(&mut self, id: u16, now: Instant) -> Option<Cargo> {
        let flight = self.flying.remove(&id)?;
        self.bytes -= flight.bytes;
        self.owing_since = now;
        let took = now.duration_since(flight.since);
        self.round_trip = Some(self.round_trip.map_or(took, |smoothed| (smoothed * 7 + took) / 8));
        Some(flight.cargo)
    }

    pub(super) fn len(&self) -> usize {
        self.flying.len()
    }

    /// How many of them are the bridge's own state.
    pub(super) fn statuses(&self) -> usize {
        self.flying.values().filter(|flight| flight.cargo == Cargo::Status).count()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// How long the peer has owed us an acknowledgement.
    pub(super) fn owing(&self, now: Instant) -> Duration {
        if self.flying.is_empty() { Duration::ZERO } else { now.duration_since(self.owing_since) }
    }

    /// When a peer that does not acknowledge anything is taken for dead, if it owes us anything.
    pub(super) fn patience_ends(&self, silence: Duration) -> Option<Instant> {
        let by_link = Duration::from_secs_f64(self.bytes as f64 / f64::from(SLOWEST_BYTES_PER_S));
        let by_round_trip = self.round_trip.unwrap_or_default() * 4;
        (!self.flying.is_empty()).then(|| self.owing_since + silence.max(by_round_trip) + by_link)
    }

    /// The record that is alone on its way.
    pub(super) fn alone(&self) -> Option<(usize, u64)> {
        match self.flying.values().next()?.cargo {
            Cargo::Record(lane, sequence) if self.flying.len() == 1 => Some((lane, sequence)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packet_ids_come_round_and_skip_what_flies() {
        let now = Instant::now();
        let mut flights = Flights::new(now);
        assert_eq!(flights.next_id(), 1);
        flights.depart(1, Cargo::Record(0, 1), 10, now);
        for _ in 2..SUBSCRIBE_ID {
            flights.next_id();
        }
        assert_eq!(flights.next_id(), 2, "neither 0, nor 1, nor the id of SUBSCRIBE");
    }

    #[tokio::test]
    async fn a_peer_that_owes_an_acknowledgement_is_dead_after_silence_or_four_round_trips() {
        let start = Instant::now();
        let (second, silence) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut flights = Flights::new(start);
        assert_eq!(flights.patience_ends(silence), None);
        flights.depart(1, Cargo::Status, 0, start);
        assert_eq!(flights.patience_ends(silence), Some(start + silence));
        assert_eq!(flights.alone(), None);
        assert_eq!(flights.land(1, start + 4 * second), Some(Cargo::Status));
        assert_eq!(flights.land(1, start), None);
        flights.depart(2, Cargo::Record(1, 7), 8192, start + 5 * second);
        assert_eq!(flights.alone(), Some((1, 7)));
        assert_eq!(flights.patience_ends(silence), Some(start + (5 + 16 + 1) * second));
        assert_eq!(flights.round_trip(), Some(4 * second));
    }
}
