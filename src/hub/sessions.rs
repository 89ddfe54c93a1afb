//! All sessions by client id: take-over, expiry, delayed wills.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::access::{Access, Subject};
use super::bell::Bell;
use super::codec::Reason;
use super::counters::{Cause, Counters, Laggard, add};
use super::memory::Level;
use super::router::{Router, Target};
use super::routes::Member;
use super::session::{DueWill, Session};
use super::settings::{Limits, Settings};
use crate::model::{Message, Receipt};

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    members: Mutex<HashMap<Arc<str>, Arc<Member>>>,
}

/// What a connection wants of its session.
pub(crate) struct Wish {
    pub(crate) client_id: Arc<str>,
    /// The name that was verified.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) peer: SocketAddr,
    /// It comes from this machine.
    pub(crate) local: bool,
    pub(crate) access: Arc<Access>,
    pub(crate) clean_start: bool,
    pub(crate) bell: Arc<Bell>,
    /// Messages in flight to the client at once.
    pub(crate) window: u16,
    pub(crate) expiry: Duration,
}

/// What all sessions hold together.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) sessions: u64,
    /// Messages that wait or are on their way, and their bytes.
    pub(crate) queued: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) laggards: Vec<Laggard>,
}

/// A connection's hold on its session.
pub(crate) struct Attached {
    pub(crate) member: Arc<Member>,
    pub(crate) epoch: u64,
    /// There was state of an earlier connection.
    pub(crate) present: bool,
    /// Whose connection was thrown out.
    pub(crate) rival: Option<SocketAddr>,
    /// The delayed will of a session that ended just now.
    pub(crate) will: Option<Message>,
    /// Safe when that session cannot come back.
    pub(crate) ended: Option<Receipt>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Member>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every session once.
    pub(crate) fn survey(&self) -> Survey {
        let members: Vec<_> = self.lock().values().cloned().collect();
        let mut survey = Survey { sessions: members.len() as u64, ..Survey::default() };
        for member in members {
            let session = member.lock();
            let (messages, bytes) = session.waiting();
            let (messages, bytes, connected, lost) =
                (messages as u64, bytes as u64, session.is_online(), session.lost());
            drop(session);
            survey.queued += messages;
            survey.queued_bytes += bytes;
            if messages + lost > 0 {
                let client_id = member.client_id.to_string();
                survey.laggards.push(Laggard { client_id, connected, messages, bytes, lost });
            }
        }
        survey.laggards.sort_unstable_by_key(|it| Reverse((it.bytes, it.lost)));
        survey.laggards.truncate(Counters::LAGGARDS);
        survey
    }

    /// Whether a connection has this session.
    pub(crate) fn is_connected(&self, client_id: &str) -> bool {
        let member = self.lock().get(client_id).cloned();
        member.is_some_and(|member| member.lock().is_online())
    }

    /// Gives a connection its session. A connection that has it now finds out by its epoch.
    ///
    /// # Errors
    /// There are as many sessions as there may be, or the client id is another user's.
    pub(crate) fn attach(&self, router: &Router, limits: &Limits, wish: Wish) -> Result<Attached, Reason> {
        let mut members = self.lock();
        let old = members.get(&wish.client_id).cloned();
        if old.as_ref().is_some_and(|member| member.user != wish.user) {
            return Err(Reason::NOT_AUTHORIZED);
        }
        let kept = old.as_ref().filter(|member| !wish.clean_start && member.lock().is_kept(Instant::now()));
        if let Some(member) = kept {
            let mut session = member.lock();
            let rival = session.owner();
            let epoch = session.resume(wish.bell, wish.window, wish.expiry);
            (session.peer, session.local) = (Some(wish.peer), wish.local);
            session.place.iter().for_each(|place| place.seen(wish.local));
            if member.judge_by(&wish.access, &mut session) {
                router.forget_lookups();
            }
            let member = Arc::clone(member);
            return Ok(Attached { member, epoch, present: true, rival, will: None, ended: None });
        }
        // One that is there already may always be taken up: that may be the way to make room.
        let full = members.len() >= limits.sessions || router.memory.level() >= Level::Full;
        if old.is_none() && full {
            return Err(Reason::QUOTA_EXCEEDED);
        }
        let mut session = Session::new(limits, &router.memory);
        (session.peer, session.local) = (Some(wish.peer), wish.local);
        let epoch = session.resume(wish.bell, wish.window, wish.expiry);
        let member = Arc::new(Member::new(Arc::clone(&wish.client_id), wish.user, wish.access, session));
        let rival = old.as_ref().and_then(|old| old.lock().owner());
        let (will, ended) = old.map(|old| discard(router, &old)).unwrap_or_default();
        if let Some(journal) = router.journal().filter(|_| !wish.expiry.is_zero()) {
            let place = journal.admit(&member, wish.local, wish.expiry);
            member.lock().place = Some(place);
        }
        members.insert(wish.client_id, Arc::clone(&member));
        Ok(Attached { member, epoch, present: false, rival, will, ended })
    }

    /// The connection with `epoch` is gone; `will` is its message and the delay it asked for.
    /// Returns the will when it is due now.
    pub(crate) fn detach(
        &self,
        router: &Router,
        member: &Arc<Member>,
        epoch: u64,
        will: Option<(Message, Duration)>,
    ) -> Option<Message> {
        let now = Instant::now();
        let mut session = member.lock();
        if session.epoch != epoch {
            // Another connection goes on with the session, or has ended it: only a delayed will is taken back.
            let ended = session.bell.is_none() && session.expires.is_none();
            drop(session);
            let due = will.filter(|(_, delay)| ended || delay.is_zero()).map(|(message, _)| message);
            return allowed(router, member, due);
        }
        let expiry = session.expiry;
        let (due, later) = match will {
            Some((message, delay)) if !delay.min(expiry).is_zero() => {
                (None, Some(DueWill { message, at: now + delay.min(expiry) }))
            }
            now => (now.map(|(message, _)| message), None),
        };
        router.tally.dropped(Cause::Qos0Offline, session.suspend(now + expiry, later));
        drop(session);
        if expiry.is_zero() {
            self.remove(router, member);
        }
        allowed(router, member, due)
    }

    /// Ends a session, unless a connection has it again.
    fn remove(&self, router: &Router, member: &Arc<Member>) -> Option<Message> {
        let mut members = self.lock();
        let current = members.get(&member.client_id).is_some_and(|known| Arc::ptr_eq(known, member));
        if !current || member.lock().is_online() {
            return None;
        }
        members.remove(&member.client_id);
        drop(members);
        discard(router, member).0
    }

    /// Sessions of an earlier run.
    pub(crate) fn restore(&self, members: Vec<Arc<Member>>) {
        self.lock().extend(members.into_iter().map(|member| (Arc::clone(&member.client_id), member)));
    }

    /// New rules and limits hold for all sessions; their connections look at what else has changed.
    pub(crate) fn reload(&self, router: &Router, settings: &Settings) {
        let members: Vec<_> = self.lock().values().cloned().collect();
        for member in members {
            let mut session = member.lock();
            let subject = Subject { user: member.user.as_deref(), client_id: &member.client_id, local: session.local };
            member.judge_by(&Access::shared(&settings.acl, subject), &mut session);
            let bell = session.reload(&settings.limits);
            drop(session);
            bell.inspect(|bell| bell.ring());
        }
        router.forget_lookups();
    }

    /// Ends the sessions whose time is over and returns the wills that are due.
    pub(crate) fn sweep(&self, router: &Router, now: Instant) -> Vec<Message> {
        let members: Vec<_> = self.lock().values().cloned().collect();
        let mut wills = Vec::new();
        for member in members {
            let mut session = member.lock();
            let due = session.will.take_if(|will| will.at <= now);
            let over = session.expires.is_some_and(|expires| expires <= now);
            drop(session);
            wills.extend(allowed(router, &member, due.map(|will| will.message)));
            if over {
                add(&router.tally.sessions_expired, 1);
                wills.extend(self.remove(router, &member));
            }
        }
        wills
    }
}

/// A will that is to be sent now, if the rules of now allow it; one that they do not is counted.
fn allowed(router: &Router, member: &Member, will: Option<Message>) -> Option<Message> {
    let may = will.as_ref().is_none_or(|will| member.access().may_publish(&will.topic));
    if !may {
        router.tally.refused(Reason::NOT_AUTHORIZED.word());
    }
    will.filter(|_| may)
}

/// Cuts a session off from the tree and from its connection; returns a will that was still waiting, and the receipt
/// of a durable session's end.
fn discard(router: &Router, member: &Arc<Member>) -> (Option<Message>, Option<Receipt>) {
    let mut session = member.lock();
    let ended = session.leave_journal();
    session.epoch += 1;
    session.expires = None;
    if let Some(bell) = session.bell.take() {
        bell.ring();
    }
    let will = session.will.take();
    let subscriptions = session.subscriptions.drain().inspect(|text| router.tally.unsubscribed(text));
    let targets: Vec<Target> = subscriptions.filter_map(|text| Target::parse(&text)).collect();
    drop(session);
    router.unsubscribe(&targets, member);
    (allowed(router, member, will.map(|will| will.message)), ended)
}
