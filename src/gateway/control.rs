//! The control socket: how `weir status`, `weir gaps`, `weir sub` and `weir pub` talk to a running gateway.
//!
//! A Unix socket with mode 0660, so that the owner's group decides who may use it. One request is one
//! line of JSON, answers are lines of JSON; a connection carries one request.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::gaps::Gaps;
use super::report::{Report, Reporter};
use crate::bridge::{Bridge, DeadLetter};
use crate::format::Time;
use crate::hub::Hub;
use crate::model::{Filter, Message, Name, Origin, Qos, Topic, Verdict};

/// The longest request, in bytes.
const LONGEST: u64 = 1 << 20;
/// Connections at once.
const CONNECTIONS: usize = 32;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages that wait for a slow subscriber.
const QUEUE: usize = 1024;

/// What a client may ask for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    /// How everything is: one [`Answer::Status`].
    Status,
    /// What is missing: one [`Answer::Gaps`].
    Gaps,
    /// Every message that matches: [`Answer::Message`] after [`Answer::Message`].
    Sub {
        /// Topic filters.
        filters: Vec<String>,
    },
    /// The dead letters of a bridge: [`Answer::Letter`] after [`Answer::Letter`].
    Letters {
        /// Which bridge.
        bridge: String,
    },
    /// Sends the dead letters of a bridge again, or forgets them: one [`Answer::Emptied`].
    Replay {
        /// Which bridge.
        bridge: String,
        /// Forgets them.
        drop: bool,
    },
    /// Deletes what a removed bridge has left behind: one [`Answer::Dropped`].
    Drop {
        /// The name of the queue.
        queue: String,
    },
    /// Publishes one message: one [`Answer::Published`].
    Pub {
        /// Topic name.
        topic: String,
        /// Payload bytes.
        payload: Vec<u8>,
        /// 0, 1 or 2.
        qos: u8,
        /// Whether the hub keeps it.
        retain: bool,
    },
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// How everything is.
    Status(Box<Report>),
    /// What is missing.
    Gaps(Gaps),
    /// A message that matched.
    Message {
        /// Topic name.
        topic: String,
        /// Payload bytes.
        payload: Vec<u8>,
        /// Whether it was kept from before.
        retained: bool,
    },
    /// What became of a published message: `safe`, `refused` or `abandoned`.
    Published {
        /// The word.
        verdict: String,
    },
    /// A dead letter.
    Letter {
        /// Its number.
        number: u64,
        /// Topic at the cloud; empty when the record is damaged.
        topic: String,
        /// When it was taken, RFC 3339; empty when that is not known.
        taken: String,
        /// Why it was set aside.
        why: String,
        /// The key that the cloud saw.
        key: String,
    },
    /// How many dead letters there were.
    Emptied {
        /// The number.
        letters: u64,
    },
    /// So many records were deleted.
    Dropped {
        /// How many.
        records: u64,
    },
    /// The request cannot be met.
    Error {
        /// Why.
        error: String,
    },
}

/// The socket of a gateway that keeps its state in `state_dir`: the service manager's runtime
/// directory if it made one, else the state directory.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    match std::env::var_os("RUNTIME_DIRECTORY") {
        Some(dir) => Path::new(&dir).join("control"),
        None => state_dir.join("control"),
    }
}

/// Listens at `path`, over a socket that an earlier run may have left behind.
///
/// # Errors
/// Whatever the operating system says.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves clients until `stop`, then takes the socket away.
pub(super) async fn serve(listener: UnixListener, client: Client, stop: CancellationToken) {
    let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
    accept(listener, client, stop).await;
    if let Some(Err(error)) = path.map(std::fs::remove_file) {
        tracing::debug!(%error, "the control socket stays behind");
    }
}

async fn accept(listener: UnixListener, client: Client, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: wait for some to be closed.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // A client too many is told by the closed connection.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (client, stop) = (client.clone(), stop.clone());
        tokio::spawn(async move {
            if let Some(Err(error)) = stop.run_until_cancelled(client.serve(stream)).await {
                tracing::debug!(%error, "control client");
            }
            drop(place);
        });
    }
}

/// Everything a connection needs.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) hub: Hub,
    pub(super) reporter: Arc<Reporter>,
    pub(super) bridges: Arc<[Arc<Bridge>]>,
    /// Topics that only the gateway publishes to.
    pub(super) own: Arc<[Filter]>,
}

impl Client {
    async fn serve(self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        let mut reader = BufReader::new(reader.take(LONGEST));
        timeout(PATIENCE, reader.read_line(&mut line)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        match serde_json::from_str(&line) {
            Ok(Request::Status) => send(&mut writer, &Answer::Status(Box::new(self.reporter.report()))).await,
            Ok(Request::Gaps) => send(&mut writer, &Answer::Gaps(self.reporter.gaps())).await,
            Ok(Request::Drop { queue }) => send(&mut writer, &self.drop_queue(&queue).await).await,
            Ok(Request::Sub { filters }) => self.sub(&filters, reader, &mut writer).await,
            Ok(Request::Pub { topic, payload, qos, retain }) => {
                let answer = self.publish(&topic, payload, qos, retain).await;
                send(&mut writer, &answer).await
            }
            Ok(Request::Letters { bridge }) => self.letters(&bridge, &mut writer).await,
            Ok(Request::Replay { bridge, drop }) => {
                let answer = self.empty(&bridge, drop).await;
                send(&mut writer, &answer).await
            }
            Err(error) => send(&mut writer, &Answer::Error { error: error.to_string() }).await,
        }
    }

    fn bridge(&self, name: &str) -> Result<&Bridge, Answer> {
        let found = self.bridges.iter().find(|bridge| bridge.name().as_str() == name);
        found.map(|bridge| &**bridge).ok_or_else(|| Answer::Error { error: format!("there is no bridge {name:?}") })
    }

    async fn letters<W: tokio::io::AsyncWrite + Unpin>(&self, bridge: &str, writer: &mut W) -> io::Result<()> {
        let letters = match self.bridge(bridge) {
            Ok(bridge) => bridge.dead_letters().await.map_err(|error| Answer::Error { error: error.to_string() }),
            Err(error) => Err(error),
        };
        let letters = match letters {
            Ok(letters) => letters,
            Err(error) => return send(writer, &error).await,
        };
        for DeadLetter { number, topic, taken_ms, key, why } in letters {
            let taken = taken_ms.map(|ms| Time(ms).to_string()).unwrap_or_default();
            send(writer, &Answer::Letter { number, topic: topic.unwrap_or_default(), taken, why, key }).await?;
        }
        Ok(())
    }

    async fn empty(&self, bridge: &str, forget: bool) -> Answer {
        match self.bridge(bridge) {
            Ok(bridge) => match bridge.empty_dead_letters(forget).await {
                Ok(letters) => Answer::Emptied { letters },
                Err(error) => Answer::Error { error: error.to_string() },
            },
            Err(error) => error,
        }
    }

    async fn drop_queue(&self, queue: &str) -> Answer {
        let dropped = match Name::new(queue) {
            Ok(name) => self.reporter.store.drop_queue(&name).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match dropped {
            Ok(records) => Answer::Dropped { records },
            Err(error) => Answer::Error { error: format!("queue {queue} was not dropped: {error}") },
        }
    }

    /// Sends matching messages until the client closes its side.
    async fn sub<R, W>(&self, filters: &[String], mut reader: R, writer: &mut W) -> io::Result<()>
    where
        R: tokio::io::AsyncRead + Unpin,
        W: tokio::io::AsyncWrite + Unpin,
    {
        let filters: Vec<Filter> = match filters.iter().map(|text| Filter::new(text)).collect() {
            Ok(filters) => filters,
            Err(error) => return send(writer, &Answer::Error { error: error.to_string() }).await,
        };
        let mut subscription = self.hub.subscribe(filters, QUEUE);
        loop {
            let delivery = tokio::select! {
                delivery = subscription.recv() => delivery,
                _ = reader.read_u8() => None,
            };
            let Some(delivery) = delivery else { return Ok(()) };
            let Message { topic, payload, .. } = &*delivery.message;
            let (topic, payload) = (topic.to_string(), payload.to_vec());
            send(writer, &Answer::Message { topic, payload, retained: delivery.retained }).await?;
        }
    }

    async fn publish(&self, topic: &str, payload: Vec<u8>, qos: u8, retain: bool) -> Answer {
        let topic = match Topic::new(topic) {
            Ok(topic) if !self.own.iter().any(|own| own.matches(&topic)) => topic,
            Ok(_) => return Answer::Error { error: format!("only the gateway itself publishes to {topic}") },
            Err(error) => return Answer::Error { error: error.to_string() },
        };
        let Some(qos) = Qos::from_level(qos) else {
            return Answer::Error { error: "QoS is 0, 1 or 2".into() };
        };
        let origin = Origin::Client("weir pub".into());
        let message = Message { retain, origin, ..Message::own(topic, payload).with_qos(qos) };
        let verdict = match self.hub.publish(message).await.await {
            Verdict::Safe => "safe",
            Verdict::Refused(_) => "refused",
            Verdict::Abandoned => "abandoned",
        };
        Answer::Published { verdict: verdict.into() }
    }
}

async fn send<W: tokio::io::AsyncWrite + Unpin>(writer: &mut W, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
