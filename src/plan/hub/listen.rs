//! Where the hub listens.

use std::net::SocketAddr;

use crate::config::Fields;

/// Where the hub listens when nothing else is said.
const LISTEN: &str = "127.0.0.1:1883";

/// `listen`.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Vec<SocketAddr> {
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
