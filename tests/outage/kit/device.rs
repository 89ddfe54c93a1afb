//! A device on the LAN: publishes at QoS 1 at a steady pace and remembers what it was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use weir::hub::codec::{Connect, Packet, Publish, Version, decode};
use weir::model::Qos;

use super::note::Note;
use super::now_us;

const VERSION: Version = Version::V4;
/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(20);
/// How long a gateway may take to acknowledge the last messages.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a payload.
pub(crate) const PAYLOAD: usize = 64;

/// What one device publishes, all on one topic.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) topic: String,
    pub(crate) every: Duration,
    /// Not acknowledged at once.
    pub(crate) window: usize,
}

/// A message that the gateway has acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) note: Note,
    pub(crate) at_us: u64,
}

/// What became of a device's messages.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    pub(crate) topic: String,
    pub(crate) accepted: Vec<Accepted>,
    /// Those that were sent again, because the connection broke before they were acknowledged.
    pub(crate) again: BTreeSet<u64>,
}

/// A device at work.
struct Work {
    device: Device,
    promised: Promised,
    /// Sent and not acknowledged, by number.
    open: BTreeMap<u64, Note>,
    number: u64,
}

impl Device {
    /// Publishes to `hub` until `stop`, and then until everything is acknowledged. What was not acknowledged
    /// when a connection broke is sent again on the next one, in order.
    pub(crate) async fn run(self, hub: SocketAddr, stop: CancellationToken) -> Promised {
        let promised = Promised { topic: self.topic.clone(), ..Promised::default() };
        let mut work = Work { device: self, promised, open: BTreeMap::new(), number: 0 };
        let all = async {
            while !(stop.is_cancelled() && work.open.is_empty()) {
                // It broke: that is what these tests are about.
                drop(work.connection(hub, &stop).await);
                stop.run_until_cancelled(sleep(RETRY)).await;
            }
        };
        let stopped = async {
            stop.cancelled().await;
            sleep(PATIENCE).await;
        };
        tokio::select! { () = all => {}, () = stopped => {} }
        work.promised
    }
}

impl Work {
    async fn connection(&mut self, hub: SocketAddr, stop: &CancellationToken) -> io::Result<()> {
        let mut stream = timeout(Duration::from_secs(5), welcomed(hub, &self.device.topic)).await??;
        let mut out = Vec::new();
        for note in self.open.values().copied().collect::<Vec<_>>() {
            self.promised.again.insert(note.number);
            self.put(note, true, &mut out);
        }
        let (mut inbox, mut pace) = (Vec::new(), interval(self.device.every));
        loop {
            stream.write_all(&out).await?;
            out.clear();
            if stop.is_cancelled() && self.open.is_empty() {
                return Ok(());
            }
            let may_send = !stop.is_cancelled() && self.open.len() < self.device.window;
            tokio::select! {
                _ = pace.tick(), if may_send => {
                    self.number += 1;
                    let note = Note { number: self.number, sent_us: now_us() };
                    self.open.insert(self.number, note);
                    self.put(note, false, &mut out);
                }
                read = stream.read_buf(&mut inbox) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.answered(&mut inbox);
                }
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    fn put(&self, note: Note, dup: bool, out: &mut Vec<u8>) {
        let payload = note.payload(PAYLOAD);
        let (packet_id, topic) = (id_of(note.number), self.device.topic.as_str());
        let (qos, retain, properties) = (Qos::AtLeastOnce, false, None);
        let publish = Publish { dup, qos, retain, topic, packet_id, properties, payload: &payload };
        Packet::Publish(publish).encode(VERSION, out);
    }

    fn answered(&mut self, inbox: &mut Vec<u8>) {
        let (mut at, now) = (0, now_us());
        while let Some((packet, size)) = decode(&inbox[at..], VERSION, 1 << 20).expect("the gateway speaks MQTT") {
            at += size;
            let Packet::Puback(ack) = packet else { panic!("no PUBACK: {packet:?}") };
            let number = self.open.keys().copied().find(|number| id_of(*number) == ack.packet_id);
            let note = number.and_then(|number| self.open.remove(&number)).expect("PUBACK of what is open");
            self.promised.accepted.push(Accepted { note, at_us: now });
        }
        inbox.drain(..at);
    }
}

/// Packet ids come round; far fewer are open at once.
fn id_of(number: u64) -> u16 {
    u16::try_from(number % 65_535).expect("it is smaller") + 1
}

/// A connection whose client has been welcomed.
pub(crate) async fn welcomed(hub: SocketAddr, client_id: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(hub).await?;
    stream.set_nodelay(true)?;
    let (clean_start, keep_alive_s) = (true, 0);
    let (will, user, password, properties) = (None, None, None, None);
    let version = VERSION;
    let connect = Connect { version, clean_start, keep_alive_s, client_id, will, user, password, properties };
    let mut bytes = Vec::new();
    Packet::Connect(Box::new(connect)).encode(VERSION, &mut bytes);
    stream.write_all(&bytes).await?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await?;
    if connack != [0x20, 2, 0, 0] {
        return Err(io::Error::other(format!("refused: {connack:?}")));
    }
    Ok(stream)
}
