//! From a stream to an MQTT session.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::codec::{Codec, Hello, In, Out, Refusal, Welcome, WireError};
use super::dial::{DialError, Dialer, Stream, blame, in_words};
use crate::bridge::Endpoint;
use crate::runtime::Blame;

/// A session that the peer has accepted.
pub struct Peer {
    /// The connection.
    pub stream: Box<dyn Stream>,
    /// The version spoken on it.
    pub codec: Codec,
    /// What the peer told about itself.
    pub welcome: Welcome,
    /// Bytes that came behind CONNACK.
    pub inbox: BytesMut,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No stream.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The peer closed the connection instead of answering.
    #[error("the peer closed the connection before it answered")]
    Closed,
    /// The peer says no.
    #[error("refused: {}", words(.0))]
    Refused(Refusal),
    /// The peer takes nothing that is acknowledged.
    #[error("the peer takes QoS 0 only")]
    NoQos1,
    /// The stream broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer does not speak MQTT, or not this version.
    #[error("not an MQTT answer: {0}")]
    Wire(#[from] WireError),
}

impl OpenError {
    /// The peer says that it does not speak this version (3.1.1 return code 1, MQTT 5 reason 0x84).
    pub fn is_version(&self) -> bool {
        matches!(self, OpenError::Refused(Refusal { code: 0x01 | 0x84, .. }))
    }

    /// The certificate begins later than the clock here says.
    pub fn waits_for_clock(&self) -> bool {
        matches!(self, OpenError::Dial(error) if error.waits_for_clock())
    }

    /// Who stands in the way.
    pub fn blame(&self) -> Blame {
        match self {
            OpenError::Dial(error) => error.blame(),
            OpenError::Io(error) => blame(error),
            OpenError::Closed | OpenError::Wire(_) => Blame::Peer,
            OpenError::Refused(refusal) => blame_of(refusal.code),
            OpenError::NoQos1 => Blame::Verdict,
        }
    }

    /// The peer was reached and left without a word, which is how some brokers refuse a version.
    pub fn is_wordless(&self) -> bool {
        matches!(self, OpenError::Closed | OpenError::Io(_) | OpenError::Wire(_))
    }
}

/// Dials `endpoint` and opens a session. It has no deadline of its own: drop it to give up.
///
/// # Errors
/// Says which step failed.
pub async fn open(dialer: &Dialer, endpoint: &Endpoint, codec: Codec, hello: &Hello) -> Result<Peer, OpenError> {
    let mut stream = dialer.dial(endpoint).await?;
    let mut packet = BytesMut::new();
    codec.encode(&Out::Connect(hello), &mut packet)?;
    stream.write_all(&packet).await?;
    stream.flush().await?;
    let mut inbox = BytesMut::with_capacity(4096);
    loop {
        match codec.decode(&mut inbox, hello.packet_max)? {
            Some(In::Welcome(welcome)) if !welcome.qos_1 => return Err(OpenError::NoQos1),
            Some(In::Welcome(welcome)) => return Ok(Peer { stream, codec, welcome, inbox }),
            Some(In::Refused(refusal)) => return Err(OpenError::Refused(refusal)),
            Some(_) => return Err(OpenError::Wire(WireError::unexpected())),
            None if stream.read_buf(&mut inbox).await.map_err(in_words)? == 0 => return Err(OpenError::Closed),
            None => {}
        }
    }
}

/// Use another server; server moved.
const USE_ANOTHER: u8 = 0x9c;
const MOVED: u8 = 0x9d;

/// Who is to blame for a refusal with this code, in CONNACK or DISCONNECT. A peer that is down, or
/// that speaks another version, has said nothing about us.
pub(in crate::bridge) fn blame_of(code: u8) -> Blame {
    match code {
        0x01 | 0x03 | 0x84 | 0x88 | 0x8b | USE_ANOTHER | MOVED => Blame::Peer,
        _ => Blame::Verdict,
    }
}

/// Whether a reason sends us to another server.
pub(in crate::bridge) fn sends_on(code: u8) -> bool {
    matches!(code, USE_ANOTHER | MOVED)
}

fn words(refusal: &Refusal) -> String {
    let mut words = meaning(refusal.code);
    if let Some(server) = &refusal.server {
        words.push_str(&format!(": {server}"));
    }
    if let Some(more) = &refusal.words {
        words.push_str(&format!(" ({more})"));
    }
    words
}

/// What a return code (MQTT 3.1.1 section 3.2.2.3) or reason code (MQTT 5 sections 3.2.2.2 and 3.14.2.1) means.
pub(in crate::bridge) fn meaning(code: u8) -> String {
    let words = match code {
        0x01 | 0x84 => "it does not speak this MQTT version",
        0x02 | 0x85 => "it does not accept the client id",
        0x03 | 0x88 => "it is not available",
        0x04 | 0x86 => "wrong user name or password",
        0x05 | 0x87 => "not authorized",
        0x89 => "it is busy",
        0x8a => "banned",
        0x8b => "it is being shut down",
        0x8d => "it heard nothing for longer than the keep-alive",
        0x93 => "more messages at once than it takes",
        0x95 => "a packet is too large for it",
        0x96 => "too many messages in a short time",
        0x97 => "a quota is used up",
        0x98 => "its operator ended the connection",
        USE_ANOTHER | MOVED => "use another server",
        0x9f => "too many connections in a short time",
        _ => return format!("reason {code:#04x}"),
    };
    words.to_owned()
}
