//! Who gets the messages of one topic: subscribers, and what the tree finds made ready for delivery.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::access::Access;
use super::codec::Options;
use super::durable::Consumer;
use super::inbox::Inbox;
use super::session::Session;
use crate::model::{Message, Origin, Qos, Topic};

/// A session with its name. The lock is held for moments only, never across a wait or another session's lock.
#[derive(Debug)]
pub(crate) struct Member {
    /// The client id.
    pub(crate) client_id: Arc<str>,
    /// Whose it is: the name that was verified, nothing for anonymous clients. The same client id under another
    /// user is another's.
    pub(crate) user: Option<Arc<str>>,
    /// What it may do, by the rules of now.
    access: RwLock<Arc<Access>>,
    session: Mutex<Session>,
}

impl Member {
    pub(crate) fn new(client_id: Arc<str>, user: Option<Arc<str>>, access: Arc<Access>, session: Session) -> Self {
        Self { client_id, user, access: RwLock::new(access), session: Mutex::new(session) }
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New rules: what waits in `session`, which is this member's, is judged again. True when they say something
    /// else than the old ones; then every topic has to be looked up again.
    pub(crate) fn judge_by(&self, access: &Arc<Access>, session: &mut Session) -> bool {
        session.judge_by(access);
        let mut old = self.access.write().unwrap_or_else(PoisonError::into_inner);
        *access != std::mem::replace(&mut *old, Arc::clone(access))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subscription of one session.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) member: Arc<Member>,
    pub(crate) options: Options,
    pub(crate) id: Option<u32>,
}

/// The members of one shared subscription, served in turn.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    pub(crate) members: Vec<Subscription>,
    next: Arc<AtomicUsize>,
}

impl Group {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), members: Vec::new(), next: Arc::default() }
    }

    /// The same turn, for a snapshot of the members that `may` take part.
    fn share(&self, may: impl Fn(&Subscription) -> bool) -> Self {
        let members = self.members.iter().filter(|member| may(member)).cloned().collect();
        Self { name: self.name.clone(), members, next: Arc::clone(&self.next) }
    }

    /// All members, each message starting with another one.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &Subscription> + Clone {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.members.len().max(1);
        self.members[start..].iter().chain(&self.members[..start])
    }
}

/// What the tree holds.
#[derive(Debug)]
pub(crate) enum Subscriber {
    Session(Subscription),
    Group(Group),
    Inbox(Arc<Inbox>),
    Durable(Arc<Consumer>),
}

/// One delivery to one session.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) member: Arc<Member>,
    pub(crate) qos: Qos,
    no_local: bool,
    retain_as_published: bool,
    pub(crate) ids: Option<Arc<[u32]>>,
}

/// Everybody who gets the messages of one topic.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) sessions: Vec<Route>,
    pub(crate) groups: Vec<Group>,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) durables: Vec<Arc<Consumer>>,
}

impl Route {
    fn new(subscription: &Subscription) -> Self {
        let options = subscription.options;
        Self {
            member: Arc::clone(&subscription.member),
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            ids: subscription.id.map(|id| Arc::from([id])),
        }
    }

    /// Overlapping subscriptions of one client get one copy: the highest QoS, all identifiers
    /// (MQTT-3.3.5-1, MQTT-3.3.4-4).
    fn join(&mut self, other: Route) {
        self.qos = self.qos.max(other.qos);
        self.retain_as_published |= other.retain_as_published;
        let ids: Vec<u32> = self.ids.iter().chain(&other.ids).flat_map(|ids| ids.iter().copied()).collect();
        self.ids = (!ids.is_empty()).then(|| ids.into());
    }

    /// Whether this client gets this message, by its no-local wish.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        let own = || matches!(&message.origin, Origin::Client(id) if *id == self.member.client_id);
        !self.no_local || !own()
    }

    /// The RETAIN flag of a live message (MQTT-3.3.1-12, -13).
    pub(crate) fn retain(&self, message: &Message) -> bool {
        self.retain_as_published && message.retain
    }
}

impl Routes {
    /// Gathers what the tree found for `topic`, without those that may not have its messages.
    pub(crate) fn gather<'a>(topic: &Topic, found: impl Iterator<Item = &'a Subscriber>) -> Self {
        let may = |subscription: &Subscription| subscription.member.access().may_receive(topic);
        let mut routes = Routes::default();
        let mut places: HashMap<(*const Member, bool), usize> = HashMap::new();
        for subscriber in found {
            match subscriber {
                Subscriber::Session(subscription) if !may(subscription) => {}
                Subscriber::Session(subscription) => {
                    let route = Route::new(subscription);
                    // Those that differ in no-local stay apart: they differ in what they get.
                    let key = (Arc::as_ptr(&route.member), route.no_local);
                    match places.get(&key) {
                        Some(&at) => routes.sessions[at].join(route),
                        None => {
                            places.insert(key, routes.sessions.len());
                            routes.sessions.push(route);
                        }
                    }
                }
                Subscriber::Group(group) => routes.groups.push(group.share(may)),
                Subscriber::Inbox(inbox) => push_once(&mut routes.inboxes, inbox),
                Subscriber::Durable(consumer) => push_once(&mut routes.durables, consumer),
            }
        }
        routes
    }

    /// Whether nobody gets anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.groups.is_empty() && self.inboxes.is_empty() && self.durables.is_empty()
    }
}

/// A receiver with several matching filters gets one copy.
fn push_once<T>(list: &mut Vec<Arc<T>>, item: &Arc<T>) {
    if !list.iter().any(|known| Arc::ptr_eq(known, item)) {
        list.push(Arc::clone(item));
    }
}
