//! Health on topics: `<name>/<part>/status` and `<name>/gateway/status`, retained, on every change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::Gateway;
use crate::format::{GatewayStatus, SensorStatus, Time};
use crate::hub::Hub;
use crate::model::{Message, Name, Qos, Topic};
use crate::runtime::{Board, Part, State, Status};
use crate::sampler::Sampler;
use crate::store::{self, Cause, Store};

/// Publishes what the board says about sensors and outputs. Bridges tell their own state, with their backlog.
pub(super) struct Teller {
    pub(super) gateway: Name,
    pub(super) hub: Hub,
    pub(super) board: Board,
    pub(super) samplers: Arc<HashMap<Name, Arc<Sampler>>>,
}

impl Teller {
    /// Tells every change of state until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut changes = self.board.changes();
        let mut told: HashMap<Part, (State, u64)> = HashMap::new();
        loop {
            for (part, status) in self.board.all() {
                let now = (status.state, status.changes);
                if told.insert(part.clone(), now) != Some(now) {
                    self.tell(&part, &status).await;
                }
            }
            if !matches!(stop.run_until_cancelled(changes.changed()).await, Some(Ok(()))) {
                return;
            }
        }
    }

    async fn tell(&self, part: &Part, status: &Status) {
        if matches!(part, Part::Bridge(_)) {
            return;
        }
        let fault = status.last_fault.as_ref().filter(|_| matches!(status.state, State::Degraded | State::Dead));
        let since = Time(status.since.wall_ms);
        let last_good = status.last_good.map(|stamp| Time(stamp.wall_ms));
        let document = SensorStatus::new(status.state.word(), since, fault.map(|(fault, _)| fault), last_good);
        publish(&self.hub, &format!("{}/{}/status", self.gateway, part.name()), document.encode()).await;
        if let (State::Dead, Some(sampler)) = (status.state, self.samplers.get(part.name())) {
            sampler.tell_stale().await;
        }
    }
}

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Says how the gateway itself is.
pub(super) struct Herald {
    gateway: Name,
    trouble: Option<String>,
    hub: Hub,
    store: Store,
    since: Time,
}

impl Herald {
    pub(super) fn of(gateway: &Gateway) -> Self {
        let Gateway { name, trouble, hub, store, clock, .. } = gateway;
        let (gateway, trouble, hub) = (name.clone(), trouble.clone(), hub.clone());
        Self { gateway, trouble, hub, store: store.clone(), since: Time(clock.wall_ms()) }
    }

    /// Says that the gateway is `state` from now on. Returns the trouble that was told with it.
    pub(super) async fn say(&self, state: &str) -> Option<String> {
        let trouble = self.trouble();
        let document =
            GatewayStatus { state, since: self.since, version: env!("CARGO_PKG_VERSION"), trouble: trouble.as_deref() };
        publish(&self.hub, &format!("{}/gateway/status", self.gateway), document.encode()).await;
        trouble
    }

    /// Says again that it is up whenever the trouble changes, until `stop`; `told` is what was told last.
    pub(super) async fn run(self, mut told: Option<String>, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if self.trouble() != told {
                told = self.say("up").await;
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        let own = self.trouble.clone().into_iter();
        let all: Vec<String> = own.chain(trouble_of(&self.store.status())).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What is wrong with the store, in words.
pub(super) fn trouble_of(store: &store::Status) -> Vec<String> {
    let damaged: u64 = store.chains.iter().map(|chain| chain.dropped.of(Cause::Damage)).sum();
    let words = [
        store.failing.then(|| "the disk refuses writes: nothing is acknowledged".to_owned()),
        store.crowded.then(|| "the file system is nearly full: old records go before the quota is used up".to_owned()),
        (damaged > 0).then(|| format!("the disk damaged {damaged} records")),
    ];
    words.into_iter().flatten().collect()
}

async fn publish(hub: &Hub, topic: &str, payload: Vec<u8>) {
    let topic = Topic::new(topic).expect("names are safe topic levels");
    hub.publish_and_forget(Message::own(topic, payload).with_qos(Qos::AtLeastOnce).retained()).await;
}
