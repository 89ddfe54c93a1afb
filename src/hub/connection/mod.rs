//! One task per connection: reads, handles, answers, delivers. It never waits for another client.

mod acks;
mod brake;
mod cache;
mod clock;
mod hunger;
mod inbound;
mod message;
mod newcomers;
mod outbound;
mod owed;
mod parting;
mod profile;
mod publishing;
mod subscribing;
#[cfg(test)]
mod tests;
mod welcome;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::Shared;
use super::access::users::Users;
use super::access::{Access, Identity, Visitor};
use super::bell::OwnBell;
use super::codec::{CodecError, Packet, Reason};
use super::counters::add;
use super::durable::Stuck;
use super::handover::Outgoing;
use super::router::Wakes;
use super::routes::Member;
use super::session::Session;
use super::settings::Settings;
use crate::model::{Message, Origin, Receipt, Topic, Verdict};
use acks::Acks;
use brake::Brake;
use cache::Cache;
use newcomers::Newcomers;
use owed::{Due, Owed};
use profile::Profile;
use subscribing::Replay;
use welcome::Welcomed;
use wire::{Moved, Wire};

pub(super) use welcome::serve;

/// Bytes waiting for a client above which it is not read: it must take its answers first.
const OUTPUT_HIGH: usize = 256 << 10;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client said so.
    Left,
    /// The socket is closed or broken.
    Lost,
    /// The hub closes it.
    Closed(Reason, &'static str),
    /// Another connection has the session.
    TakenOver,
}

impl From<CodecError> for End {
    fn from(error: CodecError) -> Self {
        End::Closed(error.reason, error.why)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Lost
    }
}

/// A PUBLISH behind one that a durable consumer has no room for.
#[derive(Debug)]
struct Held {
    message: Arc<Message>,
    id: u16,
}

impl Held {
    /// Bytes held for one client before it is not read any more.
    const BYTES: usize = 1 << 20;

    fn weight(&self) -> usize {
        self.message.weight() + size_of::<Message>()
    }
}

/// What has come and gone since it was last counted.
#[derive(Debug, Default)]
struct Traffic {
    packets_in: usize,
    packets_out: usize,
    messages_in: usize,
    messages_out: usize,
    payload_in: usize,
    payload_out: usize,
}

/// A connection whose client has been welcomed.
struct Connection<S> {
    hub: Arc<Shared>,
    /// Those of the time of its CONNECT: what CONNACK promised holds as long as the connection.
    settings: Arc<Settings>,
    /// Those of now, and their generation: who may do what.
    rules: Arc<Settings>,
    generation: u64,
    identity: Identity,
    access: Arc<Access>,
    wire: Wire<S>,
    profile: Profile,
    member: Arc<Member>,
    epoch: u64,
    bell: OwnBell,
    origin: Origin,
    cache: Cache,
    aliases_in: HashMap<u16, Topic>,
    aliases_out: HashMap<Topic, u16>,
    acks: Acks,
    /// QoS 1 PUBLISH packets without PUBACK.
    unanswered: usize,
    stuck: Option<Stuck>,
    held: VecDeque<Held>,
    held_bytes: usize,
    replays: VecDeque<Replay>,
    /// Answers that wait for the disk, and the end of an earlier session, for which CONNACK waits.
    owed: Owed,
    ended: Option<Receipt>,
    /// There is more to do, after others have had their turn.
    rests: bool,
    newcomers: Newcomers,
    /// What is to be sent waits for the next turn: a receiver goes first, because writing an answer takes as long as a
    /// delivery does.
    holds_back: bool,
    /// That has just been so: it is not twice in a row.
    held_back: bool,
    outgoing: Vec<Outgoing>,
    wakes: Wakes,
    will: Option<(Message, Duration)>,
    moved: Traffic,
    /// An answer was larger than the client takes.
    unsaid: bool,
    /// When the last whole packet came, and when the client last took bytes (or had none to take).
    heard: Instant,
    took: Instant,
    /// Since when it is not read because there is no memory for what it sends.
    starved: Option<Instant>,
    /// When a 3.x client whose message was refused is disconnected.
    closes: Option<Instant>,
    /// A receiver that this client outruns.
    brake: Option<Brake>,
    /// Until when receivers that fall behind are not waited for.
    brake_off: Option<Instant>,
}

/// What ended a wait.
enum Woken {
    Moved(io::Result<Moved>),
    Bell,
    Acknowledged(acks::Waiting, Verdict),
    Owed(Due),
    Room,
    CaughtUp(Option<Instant>),
    Timer,
    Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(hub: Arc<Shared>, wire: Wire<S>, welcomed: Welcomed) -> Self {
        let Welcomed { settings, generation, mut profile, identity, access, attached, bell } = welcomed;
        let will = profile.will.take();
        let origin = Origin::Client(Arc::clone(&profile.client_id));
        let now = Instant::now();
        let newcomers = Newcomers::new(hub.router.tally.connects.load(Relaxed), now);
        let mut connection = Self {
            hub,
            rules: Arc::clone(&settings),
            settings,
            generation,
            identity,
            access,
            wire,
            profile,
            member: attached.member,
            epoch: attached.epoch,
            bell: OwnBell(bell),
            origin,
            cache: Cache::default(),
            aliases_in: HashMap::new(),
            aliases_out: HashMap::new(),
            acks: Acks::default(),
            unanswered: 0,
            stuck: None,
            held: VecDeque::new(),
            held_bytes: 0,
            replays: VecDeque::new(),
            owed: Owed::default(),
            ended: attached.ended,
            rests: false,
            newcomers,
            holds_back: false,
            held_back: false,
            outgoing: Vec::new(),
            wakes: Wakes::default(),
            will,
            moved: Traffic::default(),
            unsaid: false,
            heard: now,
            took: now,
            starved: None,
            closes: None,
            brake: None,
            brake_off: None,
        };
        let connack = connection.profile.connack(attached.present, &connection.settings.limits);
        Packet::Connack(connack).encode(connection.profile.version, connection.wire.output());
        connection.moved.packets_out += 1;
        if let Some(will) = attached.will {
            connection.hub.publish_later(will);
        }
        connection
    }

    /// The session, if this connection still has it.
    fn session(&self) -> Result<MutexGuard<'_, Session>, End> {
        let session = self.member.lock();
        if session.epoch == self.epoch { Ok(session) } else { Err(End::TakenOver) }
    }

    /// Whether the client may send more now.
    fn may_read(&self) -> bool {
        self.brake.is_none()
            && self.starved.is_none()
            && self.held_bytes <= Held::BYTES
            && self.wire.pending() < OUTPUT_HIGH
    }

    async fn live(mut self: Box<Self>, visitor: &Visitor) {
        let peer = visitor.peer;
        self.hub.router.tally.arrived();
        tracing::debug!(%peer, certificate = visitor.certified.as_deref(), client = %self.profile.client_id, "client connected");
        let end = self.run().await;
        self.hub.router.tally.left();
        tracing::debug!(%peer, client = %self.profile.client_id, ?end, "client gone");
        self.count();
        Box::pin(self.part(end)).await;
    }

    async fn run(&mut self) -> End {
        self.await_end_of_old_session().await;
        let stop = Arc::clone(&self.hub).stop.clone().cancelled_owned();
        let (mut stop, mut timer) = (Box::pin(stop), Box::pin(sleep_until(self.deadline())));
        loop {
            if let Err(end) = self.work() {
                return end;
            }
            let soonest = [self.closes, self.owed.deadline()].into_iter().flatten().min();
            if soonest.is_some_and(|soonest| soonest < timer.deadline()) {
                timer.as_mut().reset(self.deadline());
            }
            if self.starved.is_some() {
                timer.as_mut().reset(Instant::now() + hunger::RETRY);
            }
            let woken = poll_fn(|context| self.poll_wait(context, stop.as_mut(), timer.as_mut())).await;
            let received = matches!(woken, Woken::Moved(Ok(Moved::Received)));
            if let Err(end) = self.wake_up(woken, timer.as_mut()) {
                return end;
            }
            if received && self.wire.begins_with_publish() && self.newcomers_are_there() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether who woke together with this publisher may have subscribed before it published.
    fn newcomers_are_there(&mut self) -> bool {
        self.newcomers.are_there(self.hub.router.tally.connects.load(Relaxed), Instant::now())
    }

    /// Does everything that needs no waiting.
    fn work(&mut self) -> Result<(), End> {
        self.notice_reload()?;
        self.look_for_memory();
        self.release_held();
        let result = self.handle_received();
        self.ring();
        result?;
        if self.is_pressing() {
            self.brake = self.wakes.pressed.take().map(Brake::new);
        }
        self.wakes.pressed = None;
        self.fill_output()?;
        self.check_memory()?;
        self.count();
        self.check_said()
    }

    /// Wakes the receivers. Answers to the publisher wait once for a single one.
    fn ring(&mut self) {
        if self.wire.pending() > 0 && !std::mem::take(&mut self.held_back) {
            self.holds_back = self.wakes.ring_before(&self.bell.0);
        } else {
            self.wakes.ring();
        }
    }

    /// Goes by new rules when there are some.
    fn notice_reload(&mut self) -> Result<(), End> {
        let generation = self.hub.live.generation();
        if generation == self.generation {
            return Ok(());
        }
        self.generation = generation;
        let (rules, users) = self.hub.live.settings_and_users();
        self.rules = rules;
        if !self.identity.is_welcome(&self.rules, users.as_deref()) {
            return Err(self.unwelcome(users.as_deref()));
        }
        self.cache.clear();
        self.access = self.identity.access(&self.rules.acl, &self.profile.client_id);
        // The session may be younger than the reload that went through all of them.
        let changed = self.member.judge_by(&self.access, &mut *self.session()?);
        if changed {
            self.hub.router.forget_lookups();
        }
        Ok(())
    }

    /// The client would not be let in any more. What a user that is gone left to be said is not said.
    fn unwelcome(&mut self, users: Option<&Users>) -> End {
        let gone = |user: &Arc<str>| !users.is_some_and(|users| users.contains(user));
        if self.identity.user.as_ref().is_some_and(gone) {
            self.will = None;
        }
        End::Closed(Reason::NOT_AUTHORIZED, "no longer welcome: users or rules have changed")
    }

    /// Whether some receiver should be waited for before the next packet.
    fn is_pressing(&self) -> bool {
        self.wakes.pressed.is_some() && self.brake_off.is_none_or(|until| until <= Instant::now())
    }

    fn count(&mut self) {
        let tally = &self.hub.router.tally;
        self.wire.hold(self.held_bytes + self.will.as_ref().map_or(0, |(will, _)| will.weight()));
        let moved = std::mem::take(&mut self.moved);
        add(&tally.packets_in, moved.packets_in);
        add(&tally.packets_out, moved.packets_out);
        add(&tally.messages_in, moved.messages_in);
        add(&tally.messages_out, moved.messages_out);
        add(&tally.payload_in, moved.payload_in);
        add(&tally.payload_out, moved.payload_out);
        add(&tally.bytes_in, std::mem::take(&mut self.wire.bytes_in));
        add(&tally.bytes_out, std::mem::take(&mut self.wire.bytes_out));
    }

    fn poll_wait(
        &mut self,
        context: &mut Context<'_>,
        stop: Pin<&mut WaitForCancellationFutureOwned>,
        timer: Pin<&mut Sleep>,
    ) -> Poll<Woken> {
        if stop.poll(context).is_ready() {
            return Poll::Ready(Woken::Stop);
        }
        if std::mem::take(&mut self.rests) {
            // Its own ring brings it back when the others have had their turn.
            self.bell.0.ring();
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(Some((waiting, verdict))) = self.acks.poll_next(context) {
            return Poll::Ready(Woken::Acknowledged(waiting, verdict));
        }
        if let Poll::Ready(due) = self.owed.poll_next(context) {
            return Poll::Ready(Woken::Owed(due));
        }
        if self.stuck.as_mut().is_some_and(|stuck| stuck.poll(context).is_ready()) {
            return Poll::Ready(Woken::Room);
        }
        if let Some(Poll::Ready(off)) = self.brake.as_mut().map(|brake| brake.poll(context)) {
            return Poll::Ready(Woken::CaughtUp(off));
        }
        if let Poll::Ready(moved) = self.poll_wire(context) {
            return Poll::Ready(Woken::Moved(moved));
        }
        if self.bell.0.poll(context).is_ready() {
            return Poll::Ready(Woken::Bell);
        }
        timer.poll(context).map(|()| Woken::Timer)
    }

    /// Sends and receives, after which those who follow have their turn; or, once, only receives.
    fn poll_wire(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        if std::mem::take(&mut self.holds_back) {
            self.held_back = true;
            return self.wire.poll_received(context, self.may_read());
        }
        self.held_back = false;
        let moved = self.wire.poll(context, self.may_read());
        self.bell.0.passed();
        moved
    }

    fn wake_up(&mut self, woken: Woken, mut timer: Pin<&mut Sleep>) -> Result<(), End> {
        match woken {
            Woken::Moved(moved) => {
                if moved? == Moved::End {
                    return Err(End::Lost);
                }
                if self.wire.bytes_out > 0 {
                    self.took = Instant::now();
                }
            }
            Woken::Bell => {}
            Woken::Acknowledged(waiting, verdict) => self.settled(&waiting, verdict)?,
            Woken::Owed(due) => self.pay(due),
            Woken::Room => self.stuck = None,
            Woken::CaughtUp(off) => (self.brake, self.brake_off) = (None, off),
            Woken::Timer => {
                self.check_time()?;
                let next = self.deadline();
                timer.as_mut().reset(next);
            }
            Woken::Stop => return Err(End::Closed(Reason::SERVER_SHUTTING_DOWN, "the hub stops")),
        }
        Ok(())
    }
}
