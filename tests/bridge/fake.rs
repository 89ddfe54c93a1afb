//! A broker that speaks raw bytes, for answers that no real broker can be made to give.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::harness::PATIENCE;

/// A packet from the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// CONNECT, with its protocol level.
    Connect(u8),
    /// PUBLISH at QoS 1: packet id, whether it is marked as a repeat, topic and payload.
    Publish(u16, bool, String, String),
    /// PUBACK of a packet id.
    PubAck(u16),
    /// SUBSCRIBE.
    Subscribe,
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect,
    /// The end of the connection.
    End,
}

/// What the broker does about it: bytes to send, or nothing more on this connection.
pub(crate) enum Answer {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// CONNACK of MQTT 5 that accepts, with these properties.
pub(crate) fn connack(properties: &[u8]) -> Answer {
    let mut bytes = vec![0x20, 3 + properties.len() as u8, 0, 0, properties.len() as u8];
    bytes.extend(properties);
    Answer::Bytes(bytes)
}

/// PUBACK of MQTT 5 with a reason.
pub(crate) fn puback(id: u16, reason: u8) -> Answer {
    let [high, low] = id.to_be_bytes();
    Answer::Bytes(vec![0x40, 3, high, low, reason])
}

/// PUBACK of MQTT 3.1.1.
pub(crate) fn puback_v4(id: u16) -> Answer {
    let [high, low] = id.to_be_bytes();
    Answer::Bytes(vec![0x40, 2, high, low])
}

pub(crate) fn nothing() -> Answer {
    Answer::Bytes(vec![])
}

type Script = Box<dyn FnMut(&Got) -> Answer + Send>;

/// A running fake.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    got: watch::Receiver<Vec<Got>>,
    say: mpsc::Sender<Vec<u8>>,
}

impl Fake {
    /// Answers every packet as `script` says; it serves one connection at a time.
    pub(crate) async fn start(script: impl FnMut(&Got) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, got) = watch::channel(Vec::new());
        let (say, said) = mpsc::channel(16);
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        tokio::spawn(serve(listener, log, said, script));
        Self { address, got, say }
    }

    /// Sends bytes to the bridge that is connected.
    pub(crate) async fn say(&self, bytes: &[u8]) {
        self.say.send(bytes.to_vec()).await.unwrap();
    }

    /// All packets so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.borrow().clone()
    }

    /// Waits until `enough` says so of all packets so far.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Got]) -> bool) {
        let mut got = self.got.clone();
        let waited = timeout(PATIENCE, got.wait_for(|got| enough(got))).await;
        waited.unwrap_or_else(|_| panic!("{what}: {:?}", self.got())).unwrap();
    }

    /// Payloads on a topic in order of arrival, repeats too.
    pub(crate) fn payloads(&self, wanted: &str) -> Vec<String> {
        let payload = |got| match got {
            Got::Publish(_, _, topic, payload) if topic == wanted => Some(payload),
            _ => None,
        };
        self.got().into_iter().filter_map(payload).collect()
    }
}

async fn serve(
    listener: TcpListener,
    log: watch::Sender<Vec<Got>>,
    mut said: mpsc::Receiver<Vec<u8>>,
    script: Arc<Mutex<Script>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connection(stream, &log, &mut said, &script).await;
        log.send_modify(|log| log.push(Got::End));
    }
}

async fn connection(
    stream: TcpStream,
    log: &watch::Sender<Vec<Got>>,
    said: &mut mpsc::Receiver<Vec<u8>>,
    script: &Mutex<Script>,
) {
    let (mut reader, mut writer) = stream.into_split();
    let (packets, mut frames) = mpsc::channel(64);
    let read = tokio::spawn(async move {
        let mut version = 5;
        while let Some(got) = packet(&mut reader, &mut version).await {
            if packets.send(got).await.is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            got = frames.recv() => {
                let Some(got) = got else { break };
                let answer = script.lock().unwrap()(&got);
                log.send_modify(|log| log.push(got));
                match answer {
                    Answer::Bytes(bytes) => write(&mut writer, &bytes).await,
                    Answer::Close => break,
                }
            }
            Some(bytes) = said.recv() => write(&mut writer, &bytes).await,
        }
    }
    read.abort();
}

async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) {
    // The bridge may be gone; then the reader ends the connection.
    drop(writer.write_all(bytes).await);
}

/// The next packet that matters.
async fn packet(reader: &mut OwnedReadHalf, version: &mut u8) -> Option<Got> {
    loop {
        let kind = reader.read_u8().await.ok()?;
        let length = varint(reader).await?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.ok()?;
        let id = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        match kind >> 4 {
            1 => {
                *version = body[6];
                return Some(Got::Connect(*version));
            }
            3 if kind & 6 != 0 => {
                let after = 2 + usize::from(id(0));
                let properties = if *version == 5 { 1 + usize::from(body[after + 2]) } else { 0 };
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (topic, payload) = (text(&body[2..after]), text(&body[after + 2 + properties..]));
                return Some(Got::Publish(id(after), kind & 8 != 0, topic, payload));
            }
            4 => return Some(Got::PubAck(id(0))),
            8 => return Some(Got::Subscribe),
            12 => return Some(Got::Ping),
            14 => return Some(Got::Disconnect),
            _ => {}
        }
    }
}

async fn varint(reader: &mut OwnedReadHalf) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = reader.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

/// Acknowledges everything.
pub(crate) async fn kind() -> Fake {
    Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await
}
