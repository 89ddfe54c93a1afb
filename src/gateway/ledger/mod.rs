//! The books: what became of every reading and of every message, in numbers that add up.
//!
//! ```text
//! sensor:  taken  = published + filtered by each filter
//! bridge:  stored = acknowledged + waiting + dropped for each cause
//! ```
//! A sensor's numbers count from the start of the gateway; a bridge's are kept by the store and count from
//! the day the store was made, over restarts.

mod tell;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sampler::Account;
use crate::store::{ChainKey, ChainStatus};

pub(super) use tell::Bookkeeper;

/// The queue of the hub's own state, which no bridge sends.
const HUB: &str = "hub";

/// All accounts at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Readings, by sensor and measure, since the gateway started.
    pub sensors: Vec<SensorAccount>,
    /// Messages, by bridge and class, since the store was made.
    pub bridges: Vec<BridgeAccount>,
}

/// The readings of one measure: `taken` = `published` + the sum of `filtered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorAccount {
    /// Whose.
    pub sensor: String,
    /// Of what.
    pub measure: String,
    /// Readings that the device gave.
    pub taken: u64,
    /// Those that went to the hub.
    pub published: u64,
    /// Of those published: outside what the device or the `range` filter holds possible.
    pub suspect: u64,
    /// Those that a filter held back, by filter; `not_finite` are no numbers.
    pub filtered: BTreeMap<String, u64>,
}

/// The messages of one class of a bridge: `stored` = `acknowledged` + `waiting` + the sum of `dropped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeAccount {
    /// Whose.
    pub bridge: String,
    /// `alarm`, `command`, `telemetry`, `bulk`, or `set-aside` for copies of what the cloud refuses for good.
    pub class: String,
    /// Messages that were taken into the store.
    pub stored: u64,
    /// Those that the cloud has.
    pub acknowledged: u64,
    /// Those that are still to be delivered.
    pub waiting: u64,
    /// Those that never will be, by cause.
    pub dropped: BTreeMap<String, u64>,
    /// Messages that were not taken, and whose publishers know it, since the start of the gateway.
    pub refused: u64,
    /// Whether a bridge of this name is configured; if not, what waits here waits for ever.
    pub in_use: bool,
}

impl SensorAccount {
    fn new(sensor: &str, account: Account) -> Self {
        let Account { measure, taken, published, suspect, filtered } = account;
        Self { sensor: sensor.to_owned(), measure, taken, published, suspect, filtered: by_name(filtered) }
    }

    /// Whether it adds up.
    pub fn is_even(&self) -> bool {
        self.taken == self.published + self.filtered.values().sum::<u64>()
    }
}

impl BridgeAccount {
    fn new(chain: &ChainStatus) -> Self {
        let dropped = chain.dropped.iter().map(|(cause, count)| (cause.word(), count));
        Self {
            bridge: chain.key.queue.to_string(),
            class: class(&chain.key).to_owned(),
            stored: chain.stored,
            acknowledged: chain.acknowledged,
            waiting: chain.waiting,
            dropped: by_name(dropped),
            refused: chain.refused,
            in_use: chain.in_use,
        }
    }

    /// Whether it adds up.
    pub fn is_even(&self) -> bool {
        self.stored == self.acknowledged + self.waiting + self.dropped.values().sum::<u64>()
    }

    /// Adds what another queue of the same class has.
    fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.acknowledged += other.acknowledged;
        self.waiting += other.waiting;
        self.refused += other.refused;
        self.in_use |= other.in_use;
        for (cause, count) in other.dropped {
            *self.dropped.entry(cause).or_default() += count;
        }
    }
}

/// Counts by name, without those that are 0.
fn by_name<'n>(counts: impl IntoIterator<Item = (&'n str, u64)>) -> BTreeMap<String, u64> {
    let mut named = BTreeMap::new();
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        *named.entry(name.to_owned()).or_default() += count;
    }
    named
}

/// The word for the class of a queue. A bridge may have a second queue for a class, eight numbers on.
pub(super) fn class(key: &ChainKey) -> &'static str {
    match key.class % 8 {
        0 => "alarm",
        1 => "command",
        2 => "telemetry",
        3 => "bulk",
        _ => "set-aside",
    }
}

/// Whether a queue belongs to a bridge.
pub(super) fn of_a_bridge(key: &ChainKey) -> bool {
    key.queue.as_str() != HUB
}

/// The accounts of all bridges. What was never used is left out.
pub(super) fn bridges(chains: &[ChainStatus]) -> Vec<BridgeAccount> {
    let mut accounts: BTreeMap<(&str, u8), BridgeAccount> = BTreeMap::new();
    for chain in chains.iter().filter(|chain| of_a_bridge(&chain.key) && chain.stored + chain.refused > 0) {
        let account = BridgeAccount::new(chain);
        match accounts.entry((chain.key.queue.as_str(), chain.key.class % 8)) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(account)),
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().add(account),
        }
    }
    accounts.into_values().collect()
}

impl Ledger {
    /// The accounts of these measures and queues.
    pub(super) fn new<'s>(sensors: impl IntoIterator<Item = (&'s str, Vec<Account>)>, chains: &[ChainStatus]) -> Self {
        let of = |(sensor, accounts): (&'s str, Vec<Account>)| {
            accounts.into_iter().map(move |account| SensorAccount::new(sensor, account))
        };
        let mut sensors: Vec<_> = sensors.into_iter().flat_map(of).collect();
        sensors.sort_by(|a, b| (&a.sensor, &a.measure).cmp(&(&b.sensor, &b.measure)));
        Self { sensors, bridges: bridges(chains) }
    }

    /// Whether every account adds up.
    pub fn is_even(&self) -> bool {
        self.sensors.iter().all(SensorAccount::is_even) && self.bridges.iter().all(BridgeAccount::is_even)
    }

    /// Everything that was lost or refused: what somebody should hear of soon.
    fn losses(&self) -> u64 {
        let of = |account: &BridgeAccount| account.refused + account.dropped.values().sum::<u64>();
        self.bridges.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::store::disk::sim::SimDisk;
    use crate::store::{Settings, Store, WhenFull};

    fn store() -> Store {
        let settings = Settings {
            dir: std::path::PathBuf::new(),
            max_size: 1 << 20,
            segment_size: 64 << 10,
            max_loss: std::time::Duration::from_millis(1),
            when_full: WhenFull::DropOldest,
            max_commits_per_s: 100,
        };
        Store::open(Box::new(SimDisk::new(1)), settings).unwrap()
    }

    #[tokio::test]
    async fn queues_of_one_class_are_one_account_and_the_hubs_is_none() {
        let store = store();
        let put = |queue: &str, class, count: usize| {
            let chain = store.chain(ChainKey { queue: Name::new(queue).unwrap(), class });
            (0..count).for_each(|_| assert!(chain.offer(vec![0], None).is_ok()));
            chain
        };
        put("hub", 0, 4);
        put("cloud", 2, 5).ack(3);
        put("cloud", 10, 7).ack(1);
        put("cloud", 4, 1);
        put("north", 0, 0);
        let found = bridges(&store.status().chains);
        let shown: Vec<_> =
            found.iter().map(|it| (it.class.as_str(), it.stored, it.acknowledged, it.waiting)).collect();
        assert_eq!(shown, [("telemetry", 12, 4, 8), ("set-aside", 1, 0, 1)]);
        assert!(found.iter().all(|account| account.bridge == "cloud" && account.in_use && account.is_even()));
    }

    #[test]
    fn filters_of_one_kind_are_one_line() {
        let filtered = vec![("not_finite", 0), ("range", 2), ("deadband", 3), ("range", 1)];
        let account = Account { measure: "t".into(), taken: 16, published: 10, suspect: 4, filtered };
        let account = SensorAccount::new("s", account);
        assert!(account.is_even());
        let lines: Vec<_> = account.filtered.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(lines, [("deadband", 3), ("range", 3)]);
    }
}
