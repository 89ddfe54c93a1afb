//! What all clients of a round share: where the hub is, what time it is, the book.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::book::{Book, What};
use crate::session::Session;
use crate::wire::{Link, Packet};

/// How long anything may take that must happen, on a machine whose disk is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to connect.
pub(crate) const RETRY: Duration = Duration::from_millis(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Phase {
    /// Publishers publish.
    Work,
    /// They only finish what they began.
    Drain,
    /// Everybody goes.
    End,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) book: Arc<Book>,
    phase: watch::Sender<Phase>,
}

impl World {
    pub(crate) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, book: Arc::new(Book::new()), phase: watch::Sender::new(Phase::Work) })
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until the round is in `phase`, or behind it.
    pub(crate) async fn until(&self, phase: Phase) {
        let mut watched = self.phase.subscribe();
        watched.wait_for(|now| *now >= phase).await.expect("the world holds the sender");
    }

    /// Connects `session`, however often the gateway dies meanwhile, and repeats what it owes.
    pub(crate) async fn connect(&self, session: &mut Session) -> Link {
        let name = Arc::clone(&session.name);
        let attempts = async {
            loop {
                if let Some(link) = self.attempt(session).await {
                    return link;
                }
                sleep(RETRY).await;
            }
        };
        timeout(PATIENCE, attempts).await.unwrap_or_else(|_| panic!("{name} is not welcomed"))
    }

    async fn attempt(&self, session: &mut Session) -> Option<Link> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut link = Link::new(stream, session.v5);
        link.send(&session.connect()).await?;
        let Packet::Connack { present, code } = link.next().await? else { panic!("the first packet is no CONNACK") };
        assert_eq!(code, 0, "{} is refused", session.name);
        self.book.write(&session.name, What::Welcomed, "", 0, format!("session present: {present}"));
        let owed = session.welcomed(present);
        link.send(&owed).await?;
        Some(link)
    }
}
