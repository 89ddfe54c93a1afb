//! The retained status documents of sensors, outputs, bridges and the gateway.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::Fault;

/// A point in time, written as RFC 3339 in UTC with milliseconds. Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub i64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Outside the years -9999 to 9999 the clock is wrong anyway: show the start of 1970.
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The health of a sensor, at `<name>/<sensor>/status`.
#[derive(Debug, Clone, Serialize)]
pub struct SensorStatus<'a> {
    /// `ok`, `degraded` or `dead`.
    pub state: &'a str,
    /// Since when it is in this state.
    pub since: Time,
    /// The stable word of the last fault, unless the state is `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The last fault in words, unless the state is `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The last good reading, unless there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Time>,
}

/// The state of an output, at `<name>/<output>/state`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OutputState<'a> {
    /// `on` or `off`.
    pub state: &'a str,
    /// Since when.
    pub since: Time,
    /// What set it: `boot`, `command`, `link_lost`, `max_on` or `stop`.
    pub reason: &'a str,
}

/// The state of a bridge, at `<name>/bridge/<bridge>/status`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BridgeStatus<'a> {
    /// `up` or `down`.
    pub state: &'a str,
    /// Since when.
    pub since: Time,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The URL of the endpoint that it is connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<&'a str>,
    /// The version of MQTT that is spoken with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<&'a str>,
    /// What this version cannot carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<&'a str>,
    /// Records that wait to be sent or acknowledged.
    pub backlog: u64,
    /// When the oldest of them was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Time>,
    /// Records dropped since the start: by quota, time to live or a permanent refusal.
    pub dropped: u64,
}

/// What a bridge has spent of its monthly budget, at `<name>/bridge/<bridge>/budget`. Bytes on the wire, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BudgetStatus {
    /// `normal`, `longer-batches`, `summaries` or `urgent-only`.
    pub state: &'static str,
    /// Since when.
    pub since: Time,
    /// Spent in this month.
    pub used: u64,
    /// What the whole month would cost if it went on like this.
    pub projected: u64,
    /// What may be spent.
    pub per_month: u64,
    /// The part of it that is kept for alarms and commands.
    pub reserve: u64,
    /// When the next month begins, once the clock is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<Time>,
}

impl BudgetStatus {
    /// The payload, in JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }
}

/// Records that were stored and will never arrive, at `<name>/bridge/<bridge>/gap`. Of the records from the first to
/// the last some may have arrived.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct GapRecord<'a> {
    /// The same for every repeat.
    pub id: &'a str,
    /// `alarm`, `command`, `telemetry`, `bulk` or `dead-letters`.
    pub class: &'a str,
    /// The first missing sequence number.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How many are missing.
    pub count: u64,
    /// When the first of them was taken, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// When the last of them was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// `quota`, `damage`, `expired`, `refused`, `thinned`, `by-hand` or `several`.
    pub cause: &'a str,
}

/// The state of the gateway, at `<name>/gateway/status`; also its last will, as `down`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct GatewayStatus<'a> {
    /// `up` or `down`.
    pub state: &'a str,
    /// Since when.
    pub since: Time,
    /// The version of weir.
    pub version: &'a str,
    /// Why it does not run as its owner wants, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<&'a str>,
}

impl<'a> SensorStatus<'a> {
    /// A sensor in `state` for the reason `fault`.
    pub fn new(state: &'a str, since: Time, fault: Option<&Fault>, last_good: Option<Time>) -> Self {
        Self { state, since, reason: fault.map(Fault::word), detail: fault.map(Fault::to_string), last_good }
    }
}

/// Adds the payload of a status document.
macro_rules! encodes {
    ($($document:ident)+) => {$(
        impl $document<'_> {
            /// The payload, in JSON.
            pub fn encode(&self) -> Vec<u8> {
                serde_json::to_vec(self).expect("strings and numbers always serialise")
            }
        }
    )+};
}

encodes!(SensorStatus OutputState BridgeStatus GapRecord GatewayStatus);

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Time = Time(1_795_342_500_123);

    #[test]
    fn times_are_rfc_3339() {
        for (ms, text) in [
            (1_795_342_500_123, "2026-11-22T10:15:00.123Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (i64::MAX, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Time(ms).to_string(), text);
        }
    }

    #[test]
    fn a_sick_sensor_says_why() {
        let good = SensorStatus::new("ok", TIME, None, Some(TIME));
        let expected = r#"{"state":"ok","since":"2026-11-22T10:15:00.123Z","last_good":"2026-11-22T10:15:00.123Z"}"#;
        assert_eq!(good.encode(), expected.as_bytes());
        let sick = SensorStatus::new("degraded", TIME, Some(&Fault::Checksum), None);
        let expected = concat!(
            r#"{"state":"degraded","since":"2026-11-22T10:15:00.123Z","#,
            r#""reason":"checksum","detail":"checksum mismatch"}"#
        );
        assert_eq!(sick.encode(), expected.as_bytes());
    }

    #[test]
    fn a_gap_says_what_is_missing() {
        let gap = GapRecord {
            id: "a/cloud.2/gap/1",
            class: "telemetry",
            first: 7,
            last: 9,
            count: 2,
            from: Some(TIME),
            to: None,
            cause: "quota",
        };
        let expected = concat!(
            r#"{"id":"a/cloud.2/gap/1","class":"telemetry","first":7,"last":9,"count":2,"#,
            r#""from":"2026-11-22T10:15:00.123Z","cause":"quota"}"#
        );
        assert_eq!(gap.encode(), expected.as_bytes());
    }

    #[test]
    fn a_bridge_tells_its_backlog() {
        let down = BridgeStatus {
            state: "down",
            since: TIME,
            reason: Some("connection refused"),
            endpoint: None,
            mqtt: None,
            without: None,
            backlog: 12,
            oldest: Some(TIME),
            dropped: 0,
        };
        let expected = concat!(
            r#"{"state":"down","since":"2026-11-22T10:15:00.123Z","reason":"connection refused","#,
            r#""backlog":12,"oldest":"2026-11-22T10:15:00.123Z","dropped":0}"#
        );
        assert_eq!(down.encode(), expected.as_bytes());
    }
}
