//! What the hub is told at start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Name;

/// The most levels a topic may have: it bounds the depth of every walk through the topic tree.
pub const MAX_LEVELS: usize = 128;

/// Who may connect without a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// Clients on this machine.
    Loopback,
    /// Nobody.
    Never,
    /// Everybody.
    Everywhere,
}

/// Bounds of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Clients at once; as many more connections may be on their way to become clients.
    pub connections: usize,
    /// Connections of one address at once; in IPv6 of one /64 network.
    pub connections_per_address: usize,
    /// New connections of one address per second, ten seconds' worth at once; zero is without a bound.
    pub connects_per_address: u32,
    /// Whether loopback is an address like others. Otherwise it has no bounds of its own.
    pub limit_loopback: bool,
    /// The largest MQTT packet a client may send, in bytes.
    pub packet_size: usize,
    /// The largest payload a client may publish, in bytes.
    pub payload_size: usize,
    /// QoS 1 and 2 messages on their way to or from one client.
    pub in_flight: u16,
    /// Messages waiting for one session.
    pub queued_messages: usize,
    /// Bytes waiting for one session: topics, payloads, properties.
    pub queued_bytes: usize,
    /// The longest keep-alive; a client that asks for more, or for none, gets this one in MQTT 5.
    pub keepalive: Duration,
    /// The highest QoS.
    pub qos: u8,
    /// Whether retained messages are kept.
    pub retain: bool,
    /// Topic aliases a client may use.
    pub topic_alias: u16,
    /// How long a session outlives its connection at most.
    pub session_expiry: Duration,
    /// Sessions, connected or not.
    pub sessions: usize,
    /// The longest delay of a connection whose client id is in dispute between two devices; zero is none.
    pub takeover_delay: Duration,
    /// Levels of a topic or topic filter.
    pub topic_levels: usize,
    /// Subscriptions of one client.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained_messages: usize,
    /// Topic, payload and property bytes of all retained messages.
    pub retained_bytes: usize,
    /// Bytes of everything that clients can make the hub hold: what waits for sessions, retained messages,
    /// subscriptions, held publishes and buffers.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 500,
            connections_per_address: 250,
            connects_per_address: 20,
            limit_loopback: false,
            packet_size: 1 << 20,
            payload_size: 1 << 20,
            in_flight: 64,
            queued_messages: 10_000,
            queued_bytes: 8 << 20,
            keepalive: Duration::from_secs(18 * 3600),
            qos: 2,
            retain: true,
            topic_alias: 16,
            session_expiry: Duration::from_secs(7 * 86_400),
            sessions: 1000,
            takeover_delay: Duration::from_secs(15),
            topic_levels: MAX_LEVELS,
            subscriptions: 1000,
            retained_messages: 200_000,
            retained_bytes: 48 << 20,
            memory: 96 << 20,
        }
    }
}

/// The hub's certificate, and what it asks of its clients'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificate chain, the hub's own first.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// PEM file with the authorities of client certificates; without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub client_cert_required: bool,
}

/// What the users it speaks of may do. Rules that match a client add up; a deny wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A user name, `*` for all, or `anonymous`.
    pub user: String,
    /// Topic filters, in which `%u` and `%c` stand for user name and client id.
    pub publish: Vec<String>,
    /// As `publish`.
    pub subscribe: Vec<String>,
    /// As `publish`.
    pub deny_publish: Vec<String>,
    /// As `publish`.
    pub deny_subscribe: Vec<String>,
}

/// Everything the hub needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The gateway's name: topics below it belong to the gateway.
    pub gateway: Name,
    /// Where to listen for plain TCP; port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// Where to listen for TLS.
    pub listen_tls: Vec<SocketAddr>,
    /// Where to listen for WebSocket.
    pub listen_ws: Vec<SocketAddr>,
    /// Where to listen for WebSocket over TLS.
    pub listen_wss: Vec<SocketAddr>,
    /// Names of this machine, beside its own, that clients may ask a WebSocket for.
    pub ws_hosts: Vec<String>,
    /// Web pages that may use a WebSocket, as browsers call them: `https://dashboard.example.net`.
    pub ws_origins: Vec<String>,
    /// For `listen_tls` and `listen_wss`.
    pub tls: Option<Tls>,
    /// Who may connect without a name.
    pub allow_anonymous: Anonymous,
    /// Users and the hashes of their passwords.
    pub users_file: Option<PathBuf>,
    /// Who may use which topics; without any rule everybody may use every topic.
    pub acl: Vec<Rule>,
    /// Bounds.
    pub limits: Limits,
    /// How often `$SYS` is told anew; zero is never.
    pub sys_interval: Duration,
    /// First levels below the gateway's name that only the gateway publishes to
    /// (its sensors, outputs, `bridge` and `gateway`); `cmd` is open.
    pub own: Vec<Name>,
}

impl Settings {
    /// The same, listening where `other` does.
    pub(crate) fn listening_as(&self, other: &Self) -> Self {
        Self {
            listen: other.listen.clone(),
            listen_tls: other.listen_tls.clone(),
            listen_ws: other.listen_ws.clone(),
            listen_wss: other.listen_wss.clone(),
            ..self.clone()
        }
    }

    /// Listens nowhere; everything else as by default.
    pub fn new(gateway: Name) -> Self {
        Self {
            gateway,
            listen: Vec::new(),
            listen_tls: Vec::new(),
            listen_ws: Vec::new(),
            listen_wss: Vec::new(),
            ws_hosts: Vec::new(),
            ws_origins: Vec::new(),
            tls: None,
            allow_anonymous: Anonymous::Loopback,
            users_file: None,
            acl: Vec::new(),
            limits: Limits::default(),
            sys_interval: Duration::from_secs(10),
            own: Vec::new(),
        }
    }
}
