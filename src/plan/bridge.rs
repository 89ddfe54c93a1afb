//! `[[bridge]]` with its rules.

use std::time::Duration;

use super::{Gateway, claims, endpoint, forward, gateway, proxy, thrift, tls};
use crate::bridge::rules::{Finding, findings};
use crate::bridge::{Endpoint, Replay, Settings, Version};
use crate::config::units::{Bytes, Every, Secret};
use crate::config::{Fields, Place, Problems, Table, secret};

/// Notes bridges of the same name.
pub(super) fn names(tables: &[Table<'_>], problems: &mut Problems) {
    claims::unique_names(tables.iter(), "two bridges", problems);
}

pub(super) fn read(table: &Table<'_>, of: Option<&Gateway>, problems: &mut Problems) -> Option<Settings> {
    let mut fields = table.fields(problems);
    let name = gateway::name(&mut fields);
    let endpoints = endpoint::read(&mut fields);
    let default_id = of.zip(name.as_ref()).map(|(gateway, name)| format!("{}-{name}", gateway.name));
    let client_id = client_id(&mut fields).or(default_id);
    let credentials = credentials(&mut fields, endpoints.as_deref().unwrap_or_default());
    let tls = fields.table("tls");
    let proxy = proxy::read(&mut fields);
    let version = version(&mut fields);
    let keepalive = Every(Duration::from_secs(5))..=Every(Duration::from_secs(65_535));
    let keepalive = fields.within("keepalive", Every(Duration::from_secs(60)), keepalive).0;
    let in_flight = fields.within("in_flight", 256, 1..=65_535);
    let expiry = Every(Duration::ZERO)..=Every(Duration::from_secs(3650 * 86_400));
    let session_expiry = fields.within("session_expiry", Every(Duration::from_secs(86_400)), expiry).0;
    let replay = fields.table("replay");
    let (budget, connect) = (fields.table("budget"), fields.table("connect"));
    let budget = budget.map(|table| thrift::read_budget(&table, fields.problems));
    let connect = connect.map(|table| thrift::read_connect(&table, fields.problems)).unwrap_or_default();
    thrift::note(&mut fields, budget.flatten(), connect, keepalive, session_expiry);
    let (forwards, receives) = (fields.tables("forward", "bridge.forward"), fields.tables("receive", "bridge.receive"));
    fields.finish();
    let tls = tls::read(tls.as_ref(), endpoints.as_deref().unwrap_or_default(), problems);
    let replay = read_replay(replay.as_ref(), problems);
    let forward: Vec<_> = forwards.iter().map(|table| forward::read_forward(table, problems)).collect();
    let receive: Vec<_> = receives.iter().map(|table| forward::read_receive(table, problems)).collect();
    let forward: Vec<_> = forward.into_iter().collect::<Option<_>>()?;
    let receive: Vec<_> = receive.into_iter().collect::<Option<_>>()?;
    for finding in of.iter().flat_map(|gateway| findings(&gateway.name, &forward, &receive)) {
        note(&finding, &forwards, &receives, problems);
    }
    let (username, password) = credentials?;
    Some(Settings {
        name: name?,
        endpoints: endpoints?,
        client_id: client_id?,
        username,
        password,
        tls: tls?,
        proxy: proxy?,
        version,
        keepalive,
        in_flight,
        session_expiry,
        clock_wait: of.map_or(gateway::CLOCK_WAIT, |gateway| gateway.clock_wait),
        replay,
        budget: budget.flatten(),
        connect,
        forward,
        receive,
    })
}

/// Turns what the rules found into a problem with its place.
fn note(finding: &Finding, forwards: &[Table<'_>], receives: &[Table<'_>], problems: &mut Problems) {
    let topics = |tables: &[Table<'_>], index: Option<usize>| -> Option<Place> {
        let table = tables.get(index?)?;
        Some(table.get("topics").map_or_else(|| table.place(), |value| value.place()))
    };
    let (forward, receive) = (topics(forwards, finding.forward), topics(receives, finding.receive));
    let (place, also) = match (forward, receive) {
        (Some(forward), receive) => (Some(forward), receive),
        (None, receive) => (receive, None),
    };
    if finding.is_error() {
        problems.error(place, finding.to_string(), None);
    } else {
        problems.warn(place, finding.to_string(), None);
    }
    if let Some(also) = also {
        problems.see_also(also, "received here");
    }
}

fn client_id(fields: &mut Fields<'_, '_>) -> Option<String> {
    let given = fields.maybe::<String>("client_id")?;
    if given.is_empty() || given.len() > 65_535 || given.contains('\0') {
        let help = "one to 65535 bytes; brokers of MQTT 3.1.1 need not take more than 23";
        fields.wrong("client_id", "this is not a client id", Some(help.into()));
    }
    Some(given)
}

/// User name and password; `None` when a password is given, but cannot be had.
fn credentials(fields: &mut Fields<'_, '_>, endpoints: &[Endpoint]) -> Option<(Option<String>, Option<Secret>)> {
    let username = fields.maybe::<String>("username");
    let password = fields.value("password").map(|value| secret("password", &value, fields.problems));
    if password.is_some() && username.is_none() {
        // MQTT 3.1.1 section 3.1.2.9 forbids a password without a user name.
        fields.wrong("password", "there is a `password`, but no `username`", None);
    }
    let open = |endpoint: &&Endpoint| !endpoint.transport.is_encrypted() && !loopback(&endpoint.host);
    if let Some(endpoint) = endpoints.iter().find(open).filter(|_| password.is_some()) {
        let message = format!("the password goes to {} in clear", endpoint.host);
        let place = fields.place("url");
        fields.problems.warn(place, message, Some("use mqtts:// or wss://".into()));
    }
    match password {
        Some(password) => Some((username, Some(password?))),
        None => Some((username, None)),
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn version(fields: &mut Fields<'_, '_>) -> Version {
    match fields.maybe::<u8>("version") {
        None | Some(5) => Version::V5,
        Some(4) => Version::V4,
        Some(_) => {
            fields.wrong("version", "`version` must be 5 (MQTT 5) or 4 (MQTT 3.1.1)", None);
            Version::V5
        }
    }
}

fn read_replay(table: Option<&Table<'_>>, problems: &mut Problems) -> Replay {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let default = Replay::default();
    let rate_per_s = fields.text("rate", rate).unwrap_or(default.rate_per_s);
    let bytes_per_s = fields.within("bytes", Bytes(0), Bytes(0)..=Bytes(1 << 40)).0;
    let live_first = fields.or("live_first", default.live_first);
    fields.finish();
    Replay { rate_per_s, bytes_per_s, live_first }
}

/// Understands `"600/s"`, and `"0"` for no bound.
fn rate(text: &str) -> Result<u32, String> {
    let number = if text == "0" { Some(text) } else { text.strip_suffix("/s") };
    let rate = number.and_then(|number| number.parse().ok()).filter(|rate| *rate <= 1_000_000);
    rate.ok_or_else(|| {
        format!("{text:?} is not a rate: write messages per second, as in \"600/s\", or \"0\" for no bound")
    })
}
