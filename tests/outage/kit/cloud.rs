//! The cloud: a listener that takes what bridges forward, writes down every arrival, and may stop acknowledging.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use weir::bridge::DEDUPE_KEY;
use weir::hub::codec::{Ack, Connack, Packet, Publish, Reason, Verdicts, Version, decode};
use weir::model::Qos;

use super::note::Note;
use super::now_us;
use crate::common::mosquitto::free_address;

/// What bridges put in front of local topics.
pub(crate) const PREFIX: &str = "site/";
/// Local topics of the devices begin so; a bridge's own topics do not count.
pub(crate) const LOCAL: &str = "bench/";

/// One arrival of one message.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) note: Note,
    pub(crate) at_us: u64,
    /// What tells a repeat from a new message, where the bridge sends it.
    pub(crate) key: Option<Box<str>>,
}

/// Everything that happened here.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By local topic, in order.
    pub(crate) arrivals: HashMap<String, Vec<Arrival>>,
    /// When a CONNECT came.
    pub(crate) connects_us: Vec<u64>,
    /// What no correct client says.
    pub(crate) nonsense: Vec<String>,
}

impl Book {
    /// Arrivals of all topics.
    pub(crate) fn count(&self) -> usize {
        self.arrivals.values().map(Vec::len).sum()
    }
}

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    mute: AtomicBool,
}

/// A running cloud; it ends when dropped.
pub(crate) struct Cloud {
    address: SocketAddr,
    shared: Arc<Shared>,
    open: Option<JoinHandle<()>>,
}

impl Cloud {
    /// Listens on an address of its own.
    pub(crate) async fn start() -> Self {
        // It never lets go of its port before it listens: somebody else could get it in between.
        let ip = free_address().ip();
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut cloud = Self { address, shared: Arc::default(), open: None };
        cloud.serve(listener);
        cloud
    }

    fn serve(&mut self, listener: TcpListener) {
        self.open = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book.lock().expect("no panic in there")
    }

    /// It takes messages and neither keeps nor acknowledges them; pings are answered. A connection on which a message
    /// was ignored stays deaf: nobody keeps a message and not the ones before it.
    pub(crate) fn mute(&self, mute: bool) {
        self.shared.mute.store(mute, Ordering::Relaxed);
    }

    /// Ends all connections and listens no more.
    pub(crate) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            // It was cancelled: that is no news.
            drop(open.await);
        }
    }

    /// Listens again.
    pub(crate) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its address is its own");
        self.serve(listener);
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

/// Accepts for ever; its connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until either side ends it.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut inbox, mut answers) = (Vec::new(), Vec::new());
    let mut peer = Peer { version: Version::V5, deaf: false };
    while stream.read_buf(&mut inbox).await? > 0 {
        let mut at = 0;
        loop {
            match decode(&inbox[at..], peer.version, 1 << 20) {
                Ok(None) => break,
                Ok(Some((Packet::Disconnect(_), _))) => return Ok(()),
                Ok(Some((packet, size))) => {
                    shared.take(&packet, &mut peer, &mut answers);
                    at += size;
                }
                Err(error) => {
                    shared.book.lock().expect("no panic in there").nonsense.push(error.to_string());
                    return Ok(());
                }
            }
        }
        inbox.drain(..at);
        stream.write_all(&answers).await?;
        answers.clear();
    }
    Ok(())
}

/// What is known of one connection.
struct Peer {
    version: Version,
    deaf: bool,
}

impl Shared {
    fn take(&self, packet: &Packet<'_>, peer: &mut Peer, answers: &mut Vec<u8>) {
        let answer = match packet {
            Packet::Connect(connect) => {
                peer.version = connect.version;
                self.book.lock().expect("no panic in there").connects_us.push(now_us());
                Packet::Connack(Connack { session_present: false, reason: Reason::SUCCESS, properties: None })
            }
            Packet::Publish(_) if peer.deaf || self.mute.load(Ordering::Relaxed) => {
                peer.deaf = true;
                return;
            }
            Packet::Publish(publish) => {
                self.arrived(publish);
                if publish.qos == Qos::AtMostOnce {
                    return;
                }
                Packet::Puback(Ack::new(publish.packet_id, Reason::SUCCESS))
            }
            Packet::Subscribe(subscribe) => {
                let reasons = vec![Reason::SUCCESS; subscribe.filters.len()];
                Packet::Suback(Verdicts { packet_id: subscribe.packet_id, properties: None, reasons })
            }
            Packet::Pingreq => Packet::Pingresp,
            _ => return,
        };
        answer.encode(peer.version, answers);
    }

    fn arrived(&self, publish: &Publish<'_>) {
        let Some(topic) = publish.topic.strip_prefix(PREFIX).filter(|topic| topic.starts_with(LOCAL)) else { return };
        let mut book = self.book.lock().expect("no panic in there");
        let Some(note) = Note::of(publish.payload) else {
            return book.nonsense.push(format!("{topic}: not what a device sent"));
        };
        let user = publish.properties.iter().flat_map(|properties| &properties.user);
        let key = user.filter(|(name, _)| *name == DEDUPE_KEY).map(|(_, value)| (*value).into()).next();
        let arrival = Arrival { note, at_us: now_us(), key };
        match book.arrivals.get_mut(topic) {
            Some(arrivals) => arrivals.push(arrival),
            None => drop(book.arrivals.insert(topic.to_owned(), vec![arrival])),
        }
    }
}
