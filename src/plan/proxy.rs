//! `proxy` of a bridge: somebody who connects for it.

use super::endpoint::{good_host, split};
use crate::bridge::{Proxy, ProxyKind};
use crate::config::units::Secret;
use crate::config::{Fields, Value, secret, suggest};

const EXAMPLE: &str = "write something like \"http://proxy.example.net:3128\" or \"socks5://proxy.example.net\"";

/// What stands before `://`, with what it means and its port.
const SCHEMES: [(&str, ProxyKind, u16); 2] = [("http", ProxyKind::Http, 3128), ("socks5", ProxyKind::Socks5, 1080)];

/// The longest user name or password: both have a length byte in SOCKS (RFC 1929).
const LONGEST: usize = 255;

/// The proxy in `proxy`, a URL or a table with `url`, `username` and `password`. `None` when it cannot be used.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Option<Proxy>> {
    let Some(value) = fields.value("proxy") else { return Some(None) };
    let Some(table) = value.table() else { return parse_at(&value, "proxy", fields).map(Some) };
    let mut inner = table.fields(fields.problems);
    let Some(url) = inner.value("url") else {
        inner.need::<String>("url");
        return None;
    };
    let proxy = parse_at(&url, "url", &mut inner);
    let login = login(&mut inner);
    inner.finish();
    Some(Some(Proxy { login: login?, ..proxy? }))
}

fn parse_at(value: &Value<'_>, key: &str, fields: &mut Fields<'_, '_>) -> Option<Proxy> {
    let Some(text) = value.text() else {
        value.expected(key, "a URL, or a table with `url`, `username` and `password`", fields.problems);
        return None;
    };
    if text.contains('@') {
        fields.problems.conceal(value.place());
    }
    parse(text).map_err(|(why, help)| fields.problems.error(value.place(), why, Some(help))).ok()
}

/// User name and password; `None` when they are given, but cannot be had.
fn login(fields: &mut Fields<'_, '_>) -> Option<Option<(String, Secret)>> {
    let user = fields.maybe::<String>("username");
    let password = fields.value("password").map(|value| secret("password", &value, fields.problems));
    for (given, missing) in [("username", "password"), ("password", "username")] {
        if fields.has(given) && !fields.has(missing) {
            fields.wrong(given, format!("`{given}` of a proxy needs `{missing}` beside it"), None);
            return None;
        }
    }
    // A colon would end the name (RFC 7617 section 2).
    if user.as_ref().is_some_and(|user| user.is_empty() || user.len() > LONGEST || user.contains(':')) {
        fields.wrong("username", "a proxy's user name has 1 to 255 bytes, and no colon", None);
        return None;
    }
    match (user, password) {
        (Some(user), Some(password)) => Some(Some((user, password?))),
        _ => Some(None),
    }
}

/// Understands `scheme://host[:port]`; otherwise says why not, and what would be right.
fn parse(text: &str) -> Result<Proxy, (String, String)> {
    if text.contains('@') {
        let help = "proxy = { url = \"...\", username = \"...\", password = { file = \"...\" } }";
        return Err(("the URL of a proxy holds no user name and no password".to_owned(), help.to_owned()));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(("this is not the URL of a proxy".to_owned(), EXAMPLE.to_owned()));
    };
    let Some(&(_, kind, default_port)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        let names = SCHEMES.map(|(name, ..)| name);
        return Err((format!("there is no proxy protocol `{scheme}` here"), suggest(scheme, &names)));
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    match split(authority) {
        Some((host, port)) if good_host(host) => {
            Ok(Proxy { kind, host: host.to_owned(), port: port.unwrap_or(default_port), login: None })
        }
        _ => Err(("this proxy has no good host name or port".to_owned(), EXAMPLE.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_understood() {
        let parsed = |text| parse(text).map(|proxy| (proxy.kind, proxy.to_string())).unwrap();
        assert_eq!(parsed("http://proxy"), (ProxyKind::Http, "proxy:3128".into()));
        assert_eq!(parsed("http://proxy:8080/"), (ProxyKind::Http, "proxy:8080".into()));
        assert_eq!(parsed("socks5://[::1]"), (ProxyKind::Socks5, "[::1]:1080".into()));
        for wrong in
            ["proxy:3128", "https://proxy", "socks4://proxy", "http://", "http://p:0", "http://u:p@p", "http://p/x"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
