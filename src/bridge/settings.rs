//! What one bridge is told at start.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::units::Secret;
use crate::format::batch::{Compress, Encoding};
use crate::model::{Filter, Name, Qos, Topic};

/// How a message is treated in an outage; alarms first, bulk last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Never waits behind anything else.
    Alarm = 0,
    /// Answers to commands.
    Command = 1,
    /// Readings; the default.
    Telemetry = 2,
    /// Whatever can wait.
    Bulk = 3,
}

impl Class {
    /// The word in the configuration and in topics.
    pub fn word(self) -> &'static str {
        match self {
            Class::Alarm => "alarm",
            Class::Command => "command",
            Class::Telemetry => "telemetry",
            Class::Bulk => "bulk",
        }
    }
}

/// What MQTT is carried by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `mqtt://`
    Tcp,
    /// `mqtts://`
    Tls,
    /// `ws://`
    Ws,
    /// `wss://`
    Wss,
}

impl Transport {
    /// Whether nobody on the way can read it.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether the packets are in WebSocket frames.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// What stands before `://`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "mqtt",
            Self::Tls => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// Where the cloud broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Plain or encrypted, bare or in a WebSocket.
    pub transport: Transport,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port; 1883, 8883, 80 or 443 by default.
    pub port: u16,
    /// What is asked for over HTTP, from `/` on; only WebSockets use it.
    pub path: String,
}

impl Endpoint {
    /// Plain MQTT at an address.
    pub fn plain(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, host: address.ip().to_string(), port: address.port(), path: "/".into() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.transport.is_websocket() { &self.path } else { "" };
        write!(f, "{}://{}{path}", self.transport.scheme(), authority(&self.host, self.port))
    }
}

/// Host and port as they stand in a URL: an IPv6 address in brackets (RFC 3986 section 3.2.2).
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT (RFC 9110 section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928); the proxy resolves names.
    Socks5,
}

/// Somebody who connects for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port; 3128 or 1080 by default.
    pub port: u16,
    /// User name and password, if it wants them.
    pub login: Option<(String, Secret)>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&authority(&self.host, self.port))
    }
}

/// The MQTT version to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 5, falling back to 3.1.1 when refused.
    V5,
    /// MQTT 3.1.1.
    V4,
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Protocols to offer (ALPN).
    pub alpn: Vec<String>,
}

/// One rule: local to cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// What is forwarded.
    pub topics: Vec<Filter>,
    /// What is not, although `topics` matches.
    pub except: Vec<Filter>,
    /// Cloud topic = prefix + local topic.
    pub prefix: String,
    /// 0 or 1.
    pub qos: Qos,
    /// Which chain of the store.
    pub class: Class,
    /// PUBACK to the local publisher at once, without waiting for disk or cloud.
    pub ack_from_memory: bool,
    /// What is older is not sent any more. Only time counts that has certainly passed.
    pub ttl: Option<Duration>,
    /// What is new may pass a backlog of its own topic.
    pub fresh: bool,
    /// How records travel together; without it each is a message of its own.
    pub batch: Option<Batch>,
}

/// Several records in one message. It leaves when it is full, when its oldest record is old enough, together with
/// an alarm, or when the bridge stops. In class alarm nothing waits: only a backlog travels in batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Records of one batch, 1 to 1000.
    pub max_count: usize,
    /// Bytes of one batch before compression; one record may be larger.
    pub max_bytes: usize,
    /// Age of the oldest record. Above the store's `max_loss` every record is written to the disk.
    pub max_age: Duration,
    /// How it is written.
    pub encoding: Encoding,
    /// How it is compressed.
    pub compress: Compress,
    /// The topic at the cloud; by default the rule's prefix and `<gateway>/batch/<class>`.
    pub topic: Option<Topic>,
}

/// One rule: cloud to local.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    /// What to subscribe to at the cloud.
    pub topics: Vec<Filter>,
    /// Taken off the front of the cloud topic.
    pub strip: String,
    /// Put in front of what is left.
    pub prefix: String,
    /// QoS of the subscription.
    pub qos: Qos,
}

/// How fast a backlog is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Messages per second; 0 = no bound.
    pub rate_per_s: u32,
    /// Bytes of PUBLISH packets per second; 0 = no bound.
    pub bytes_per_s: u64,
    /// What is new passes the backlog of other topics of its class.
    pub live_first: bool,
}

impl Default for Replay {
    fn default() -> Self {
        Self { rate_per_s: 600, bytes_per_s: 0, live_first: true }
    }
}

/// Bytes on the wire in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes, both ways, with all headers.
    pub per_month: u64,
    /// The day of the month, 1 to 28, on which a month begins, at midnight UTC.
    pub resets_on_day: i8,
    /// The part of `per_month` that is kept for alarms and commands; less than that.
    pub reserve: u64,
}

/// When a session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connect {
    /// Whenever that is possible.
    #[default]
    Always,
    /// Every so often until nothing waits, and at once for an alarm or a command's answer.
    Scheduled(Duration),
}

/// Everything one bridge needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in topics and in the store.
    pub name: Name,
    /// Where to; tried in order.
    pub endpoints: Vec<Endpoint>,
    /// MQTT client id at the cloud.
    pub client_id: String,
    /// User name at the cloud.
    pub username: Option<String>,
    /// Password at the cloud.
    pub password: Option<Secret>,
    /// Certificates.
    pub tls: Tls,
    /// Who connects for us, if anybody.
    pub proxy: Option<Proxy>,
    /// MQTT version.
    pub version: Version,
    /// Keep-alive.
    pub keepalive: Duration,
    /// Unacknowledged messages at once.
    pub in_flight: u16,
    /// How long the cloud keeps our session.
    pub session_expiry: Duration,
    /// Samples taken before the clock is set wait so long for it.
    pub clock_wait: Duration,
    /// Replay.
    pub replay: Replay,
    /// What may be spent.
    pub budget: Option<Budget>,
    /// When a session is open.
    pub connect: Connect,
    /// Local to cloud; the first rule that matches wins.
    pub forward: Vec<Forward>,
    /// Cloud to local.
    pub receive: Vec<Receive>,
}

impl Settings {
    /// Whether every attempt to connect costs money: then they become rare at once.
    pub fn is_metered(&self) -> bool {
        self.budget.is_some() || self.connect != Connect::Always
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A bridge named `cloud` to nowhere, without rules.
    pub(in crate::bridge) fn settings() -> Settings {
        Settings {
            name: Name::new("cloud").unwrap(),
            endpoints: vec![],
            client_id: "gw".into(),
            username: None,
            password: None,
            tls: Tls::default(),
            proxy: None,
            version: Version::V5,
            keepalive: Duration::from_secs(60),
            in_flight: 256,
            session_expiry: Duration::from_secs(86_400),
            clock_wait: Duration::from_secs(600),
            replay: Replay::default(),
            budget: None,
            connect: Connect::Always,
            forward: vec![],
            receive: vec![],
        }
    }

    /// One filter, QoS 1, telemetry.
    pub(in crate::bridge) fn forward(topics: &str, prefix: &str) -> Forward {
        Forward {
            topics: vec![Filter::new(topics).unwrap()],
            except: vec![],
            prefix: prefix.into(),
            qos: Qos::AtLeastOnce,
            class: Class::Telemetry,
            ack_from_memory: false,
            batch: None,
            ttl: None,
            fresh: false,
        }
    }

    /// One filter, QoS 1.
    pub(in crate::bridge) fn receive(topics: &str, strip: &str, prefix: &str) -> Receive {
        Receive {
            topics: vec![Filter::new(topics).unwrap()],
            strip: strip.into(),
            prefix: prefix.into(),
            qos: Qos::AtLeastOnce,
        }
    }
}
