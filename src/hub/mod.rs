//! The hub: weir's embedded MQTT broker, and the only meeting point of the house.
//!
//! Every PUBLISH, from a socket, a sampler or a bridge, takes one road: it becomes a
//! [`Message`], is matched once in the topic tree, and goes to sessions, to subscriptions inside this
//! process, and to [durable consumers](Durable). The acknowledgement travels back when they all have settled.
//!
//! Invariants: one task per connection, which waits for nobody but its own socket; no lock is held
//! across a wait; every queue has a bound, and what does not fit is counted.

mod access;
mod bell;
pub mod codec;
mod connection;
mod counters;
mod doors;
mod durable;
mod handover;
mod inbox;
mod journal;
mod live;
mod memory;
mod places;
mod queue;
mod retained;
mod rivals;
mod router;
mod routes;
mod session;
mod sessions;
mod settings;
mod sys;
#[cfg(test)]
mod tests;
mod tree;
mod upkeep;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::{Filter, Message, Receipt};
use crate::runtime::Clock;
use crate::store::Store;
use access::Gate;
use doors::Doors;
use durable::{Consumer, Offered};
use journal::{Found, Journal, Restored};
use live::Live;
use places::Places;
use rivals::Rivals;
use router::{Publisher, Router, Target, Wakes};
use sessions::Sessions;

pub use access::users;
pub use counters::{Counters, JournalCounters, Laggard};
pub use doors::TlsError;
pub use durable::{Durable, Full};
pub use inbox::{Delivery, Subscription};
pub use journal::is_own_chain;
pub use rivals::Duplicate;
pub use settings::{Anonymous, Limits, MAX_LEVELS, Rule, Settings, Tls};
pub use sys::topics as sys_topics;

/// The broker; a cheap handle.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
    /// Without them it would seem to work.
    tasks: Arc<[AbortHandle]>,
    doors: Arc<Mutex<Doors>>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    live: Live,
    router: Arc<Router>,
    sessions: Sessions,
    /// One per connection.
    places: Places,
    gate: Gate,
    rivals: Rivals,
    started: Instant,
    stop: CancellationToken,
}

impl Shared {
    fn new(settings: Settings, journal: Option<Arc<Journal>>, stop: CancellationToken) -> Self {
        let router = Arc::new(Router::new(journal));
        router.bound(&settings.limits);
        let live = Live::new(settings);
        let (sessions, places, gate) = (Sessions::default(), Places::default(), Gate::default());
        let (rivals, started) = (Rivals::default(), Instant::now());
        Self { live, router, sessions, places, gate, rivals, started, stop }
    }

    fn counters(&self) -> Counters {
        let survey = self.sessions.survey();
        let (retained, memory) = (self.router.retained(), &self.router.memory);
        Counters {
            heap: sys::heap(),
            uptime_s: self.started.elapsed().as_secs(),
            sessions: survey.sessions,
            queued: survey.queued,
            queued_bytes: survey.queued_bytes,
            laggards: survey.laggards,
            duplicates: self.rivals.list(),
            memory: memory.used() as u64,
            memory_most: memory.most() as u64,
            memory_bound: memory.bound() as u64,
            memory_level: memory.level().word(),
            retained: retained.len() as u64,
            retained_bytes: retained.bytes() as u64,
            journal: self.router.journal().map(|journal| journal.counters()).unwrap_or_default(),
            ..self.router.tally.read()
        }
    }

    /// Takes over what an earlier run left.
    fn restore(&self, found: Found) {
        let Some(journal) = self.router.journal() else { return };
        let Restored { sessions, subscriptions, retained } =
            journal.restore(found, &self.settings(), &self.router.memory);
        for (member, text, grant) in subscriptions {
            // One that was allowed when it was made.
            let Some(target) = Target::parse(&text) else { continue };
            member.lock().subscribe(&text);
            self.router.tally.subscribed(&text);
            self.router.subscribe(&target, routes::Subscription { member, options: grant.options(), id: grant.id });
        }
        self.sessions.restore(sessions);
        let refused = self.router.retained_mut().restore(retained);
        (0..refused).for_each(|_| self.router.tally.refused("retained_full"));
    }

    /// Starts what goes on beside the connections, until the hub stops.
    fn start(self: &Arc<Self>) -> Vec<AbortHandle> {
        let mut tasks = vec![tokio::spawn(upkeep::run(Arc::clone(self))).abort_handle()];
        if let Some(journal) = self.router.journal() {
            tasks.push(tokio::spawn(Arc::clone(journal).run(self.stop.clone())).abort_handle());
            tasks.push(tokio::spawn(Arc::clone(journal).keep_short(self.stop.clone())).abort_handle());
        }
        tasks
    }

    /// What is in force now. It takes a lock: connections ask once, and again when the generation has changed.
    fn settings(&self) -> Arc<Settings> {
        self.live.settings()
    }

    /// Routes a message now. Its acknowledgement comes from the receipt, its last durable consumers
    /// may still have to find room.
    fn route(&self, message: Message, publisher: Publisher) -> Offered {
        let message = Arc::new(message);
        let routes = self.router.routes(&message.topic);
        let mut wakes = Wakes::default();
        let offered = self.router.route(&message, &routes, publisher, &mut wakes);
        wakes.ring();
        offered
    }

    /// Routes a message for which nobody waits: a will. Durable consumers that have no room get it
    /// from a task that ends with the hub.
    fn publish_later(&self, message: Message) {
        if let Some(mut stuck) = self.route(message, Publisher::Forgets).stuck {
            let stop = self.stop.clone();
            tokio::spawn(async move { stop.run_until_cancelled(poll_fn(|context| stuck.poll(context))).await });
        }
    }
}

impl Hub {
    /// Binds the listeners and serves them until `stop`; what clients leave behind is kept in memory only.
    ///
    /// # Errors
    /// An address cannot be bound; the error names it.
    pub async fn start(settings: Settings, stop: CancellationToken) -> io::Result<Self> {
        let hub = Self::bind(settings, None, stop).await?;
        hub.serve();
        Ok(hub)
    }

    /// Binds the listeners; clients wait until [`Hub::serve`]. Sessions and retained messages come from
    /// `store` and are kept there.
    ///
    /// # Errors
    /// An address cannot be bound, the error names it; or what the store has cannot be read.
    pub async fn bind(settings: Settings, store: Option<&Store>, stop: CancellationToken) -> io::Result<Self> {
        let (journal, found) = match store {
            Some(store) => {
                let (journal, found) = Journal::resume(store, Clock::system()).await?;
                (Some(journal), found)
            }
            None => (None, Found::default()),
        };
        let shared = Arc::new(Shared::new(settings, journal, stop));
        shared.restore(found);
        let doors = Doors::bind(Arc::clone(&shared)).await?;
        let addresses = doors.addresses()?.into();
        let tasks = shared.start().into();
        Ok(Self { shared, addresses, tasks, doors: Arc::new(Mutex::new(doors)) })
    }

    /// Serves clients from now on; durable consumers that must miss nothing are attached before.
    pub fn serve(&self) {
        self.doors().open();
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts new settings in force. Clients keep their connections and what their CONNACK promised them;
    /// the rest holds from now on. A client that would not be let in any more is disconnected: an anonymous one that
    /// is not welcome, one whose user is gone or has another password. The users file is read again.
    /// Where the hub listens changes only with a new start, which a warning says.
    ///
    /// # Errors
    /// What is wrong with the users file; the hub then goes on with everything it had.
    pub async fn reload(&self, settings: Settings) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let replaced = tokio::task::spawn_blocking(move || shared.live.replace(settings)).await;
        if replaced.expect("reading users does not panic")? {
            tracing::warn!("the hub listens where it did: other addresses need a restart");
        }
        let settings = self.shared.settings();
        self.shared.router.bound(&settings.limits);
        self.shared.sessions.reload(&self.shared.router, &settings);
        Ok(())
    }

    /// Reads the files named in `tls` again and uses them for new connections; those that are there stay.
    ///
    /// # Errors
    /// What is wrong with them; the hub then goes on with what it had.
    pub async fn reload_certificates(&self) -> Result<(), TlsError> {
        let reading = self.doors().reload();
        reading.await
    }

    /// Whether every listener is still served, and every task beside them runs. If not, only a new start of
    /// the process helps.
    pub fn is_serving(&self) -> bool {
        let lost = || self.tasks.iter().any(AbortHandle::is_finished) || self.doors().is_broken();
        self.shared.stop.is_cancelled() || !lost()
    }

    /// The addresses that are really bound, in the order of the settings: plain, TLS, WebSocket,
    /// WebSocket over TLS.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.to_vec()
    }

    /// The one road: publishes a message. Waits only until durable consumers have room; the receipt
    /// then says when the message is safe.
    pub async fn publish(&self, message: Message) -> Receipt {
        let Offered { receipt, stuck } = self.shared.route(message, Publisher::Waits);
        if let Some(mut stuck) = stuck {
            poll_fn(|context| stuck.poll(context)).await;
        }
        receipt.unwrap_or_default()
    }

    /// The same for a publisher that does not wait until its message is safe: durable consumers take their time,
    /// whatever its QoS, and it is at risk for as long as they say.
    pub async fn publish_and_forget(&self, message: Message) {
        if let Some(mut stuck) = self.shared.route(message, Publisher::Forgets).stuck {
            poll_fn(|context| stuck.poll(context)).await;
        }
    }

    /// Subscribes inside this process: first the retained messages, then live ones. At most `capacity` wait;
    /// the oldest QoS 0 are dropped, and counted, for newer ones.
    pub fn subscribe(&self, filters: Vec<Filter>, capacity: usize) -> Subscription {
        Subscription::open(&self.shared.router, filters, capacity, self.shared.stop.clone())
    }

    /// Registers a durable consumer: it is offered every message whose topic matches, once, until the
    /// attachment is dropped. Retained messages of the time before are not repeated.
    pub fn attach(&self, filters: Vec<Filter>, consumer: Arc<dyn Durable>) -> Attachment {
        let consumer = Arc::new(Consumer { durable: consumer });
        self.shared.router.add_consumer(&filters, &consumer);
        Attachment { router: Arc::clone(&self.shared.router), filters, consumer }
    }

    /// Hands everything that is to be kept to the store, which writes it before it closes. Called after `stop`,
    /// when clients are gone.
    pub fn finish(&self) {
        if let Some(journal) = self.shared.router.journal() {
            journal.finish();
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }
}

/// A durable consumer's place in the hub; it leaves when this is dropped.
#[derive(Debug)]
#[must_use = "a dropped attachment gets no messages"]
pub struct Attachment {
    router: Arc<Router>,
    filters: Vec<Filter>,
    consumer: Arc<Consumer>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.router.remove_consumer(&self.filters, &self.consumer);
    }
}

#[cfg(test)]
mod liveness {
    use super::*;
    use crate::model::Name;

    #[tokio::test]
    async fn a_task_that_has_ended_is_noticed() {
        let settings = Settings::new(Name::new("shed").unwrap());
        let hub = Hub::start(settings, CancellationToken::new()).await.unwrap();
        assert!(hub.is_serving());
        hub.tasks[0].abort();
        while hub.is_serving() {
            tokio::task::yield_now().await;
        }
    }
}
