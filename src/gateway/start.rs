//! From the parts of a plan to supervised tasks.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ledger::Bookkeeper;
use super::report::Reporter;
use super::status::Teller;
use super::{Gateway, control};
use crate::bridge::{self, Bridge, Condition};
use crate::bus::{self, Buses};
use crate::hub::Hub;
use crate::model::{Fault, Filter, Message, Name, Topic};
use crate::output::{Driven, Output};
use crate::plan::{OutputPlan, SensorPlan};
use crate::runtime::{Backoff, Board, Health, Network, Part, State, supervise, systemd};
use crate::sampler::{Sampler, Sensor};
use crate::store::Store;

/// The watchdog's heartbeat passes through the hub here; clients never see it, `#` does not match it.
const BEAT: &str = "$weir/beat";

impl Gateway {
    pub(super) fn start_bridges(&mut self, bridges: Vec<bridge::Settings>, state_dir: &Path) {
        let network = if bridges.is_empty() { Network::default() } else { Network::listen() };
        for settings in bridges {
            let health = self.board.health(Part::Bridge(settings.name.clone()));
            let options = bridge::Options {
                clock: Some(self.clock.clone()),
                state_dir: Some(state_dir.to_owned()),
                network: network.clone(),
                ..bridge::Options::default()
            };
            let bridge = Arc::new(Bridge::attach(settings, &self.name, &self.hub, &self.store, options));
            self.bridges.push(Arc::clone(&bridge));
            let stop = self.uplinks.stop();
            self.uplinks.spawn(mirror(bridge.watch(), health.clone(), stop.clone()));
            self.uplinks.spawn(async move {
                let run = |stop| {
                    let bridge = Arc::clone(&bridge);
                    async move { bridge.run(stop).await }
                };
                supervise(&health, Backoff::for_links(), stop, run).await;
            });
        }
    }

    pub(super) fn start_devices(&mut self, buses: bus::Settings, sensors: Vec<SensorPlan>, outputs: Vec<OutputPlan>) {
        let buses = Buses::new(buses);
        let link = self.watch_link();
        for output in outputs {
            self.start_output(output, &buses, link.clone());
        }
        self.samplers = Arc::new(sensors.into_iter().map(|sensor| self.start_sensor(sensor, &buses)).collect());
        let samplers = Arc::clone(&self.samplers);
        let (gateway, hub, board) = (self.name.clone(), self.hub.clone(), self.board.clone());
        let stop = self.core.stop();
        self.core.spawn(Teller { gateway, hub, board, samplers }.run(stop));
        self.core.spawn(self.bookkeeper().run(self.core.stop()));
    }

    fn bookkeeper(&self) -> Bookkeeper {
        Bookkeeper {
            gateway: self.name.clone(),
            hub: self.hub.clone(),
            store: self.store.clone(),
            samplers: Arc::clone(&self.samplers),
            clock: self.clock.clone(),
        }
    }

    fn start_sensor(&mut self, plan: SensorPlan, buses: &Buses) -> (Name, Arc<Sampler>) {
        let name = plan.name.clone();
        let health = self.board.health(Part::Sensor(name.clone()));
        let simulated = plan.configured.is_simulated(buses);
        let sensor = Sensor {
            gateway: self.name.clone(),
            name: plan.name,
            open: plan.configured.open,
            every: plan.every,
            patience: plan.deadline,
            strikes: plan.strikes,
            recipes: plan.recipes,
            qos: plan.publish.qos,
            retain: plan.publish.retain,
            format: plan.publish.format,
            simulated,
        };
        let sampler = Sampler::new(sensor, buses.clone(), self.hub.clone(), self.clock.clone(), health.clone());
        let (running, stop) = (Arc::clone(&sampler), self.devices.stop());
        self.devices.spawn(async move {
            supervise(&health, Backoff::for_devices(), stop, |stop| Arc::clone(&running).run(stop)).await;
        });
        (name, sampler)
    }

    fn start_output(&mut self, plan: OutputPlan, buses: &Buses, link: watch::Receiver<bool>) {
        let health = self.board.health(Part::Output(plan.name.clone()));
        let output = Output {
            gateway: self.name.clone(),
            name: plan.name,
            open: plan.configured.open,
            boot: plan.boot,
            on_link_lost: plan.on_link_lost,
            max_on: plan.max_on,
            command_ttl: plan.command_ttl,
        };
        let (hub, clock) = (self.hub.clone(), self.clock.clone());
        let driven = Driven::new(output, buses.clone(), hub, clock, health.clone(), link);
        let stop = self.devices.stop();
        self.devices.spawn(async move {
            supervise(&health, Backoff::for_devices(), stop, |stop| Arc::clone(&driven).run(stop)).await;
        });
    }

    /// Whether any bridge is up; always true where there is none, because then there is no link to lose.
    fn watch_link(&mut self) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(link_is_up(&self.board));
        let (board, stop) = (self.board.clone(), self.core.stop());
        self.core.spawn(async move {
            let mut changes = board.changes();
            while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                let up = link_is_up(&board);
                sender.send_if_modified(|was| std::mem::replace(was, up) != up);
            }
        });
        receiver
    }

    pub(super) fn start_reports(&mut self) {
        let (hub, store) = (self.hub.clone(), self.store.clone());
        let beat = move || beats(hub.clone(), store.clone());
        let report = systemd::report(self.board.clone(), beat, self.core.stop());
        self.core.spawn(report);
    }

    pub(super) fn start_control(&mut self, path: &Path, own: Vec<Filter>) -> anyhow::Result<()> {
        let listener = control::bind(path).with_context(|| format!("no control socket at {}", path.display()))?;
        let reporter = Reporter {
            gateway: self.name.clone(),
            trouble: self.trouble.clone(),
            hub: self.hub.clone(),
            store: self.store.clone(),
            board: self.board.clone(),
            clock: self.clock.clone(),
            books: self.bookkeeper(),
            costs: self.bridges.iter().map(|bridge| (bridge.name().to_string(), bridge.costs())).collect(),
        };
        let bridges = self.bridges.clone().into();
        let client = control::Client { hub: self.hub.clone(), reporter: Arc::new(reporter), bridges, own: own.into() };
        let stop = self.core.stop();
        self.core.spawn(control::serve(listener, client, stop));
        Ok(())
    }
}

/// A message makes its way through the hub, and the store answers.
async fn beats(hub: Hub, store: Store) -> bool {
    let topic = Topic::new(BEAT).expect("a good topic");
    let mut beats = hub.subscribe(vec![Filter::from(&topic)], 1);
    hub.publish_and_forget(Message::own(topic, [])).await;
    beats.recv().await.is_some() && tokio::task::spawn_blocking(move || store.status()).await.is_ok()
}

/// Puts a bridge's condition on the health board, which the outputs' `on_link_lost` goes by.
async fn mirror(mut condition: watch::Receiver<Condition>, health: Health, stop: CancellationToken) {
    loop {
        let now = condition.borrow_and_update().clone();
        match now.reason.clone() {
            None => health.good_but(now.to_string()),
            Some(reason) => health.strike(&Fault::NotPresent(reason)),
        }
        if !matches!(stop.run_until_cancelled(condition.changed()).await, Some(Ok(()))) {
            return;
        }
    }
}

fn link_is_up(board: &Board) -> bool {
    let mut bridges = board.all().into_iter().filter(|(part, _)| matches!(part, Part::Bridge(_))).peekable();
    bridges.peek().is_none() || bridges.any(|(_, status)| status.state == State::Ok)
}
