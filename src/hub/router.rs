//! The one road: every message is matched once and handed to everybody who wants it.
//!
//! Locks, in this order: the retained messages, then one session. The tree is locked only to look
//! up a topic that the caller has not looked up since the last change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::bell::Bell;
use super::counters::{Cause, Tally};
use super::durable::{Consumer, Offered, Tickets, offer};
use super::handover::Pushed;
use super::inbox::Inbox;
use super::journal::{Entry, Journal, Number};
use super::memory::Memory;
use super::queue::{Dropped, Parcel};
use super::retained::Retained;
use super::routes::{Group, Member, Routes, Subscriber, Subscription};
use super::settings::Limits;
use super::tree::{Tree, is_shallow};
use crate::model::{Filter, Message, Topic};

#[derive(Debug)]
pub(crate) struct Router {
    /// Where durable sessions and retained messages are kept, if they are.
    journal: Option<Arc<Journal>>,
    tree: RwLock<Tree<Subscriber>>,
    /// Rises with every change of the tree, so that a look-up can be used again until then.
    generation: AtomicU64,
    retained: RwLock<Retained>,
    pub(crate) tally: Tally,
    pub(crate) memory: Arc<Memory>,
}

impl Default for Router {
    fn default() -> Self {
        Self::new(None)
    }
}

/// Whom to wake when a batch of messages has been routed, and who has more waiting than it should.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    bells: Vec<Arc<Bell>>,
    /// A connected receiver whose queue is more than half full.
    pub(crate) pressed: Option<Arc<Member>>,
}

impl Wakes {
    pub(crate) fn ring(&mut self) {
        self.bells.drain(..).for_each(|bell| bell.ring());
    }

    /// Wakes them. When there is but one, `own` is rung after its turn; says whether that will be.
    pub(crate) fn ring_before(&mut self, own: &Arc<Bell>) -> bool {
        // First the wish, then the ring: the receiver may be done before this goes on.
        let follows = match &self.bells[..] {
            [bell] => !Arc::ptr_eq(bell, own) && bell.follow(own),
            _ => false,
        };
        self.ring();
        follows
    }
}

/// Who publishes a message, as far as its acknowledgement goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Publisher {
    /// Waits for none, whatever the QoS: durable consumers need not hurry.
    Forgets,
    /// Waits for one if the message's QoS has one.
    Waits,
    /// The same, as a durable session that sends at QoS 2 under this packet id.
    Once(Number, u16),
}

/// A filter and, for a shared subscription, its group.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) group: Option<Box<str>>,
    pub(crate) filter: Filter,
}

impl Target {
    /// Reads `filter` or `$share/group/filter` (MQTT 5.0 section 4.8.2).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (group, filter) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(rest) => {
                let (group, filter) = rest.split_once('/')?;
                let good = !group.is_empty() && !group.contains(['+', '#']);
                (Some(good.then(|| group.into())?), filter)
            }
        };
        let filter = Filter::new(filter).ok().filter(|filter| is_shallow(filter.as_str()))?;
        Some(Self { group, filter })
    }
}

impl Router {
    pub(crate) fn new(journal: Option<Arc<Journal>>) -> Self {
        let memory = Arc::new(Memory::default());
        let retained = RwLock::new(Retained::new(&memory));
        let (tree, generation, tally) = Default::default();
        Self { journal, tree, generation, retained, tally, memory }
    }

    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// New bounds of everything that is shared.
    pub(crate) fn bound(&self, limits: &Limits) {
        self.memory.set_bound(limits.memory);
        self.retained_mut().bound(limits.retained_messages, limits.retained_bytes);
    }

    fn tree(&self) -> RwLockReadGuard<'_, Tree<Subscriber>> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tree; everybody looks their topics up again afterwards.
    fn change<T>(&self, act: impl FnOnce(&mut Tree<Subscriber>) -> T) -> T {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut tree);
        self.generation.fetch_add(1, Ordering::Release);
        result
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Somebody may do something else than before: everybody looks their topics up again.
    pub(crate) fn forget_lookups(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn retained(&self) -> RwLockReadGuard<'_, Retained> {
        self.retained.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn retained_mut(&self) -> RwLockWriteGuard<'_, Retained> {
        self.retained.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces a session's subscription.
    pub(crate) fn subscribe(&self, target: &Target, subscription: Subscription) {
        self.change(|tree| {
            let values = tree.at(&target.filter);
            let Some(name) = &target.group else {
                drop_member(values, &subscription);
                values.push(Subscriber::Session(subscription));
                return;
            };
            let group = group_of(values, name);
            group.members.retain(|known| !Arc::ptr_eq(&known.member, &subscription.member));
            group.members.push(subscription);
        });
    }

    /// Removes a session's subscriptions.
    pub(crate) fn unsubscribe(&self, targets: &[Target], member: &Arc<Member>) {
        if targets.is_empty() {
            return;
        }
        self.change(|tree| {
            for target in targets {
                if let Some(name) = &target.group {
                    let group = group_of(tree.at(&target.filter), name);
                    group.members.retain(|known| !Arc::ptr_eq(&known.member, member));
                }
                tree.retain(&target.filter, |value| match (value, &target.group) {
                    (Subscriber::Session(known), None) => !Arc::ptr_eq(&known.member, member),
                    (Subscriber::Group(group), Some(_)) => !group.members.is_empty(),
                    _ => true,
                });
            }
        });
    }

    pub(crate) fn add_inbox(&self, filters: &[Filter], inbox: &Arc<Inbox>) {
        self.add(filters, || Subscriber::Inbox(Arc::clone(inbox)));
    }

    pub(crate) fn remove_inbox(&self, filters: &[Filter], inbox: &Arc<Inbox>) {
        self.remove(filters, |value| matches!(value, Subscriber::Inbox(known) if Arc::ptr_eq(known, inbox)));
    }

    pub(crate) fn add_consumer(&self, filters: &[Filter], consumer: &Arc<Consumer>) {
        self.add(filters, || Subscriber::Durable(Arc::clone(consumer)));
    }

    pub(crate) fn remove_consumer(&self, filters: &[Filter], consumer: &Arc<Consumer>) {
        self.remove(filters, |value| matches!(value, Subscriber::Durable(known) if Arc::ptr_eq(known, consumer)));
    }

    fn add(&self, filters: &[Filter], value: impl Fn() -> Subscriber) {
        self.change(|tree| {
            for filter in filters {
                if is_shallow(filter.as_str()) {
                    tree.at(filter).push(value());
                } else {
                    tracing::warn!(%filter, "a filter with too many levels matches nothing");
                }
            }
        });
    }

    fn remove(&self, filters: &[Filter], is_it: impl Fn(&Subscriber) -> bool) {
        self.change(|tree| filters.iter().for_each(|filter| tree.retain(filter, |value| !is_it(value))));
    }

    /// Looks up who gets the messages of `topic`.
    pub(crate) fn routes(&self, topic: &Topic) -> Routes {
        let tree = self.tree();
        let mut found = Vec::new();
        tree.matching(topic.as_str(), |subscriber| found.push(subscriber));
        Routes::gather(topic, found.into_iter())
    }

    /// Hands `message` to everybody in `routes`: retained store, sessions and inboxes at once, then durable
    /// consumers as far as they have room.
    pub(crate) fn route(
        &self,
        message: &Arc<Message>,
        routes: &Routes,
        publisher: Publisher,
        wakes: &mut Wakes,
    ) -> Offered {
        let expires = expiry(message);
        let mut tickets = Tickets::new(message.qos, !matches!(publisher, Publisher::Forgets));
        let inbound = if let Publisher::Once(number, id) = publisher { Some((number, id)) } else { None };
        if message.retain {
            self.keep(message, expires, &mut tickets);
        }
        let mut kept = self.journal.as_ref().filter(|_| inbound.is_some()).map(|it| it.open(message, expires));
        for route in routes.sessions.iter().filter(|route| route.wants(message)) {
            let (qos, retain, ids) = (message.qos.min(route.qos), route.retain(message), route.ids.clone());
            let parcel = Parcel::new(Arc::clone(message), qos, retain, expires, ids);
            self.push(&route.member, parcel, &mut kept, wakes);
        }
        for group in &routes.groups {
            self.push_to_one(group, message, expires, &mut kept, wakes);
        }
        for inbox in &routes.inboxes {
            let dropped = inbox.push(Parcel::new(Arc::clone(message), message.qos, message.retain, expires, None));
            self.tally.dropped(Cause::Inside, dropped.qos0 + dropped.kept);
        }
        if let (Some(entry), Some(journal)) = (kept, &self.journal) {
            journal.seal(entry, inbound, || tickets.of_journal());
        }
        offer(message, &routes.durables, tickets, self.journal.as_ref())
    }

    fn push(&self, member: &Arc<Member>, parcel: Parcel, kept: &mut Option<Arc<Entry>>, wakes: &mut Wakes) {
        let mut session = member.lock();
        let online = session.is_online();
        let Pushed { dropped, begins, wake } = session.push(parcel, kept);
        let presses = online && wakes.pressed.is_none() && session.is_half_full();
        drop(session);
        if presses {
            wakes.pressed = Some(Arc::clone(member));
        }
        wakes.bells.extend(wake);
        if dropped != Dropped::default() {
            self.count(dropped, online);
        }
        if begins {
            tracing::warn!(client = %member.client_id, online, "messages are lost: the queue of this session is full");
        }
    }

    fn count(&self, dropped: Dropped, online: bool) {
        let (qos0, kept) = match (online, dropped.by_memory) {
            (_, true) => (Cause::Memory, Cause::Memory),
            (true, false) => (Cause::Qos0Slow, Cause::Slow),
            (false, false) => (Cause::Qos0Offline, Cause::Offline),
        };
        self.tally.dropped(qos0, dropped.qos0);
        self.tally.dropped(kept, dropped.kept);
    }

    /// The next member of the group that is connected and has room gets the message; else simply the next.
    fn push_to_one(
        &self,
        group: &Group,
        message: &Arc<Message>,
        expires: Option<Instant>,
        kept: &mut Option<Arc<Entry>>,
        wakes: &mut Wakes,
    ) {
        let mut turn = group.in_turn();
        let Some(first) = turn.clone().next() else { return };
        let ready = |it: &&Subscription| {
            let session = it.member.lock();
            session.is_online() && !session.is_half_full()
        };
        let chosen = turn.find(ready).unwrap_or(first);
        let (qos, retain) = (message.qos.min(chosen.options.qos), chosen.options.retain_as_published && message.retain);
        let ids = chosen.id.map(|id| Arc::from([id]));
        let parcel = Parcel::new(Arc::clone(message), qos, retain, expires, ids);
        self.push(&chosen.member, parcel, kept, wakes);
    }

    /// Keeps `message` as its topic's last value.
    fn keep(&self, message: &Arc<Message>, expires: Option<Instant>, tickets: &mut Tickets) {
        // Locked until the journal has it, so that disk and memory have the same last value.
        let mut retained = self.retained_mut();
        let kept = retained.keep(message, expires);
        if !kept {
            self.tally.refused("retained_full");
        }
        if let Some(journal) = &self.journal {
            journal.retain(message, kept, expires, || tickets.of_journal());
        }
    }

    /// Forgets retained messages that have expired.
    pub(crate) fn sweep_retained(&self, now: Instant) {
        let mut retained = self.retained_mut();
        let expired = retained.sweep(now);
        for topic in expired.iter().filter(|_| self.journal.is_some()) {
            self.journal.iter().for_each(|journal| journal.expire(topic));
        }
    }
}

/// When a message that arrives now expires.
fn expiry(message: &Message) -> Option<Instant> {
    let seconds = message.properties.as_ref()?.expiry_s?;
    Some(Instant::now() + Duration::from_secs(seconds.into()))
}

fn drop_member(values: &mut Vec<Subscriber>, subscription: &Subscription) {
    values.retain(
        |value| !matches!(value, Subscriber::Session(known) if Arc::ptr_eq(&known.member, &subscription.member)),
    );
}

fn group_of<'a>(values: &'a mut Vec<Subscriber>, name: &str) -> &'a mut Group {
    let is_it = |value: &Subscriber| matches!(value, Subscriber::Group(group) if *group.name == *name);
    let at = values.iter().position(is_it).unwrap_or_else(|| {
        values.push(Subscriber::Group(Group::new(name)));
        values.len() - 1
    });
    match &mut values[at] {
        Subscriber::Group(group) => group,
        _ => unreachable!("the place was chosen because a group is there"),
    }
}
