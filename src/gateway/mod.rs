//! The composition root: from a plan to a running gateway, and back down in the direction of flow.
//!
//! Invariants: samplers, outputs, bridges and hub know each other only through the hub. Only hub and
//! store may end the process; everything else is kept alive by its supervisor.

pub mod control;
pub mod gaps;
pub mod ledger;
mod phase;
mod reload;
pub mod report;
mod start;
mod status;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{interval, timeout};

use crate::bridge::thin::Thinner;
use crate::bridge::{self, Bridge};
use crate::hub::{self, Hub};
use crate::model::{Filter, Name};
use crate::plan::Plan;
use crate::runtime::{Board, Clock, systemd};
use crate::sampler::Sampler;
use crate::store::disk::Disk;
use crate::store::{ChainKey, Label, Store, WhenFull};

use phase::Phase;
use status::Herald;

/// How long closing the store may take.
const CLOSING: Duration = Duration::from_secs(5);

/// How often hub and store are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is not in the configuration.
#[derive(Debug, Default)]
pub struct Options {
    /// Where the control socket goes, if there is to be one.
    pub control: Option<PathBuf>,
    /// Why the gateway does not run as its owner wants, to be told in `status` and on its topic.
    pub trouble: Option<String>,
}

/// A running gateway.
pub struct Gateway {
    name: Name,
    /// Second topic levels that only this gateway publishes to.
    own: Vec<Name>,
    trouble: Option<String>,
    hub: Hub,
    store: Store,
    board: Board,
    clock: Clock,
    bridges: Vec<Arc<Bridge>>,
    samplers: Arc<HashMap<Name, Arc<Sampler>>>,
    devices: Phase,
    uplinks: Phase,
    core: Phase,
}

impl Gateway {
    /// Starts everything in `plan`, keeping durable state on `disk`.
    ///
    /// # Errors
    /// When the store cannot be opened, the hub cannot listen or the control socket cannot be made.
    /// Sensors, outputs and bridges that fail are health states, never an error here.
    pub async fn start(plan: Plan, disk: Box<dyn Disk>, clock: Clock, options: Options) -> anyhow::Result<Self> {
        let owned = plan.hub.own.clone();
        let own = own_topics(&plan.gateway.name, &plan.hub.own);
        let core = Phase::new("hub");
        let (settings, state_dir) = (plan.store, plan.gateway.state_dir);
        let thins = settings.when_full == WhenFull::Thin;
        let store = tokio::task::spawn_blocking(move || Store::open_labelled(disk, settings, labelled)).await?;
        let store = store.context("the store cannot be opened")?;
        let hub = Hub::bind(plan.hub, Some(&store), core.stop()).await.context("the hub cannot start")?;
        let mut gateway = Self {
            name: plan.gateway.name,
            own: owned,
            trouble: options.trouble,
            hub,
            store,
            board: Board::new(clock.clone()),
            clock,
            bridges: Vec::new(),
            samplers: Arc::default(),
            devices: Phase::new("devices"),
            uplinks: Phase::new("bridges"),
            core,
        };
        gateway.start_bridges(plan.bridges, &state_dir);
        if thins {
            let stop = gateway.core.stop();
            gateway.core.spawn(Thinner::new(&gateway.store).run(stop));
        }
        // Only now: a message that is acknowledged must have met every bridge it is for.
        gateway.hub.serve();
        gateway.start_devices(plan.buses, plan.sensors, plan.outputs);
        gateway.start_reports();
        if let Some(path) = options.control {
            gateway.start_control(&path, own)?;
        }
        let herald = Herald::of(&gateway);
        let told = herald.say("up").await;
        let stop = gateway.devices.stop();
        gateway.devices.spawn(herald.run(told, stop));
        Ok(gateway)
    }

    /// The gateway's name: the first level of its topics.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The health board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the hub really listens.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.hub.local_addrs()
    }

    /// Resolves, with the reason, when hub or store cannot go on: then the process must end, so that
    /// the service manager starts it again.
    pub async fn failed(&self) -> &'static str {
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            match (self.hub.is_serving(), self.store.is_open()) {
                (false, _) => return "the hub has lost a listener",
                (_, false) => return "the store has lost its thread",
                _ => {}
            }
        }
    }

    /// Stops in the direction of flow: devices, then the hub's clients, then bridges, then the store.
    /// Bridges stay attached to the last, so that nothing is acknowledged that they did not get.
    ///
    /// # Errors
    /// When the store could not write what was still in memory.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        systemd::stopping();
        self.devices.end().await;
        Herald::of(&self).say("down").await;
        self.core.end().await;
        self.uplinks.end().await;
        self.hub.finish();
        timeout(CLOSING, self.store.close()).await.context("the store did not close in time")??;
        drop(self.bridges);
        Ok(())
    }
}

/// Bridges have topics as labels; the hub's own chain has none.
fn labelled(key: &ChainKey) -> Option<Label> {
    if hub::is_own_chain(key) { None } else { bridge::labelled(key) }
}

fn own_topics(gateway: &Name, own: &[Name]) -> Vec<Filter> {
    let below = |name: &Name| Filter::new(&format!("{gateway}/{name}/#")).expect("names are safe topic levels");
    own.iter().map(below).chain(Filter::new("$SYS/#")).collect()
}
