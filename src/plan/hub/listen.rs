//! Where the hub listens.

use std::net::SocketAddr;

use crate::config::{Fields, Place};

/// Where the hub listens when nothing else is said.
const LISTEN: &str = "127.0.0.1:1883";

/// What is spoken where.
pub(super) struct Listening {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) tls: Vec<SocketAddr>,
    pub(super) ws: Vec<SocketAddr>,
    pub(super) wss: Vec<SocketAddr>,
}

/// `listen`, `listen_tls`, `listen_ws` and `listen_wss`.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Listening {
    let mut found = Vec::new();
    let plain = addresses("listen", fields, &mut found);
    let plain = plain.unwrap_or_else(|| vec![LISTEN.parse().expect("a good address")]);
    let mut more = |key| addresses(key, fields, &mut found).unwrap_or_default();
    Listening { plain, tls: more("listen_tls"), ws: more("listen_ws"), wss: more("listen_wss") }
}

impl Listening {
    /// Every address.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        [&self.plain[..], &self.tls, &self.ws, &self.wss].concat()
    }

    /// A key whose addresses need a certificate.
    pub(super) fn encrypted(&self) -> Option<&'static str> {
        let keys = [("listen_tls", &self.tls), ("listen_wss", &self.wss)];
        keys.into_iter().find(|(_, addresses)| !addresses.is_empty()).map(|(key, _)| key)
    }
}

/// The addresses in `key`; nothing when it is not there or no list. `found` holds those of other keys.
fn addresses(
    key: &'static str,
    fields: &mut Fields<'_, '_>,
    found: &mut Vec<(SocketAddr, Place)>,
) -> Option<Vec<SocketAddr>> {
    let value = fields.value(key)?;
    let Some(elements) = value.elements() else {
        value.expected(key, &format!("a list of addresses, as in [{LISTEN:?}]"), fields.problems);
        return None;
    };
    let mut addresses = Vec::new();
    for element in elements {
        let Some(address) = address(element.text()) else {
            let help = format!("write an IP address and a port, as in {LISTEN:?} or \"[::1]:1883\"");
            fields.problems.error(element.place(), "this is not an address to listen on", Some(help));
            continue;
        };
        if let Some((other, place)) = found.iter().find(|(other, _)| collide(*other, address)) {
            let message = format!("{address} is taken by {other}, which is listened on as well");
            fields.problems.clash(element.place(), message, (place.clone(), "taken here"));
        }
        found.push((address, element.place()));
        addresses.push(address);
    }
    Some(addresses)
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
