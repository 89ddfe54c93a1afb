//! How a bridge is, and telling it to everybody here.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Endpoint;
use super::core::Core;
use super::record::Record;
use super::uplink::codec::Codec;
use crate::format::{BridgeStatus, Time};
use crate::model::{Message, Stamp};
use crate::runtime::Clock;

/// Whether a session with the cloud is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Since when, by the wall clock, in milliseconds since 1970.
    pub since_ms: i64,
    /// The version of MQTT that is spoken, 4 (3.1.1) or 5, when it is open.
    pub version: Option<u8>,
    /// The URL of the endpoint, when it is open.
    pub endpoint: Option<String>,
    /// Why it is not, unless it is not meant to be.
    pub reason: Option<String>,
    /// When the next scheduled session is due, in milliseconds since 1970, between two of them.
    pub asleep_until_ms: Option<i64>,
}

impl Condition {
    pub(super) fn up(clock: &Clock, codec: Codec, endpoint: &Endpoint) -> Self {
        let version = match codec {
            Codec::V4 => 4,
            Codec::V5 => 5,
        };
        let endpoint = Some(endpoint.to_string());
        Self { since_ms: clock.wall_ms(), version: Some(version), endpoint, reason: None, asleep_until_ms: None }
    }

    pub(super) fn down(clock: &Clock, why: &str) -> Self {
        let reason = Some(why.to_owned());
        Self { since_ms: clock.wall_ms(), version: None, endpoint: None, reason, asleep_until_ms: None }
    }

    /// Between two scheduled sessions, the next of which is due after `left`.
    pub(super) fn asleep(clock: &Clock, left: Duration) -> Self {
        let now_ms = clock.wall_ms();
        let until_ms = now_ms.saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
        Self { since_ms: now_ms, version: None, endpoint: None, reason: None, asleep_until_ms: Some(until_ms) }
    }

    /// Whether a session is open.
    pub fn is_up(&self) -> bool {
        self.version.is_some()
    }

    pub(super) fn is_other_than(&self, other: &Self) -> bool {
        let what = |it: &Self| (it.version, it.asleep_until_ms, it.endpoint.clone(), it.reason.clone());
        what(self) != what(other)
    }

    /// The version as people write it.
    fn mqtt(&self) -> Option<&'static str> {
        self.version.map(|version| if version == 5 { "5" } else { "3.1.1" })
    }

    /// What the version cannot carry: said, because nobody would miss it otherwise.
    fn without(&self) -> Option<&'static str> {
        self.version.filter(|version| *version < 5).map(|_| WITHOUT)
    }

    /// What the cloud shall say when we vanish.
    pub(super) fn will(&self) -> Vec<u8> {
        self.document(0, None, 0)
    }

    fn document(&self, backlog: u64, oldest: Option<Stamp>, dropped: u64) -> Vec<u8> {
        BridgeStatus {
            state: match self {
                Self { version: Some(_), .. } => "up",
                Self { asleep_until_ms: Some(_), .. } => "scheduled",
                _ => "down",
            },
            since: Time(self.since_ms),
            reason: self.reason.as_deref(),
            endpoint: self.endpoint.as_deref(),
            mqtt: self.mqtt(),
            without: self.without(),
            backlog,
            oldest: oldest.map(|stamp| Time(stamp.wall_ms)),
            dropped,
        }
        .encode()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.version, &self.reason) {
            (Some(_), _) => {
                let endpoint = self.endpoint.as_deref().unwrap_or("unknown");
                write!(f, "connected to {endpoint}, MQTT {}", self.mqtt().unwrap_or("unknown"))?;
                self.without().map_or(Ok(()), |without| write!(f, " without {without}"))
            }
            (None, None) => write!(f, "asleep until {}", Time(self.asleep_until_ms.unwrap_or_default())),
            (None, reason) => write!(f, "not connected: {}", reason.as_deref().unwrap_or("unknown")),
        }
    }
}

/// What MQTT 3.1.1 has no place for.
const WITHOUT: &str = "dedupe key, hop mark, expiry and content type: only the topics keep messages from circling";

/// Publishes the state, retained, at every change and every so often while there is a backlog.
pub(super) async fn tell(core: &Core, mut condition: watch::Receiver<Condition>) -> Infallible {
    let mut had_backlog = true;
    loop {
        let now = condition.borrow_and_update().clone();
        let backlog = core.backlog();
        let oldest = if backlog > 0 { oldest(core).await } else { None };
        let document = now.document(backlog, oldest, core.dropped());
        let message = Message::own(core.outbox.rules.status().clone(), document).retained();
        core.hub.publish_and_forget(message).await;
        // Between the ticks only a change is told, and the end of a backlog once.
        while let Err(_tick) = timeout(core.timing.status, condition.changed()).await {
            let has_backlog = core.backlog() > 0;
            if std::mem::replace(&mut had_backlog, has_backlog) || has_backlog {
                break;
            }
        }
    }
}

/// When the oldest record that waits was taken.
async fn oldest(core: &Core) -> Option<Stamp> {
    let mut oldest: Option<Stamp> = None;
    for chain in &core.outbox.chains {
        let record = chain.oldest().await.unwrap_or_default();
        let stamp = record.and_then(|record| Record::decode(&record.bytes).ok()).map(|record| record.stamp);
        oldest = oldest.into_iter().chain(stamp).min_by_key(|stamp| stamp.wall_ms);
    }
    oldest
}
