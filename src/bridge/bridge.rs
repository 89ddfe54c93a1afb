//! A bridge from its attachment to the hub on, and how it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::budget::{self, Budget};
use super::core::{Core, Timing};
use super::dead::DeadLetter;
use super::lanes;
use super::link;
use super::outbox::Outbox;
use super::rules::Rules;
use super::status::{Condition, tell};
use super::tally::Counters;
use super::uplink::codec::Hello;
use super::uplink::{Dialer, Meter, Resolve, Wire};
use super::{gaps, hops};
use crate::format::BudgetStatus;
use crate::hub::{Attachment, Durable, Hub};
use crate::model::{Fault, Name};
use crate::runtime::{Clock, Network};
use crate::store::{ReadError, Store};

/// What is not configured: deadlines, and what a bridge knows of the machine.
#[derive(Default)]
pub struct Options {
    /// Deadlines.
    pub timing: Timing,
    /// Instead of the system's resolver.
    pub resolve: Option<Resolve>,
    /// What the kernel says about links; by default nothing.
    pub network: Network,
    /// Instead of the machine's clocks.
    pub clock: Option<Clock>,
    /// Where what is spent of a budget is kept; without it a restart forgets it.
    pub state_dir: Option<PathBuf>,
}

/// One bridge. It takes messages from the hub into the store as long as it exists, connected or not.
pub struct Bridge {
    pub(super) core: Core,
    pub(super) dialer: Dialer,
    pub(super) network: Network,
    /// Told when the session is to be opened anew.
    pub(super) renew: Notify,
    condition: watch::Sender<Condition>,
    /// How many publishes the cloud took at once in the last session; 0 before the first.
    pub(super) takes: Arc<AtomicU16>,
    _attachment: Attachment,
}

/// What one is told about a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether a session is open, since when, or why not.
    pub condition: Condition,
    /// Records that wait to be sent or acknowledged.
    pub backlog: u64,
    /// Records lost, given up or expired.
    pub dropped: u64,
    /// Records that the cloud refuses for good, kept until somebody has looked.
    pub dead_letters: u64,
    /// Counters since the start.
    pub counters: Counters,
    /// What all its connections cost since the start.
    pub wire: Wire,
    /// What is spent of its budget.
    pub budget: Option<BudgetStatus>,
}

/// What a bridge costs, told even when the bridge is gone.
#[derive(Debug, Clone)]
pub struct Costs {
    meter: Arc<Meter>,
    budget: Option<Arc<Budget>>,
    takes: Arc<AtomicU16>,
}

impl Costs {
    /// Bytes on the wire since the start.
    pub fn wire(&self) -> Wire {
        self.meter.read()
    }

    /// How many publishes the cloud took at once in the last session (its Receive Maximum); nothing before the first.
    pub fn takes(&self) -> Option<u16> {
        Some(self.takes.load(Ordering::Relaxed)).filter(|takes| *takes > 0)
    }

    /// What is spent of the budget.
    pub fn budget(&self) -> Option<BudgetStatus> {
        self.budget.as_ref().map(|budget| budget.status())
    }
}

impl Bridge {
    /// Attaches a bridge of `gateway` to the hub. From now on it is a durable consumer of what its rules
    /// forward; call this before clients can connect.
    pub fn attach(settings: Settings, gateway: &Name, hub: &Hub, store: &Store, options: Options) -> Self {
        let rules = Arc::new(Rules::new(gateway, &settings));
        let chains = std::array::from_fn(|lane| store.chain(lanes::key(&settings.name, lane)));
        let clock = options.clock.unwrap_or_else(Clock::system);
        let dialer = Dialer::new(&settings, options.resolve, clock.clone(), options.network.clone());
        let condition = Condition::down(&clock, "not connected yet");
        let dead = store.chain(lanes::dead_letters(&settings.name));
        let me = hops::name(gateway, store.id());
        let outbox = Arc::new(Outbox::new(Arc::clone(&rules), chains, dead, clock, me));
        let attachment = hub.attach(rules.wanted(), Arc::clone(&outbox) as Arc<dyn Durable>);
        let file = options.state_dir.map(|dir| dir.join(format!("budget-{}.json", settings.name)));
        let (meter, now) = (Arc::clone(dialer.meter()), outbox.clock.now());
        let budget = settings.budget.map(|budget| Arc::new(Budget::new(budget, meter, file, now)));
        let mut core = Core::new(settings, hub.clone(), store.clone(), outbox, options.timing);
        core.budget = budget;
        Self {
            core,
            dialer,
            network: options.network,
            renew: Notify::new(),
            condition: watch::Sender::new(condition),
            takes: Arc::default(),
            _attachment: attachment,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.core.settings.name
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        Status {
            condition: self.condition.borrow().clone(),
            backlog: self.core.backlog(),
            dropped: self.core.dropped(),
            dead_letters: self.core.outbox.dead.count(),
            counters: self.core.outbox.tally.read(),
            wire: self.costs().wire(),
            budget: self.costs().budget(),
        }
    }

    /// What it costs.
    pub fn costs(&self) -> Costs {
        let takes = Arc::clone(&self.takes);
        Costs { meter: Arc::clone(self.dialer.meter()), budget: self.core.budget.clone(), takes }
    }

    /// What the cloud has refused for good, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ReadError> {
        self.core.outbox.dead.list().await
    }

    /// Sends all dead letters again, as new messages behind what waits, or forgets them. Says how many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn empty_dead_letters(&self, forget: bool) -> Result<u64, ReadError> {
        self.core.outbox.dead.empty(&self.core.outbox, forget).await
    }

    /// Told whenever the session opens or ends.
    pub fn watch(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// When the files with certificates and keys have changed, opens the session anew with them; what is on its
    /// way is waited for. Without this they are read at the next connection.
    pub async fn reload_certificates(&self) {
        if self.dialer.has_new_certificates().await {
            tracing::info!(bridge = %self.name(), "other certificates: the session is opened anew");
            self.renew.notify_waiters();
        }
    }

    /// Connects, serves and reconnects until `stop`; it may be called again after an error or a panic,
    /// and continues with what the store has.
    ///
    /// # Errors
    /// Only when the store cannot be read, or was written by a newer weir.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Fault> {
        let ended = tokio::select! {
            ended = self.connect_for_ever(&stop) => ended,
            never = tell(&self.core, self.condition.subscribe()) => match never {},
            never = budget::keep(&self.core) => match never {},
            never = gaps::tell_here(&self.core) => match never {},
        };
        if let Some(budget) = &self.core.budget {
            budget.close(&self.core).await;
        }
        self.became(Condition::down(&self.core.outbox.clock, "stopped"));
        ended
    }

    pub(super) fn hello(&self) -> Hello {
        let Settings { client_id, username, password, keepalive, session_expiry, .. } = &self.core.settings;
        let password = password.as_ref().map_or("", |secret| secret.reveal());
        let seconds = |duration: &Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let outbox = &self.core.outbox;
        Hello {
            client_id: client_id.clone(),
            login: (username.clone().unwrap_or_default(), password.to_owned()),
            keepalive_s: u16::try_from(seconds(keepalive)).unwrap_or(u16::MAX),
            session_expiry_s: seconds(session_expiry),
            receive_max: link::RECEIVE_MAX,
            packet_max: link::PACKET_MAX,
            will: (outbox.rules.cloud_status(), Condition::down(&outbox.clock, "connection lost").will()),
        }
    }

    /// Logs and tells a change; the same reason again is no change.
    pub(super) fn became(&self, condition: Condition) {
        let name = &self.core.settings.name;
        self.condition.send_if_modified(|before| {
            let changed = before.is_other_than(&condition);
            if changed {
                tracing::info!(bridge = %name, "{condition}");
                *before = condition;
            }
            changed
        });
    }
}
