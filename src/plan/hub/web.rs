//! Whom a WebSocket is for: names of this machine, and web pages.

use super::listen::Listening;
use crate::config::Fields;

/// `ws_hosts`: names without port.
pub(super) fn hosts(fields: &mut Fields<'_, '_>, listening: &Listening) -> Vec<String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let name = |text: &str| !text.is_empty() && text.chars().all(letter);
    list("ws_hosts", "a name without protocol and port, as in \"hub.example.net\"", fields, listening, name)
}

/// `ws_origins`: protocol, name and, where it is not the protocol's own, port (RFC 6454 section 6.2).
pub(super) fn origins(fields: &mut Fields<'_, '_>, listening: &Listening) -> Vec<String> {
    let origin = |text: &str| {
        let rest = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, rest)| rest);
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', ' ', '?', '#']))
    };
    let help = "protocol, name and port as a browser shows them, as in \"https://dashboard.example.net\"";
    list("ws_origins", help, fields, listening, origin)
}

fn list(
    key: &'static str,
    wanted: &str,
    fields: &mut Fields<'_, '_>,
    listening: &Listening,
    is_good: impl Fn(&str) -> bool,
) -> Vec<String> {
    let Some(value) = fields.value(key) else { return Vec::new() };
    let Some(elements) = value.elements() else {
        value.expected(key, &format!("a list: {wanted}"), fields.problems);
        return Vec::new();
    };
    if !elements.is_empty() && listening.ws.is_empty() && listening.wss.is_empty() {
        let help = "write listen_ws = [\"0.0.0.0:9001\"], or leave it out";
        fields.problems.warn(value.place(), format!("`{key}` is set, but there is no WebSocket"), Some(help.into()));
    }
    let mut found = Vec::new();
    for element in elements {
        match element.text().filter(|text| is_good(text)) {
            Some(text) => found.push(text.to_owned()),
            None => fields.problems.error(
                element.place(),
                format!("`{key}` cannot hold this"),
                Some(format!("write {wanted}")),
            ),
        }
    }
    found
}
