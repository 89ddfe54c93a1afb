//! From the log to sessions and retained messages, before the hub serves.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::fold::Fold;
use super::outbox::{Inner, Out};
use super::record::{Delivery, Grant, Head, Mid, Moment, Number, Record};
use super::values::Value;
use super::{Entry, GATHER, Journal, Known, Place, Tally, key};
use crate::hub::access::{Access, Subject};
use crate::hub::memory::Memory;
use crate::hub::queue::Parcel;
use crate::hub::retained::Kept;
use crate::hub::routes::Member;
use crate::hub::session::Session;
use crate::hub::settings::Settings;
use crate::runtime::Clock;
use crate::store::{ReadError, Store};

/// Log read at once.
const STEP: usize = 256 << 10;

/// Retained messages as they came from the log.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Value>);

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) sessions: Vec<Arc<Member>>,
    /// Of the sessions, by their place in `sessions`.
    pub(crate) subscriptions: Vec<(Arc<Member>, Arc<str>, Grant)>,
    pub(crate) retained: Vec<Kept>,
}

impl Journal {
    /// Reads the log and goes on with it.
    ///
    /// # Errors
    /// The store is closed, or its files cannot be read: without them the hub must not start, because it would
    /// forget what it has promised.
    pub(crate) async fn resume(store: &Store, clock: Clock) -> io::Result<(Arc<Self>, Found)> {
        let chain = store.pinned(key());
        let mut fold = Fold::default();
        let mut log = super::log::Log::default();
        let mut from = chain.first_unacked();
        loop {
            let records = chain.read(from, STEP).await.map_err(unreadable)?;
            let Some(last) = records.last() else { break };
            from = last.sequence + 1;
            for record in &records {
                log.grow(record.sequence, record.bytes.len());
                fold.take(record.sequence, &record.bytes);
            }
        }
        fold.finish();
        let Fold { index, values, last_session, last_mid, strange, .. } = fold;
        let values = values.finish(&index);
        let known = Known::resume(clock, index.time.map(|(moment, _): (Moment, _)| moment));
        let time = known.moment();
        let journal = Arc::new(Self {
            chain,
            known,
            next_mid: AtomicU64::new(last_mid + 1),
            next_session: AtomicU64::new(last_session + 1),
            gather: GATHER.min(store.max_loss() / 4),
            young: Default::default(),
            young_bytes: AtomicUsize::new(0),
            inner: std::sync::Mutex::new(Inner::new(index, log, time)),
            closing: AtomicBool::new(false),
            wake: Notify::new(),
            room: Notify::new(),
            tally: Tally { strange: AtomicU64::new(strange), ..Tally::default() },
        });
        Ok((journal, Found(values)))
    }

    fn report(&self, restored: &Restored) {
        let lost = self.extent().lost;
        if lost > 0 || self.tally.strange.load(Relaxed) > 0 {
            let strange = self.tally.strange.load(Relaxed);
            tracing::error!(
                lost,
                strange,
                "the hub's journal is damaged: sessions or retained messages may be missing"
            );
        }
        let (sessions, retained) = (restored.sessions.len(), restored.retained.len());
        tracing::info!(sessions, retained, "the hub's journal is read");
    }

    /// Makes sessions of what the log gave; they are without a connection.
    pub(crate) fn restore(self: &Arc<Self>, found: Found, settings: &Settings, memory: &Arc<Memory>) -> Restored {
        let mut restored = Restored::default();
        let mut queues = self.queues();
        let heads: BTreeMap<Number, Head> =
            self.lock().index.sessions.iter().map(|(number, session)| (*number, session.head.clone())).collect();
        for (number, head) in heads {
            match self.left(&head) {
                Some(left) => {
                    let member = self.session(
                        number,
                        &head,
                        left,
                        queues.remove(&number).unwrap_or_default(),
                        (settings, memory),
                    );
                    self.subscriptions(number, &member, &mut restored);
                    restored.sessions.push(member);
                }
                // Its messages go with it: they are looked at again when their other sessions are done.
                None => self.write(Out::lazy(Record::SessionEnd(number))),
            }
        }
        self.drop_dead();
        restored.retained = found.0.into_iter().filter_map(|value| self.kept(value)).collect();
        self.report(&restored);
        restored
    }

    /// Every session's messages, in their order.
    fn queues(&self) -> HashMap<Number, BTreeMap<Mid, (Arc<Entry>, Delivery)>> {
        let mut queues: HashMap<Number, BTreeMap<Mid, (Arc<Entry>, Delivery)>> = HashMap::new();
        for entry in self.lock().index.messages.values() {
            for delivery in entry.deliveries() {
                queues.entry(delivery.session).or_default().insert(entry.mid, (Arc::clone(entry), delivery));
            }
        }
        queues
    }

    /// How long a session still lives; nothing when its time is over.
    fn left(&self, head: &Head) -> Option<Duration> {
        let expiry = Duration::from_secs(head.expiry_s);
        let away = head.away_since.map_or(0, |since| self.known.now_ms().saturating_sub(since));
        expiry.checked_sub(Duration::from_millis(away)).filter(|left| !left.is_zero())
    }

    fn session(
        self: &Arc<Self>,
        number: Number,
        head: &Head,
        left: Duration,
        queue: BTreeMap<Mid, (Arc<Entry>, Delivery)>,
        (settings, memory): (&Settings, &Arc<Memory>),
    ) -> Arc<Member> {
        let subject = Subject { user: head.user.as_deref(), client_id: &head.client_id, local: head.local };
        let access = Access::shared(&settings.acl, subject);
        let mut session = Session::new(&settings.limits, memory);
        session.local = head.local;
        session.expiry = Duration::from_secs(head.expiry_s);
        session.expires = Some(Instant::now() + left);
        let member = Arc::new(Member::new(Arc::clone(&head.client_id), head.user.clone(), access, session));
        let place = Place::new(Arc::clone(self), number, Arc::downgrade(&member));
        if head.away_since.is_none() {
            // From now on its time runs.
            place.away(Duration::from_secs(head.expiry_s));
        }
        let (releases, inbound) = self.exchanges(number);
        let mut session = member.lock();
        session.place = Some(place);
        releases.into_values().for_each(|id| session.restore_release(id));
        inbound.into_iter().for_each(|id| session.restore_received(id));
        for (entry, delivery) in queue.into_values() {
            session.restore(self.parcel(&entry, delivery));
        }
        drop(session);
        member
    }

    /// Packet ids for which PUBREL is owed, in order, and those of the client that were routed.
    fn exchanges(&self, number: Number) -> (BTreeMap<Mid, u16>, Vec<u16>) {
        let inner = self.lock();
        let Some(session) = inner.index.sessions.get(&number) else { return Default::default() };
        let releases = session.releases.iter().map(|(id, (mid, _))| (*mid, *id)).collect();
        (releases, session.inbound.keys().copied().collect())
    }

    fn parcel(&self, entry: &Arc<Entry>, delivery: Delivery) -> Parcel {
        let Delivery { qos, retain, packet_id: id, ids, .. } = delivery;
        let expires = entry.expires.map(|at| self.instant(at));
        // Whether it was sent before is not known.
        Parcel {
            message: Arc::clone(&entry.message),
            qos,
            retain,
            expires,
            ids,
            id,
            dup: true,
            kept: Some(Arc::clone(entry)),
        }
    }

    fn instant(&self, known_ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(known_ms.saturating_sub(self.known.now_ms()))
    }

    fn subscriptions(&self, number: Number, member: &Arc<Member>, restored: &mut Restored) {
        let inner = self.lock();
        let Some(session) = inner.index.sessions.get(&number) else { return };
        for (filter, (grant, _)) in &session.subscriptions {
            restored.subscriptions.push((Arc::clone(member), Arc::clone(filter), *grant));
        }
    }

    /// Messages of sessions that have ended.
    fn drop_dead(&self) {
        let mut inner = self.lock();
        let all: Vec<_> = inner.index.messages.values().cloned().collect();
        for entry in all {
            entry.retain(|delivery| inner.index.sessions.contains_key(&delivery.session));
            inner.index.recount(&entry);
        }
    }

    fn kept(self: &Arc<Self>, Value { message, expires, .. }: Value) -> Option<Kept> {
        let expired = expires.is_some_and(|at| at <= self.known.now_ms());
        if expired {
            self.expire(&message.topic);
        }
        (!expired).then(|| Kept { message, expires: expires.map(|at| self.instant(at)) })
    }
}

fn unreadable(error: ReadError) -> io::Error {
    io::Error::other(format!("the hub's journal cannot be read: {error}"))
}
