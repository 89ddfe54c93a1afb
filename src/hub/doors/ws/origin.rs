//! Keeps web pages out that reach the hub through somebody's browser: by their Origin (RFC 6454) and, where a
//! page's own name was made to point here (DNS rebinding), by the Host that the browser asks for. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::head::{Refusal, Wish};

/// Who may ask for what.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Names<'a> {
    /// What this machine is called.
    pub(in super::super) machine: &'a str,
    /// Further names of it.
    pub(in super::super) hosts: &'a [String],
    /// Web pages that are welcome: `https://dashboard.example.net`.
    pub(in super::super) origins: &'a [String],
}

const STRANGER: Refusal = Refusal::new("403 Forbidden", "web pages from there are not welcome: see `ws_origins`");
const WRONG_HOST: Refusal = Refusal::new("403 Forbidden", "that is not a name of this machine: see `ws_hosts`");

impl Names<'_> {
    /// Whether the wish may be granted.
    pub(super) fn judge(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        if !self.is_own(wish.host) {
            return Err(WRONG_HOST);
        }
        // There is no page at this port, so nobody but a program can claim to come from one: Paho's clients do.
        let own = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| host.eq_ignore_ascii_case(wish.host));
        let known = |origin: &str| self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
        if wish.origin.is_none_or(|origin| own(origin) || known(origin)) { Ok(()) } else { Err(STRANGER) }
    }

    /// Whether a Host, with or without a port, is this machine. No page can make an address its own.
    fn is_own(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            return rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
        }
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        let first = self.machine.split('.').next().unwrap_or_default();
        let same = |known: &str| !known.is_empty() && known.eq_ignore_ascii_case(name);
        let local = name.len().checked_sub(".local".len()).and_then(|at| name.split_at_checked(at));
        name.parse::<Ipv4Addr>().is_ok()
            || same("localhost")
            || same(self.machine)
            || same(first)
            || local.is_some_and(|(name, rest)| {
                rest.eq_ignore_ascii_case(".local") && first.eq_ignore_ascii_case(name) && !first.is_empty()
            })
            || self.hosts.iter().any(|known| same(known))
    }
}
