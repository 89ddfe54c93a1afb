//! The ledger on its topic, `<name>/gateway/ledger`, retained: soon after something was lost, else now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{BridgeAccount, Ledger, SensorAccount};
use crate::format::Time;
use crate::hub::Hub;
use crate::model::{Message, Name, Qos, Topic};
use crate::runtime::Clock;
use crate::sampler::Sampler;
use crate::store::Store;

/// How soon a loss is told, and how often at most.
const LOOK: Duration = Duration::from_secs(10);
/// How often the rest is told, when it has changed.
const NOW_AND_THEN: Duration = Duration::from_secs(300);
/// The largest document, in bytes; a larger one is split, a topic for each sensor.
const LARGEST: usize = 16 << 10;

/// Keeps the books and reads them to everybody.
#[derive(Clone)]
pub(in crate::gateway) struct Bookkeeper {
    pub(in crate::gateway) gateway: Name,
    pub(in crate::gateway) hub: Hub,
    pub(in crate::gateway) store: Store,
    pub(in crate::gateway) samplers: Arc<HashMap<Name, Arc<Sampler>>>,
    pub(in crate::gateway) clock: Clock,
}

/// One document.
#[derive(Serialize)]
struct Document<'l> {
    time: Time,
    /// Whether everything adds up.
    even: bool,
    sensors: &'l [SensorAccount],
    bridges: &'l [BridgeAccount],
}

impl Bookkeeper {
    /// All accounts now.
    pub(in crate::gateway) fn ledger(&self) -> Ledger {
        let sensors = self.samplers.values().map(|sampler| (sampler.name().as_str(), sampler.accounts()));
        Ledger::new(sensors, &self.store.status().chains)
    }

    /// Tells what has changed until `stop`.
    pub(in crate::gateway) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told: Option<(Ledger, Instant)> = None;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = self.ledger();
            if is_due(told.as_ref(), &now) {
                self.tell(&now).await;
                told = Some((now, Instant::now()));
            }
        }
        self.tell(&self.ledger()).await;
    }

    async fn tell(&self, ledger: &Ledger) {
        for (topic, document) in documents(&self.gateway, ledger, Time(self.clock.wall_ms())) {
            let message = Message::own(topic, document).with_qos(Qos::AtLeastOnce).retained();
            self.hub.publish_and_forget(message).await;
        }
    }
}

fn is_due(told: Option<&(Ledger, Instant)>, now: &Ledger) -> bool {
    let Some((before, at)) = told else { return true };
    before.losses() != now.losses() || (before != now && at.elapsed() >= NOW_AND_THEN)
}

/// The document, or the bridges' and one for each sensor where one would be too large.
fn documents(gateway: &Name, ledger: &Ledger, time: Time) -> Vec<(Topic, Vec<u8>)> {
    let topic = |below: &str| {
        let text = format!("{gateway}/gateway/ledger{below}");
        Topic::new(&text).expect("names are safe topic levels")
    };
    let document = |sensors, bridges| {
        let document = Document { time, even: ledger.is_even(), sensors, bridges };
        serde_json::to_vec(&document).expect("strings and numbers always serialise")
    };
    let whole = document(&ledger.sensors, &ledger.bridges);
    if whole.len() <= LARGEST {
        return vec![(topic(""), whole)];
    }
    let by_sensor = ledger.sensors.chunk_by(|a, b| a.sensor == b.sensor);
    let sensors = by_sensor.map(|own| (topic(&format!("/{}", own[0].sensor)), document(own, &[])));
    std::iter::once((topic(""), document(&[], &ledger.bridges))).chain(sensors).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sensor(sensor: &str, measure: &str, taken: u64, held: u64) -> SensorAccount {
        let filtered = BTreeMap::from([("deadband".to_owned(), held)]);
        let (sensor, measure) = (sensor.to_owned(), measure.to_owned());
        SensorAccount { sensor, measure, taken, published: taken - held, suspect: 0, filtered }
    }

    fn bridge(stored: u64, quota: u64) -> BridgeAccount {
        BridgeAccount {
            bridge: "cloud".into(),
            class: "telemetry".into(),
            stored,
            acknowledged: stored - quota,
            waiting: 0,
            dropped: BTreeMap::from([("quota".to_owned(), quota)]),
            refused: 0,
            in_use: true,
        }
    }

    fn ledger(taken: u64, lost: u64) -> Ledger {
        Ledger { sensors: vec![sensor("a", "t", taken, 1)], bridges: vec![bridge(taken, lost)] }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_soon_and_progress_now_and_then() {
        let told = (ledger(10, 0), Instant::now());
        assert!(is_due(None, &ledger(10, 0)));
        assert!(!is_due(Some(&told), &ledger(11, 0)));
        assert!(is_due(Some(&told), &ledger(11, 1)));
        tokio::time::advance(NOW_AND_THEN).await;
        assert!(is_due(Some(&told), &ledger(11, 0)));
        assert!(!is_due(Some(&told), &ledger(10, 0)), "nothing has changed");
    }

    #[test]
    fn a_large_ledger_has_a_topic_for_each_sensor_and_none_is_large() {
        let gateway = Name::new("shed").unwrap();
        let small = documents(&gateway, &ledger(5, 1), Time(0));
        let [(topic, document)] = &small[..] else { panic!("{small:?}") };
        assert_eq!(topic.as_str(), "shed/gateway/ledger");
        let read: serde_json::Value = serde_json::from_slice(document).unwrap();
        assert_eq!((&read["even"], &read["sensors"][0]["taken"]), (&true.into(), &5.into()));
        assert_eq!(read["bridges"][0]["dropped"]["quota"], 1);

        let sensors = (0..100).flat_map(|n| ["t", "h"].map(|measure| sensor(&format!("s{n:02}"), measure, 9, 2)));
        let large = Ledger { sensors: sensors.collect(), bridges: vec![bridge(9, 0)] };
        let split = documents(&gateway, &large, Time(0));
        assert_eq!(split.len(), 101);
        assert_eq!((split[0].0.as_str(), split[1].0.as_str()), ("shed/gateway/ledger", "shed/gateway/ledger/s00"));
        assert!(split.iter().all(|(_, document)| document.len() <= LARGEST));
    }

    #[test]
    fn an_account_that_does_not_add_up_is_told_as_such() {
        let mut odd = ledger(5, 1);
        assert!(odd.is_even());
        odd.bridges[0].waiting += 1;
        assert!(!odd.is_even());
        let document = &documents(&Name::new("shed").unwrap(), &odd, Time(0))[0].1;
        assert!(String::from_utf8_lossy(document).contains("\"even\":false"));
    }
}
