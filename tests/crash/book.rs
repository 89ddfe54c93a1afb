//! What happened in a round, in order. The judge reads nothing else.

use std::fmt::{Display, Formatter, Result, Write as _};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// What a client saw or did with one message, or what happened to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A publisher sent it first, or once more.
    Sent,
    SentAgain,
    /// PUBACK or PUBREC came.
    Acknowledged,
    /// PUBCOMP came.
    Completed,
    /// A receiver got it; a QoS 2 packet id that it holds already is `Repeated`, and not given on.
    Got,
    Repeated,
    /// A new subscriber got it as the topic's last value.
    Kept,
    /// Someone begins or ends looking at the last values.
    Looks,
    Looked,
    /// The gateway was killed; it was started.
    Crashed,
    Started,
    /// A client came back; the session was there.
    Welcomed,
    /// It asked for a subscription or its end; the hub has said yes.
    Asked,
    Granted,
    /// Something that must not be.
    Wrong,
}

/// A message is known by its topic and the number in it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: Instant,
    pub(crate) who: Arc<str>,
    pub(crate) what: What,
    pub(crate) topic: Arc<str>,
    pub(crate) number: u64,
    /// Packet id, flags, or what is wrong.
    pub(crate) note: String,
}

/// Written by all clients of a round.
#[derive(Debug)]
pub(crate) struct Book {
    began: Instant,
    events: Mutex<Vec<Event>>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), events: Mutex::default() }
    }

    pub(crate) fn write(&self, who: &Arc<str>, what: What, topic: &str, number: u64, note: String) {
        let (at, who, topic) = (Instant::now(), Arc::clone(who), topic.into());
        self.events.lock().expect("no panic in there").push(Event { at, who, what, topic, number, note });
    }

    /// Notes what must not be.
    pub(crate) fn wrong(&self, who: &str, what: String) {
        self.write(&who.into(), What::Wrong, "", 0, what);
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.events.lock().expect("no panic in there"))
    }

    /// Everything about one message, or with number 0 about a topic, and what happened to the gateway and its clients meanwhile.
    pub(crate) fn story(&self, topic: &str, number: u64) -> String {
        let mut text = String::new();
        let general = |event: &Event| matches!(event.what, What::Crashed | What::Started | What::Welcomed);
        self.read(|events| {
            for event in
                events.iter().filter(|it| general(it) || (&*it.topic == topic && [0, it.number].contains(&number)))
            {
                let after = event.at.duration_since(self.began);
                writeln!(text, "  {:8.3} {event}", after.as_secs_f64()).expect("a string");
            }
        });
        text
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:10} {:?} {} {} {}", self.who, self.what, self.topic, self.number, self.note)
    }
}
