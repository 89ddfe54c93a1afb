//! `[hub]`.

use std::net::SocketAddr;
use std::time::Duration;

use super::Gateway;
use crate::config::units::{Bytes, Every};
use crate::config::{Fields, Problems, Table};
use crate::hub::{Anonymous, Limits, Settings};

/// Where the hub listens when nothing else is said.
const LISTEN: &str = "127.0.0.1:1883";
/// Keys of the design that come later.
const LATER: [&str; 6] = ["listen_tls", "listen_ws", "listen_wss", "tls", "users_file", "acl"];

pub(super) fn read(table: Option<&Table<'_>>, gateway: Option<&Gateway>, problems: &mut Problems) -> Option<Settings> {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let listen = listen(&mut fields);
    let allow_anonymous = allow_anonymous(&mut fields, &listen);
    let limits = fields.table("limits");
    LATER.into_iter().for_each(|key| fields.not_yet(key));
    fields.finish();
    let limits = limits.map(|table| read_limits(&table, problems)).unwrap_or_default();
    Some(Settings { listen, allow_anonymous, limits, ..Settings::new(gateway?.name.clone()) })
}

fn listen(fields: &mut Fields<'_, '_>) -> Vec<SocketAddr> {
    let default = || vec![LISTEN.parse().expect("a good address")];
    let Some(value) = fields.value("listen") else { return default() };
    let Some(elements) = value.elements() else {
        value.expected("listen", &format!("a list of addresses, as in [{LISTEN:?}]"), fields.problems);
        return default();
    };
    let mut found: Vec<SocketAddr> = Vec::new();
    for element in elements {
        let Some(address) = address(element.text()) else {
            let help = format!("write an IP address and a port, as in {LISTEN:?} or \"[::1]:1883\"");
            fields.problems.error(element.place(), "this is not an address to listen on", Some(help));
            continue;
        };
        if let Some(other) = found.iter().find(|other| collide(**other, address)) {
            let message = format!("{address} is taken by {other}, which is listened on as well");
            fields.problems.error(element.place(), message, None);
        }
        found.push(address);
    }
    found
}

/// An address; `localhost` is the one name that means the same everywhere.
fn address(text: Option<&str>) -> Option<SocketAddr> {
    let text = text?;
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

/// Whether the kernel would refuse the second of two addresses. Port 0 picks a free one.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let all = |address: SocketAddr| address.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip() || all(a) || all(b))
}

fn allow_anonymous(fields: &mut Fields<'_, '_>, listen: &[SocketAddr]) -> Anonymous {
    let words = [("loopback", Anonymous::Loopback), ("never", Anonymous::Never), ("everywhere", Anonymous::Everywhere)];
    let allowed = fields.word("allow_anonymous", &words).unwrap_or(Anonymous::Loopback);
    let beyond = listen.iter().any(|address| !address.ip().to_canonical().is_loopback());
    let place = fields.place(if fields.has("allow_anonymous") { "allow_anonymous" } else { "listen" });
    match allowed {
        Anonymous::Everywhere if beyond => {
            let help = "everybody in the network can read every topic and switch every output";
            fields.problems.warn(place, "clients from everywhere need no password", Some(help.into()));
        }
        Anonymous::Loopback if beyond => {
            let help = "passwords are not yet supported; allow_anonymous = \"everywhere\" lets the whole network in";
            fields.problems.warn(place, "clients on other machines will be refused", Some(help.into()));
        }
        Anonymous::Never => {
            let help = "passwords are not yet supported, so nobody could connect";
            fields.problems.error(place, "`allow_anonymous = \"never\"` is not yet supported", Some(help.into()));
        }
        Anonymous::Loopback | Anonymous::Everywhere => {}
    }
    allowed
}

fn read_limits(table: &Table<'_>, problems: &mut Problems) -> Limits {
    let default = Limits::default();
    let days = |days: u64| Every(Duration::from_secs(days * 86_400));
    let mut fields = table.fields(problems);
    let size = Bytes(1 << 10)..=Bytes(256 << 20);
    let mut bytes = |key, default: usize| fields.within(key, Bytes(default as u64), size.clone()).0 as usize;
    let packet_size = bytes("packet_size", default.packet_size);
    let payload_size = bytes("payload_size", default.payload_size);
    let queued_bytes = bytes("queued_bytes", default.queued_bytes);
    // The protocol has 16 bits for the keep-alive in seconds (MQTT 5.0 section 3.1.2.10), 32 for the session's.
    let keepalive = Every(Duration::from_secs(1))..=Every(Duration::from_secs(65_535));
    let limits = Limits {
        connections: fields.within("connections", default.connections, 1..=100_000),
        packet_size,
        payload_size,
        in_flight: fields.within("in_flight", default.in_flight, 1..=65_535),
        queued_messages: fields.within("queued_messages", default.queued_messages, 1..=1_000_000),
        queued_bytes,
        keepalive: fields.within("keepalive", Every(default.keepalive), keepalive).0,
        qos: fields.within("qos", default.qos, 0..=2),
        retain: fields.or("retain", default.retain),
        topic_alias: fields.within("topic_alias", default.topic_alias, 0..=65_535),
        session_expiry: fields.within("session_expiry", Every(default.session_expiry), days(0)..=days(3650)).0,
        sessions: fields.within("sessions", default.sessions, 1..=100_000),
    };
    if payload_size > packet_size && fields.has("payload_size") {
        let help = format!("the payload is a part of the packet: at most {}", Bytes(packet_size as u64));
        fields.wrong("payload_size", "`payload_size` is larger than `packet_size`", Some(help));
    }
    fields.finish();
    limits
}
