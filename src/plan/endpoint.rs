//! `url` of a bridge: one or several addresses of a cloud broker.

use crate::bridge::{Endpoint, Transport};
use crate::config::{Fields, suggest};

/// The endpoints in `url`, a string or a list of strings.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Vec<Endpoint>> {
    let Some(value) = fields.value("url") else {
        fields.need::<String>("url");
        return None;
    };
    let elements = value.elements().unwrap_or_else(|| vec![value]);
    if elements.is_empty() {
        fields.wrong("url", "`url` names no broker", Some(EXAMPLE.into()));
    }
    let mut endpoints = Vec::new();
    for element in elements {
        let Some(text) = element.text() else {
            element.expected("url", "a string or a list of strings", fields.problems);
            continue;
        };
        if text.contains('@') {
            fields.problems.conceal(element.place());
        }
        match parse(text) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err((why, help)) => fields.problems.error(element.place(), why, Some(help)),
        }
    }
    Some(endpoints)
}

const EXAMPLE: &str = "write something like \"mqtts://broker.example.net:8883\"";
/// What stands before `://`, with its transport and port.
const SCHEMES: [(&str, Transport, u16); 4] = [
    ("mqtt", Transport::Tcp, 1883),
    ("mqtts", Transport::Tls, 8883),
    ("ws", Transport::Ws, 80),
    ("wss", Transport::Wss, 443),
];

/// What a WebSocket asks for when its URL has no path.
const PATH: &str = "/mqtt";

/// Understands `scheme://host[:port]`, and for WebSockets `[/path]`; otherwise says why not, and what would be right.
fn parse(text: &str) -> Result<Endpoint, (String, String)> {
    let no = |why: &str| Err((format!("this URL {why}"), EXAMPLE.to_owned()));
    if text.contains('@') {
        let help = "use the keys `username` and `password`";
        return Err(("a URL holds no user name and no password".to_owned(), help.to_owned()));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(("this is not a URL".to_owned(), EXAMPLE.to_owned()));
    };
    let Some(&(_, transport, default_port)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        let names = SCHEMES.map(|(name, ..)| name);
        return Err((format!("there is no protocol `{scheme}`"), suggest(scheme, &names)));
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((host, port)) = split(authority) else { return no("has no good port") };
    if !good_host(host) {
        return no("has no good host name");
    }
    let Some(path) = good_path(transport, path) else { return no("has no good path") };
    Ok(Endpoint { transport, host: host.to_owned(), port: port.unwrap_or(default_port), path })
}

/// What is to be asked for over HTTP (RFC 3986 section 3.3, and a query); other protocols have nothing of the kind.
fn good_path(transport: Transport, path: &str) -> Option<String> {
    if !transport.is_websocket() {
        return matches!(path, "" | "/").then(|| "/".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%?".contains(c);
    let path = if path.is_empty() { PATH } else { path };
    (path.chars().all(allowed) && path.len() <= 2048).then(|| path.to_owned())
}

/// Host and port; an IPv6 address stands in brackets, which are taken off.
pub(super) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, behind.is_empty().then_some(None).or_else(|| behind.strip_prefix(':').map(Some))?)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).map(|port| (host, Some(port))),
        None => Some((host, None)),
    }
}

/// Letters, digits, `-`, `.` and `_`, as resolvers take them; or an IPv6 address without its brackets.
pub(super) fn good_host(host: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !host.is_empty() && host.len() <= 253 && (host.chars().all(name) || host.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood() {
        let parsed = |text| parse(text).map(|e| (e.transport, e.host, e.port)).unwrap();
        let shown = |text| parse(text).unwrap().to_string();
        assert_eq!(shown("ws://a"), "ws://a:80/mqtt");
        assert_eq!(shown("wss://a.net/"), "wss://a.net:443/");
        assert_eq!(shown("wss://[::1]:99/a/b?c=%20"), "wss://[::1]:99/a/b?c=%20");
        assert_eq!(shown("mqtts://a/"), "mqtts://a:8883");
        assert_eq!(parsed("mqtt://a"), (Transport::Tcp, "a".into(), 1883));
        assert_eq!(parsed("mqtts://a.b-c.net:443/"), (Transport::Tls, "a.b-c.net".into(), 443));
        assert_eq!(parsed("mqtts://[::1]:99"), (Transport::Tls, "::1".into(), 99));
        assert_eq!(parsed("mqtt://192.0.2.1"), (Transport::Tcp, "192.0.2.1".into(), 1883));
    }

    #[test]
    fn wrong_urls_are_refused() {
        for wrong in [
            "",
            "broker",
            "tcp://a",
            "mqtt://",
            "mqtt://a:0",
            "mqtt://a:65536",
            "mqtt://a:x",
            "mqtt://a/path",
            "mqtt://a b",
            "mqtt://u:p@a",
            "mqtt://[::1",
            "mqtt://[x]",
            "ws://a/b c",
            "ws://a/b#c",
            "http://a",
            "mqtt://a:1:2",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
