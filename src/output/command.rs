//! Commands to an output: what they say, and which are refused.
//!
//! A command is `on`, `off`, `1`, `0`, `true`, `false`, or a JSON object
//! `{"set":"on","time":"2026-11-22T10:15:00Z","id":"..."}` with optional `time` and `id`.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::hub::Delivery;
use crate::model::REPEATED;

/// Ids that are remembered to know a repeat.
const REMEMBERED: usize = 256;
/// How far in the future a command's time may lie, for clocks that differ.
const AHEAD_MS: i64 = 5_000;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) on: bool,
    /// When it was given, milliseconds since 1970, if it says so.
    time_ms: Option<i64>,
    /// What tells it from others: its `id`, its MQTT 5 correlation data, or its time.
    pub(super) id: Option<String>,
}

/// Why a command is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The broker kept it or was asked to: a command is for now.
    Retained,
    /// The same command came before, or may have.
    Repeated,
    /// Older than `command_ttl`, in milliseconds.
    TooOld(i64),
    /// Its time lies in the future.
    FromTheFuture,
    /// It says nothing that can be understood.
    Unreadable(String),
    /// It has been on for `max_on`.
    MaxOn,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Retained => f.write_str("retained: commands are not kept"),
            Refused::Repeated => f.write_str("repeated: this command came before, or may have"),
            Refused::TooOld(age_ms) => write!(f, "too old: given {age_ms} ms ago"),
            Refused::FromTheFuture => f.write_str("its time lies in the future"),
            Refused::Unreadable(why) => write!(f, "not understood: {why}"),
            Refused::MaxOn => f.write_str("on for max_on already"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    set: serde_json::Value,
    time: Option<String>,
    id: Option<String>,
}

impl Command {
    /// Reads a delivery's payload.
    pub(super) fn read(delivery: &Delivery) -> Result<Self, Refused> {
        let message = &delivery.message;
        let text = std::str::from_utf8(&message.payload).map_err(|_| Refused::Unreadable("not UTF-8".into()))?;
        let mut command = Self::parse(text.trim())?;
        if command.id.is_none() {
            let correlation = message.properties.as_ref().and_then(|properties| properties.correlation.as_ref());
            command.id = correlation.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        }
        Ok(command)
    }

    fn parse(text: &str) -> Result<Self, Refused> {
        if !text.starts_with('{') {
            return Ok(Self { on: switch(text)?, time_ms: None, id: None });
        }
        let document: Document = serde_json::from_str(text).map_err(|error| Refused::Unreadable(error.to_string()))?;
        let on = match &document.set {
            serde_json::Value::String(text) => switch(text)?,
            other => switch(&other.to_string())?,
        };
        let time_ms = document.time.as_deref().map(milliseconds).transpose()?;
        Ok(Self { on, time_ms, id: document.id })
    }

    /// Refuses what is retained, repeated or too old. The age counts from the command's own time; a command
    /// without one is as old as its MQTT expiry lets it be, and the hub has seen to that.
    pub(super) fn judge(&self, delivery: &Delivery, now_ms: i64, ttl: Option<Duration>) -> Result<(), Refused> {
        // With the flag it would be given again to every output that starts later, so it is refused at once.
        if delivery.retained || delivery.message.retain {
            return Err(Refused::Retained);
        }
        let user = delivery.message.properties.as_ref().map_or(&[][..], |properties| &properties.user);
        if user.iter().any(|(key, _)| &**key == REPEATED) {
            return Err(Refused::Repeated);
        }
        let Some(time_ms) = self.time_ms else { return Ok(()) };
        let age_ms = now_ms - time_ms;
        if age_ms < -AHEAD_MS {
            return Err(Refused::FromTheFuture);
        }
        let late = ttl.is_some_and(|ttl| age_ms > i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        if late { Err(Refused::TooOld(age_ms)) } else { Ok(()) }
    }

    fn key(&self) -> Option<String> {
        let time = || self.time_ms.map(|time_ms| format!("{time_ms} {}", self.on));
        self.id.clone().or_else(time)
    }
}

fn switch(text: &str) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" => Ok(true),
        "off" | "0" | "false" => Ok(false),
        _ => Err(Refused::Unreadable(format!("{:?} is neither on nor off", text.chars().take(40).collect::<String>()))),
    }
}

fn milliseconds(text: &str) -> Result<i64, Refused> {
    let time: jiff::Timestamp = text.parse().map_err(|_| Refused::Unreadable(format!("{text:?} is not a time")))?;
    Ok(time.as_millisecond())
}

/// The commands that were obeyed, to know a repeat.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<String>);

impl Seen {
    /// Refuses a command that came before, and remembers it otherwise.
    pub(super) fn once(&mut self, command: &Command) -> Result<(), Refused> {
        let Some(key) = command.key() else { return Ok(()) };
        if self.0.contains(&key) {
            return Err(Refused::Repeated);
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Message, Topic};

    fn delivery(payload: &str, retained: bool) -> Delivery {
        let message = Message::own(Topic::new("shed/cmd/pump/set").unwrap(), payload.as_bytes());
        Delivery { message: Arc::new(message), retained }
    }

    fn judge(payload: &str, retained: bool, now: &str) -> Result<bool, Refused> {
        let delivery = delivery(payload, retained);
        let command = Command::read(&delivery)?;
        command.judge(&delivery, milliseconds(now)?, Some(Duration::from_secs(20)))?;
        Ok(command.on)
    }

    #[test]
    fn a_command_is_a_word_or_a_document() {
        let now = "2026-11-22T10:15:10Z";
        for (payload, on) in [
            ("on", true),
            (" OFF\n", false),
            ("1", true),
            ("false", false),
            (r#"{"set":"on"}"#, true),
            (r#"{"set":false}"#, false),
            (r#"{"set":1,"time":"2026-11-22T10:15:00Z","id":"a"}"#, true),
        ] {
            assert_eq!(judge(payload, false, now), Ok(on), "{payload}");
        }
        for payload in ["", "maybe", "{}", r#"{"set":"on","extra":1}"#, r#"{"set":"on","time":"noon"}"#] {
            assert!(matches!(judge(payload, false, now), Err(Refused::Unreadable(_))), "{payload}");
        }
    }

    #[test]
    fn what_is_retained_or_old_or_from_the_future_is_refused() {
        let dated = r#"{"set":"on","time":"2026-11-22T10:15:00Z"}"#;
        assert_eq!(judge("on", true, "2026-11-22T10:15:00Z"), Err(Refused::Retained));
        assert_eq!(judge(dated, false, "2026-11-22T10:15:20Z"), Ok(true));
        assert_eq!(judge(dated, false, "2026-11-22T10:15:20.001Z"), Err(Refused::TooOld(20_001)));
        assert_eq!(judge(dated, false, "2026-11-22T10:14:00Z"), Err(Refused::FromTheFuture));
    }

    #[test]
    fn what_its_sender_may_have_sent_before_is_refused() {
        let mut delivery = delivery("on", false);
        let properties = crate::model::Properties { user: vec![(REPEATED.into(), "1".into())], ..Default::default() };
        Arc::get_mut(&mut delivery.message).unwrap().properties = Some(Box::new(properties));
        let command = Command::read(&delivery).unwrap();
        assert_eq!(command.judge(&delivery, 0, None), Err(Refused::Repeated));
    }

    #[test]
    fn a_repeat_is_known_by_its_id_or_its_time() {
        let read = |payload: &str| Command::read(&delivery(payload, false)).unwrap();
        let mut seen = Seen::default();
        let first = read(r#"{"set":"on","id":"7"}"#);
        assert_eq!(seen.once(&first), Ok(()));
        assert_eq!(seen.once(&first), Err(Refused::Repeated));
        let dated = read(r#"{"set":"on","time":"2026-11-22T10:15:00Z"}"#);
        assert_eq!(seen.once(&dated), Ok(()));
        assert_eq!(seen.once(&dated), Err(Refused::Repeated));
        assert_eq!((seen.once(&read("on")), seen.once(&read("on"))), (Ok(()), Ok(())), "nothing tells them apart");
        for n in 0..REMEMBERED {
            let other = format!(r#"{{"set":"on","id":"x{n}"}}"#);
            seen.once(&read(&other)).unwrap();
        }
        assert_eq!(seen.once(&first), Ok(()), "the memory is bounded");
    }
}
