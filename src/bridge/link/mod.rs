//! One connection to the cloud, from CONNACK to its end.
//!
//! Invariants: a record leaves the store only when the cloud has acknowledged it (or it is given up,
//! counted and logged); one task owns everything and waits for nothing but the next event, so that
//! reading, writing, the store and the hub never wait for each other.

mod answers;
mod asides;
mod batch;
mod bucket;
mod fetch;
mod flights;
mod gaps;
mod judge;
mod lane;
mod outgoing;
mod pipe;
mod send;
mod thrift;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::budget::Level;
use super::core::Core;
use super::gaps::Seen;
use super::inbound::{self, Arrival, Kept};
use super::lanes::LANES;
use super::uplink::codec::{Codec, Out, Welcome, WireError};
use super::uplink::{Peer, meaning};
use crate::store::{Cause, Gap, ReadError, Record};
use asides::Asides;
use batch::Batches;
use bucket::Bucket;
use fetch::{Fetched, Fetches};
use flights::{Flights, SUBSCRIBE_ID};
use lane::Lane;
use pipe::{Pipe, Turn};

pub use outgoing::{BACKFILL, DEDUPE_KEY};

/// Publishes of the cloud that may wait for the hub at once.
pub(super) const RECEIVE_MAX: u16 = 64;

/// The largest packet we take from the cloud, in bytes.
pub(super) const PACKET_MAX: u32 = 16 << 20;

/// How often the clock is looked at while something waits for it.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("stopped")]
    Stopped,
    #[error("nothing waits any more")]
    Drained,
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the peer did not acknowledge anything for too long")]
    Silent,
    #[error("the peer disconnected: {}", meaning(*.0))]
    Disconnected(u8),
    #[error("another client uses the client id of this bridge: is this gateway's card a copy of another's?")]
    Twin,
    #[error("the peer does not speak MQTT: {0}")]
    Wire(#[from] WireError),
    #[error("a message from the cloud was abandoned here")]
    Abandoned,
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error("a record in the store was {0}")]
    Newer(super::record::Error),
}

/// How a connection went.
#[derive(Debug)]
pub(super) struct Report {
    /// Why it ended.
    pub(super) end: End,
    /// The version spoken on it.
    pub(super) codec: Codec,
    /// Whether a record was acknowledged on it.
    pub(super) delivered: bool,
    /// Whether the peer has answered the bridge's own status.
    pub(super) greeted: bool,
    /// The only record on its way when it ended.
    pub(super) alone: Option<(usize, u64)>,
}

/// What a connection starts with.
pub(super) struct Start {
    /// One record at a time until the first is acknowledged.
    pub(super) probe: bool,
    /// ... and nothing else beside it: the peer may close on it.
    pub(super) wary: bool,
    /// A record to give up: the peer closes whenever it comes.
    pub(super) condemned: Option<(usize, u64)>,
}

pub(super) struct Link<'a> {
    core: &'a Core,
    codec: Codec,
    welcome: Welcome,
    pipe: Pipe,
    lanes: [Lane<Record>; LANES],
    /// From this sequence on, a lane's records are not backlog.
    live_from: [u64; LANES],
    /// No record of the lane leaves before.
    hold: [Option<Instant>; LANES],
    batches: [Batches; LANES],
    /// An alarm has left: what waits in batches goes too.
    urgent: bool,
    /// How much the budget allows, and when that changes.
    level: Level,
    levels: Option<watch::Receiver<Level>>,
    /// When a message last came from the cloud.
    arrived: Instant,
    /// The session ends because nothing waits.
    asleep: bool,
    fetches: Fetches,
    asides: Asides,
    /// By lane and sequence, what will never arrive by itself, as soon as everything before it is done.
    missing: [BTreeMap<u64, (Cause, asides::Span)>; LANES],
    /// Gaps that were told on this connection, or are to be.
    seen: Seen,
    /// Gaps to be told, and the chain of each.
    untold: VecDeque<(usize, Gap)>,
    flights: Flights,
    /// Lane and number of what is in the outbox at QoS 0, and whether it went into others.
    written: Vec<(usize, u64, bool)>,
    /// Messages and bytes of the backlog.
    buckets: [Bucket; 2],
    probe: bool,
    wary: bool,
    delivered: bool,
    greeted: bool,
    /// Topics of which a record was refused for good on this connection, by hash.
    refused_topics: HashSet<u64>,
    /// Refusals in a row that are not for good.
    busy: u32,
    hinted: Instant,
    last_sent: Instant,
    /// When something came from the peer.
    last_heard: Instant,
    pinged: Option<Instant>,
    stop_at: Option<Instant>,
    /// DISCONNECT is in the outbox, or gone.
    said_goodbye: bool,
    arrivals: mpsc::Sender<Arrival>,
    /// What could not be handed on; nothing is read from the peer meanwhile.
    parked: Option<Arrival>,
    condemned: Option<(usize, u64)>,
}

/// Serves `peer` until the connection ends or `stop`.
pub(super) async fn run(core: &Core, peer: Peer, start: Start, stop: &CancellationToken) -> Report {
    let (arrivals, arrived) = mpsc::channel(RECEIVE_MAX.into());
    let (kept, keeps) = mpsc::channel(RECEIVE_MAX.into());
    let mut link = Link::new(core, peer, &start, arrivals);
    let deliver = inbound::deliver(&core.hub, &core.outbox.tally, arrived, kept, RECEIVE_MAX.into());
    let end = tokio::select! {
        end = link.serve(keeps, stop) => end,
        () = deliver => End::Abandoned,
    };
    Report { end, codec: link.codec, delivered: link.delivered, greeted: link.greeted, alone: link.flights.alone() }
}

impl<'a> Link<'a> {
    fn new(core: &'a Core, peer: Peer, start: &Start, arrivals: mpsc::Sender<Arrival>) -> Self {
        let now = Instant::now();
        let Peer { stream, codec, welcome, inbox } = peer;
        let (level, levels) = core.levels();
        let (chains, replay) = (&core.outbox.chains, &core.settings.replay);
        core.outbox.begin(!start.probe);
        Self {
            core,
            codec,
            welcome,
            pipe: Pipe::new(stream, inbox),
            lanes: std::array::from_fn(|lane| Lane::new(chains[lane].first_unacked())),
            live_from: std::array::from_fn(|lane| chains[lane].next_sequence()),
            hold: [None; LANES],
            batches: Default::default(),
            urgent: false,
            level,
            levels,
            arrived: now,
            asleep: false,
            fetches: Fetches::default(),
            asides: Asides::default(),
            missing: Default::default(),
            seen: Seen::default(),
            untold: VecDeque::new(),
            flights: Flights::new(now),
            written: Vec::new(),
            buckets: [f64::from(replay.rate_per_s), replay.bytes_per_s as f64].map(|rate| Bucket::new(rate, now)),
            probe: start.probe,
            wary: start.wary,
            delivered: false,
            greeted: false,
            refused_topics: HashSet::new(),
            busy: 0,
            hinted: now,
            last_sent: now,
            last_heard: now,
            pinged: None,
            stop_at: None,
            said_goodbye: false,
            arrivals,
            parked: None,
            condemned: start.condemned,
        }
    }

    async fn serve(&mut self, mut keeps: mpsc::Receiver<Kept>, stop: &CancellationToken) -> End {
        match self.events(&mut keeps, stop).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn events(
        &mut self,
        keeps: &mut mpsc::Receiver<Kept>,
        stop: &CancellationToken,
    ) -> Result<std::convert::Infallible, End> {
        self.greet()?;
        self.learn_gaps();
        self.decode()?;
        loop {
            let now = Instant::now();
            self.fill(now)?;
            let wake = self.on_time(now)?;
            tokio::select! {
                turn = self.pipe.turn(self.parked.is_none()) => self.turned(turn?)?,
                (lane, fetched) = self.fetches.next() => self.fed(lane, fetched?),
                aside = self.asides.next() => self.left(aside),
                () = self.core.outbox.news.notified() => self.learn_gaps(),
                Some(kept) = keeps.recv() => self.kept(kept)?,
                room = self.arrivals.clone().reserve_owned(), if self.parked.is_some() => {
                    if let (Ok(room), Some(parked)) = (room, self.parked.take()) {
                        room.send(parked);
                    }
                    self.decode()?;
                }
                () = sleep_until(wake) => {}
                () = changed(&mut self.levels) => self.level = self.core.level(),
                () = stop.cancelled(), if self.stop_at.is_none() => self.begin_stop("down")?,
            }
        }
    }

    /// Subscribes, and tells the cloud that we are there: that overwrites our last will.
    fn greet(&mut self) -> Result<(), End> {
        let subscriptions = self.core.outbox.rules.subscriptions();
        if !subscriptions.is_empty() {
            self.put(&Out::Subscribe(SUBSCRIBE_ID, &subscriptions))?;
        }
        self.tell_cloud("up")
    }

    /// Says good-bye to the cloud; what is on its way gets a moment to be acknowledged.
    fn begin_stop(&mut self, state: &str) -> Result<(), End> {
        self.stop_at = Some(Instant::now() + self.core.timing.stop);
        self.tell_cloud(state)
    }

    /// Ends a scheduled session in which nothing is left to do.
    fn fall_asleep(&mut self) -> Result<(), End> {
        self.asleep = true;
        self.begin_stop("scheduled")
    }

    fn turned(&mut self, turn: Turn) -> Result<(), End> {
        match turn {
            Turn::Closed => return Err(End::Closed),
            Turn::Read => self.decode()?,
            Turn::Wrote => {}
            Turn::Flushed => {
                for (lane, sequence, merged) in std::mem::take(&mut self.written) {
                    self.delivered(lane, sequence, 0, merged);
                }
            }
        }
        Ok(())
    }

    /// Records that were read for `lane`.
    fn fed(&mut self, lane: usize, fetched: Fetched) {
        match fetched {
            Fetched::Records(records) => {
                self.lanes[lane].feed(records.into_iter().map(|record| (record.sequence, record)));
            }
            Fetched::Gone(upto) => self.lanes[lane].pass(upto),
        }
    }

    /// Does what is due, and says when to look again.
    fn on_time(&mut self, now: Instant) -> Result<Instant, End> {
        let timing = &self.core.timing;
        if let Some(stop_at) = self.stop_at {
            let waiting = (0..LANES).any(|lane| !self.is_held_back(lane) && self.batches[lane].ready().is_some());
            if !self.said_goodbye && self.flights.len() == 0 && !waiting {
                self.put(&Out::Disconnect)?;
                self.said_goodbye = true;
            }
            if (self.said_goodbye && self.pipe.is_idle()) || now >= stop_at {
                return Err(if self.asleep { End::Drained } else { End::Stopped });
            }
        }
        let sleepy = self.sleepy_at();
        if sleepy.is_some_and(|at| at <= now) {
            self.fall_asleep()?;
            return self.on_time(now);
        }
        let patience = self.flights.patience_ends(timing.silence);
        let pong_due = self.pinged.map(|at| at + timing.silence);
        if [patience, pong_due].into_iter().flatten().any(|due| due <= now) {
            return Err(End::Silent);
        }
        let ping_due = self.keepalive().map(|keepalive| ping_due(self.last_sent, self.last_heard, keepalive));
        if self.pinged.is_none() && ping_due.is_some_and(|due| due <= now) {
            self.put(&Out::PingReq)?;
            self.pinged = Some(now);
            return self.on_time(now);
        }
        let holds = self.hold.into_iter().flatten().filter(|until| *until > now);
        let token = self.waits_for_token(now).then(|| self.next_token());
        let next_ping = ping_due.filter(|_| self.pinged.is_none());
        let clock = self.lanes.iter().any(Lane::has_parked).then(|| now + CLOCK_EVERY);
        let due = [patience, pong_due, next_ping, self.stop_at, token, self.next_ripe(), clock, sleepy];
        Ok(due.into_iter().flatten().chain(holds).min().unwrap_or(now + Duration::from_secs(3600)))
    }

    fn keepalive(&self) -> Option<Duration> {
        let wanted = self.welcome.keepalive_s.map(|s| Duration::from_secs(s.into()));
        Some(wanted.unwrap_or(self.core.settings.keepalive)).filter(|keepalive| !keepalive.is_zero())
    }

    /// Appends a packet to what is to be written.
    fn put(&mut self, packet: &Out<'_>) -> Result<(), End> {
        self.codec.encode(packet, &mut self.pipe.outbox)?;
        self.last_sent = Instant::now();
        Ok(())
    }
}

impl Drop for Link<'_> {
    /// What comes while there is no connection queues up behind what waits.
    fn drop(&mut self) {
        self.core.outbox.begin(false);
    }
}

/// Waits for another level of the budget, if there is one.
async fn changed(levels: &mut Option<watch::Receiver<Level>>) {
    if let Some(levels) = levels
        && levels.changed().await.is_ok()
    {
        return;
    }
    pending().await
}

/// When the peer has to hear from us, although there is nothing to say. What comes from the peer shows that the
/// link is alive, so that a ping can wait for something better to send; but not for long, because the peer
/// counts only what it gets, and closes after one and a half times the keep-alive (MQTT 5 section 3.1.2.10).
fn ping_due(sent: Instant, heard: Instant, keepalive: Duration) -> Instant {
    (sent.max(heard) + keepalive).min(sent + keepalive.mul_f64(1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ping_waits_for_what_comes_but_never_so_long_that_the_peer_gives_up() {
        let (sent, s) = (Instant::now(), Duration::from_secs);
        assert_eq!(ping_due(sent, sent, s(60)), sent + s(60));
        assert_eq!(ping_due(sent, sent + s(10), s(60)), sent + s(70));
        assert_eq!(ping_due(sent, sent + s(50), s(60)), sent + s(75), "the peer closes at 90 s");
        assert_eq!(ping_due(sent + s(50), sent, s(60)), sent + s(110));
    }
}
