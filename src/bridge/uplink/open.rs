//! From a stream to an MQTT session.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::codec::{Codec, Hello, In, Out, Welcome, WireError};
use super::dial::{DialError, Dialer, Stream};
use crate::bridge::Endpoint;

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
    /// The peer says no, with its return code (MQTT 3.1.1) or reason code (MQTT 5).
    #[error("refused: {}", refusal(*.0))]
    Refused(u8),
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
        matches!(self, OpenError::Refused(0x01 | 0x84))
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
            Some(In::Refused(code)) => return Err(OpenError::Refused(code)),
            Some(_) => return Err(OpenError::Wire(WireError::unexpected())),
            None if stream.read_buf(&mut inbox).await? == 0 => return Err(OpenError::Closed),
            None => {}
        }
    }
}

/// What a return code (MQTT 3.1.1 section 3.2.2.3) or reason code (MQTT 5 section 3.2.2.2) of CONNACK means.
fn refusal(code: u8) -> String {
    let words = match code {
        0x01 | 0x84 => "it does not speak this MQTT version",
        0x02 | 0x85 => "it does not accept the client id",
        0x03 | 0x88 => "it is not available",
        0x04 | 0x86 => "wrong user name or password",
        0x05 | 0x87 => "not authorized",
        0x89 => "it is busy",
        0x8a => "banned",
        0x97 => "a quota is used up",
        0x9c | 0x9d => "use another server",
        0x9f => "too many connections in a short time",
        _ => return format!("reason {code:#04x}"),
    };
    words.to_owned()
}
