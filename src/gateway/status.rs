//! Health on topics: `<name>/<part>/status` and `<name>/gateway/status`, retained, on every change.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Gateway;
use crate::format::{GatewayStatus, SensorStatus, Time};
use crate::hub::Hub;
use crate::model::{Message, Name, Qos, Topic};
use crate::runtime::{Board, Part, State, Status};
use crate::sampler::Sampler;

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

/// Says that the gateway is `state` from now on.
pub(super) async fn say(gateway: &Gateway, state: &str) {
    let since = Time(gateway.clock.wall_ms());
    let document =
        GatewayStatus { state, since, version: env!("CARGO_PKG_VERSION"), trouble: gateway.trouble.as_deref() };
    publish(&gateway.hub, &format!("{}/gateway/status", gateway.name), document.encode()).await;
}

async fn publish(hub: &Hub, topic: &str, payload: Vec<u8>) {
    let topic = Topic::new(topic).expect("names are safe topic levels");
    hub.publish(Message::own(topic, payload).with_qos(Qos::AtLeastOnce).retained()).await;
}
