//! The real hub, its clients' pipes, and the model beside it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::super::access::Visitor;
use super::super::codec::{Packet, Version, decode};
use super::super::doors::Lobby;
use super::super::{Limits, Settings, Shared, connection, upkeep};
use super::model::{Model, WINDOW};
use super::session::FOREVER;
use super::steps::{CLIENTS, Step};
use crate::model::Name;

/// The client's end of a connection.
pub(super) struct Link {
    pipe: DuplexStream,
    buffer: Vec<u8>,
    pub(super) version: Version,
    /// More may come after everything was read once.
    narrow: bool,
    ended: bool,
}

impl Link {
    /// Reads what is there; true when that was something.
    fn read(&mut self) -> bool {
        let before = self.buffer.len();
        while let Some(count) = self.pipe.read_buf(&mut self.buffer).now_or_never() {
            if count.unwrap_or(0) == 0 {
                self.ended = true;
                break;
            }
        }
        self.buffer.len() > before
    }
}

pub(super) struct World {
    pub(super) hub: Arc<Shared>,
    pub(super) model: Model,
    pub(super) links: [Option<Link>; CLIENTS.len()],
    /// Connections that the hub closes, and the reason it has to give (MQTT 5).
    leaving: Vec<(Link, u8)>,
    began: Instant,
}

pub(super) fn version(level: u8) -> Version {
    [Version::V3, Version::V4, Version::V5][usize::from(level) - 3]
}

impl World {
    pub(super) fn new() -> Self {
        // Clients take their own sessions over and over here, which is no quarrel.
        let (session_expiry, takeover_delay) = (Duration::from_millis(FOREVER), Duration::ZERO);
        let limits = Limits { in_flight: WINDOW, session_expiry, takeover_delay, ..Limits::default() };
        let settings = Settings { limits, ..Settings::new(Name::new("shed").unwrap()) };
        let hub = Arc::new(Shared::new(settings, None, CancellationToken::new()));
        tokio::spawn(upkeep::run(Arc::clone(&hub)));
        let links = Default::default();
        Self { hub, model: Model::default(), links, leaving: Vec::new(), began: Instant::now() }
    }

    pub(super) fn open(&mut self, who: usize, level: u8, size: usize) {
        let (pipe, server) = duplex(size);
        let (visitor, ticket) = (Visitor::plain(([127, 0, 0, 1], 1).into()), Lobby::default().enter(1).0);
        tokio::spawn(connection::serve(Arc::clone(&self.hub), server, visitor, ticket));
        let link = Link { pipe, buffer: Vec::new(), version: version(level), narrow: size < 1 << 16, ended: false };
        self.links[who] = Some(link);
    }

    /// Runs a whole sequence, and then everything to its end.
    pub(super) async fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in steps.iter().enumerate() {
            self.model.now = self.now();
            let done = self.step(step).await;
            done.map_err(|what| format!("step {number}: {what}"))?;
        }
        self.finish().await.map_err(|what| format!("at the end: {what}"))
    }

    pub(super) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Sends bytes for a client.
    pub(super) async fn send_bytes(&mut self, who: usize, bytes: &[u8]) {
        let Some(link) = &mut self.links[who] else { return };
        // The hub reads whatever its client does with what comes back.
        if timeout(Duration::from_secs(5), link.pipe.write_all(bytes)).await.is_err() {
            panic!("the hub does not read client {who}");
        }
        if let Some(conn) = &mut self.model.clients[who].conn {
            conn.heard = self.began.elapsed().as_millis() as u64;
        }
    }

    pub(super) async fn send(&mut self, who: usize, packet: &Packet<'_>) {
        let Some(link) = &self.links[who] else { return };
        let mut bytes = Vec::new();
        packet.encode(link.version, &mut bytes);
        self.send_bytes(who, &bytes).await;
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(&mut self, who: usize) {
        self.links[who] = None;
    }

    /// The hub closes the connection of its own accord or because the client said DISCONNECT (reason 0).
    pub(super) fn leave(&mut self, who: usize, reason: u8) {
        if let Some(link) = self.links[who].take() {
            self.leaving.push((link, reason));
        }
    }

    /// Connections that the model has closed are read to their end.
    pub(super) fn take_closing(&mut self) {
        for (who, reason) in std::mem::take(&mut self.model.closing) {
            self.leave(who, reason);
        }
    }

    /// Waits until nothing moves, and judges what has come.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        self.take_closing();
        loop {
            // Paused time passes only when everybody waits.
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.model.now = self.now();
            if !self.read()? {
                break;
            }
        }
        self.check_leaving().await?;
        self.model.check()
    }

    /// True when there may be more.
    fn read(&mut self) -> Result<bool, String> {
        let mut again = false;
        for who in 0..CLIENTS.len() {
            let Some(link) = &mut self.links[who] else { continue };
            if self.model.clients[who].conn.as_ref().is_none_or(|conn| conn.dozing) {
                continue;
            }
            again |= link.read() && link.narrow;
            let (version, mut at) = (link.version, 0);
            while let Some((packet, size)) =
                decode(&link.buffer[at..], version, usize::MAX).map_err(|it| it.to_string())?
            {
                self.model.received(who, &packet)?;
                at += size;
            }
            link.buffer.drain(..at);
            if link.ended {
                return Err(format!("the hub has closed the connection of client {who}"));
            }
        }
        Ok(again)
    }

    /// The hub must end them, with its reason as the last word.
    async fn check_leaving(&mut self) -> Result<(), String> {
        for (mut link, reason) in std::mem::take(&mut self.leaving) {
            let closed = timeout(Duration::from_secs(3), link.pipe.read_to_end(&mut link.buffer)).await;
            if closed.is_err() {
                return Err(format!("the hub does not close the connection, reason {reason:#x}"));
            }
            let (mut last, mut at) = (None, 0);
            while let Ok(Some((packet, size))) = decode(&link.buffer[at..], link.version, usize::MAX) {
                last = if let Packet::Disconnect(notice) = packet { Some(notice.reason.0) } else { None };
                at += size;
            }
            if last.unwrap_or(0) != reason {
                return Err(format!("the last word is {last:x?}, not {reason:#x}"));
            }
        }
        Ok(())
    }
}
