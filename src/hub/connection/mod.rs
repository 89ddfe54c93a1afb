//! One task per connection: reads, handles, answers, delivers. It never waits for another client.

mod acks;
mod cache;
mod inbound;
mod message;
mod outbound;
mod profile;
mod subscribing;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::Shared;
use super::bell::Bell;
use super::codec::{self, CodecError, Connack, Notice, Packet, Properties, Reason, Version};
use super::counters::add;
use super::durable::Stuck;
use super::router::Wakes;
use super::routes::Member;
use super::session::{Outgoing, Session};
use super::sessions::{Attached, Wish};
use crate::model::{Message, Origin, Topic, Verdict};
use acks::Acks;
use cache::Cache;
use profile::{Profile, Refused, judge};
use subscribing::Replay;
use wire::{Moved, Wire};

/// CONNECT has to arrive within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes waiting for a client above which it is not read: it must take its answers first.
const OUTPUT_HIGH: usize = 256 << 10;
/// A client that takes no byte for this long is gone.
const STALLED: Duration = Duration::from_secs(60);
/// A 3.x client cannot be told that its message was refused: its connection ends after this time.
const REFUSED_V3: Duration = Duration::from_secs(10);
/// How long a connection that ends may take for its last words, and for what it held.
const FAREWELL: Duration = Duration::from_secs(1);
const LEFTOVERS: Duration = Duration::from_secs(10);

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

    fn is(&self, id: u16) -> bool {
        self.id == id && self.message.qos as u8 == 2
    }
}

/// A connection whose client has been welcomed.
struct Connection<S> {
    hub: Arc<Shared>,
    wire: Wire<S>,
    profile: Profile,
    member: Arc<Member>,
    epoch: u64,
    bell: Arc<Bell>,
    origin: Origin,
    cache: Cache,
    aliases_in: HashMap<u16, Topic>,
    aliases_out: HashMap<Topic, u16>,
    acks: Acks,
    /// Answers of `acks` that are not the verdict's: packet id and reason, in order.
    refusals: VecDeque<(u16, Reason)>,
    /// QoS 1 PUBLISH packets without PUBACK.
    unanswered: usize,
    stuck: Option<Stuck>,
    held: VecDeque<Held>,
    held_bytes: usize,
    replays: VecDeque<Replay>,
    outgoing: Vec<Outgoing>,
    wakes: Wakes,
    will: Option<(Message, Duration)>,
    messages_in: usize,
    messages_out: usize,
    /// When the client was heard last, and when it last took bytes (or had none to take).
    heard: Instant,
    took: Instant,
    /// When a 3.x client whose message was refused is disconnected.
    closes: Option<Instant>,
}

/// What ended a wait.
enum Woken {
    Moved(io::Result<Moved>),
    Bell,
    Acknowledged(acks::Waiting, Verdict),
    Room,
    Timer,
    Stop,
}

/// Serves one connection until it ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(hub: Arc<Shared>, stream: S, peer: SocketAddr) {
    let mut wire = Wire::new(stream);
    let stop = Arc::clone(&hub);
    let welcomed = stop.stop.run_until_cancelled(timeout(HANDSHAKE, welcome(&hub, &mut wire, peer))).await;
    let Some(Ok(Some((profile, attached, bell)))) = welcomed else {
        if let Some(Err(_)) = welcomed {
            hub.router.tally.closed("handshake_timeout");
        }
        return;
    };
    Connection::new(hub, wire, profile, attached, bell).live(peer).await;
}

/// Waits for CONNECT and answers it; nothing when there is no connection to go on with.
async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Arc<Shared>,
    wire: &mut Wire<S>,
    peer: SocketAddr,
) -> Option<(Profile, Attached, Arc<Bell>)> {
    let limits = &hub.settings.limits;
    loop {
        // Before CONNECT nothing larger than it can be meant well.
        let decoded = codec::decode(wire.input().received(), Version::V5, limits.packet_size);
        let (judged, version, size) = match decoded {
            Ok(None) => match poll_fn(|context| wire.poll(context, true)).await {
                Ok(Moved::Received | Moved::Sent) => continue,
                Ok(Moved::End) | Err(_) => return None,
            },
            Ok(Some((Packet::Connect(connect), size))) => {
                (judge(&connect, is_loopback(peer), &hub.settings), connect.version, size)
            }
            Ok(Some(_)) => {
                hub.router.tally.closed("no_connect");
                return None;
            }
            Err(error) => {
                let version = version_of(wire.input().received());
                refuse(hub, wire, version, Refused { reason: error.reason, why: error.why }, peer).await;
                return None;
            }
        };
        wire.input().consume(size);
        let refused = match judged {
            Ok(profile) => match attach(hub, &profile) {
                Ok((attached, bell)) => return Some((profile, attached, bell)),
                Err(reason) => Refused { reason, why: "as many sessions as there may be" },
            },
            Err(refused) => refused,
        };
        refuse(hub, wire, Some(version), refused, peer).await;
        return None;
    }
}

fn attach(hub: &Shared, profile: &Profile) -> Result<(Attached, Arc<Bell>), Reason> {
    let bell = Arc::new(Bell::default());
    let wish = Wish {
        client_id: Arc::clone(&profile.client_id),
        clean_start: profile.clean_start,
        bell: Arc::clone(&bell),
        window: profile.window,
        expiry: profile.expiry,
    };
    let attached = hub.sessions.attach(&hub.router, &hub.settings.limits, wish)?;
    Ok((attached, bell))
}

/// Which CONNACK the client behind a bad CONNECT understands; nothing when it did not even begin one.
fn version_of(bytes: &[u8]) -> Option<Version> {
    let at = bytes.windows(4).position(|four| four == b"MQTT");
    match (bytes.first()? >> 4 == 1).then_some(at?).and_then(|at| bytes.get(at + 4))? {
        0..=4 => Some(Version::V4),
        _ => Some(Version::V5),
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Shared,
    wire: &mut Wire<S>,
    version: Option<Version>,
    refused: Refused,
    peer: SocketAddr,
) {
    hub.router.tally.closed(refused.reason.word());
    tracing::debug!(%peer, reason = %refused.reason, "connection refused: {}", refused.why);
    // A 3.x client whose CONNECT makes no sense gets no answer (3.1.1 section 4.8).
    let speaks_v5 = version == Some(Version::V5);
    let Some(version) = version.filter(|_| speaks_v5 || refused.reason.connack_v3() != 3 || refused.reason.0 > 0x82)
    else {
        return;
    };
    let properties = Properties { reason_string: Some(refused.why), ..Properties::default() };
    let connack = Connack { session_present: false, reason: refused.reason, properties: Some(Box::new(properties)) };
    Packet::Connack(connack).encode(version, wire.output());
    farewell(wire).await;
}

/// Writes what is left, as far as the peer takes it.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) {
    let all = async {
        while wire.pending() > 0 {
            if poll_fn(|context| wire.poll(context, false)).await.is_err() {
                break;
            }
        }
        wire.shutdown().await;
    };
    if timeout(FAREWELL, all).await.is_err() {
        tracing::trace!("a peer did not take its last packet");
    }
}

/// 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104.
fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(hub: Arc<Shared>, wire: Wire<S>, mut profile: Profile, attached: Attached, bell: Arc<Bell>) -> Self {
        let will = profile.will.take();
        let origin = Self::origin(&profile.client_id);
        let now = Instant::now();
        let mut connection = Self {
            hub,
            wire,
            profile,
            member: attached.member,
            epoch: attached.epoch,
            bell,
            origin,
            cache: Cache::default(),
            aliases_in: HashMap::new(),
            aliases_out: HashMap::new(),
            acks: Acks::default(),
            refusals: VecDeque::new(),
            unanswered: 0,
            stuck: None,
            held: VecDeque::new(),
            held_bytes: 0,
            replays: VecDeque::new(),
            outgoing: Vec::new(),
            wakes: Wakes::default(),
            will,
            messages_in: 0,
            messages_out: 0,
            heard: now,
            took: now,
            closes: None,
        };
        let hub = Arc::clone(&connection.hub);
        let connack = connection.profile.connack(attached.present, &hub.settings.limits);
        Packet::Connack(connack).encode(connection.profile.version, connection.wire.output());
        if let Some(will) = attached.will {
            hub.publish_later(will);
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
        self.held_bytes <= Held::BYTES && self.wire.pending() < OUTPUT_HIGH
    }

    async fn live(mut self, peer: SocketAddr) {
        add(&self.hub.router.tally.clients, 1);
        tracing::debug!(%peer, client = %self.profile.client_id, "client connected");
        let end = self.run().await;
        self.hub.router.tally.clients.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        tracing::debug!(%peer, client = %self.profile.client_id, ?end, "client gone");
        self.count();
        self.part(end).await;
    }

    async fn run(&mut self) -> End {
        let stop = Arc::clone(&self.hub).stop.clone().cancelled_owned();
        let (mut stop, mut timer) = (Box::pin(stop), Box::pin(sleep_until(self.deadline())));
        loop {
            if let Err(end) = self.work().await {
                return end;
            }
            let woken = poll_fn(|context| self.poll_wait(context, stop.as_mut(), timer.as_mut())).await;
            if let Err(end) = self.wake_up(woken, timer.as_mut()) {
                return end;
            }
        }
    }

    /// Does everything that needs no waiting.
    async fn work(&mut self) -> Result<(), End> {
        self.release_held();
        let result = self.handle_received();
        self.wakes.ring();
        result?;
        self.fill_output()?;
        self.count();
        if std::mem::take(&mut self.wakes.pressed) {
            // Lets a receiver that falls behind have the processor first.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn count(&mut self) {
        let tally = &self.hub.router.tally;
        add(&tally.messages_in, std::mem::take(&mut self.messages_in));
        add(&tally.messages_out, std::mem::take(&mut self.messages_out));
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
        if let Poll::Ready(Some((waiting, verdict))) = self.acks.poll_next(context) {
            return Poll::Ready(Woken::Acknowledged(waiting, verdict));
        }
        if self.stuck.as_mut().is_some_and(|stuck| stuck.poll(context).is_ready()) {
            return Poll::Ready(Woken::Room);
        }
        if let Poll::Ready(moved) = self.wire.poll(context, self.may_read()) {
            return Poll::Ready(Woken::Moved(moved));
        }
        if self.bell.poll(context).is_ready() {
            return Poll::Ready(Woken::Bell);
        }
        timer.poll(context).map(|()| Woken::Timer)
    }

    fn wake_up(&mut self, woken: Woken, mut timer: Pin<&mut Sleep>) -> Result<(), End> {
        match woken {
            Woken::Moved(moved) => {
                let now = Instant::now();
                match moved? {
                    Moved::Received => self.heard = now,
                    Moved::Sent => {}
                    Moved::End => return Err(End::Lost),
                }
                if self.wire.bytes_out > 0 {
                    self.took = now;
                }
            }
            Woken::Bell => {}
            Woken::Acknowledged(waiting, verdict) => self.settled(&waiting, verdict)?,
            Woken::Room => self.stuck = None,
            Woken::Timer => {
                self.check_time()?;
                let next = self.deadline();
                timer.as_mut().reset(next);
            }
            Woken::Stop => return Err(End::Closed(Reason::SERVER_SHUTTING_DOWN, "the hub stops")),
        }
        if self.closes.is_some_and(|closes| closes < timer.deadline()) {
            let next = self.deadline();
            timer.reset(next);
        }
        Ok(())
    }

    /// A durable consumer has decided: PUBACK or PUBREC, or the end.
    fn settled(&mut self, waiting: &acks::Waiting, verdict: Verdict) -> Result<(), End> {
        let refusal = self.refusals.pop_front_if(|(id, _)| *id == waiting.id && waiting.receipt.is_none());
        let reason = match verdict {
            Verdict::Safe => refusal.map_or(Reason::SUCCESS, |(_, reason)| reason),
            Verdict::Refused(crate::model::Refusal::QuotaExceeded) => Reason::QUOTA_EXCEEDED,
            Verdict::Refused(crate::model::Refusal::Failed) => Reason::IMPLEMENTATION_ERROR,
            Verdict::Abandoned => return Err(End::Closed(Reason::SERVER_BUSY, "a durable consumer went away")),
        };
        if reason.is_error() && self.profile.version != Version::V5 {
            self.hub.router.tally.refused(reason.word());
            if waiting.qos as u8 == 2 {
                self.member.lock().released(waiting.id);
            }
            self.closes.get_or_insert(Instant::now() + REFUSED_V3);
            return Ok(());
        }
        self.answer(waiting, reason);
        Ok(())
    }

    /// The next moment at which something may be overdue.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let silent = (!self.profile.keep_alive.is_zero()).then(|| self.heard + self.profile.keep_alive * 3 / 2);
        let far = now + STALLED;
        [silent, self.closes].into_iter().flatten().fold(far, Instant::min).max(now + Duration::from_millis(1))
    }

    fn check_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.wire.pending() == 0 {
            self.took = now;
            self.wire.shrink();
        }
        if now.duration_since(self.took) >= STALLED {
            return Err(End::Closed(Reason::SERVER_BUSY, "the client takes nothing"));
        }
        if self.closes.is_some_and(|closes| closes <= now) {
            return Err(End::Closed(Reason::QUOTA_EXCEEDED, "a message was refused"));
        }
        // A client that the hub does not read cannot be heard.
        if !self.may_read() {
            self.heard = now;
        }
        let keep_alive = self.profile.keep_alive;
        if !keep_alive.is_zero() && now.duration_since(self.heard) >= keep_alive * 3 / 2 {
            return Err(End::Closed(Reason::KEEP_ALIVE_TIMEOUT, "nothing heard for too long"));
        }
        Ok(())
    }

    /// Says good-bye, gives the session back, sends the will and what was held.
    async fn part(mut self, end: End) {
        let reason = match end {
            End::Left | End::Lost => None,
            End::Closed(reason, why) => Some((reason, why)),
            End::TakenOver => Some((Reason::SESSION_TAKEN_OVER, "another connection uses this client id")),
        };
        {
            let mut session = self.member.lock();
            for waiting in self.acks.drain().filter(|it| it.qos as u8 == 2) {
                if let Some(receipt) = waiting.receipt {
                    session.unanswered(waiting.id, receipt);
                }
            }
        }
        let will = self.will.take();
        let due = self.hub.sessions.detach(&self.hub.router, &self.member, self.epoch, will);
        if let Some((reason, why)) = reason {
            self.hub.router.tally.closed(reason.word());
            if self.profile.version == Version::V5 {
                let properties = Properties { reason_string: Some(why), ..Properties::default() };
                self.send(&Packet::Disconnect(Notice { reason, properties: Some(Box::new(properties)) }));
            }
        }
        if end != End::Lost {
            farewell(&mut self.wire).await;
        }
        if let Some(will) = due {
            self.hub.publish_later(will);
        }
        self.route_leftovers().await;
    }

    /// What was held is still routed, if there is room soon; QoS 2 ids of the rest are forgotten, so that
    /// the client's repetition counts as new.
    async fn route_leftovers(mut self) {
        let deadline = Instant::now() + LEFTOVERS;
        while let Some(stuck) = &mut self.stuck {
            if tokio::time::timeout_at(deadline, poll_fn(|context| stuck.poll(context))).await.is_err() {
                break;
            }
            self.stuck = None;
            self.release_held();
            self.wakes.ring();
        }
        let mut session = self.member.lock();
        for held in self.held.drain(..).filter(|held| held.message.qos as u8 == 2) {
            session.released(held.id);
        }
        for waiting in self.acks.drain().filter(|it| it.qos as u8 == 2) {
            if let Some(receipt) = waiting.receipt {
                session.unanswered(waiting.id, receipt);
            }
        }
    }
}
