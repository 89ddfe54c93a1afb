//! What the journal writes: small versioned records, each with a key. Pure.
//!
//! A record replaces the earlier one of its key, or ends what it names; folding them in order of
//! their sequence gives the durable state. Layout: `version u8 = 1 | kind u8 | fields`, as in
//! [`crate::model::bytes`].

mod message;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use message::delivery_size;

use super::super::codec::{Options, RetainHandling};
use crate::model::bytes::{Damaged, Reader, Writer};
use crate::model::{BootId, Message, Qos, Stamp, TimeQuality, Topic};

const VERSION: u8 = 1;

/// A session's number: never given twice as long as anything in the journal speaks of it.
pub(crate) type Number = u64;
/// A message's number; it rises, so that queues can be put in order again.
pub(crate) type Mid = u64;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// A session is there, or has changed.
    Session(Number, Head),
    /// It has ended, with everything it had.
    SessionEnd(Number),
    /// It subscribes to a filter text (`$share/...` included), in place of an earlier subscription to it.
    Subscribe(Number, Arc<str>, Grant),
    /// It does not any more.
    Unsubscribe(Number, Arc<str>),
    /// A message and for whom it waits.
    Message(Box<Stored>),
    /// The session has these messages, or they are worth nothing to it any more.
    Done(Number, Vec<Mid>),
    /// PUBREC for this packet id of this message came: only PUBREL is owed.
    Received(Number, u16, Mid),
    /// PUBCOMP for these packet ids came.
    Completed(Number, Vec<u16>),
    /// A QoS 2 PUBLISH of the session with this packet id was routed: it must not be again.
    Inbound(Number, u16),
    /// PUBREL for it came.
    Released(Number, u16),
    /// The last value of a topic, and when on the known time it is worth nothing any more.
    Retain(Arc<Message>, Option<u64>),
    /// The topic has none any more.
    Forget(Topic),
    /// Both clocks at a moment.
    Time(Moment),
}

/// What a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) client_id: Arc<str>,
    pub(crate) user: Option<Arc<str>>,
    /// Its client was on this machine.
    pub(crate) local: bool,
    /// How long it outlives its connection, in seconds.
    pub(crate) expiry_s: u64,
    /// Since when on the known time it has had no connection; nothing: it had one.
    pub(crate) away_since: Option<u64>,
}

impl Head {
    /// Of a session whose own record comes later in the log; no durable session has an empty client id.
    pub(super) fn unknown() -> Self {
        Self { client_id: "".into(), user: None, local: false, expiry_s: 0, away_since: None }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.client_id.is_empty()
    }
}

/// How a session is subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// The subscription identifier.
    pub(crate) id: Option<u32>,
}

impl Grant {
    pub(crate) fn new(options: Options, id: Option<u32>) -> Self {
        let Options { qos, no_local, retain_as_published, .. } = options;
        Self { qos, no_local, retain_as_published, id }
    }

    pub(crate) fn options(self) -> Options {
        let Self { qos, no_local, retain_as_published, .. } = self;
        Options { qos, no_local, retain_as_published, retain_handling: RetainHandling::Always }
    }
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) mid: Mid,
    pub(crate) message: Arc<Message>,
    /// When on the known time it is worth nothing any more.
    pub(crate) expires: Option<u64>,
    /// The QoS 2 publisher's session and packet id.
    pub(crate) inbound: Option<(Number, u16)>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// One session that a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) session: Number,
    /// At least once or exactly once.
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// The packet id with QoS 2, else 0.
    pub(crate) packet_id: u16,
    /// Subscription identifiers.
    pub(crate) ids: Option<Arc<[u32]>>,
}

/// Both clocks, and the journal's own time at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Milliseconds that are known to have passed since the journal began.
    pub(crate) known_ms: u64,
    pub(crate) stamp: Stamp,
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("a record of a newer weir (version {0}, kind {1})")]
    Unknown(u8, u8),
    #[error("a damaged record: bad {0}")]
    Damaged(&'static str),
}

impl From<Damaged> for Error {
    fn from(Damaged(what): Damaged) -> Self {
        Error::Damaged(what)
    }
}

impl Record {
    /// The bytes for the store.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let size = match self {
            Record::Message(stored) => message::size(&stored.message) + stored.deliveries.len() * 8,
            Record::Retain(message, _) => message::size(message),
            _ => 64,
        };
        let mut to = Writer::with_capacity(size);
        to.u8(VERSION);
        to.u8(self.kind());
        self.fields(&mut to);
        to.done()
    }

    fn kind(&self) -> u8 {
        match self {
            Record::Session(..) => 1,
            Record::SessionEnd(_) => 2,
            Record::Subscribe(..) => 3,
            Record::Unsubscribe(..) => 4,
            Record::Message(_) => 5,
            Record::Done(..) => 6,
            Record::Received(..) => 7,
            Record::Completed(..) => 8,
            Record::Inbound(..) => 9,
            Record::Released(..) => 10,
            Record::Retain(..) => 11,
            Record::Forget(_) => 12,
            Record::Time(_) => 13,
        }
    }

    fn fields(&self, to: &mut Writer) {
        match self {
            Record::Session(number, head) => {
                to.varint(*number);
                head.write(to);
            }
            Record::SessionEnd(number) => to.varint(*number),
            Record::Subscribe(number, filter, grant) => {
                to.varint(*number);
                to.text(filter);
                grant.write(to);
            }
            Record::Unsubscribe(number, filter) => {
                to.varint(*number);
                to.text(filter);
            }
            Record::Message(stored) => message::write_stored(to, stored),
            Record::Done(number, mids) => write_list(to, *number, mids.iter().copied()),
            Record::Received(number, id, mid) => [*number, (*id).into(), *mid].iter().for_each(|it| to.varint(*it)),
            Record::Completed(number, ids) => write_list(to, *number, ids.iter().map(|&id| id.into())),
            Record::Inbound(number, id) | Record::Released(number, id) => {
                to.varint(*number);
                to.varint((*id).into());
            }
            Record::Retain(message, expires) => {
                message::write_option(to, *expires);
                message::write(to, message);
            }
            Record::Forget(topic) => to.text(topic.as_str()),
            Record::Time(moment) => moment.write(to),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Says whether a newer weir wrote it or it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let (version, kind) = (from.u8("version")?, from.u8("kind")?);
        if version != VERSION {
            return Err(Error::Unknown(version, kind));
        }
        Self::read(&mut from, kind)
    }

    fn read(from: &mut Reader<'_>, kind: u8) -> Result<Self, Error> {
        Ok(match kind {
            1 => Record::Session(from.varint("session")?, Head::read(from)?),
            2 => Record::SessionEnd(from.varint("session")?),
            3 => Record::Subscribe(from.varint("session")?, from.text("filter")?.into(), Grant::read(from)?),
            4 => Record::Unsubscribe(from.varint("session")?, from.text("filter")?.into()),
            5 => Record::Message(Box::new(message::read_stored(from)?)),
            6 => Record::Done(from.varint("session")?, read_list(from, Ok)?),
            7 => Record::Received(from.varint("session")?, packet_id(from)?, from.varint("message")?),
            8 => Record::Completed(from.varint("session")?, read_list(from, narrow)?),
            9 => Record::Inbound(from.varint("session")?, packet_id(from)?),
            10 => Record::Released(from.varint("session")?, packet_id(from)?),
            11 => {
                let expires = message::read_option(from)?;
                Record::Retain(Arc::new(message::read(from)?), expires)
            }
            12 => Record::Forget(message::topic(from)?),
            13 => Record::Time(Moment::read(from)?),
            _ => return Err(Error::Unknown(VERSION, kind)),
        })
    }
}

fn narrow(number: u64) -> Result<u16, Error> {
    u16::try_from(number).map_err(|_| Error::Damaged("packet id"))
}

fn packet_id(from: &mut Reader<'_>) -> Result<u16, Error> {
    narrow(from.varint("packet id")?)
}

/// Numbers up to the end of the record; each as the distance to the one before, which is small.
fn write_list(to: &mut Writer, number: Number, items: impl Iterator<Item = u64>) {
    to.varint(number);
    let mut before = 0_u64;
    for item in items {
        to.varint(item.wrapping_sub(before));
        before = item;
    }
}

fn read_list<T>(from: &mut Reader<'_>, item: impl Fn(u64) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    let mut before = 0_u64;
    while !from.is_empty() {
        before = before.wrapping_add(from.varint("list")?);
        items.push(item(before)?);
    }
    Ok(items)
}

impl Head {
    fn write(&self, to: &mut Writer) {
        to.text(&self.client_id);
        to.u8(u8::from(self.user.is_some()) | u8::from(self.local) << 1);
        if let Some(user) = &self.user {
            to.text(user);
        }
        to.varint(self.expiry_s);
        message::write_option(to, self.away_since);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let client_id = from.text("client id")?.into();
        let flags = from.u8("user")?;
        let user = if flags & 1 == 0 { None } else { Some(from.text("user")?.into()) };
        let local = flags & 2 != 0;
        Ok(Self { client_id, user, local, expiry_s: from.varint("expiry")?, away_since: message::read_option(from)? })
    }
}

impl Grant {
    fn write(self, to: &mut Writer) {
        to.u8(self.qos as u8 | u8::from(self.no_local) << 2 | u8::from(self.retain_as_published) << 3);
        // Identifiers begin at 1.
        to.varint(self.id.unwrap_or(0).into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let bits = from.u8("options")?;
        let qos = Qos::from_level(bits & 3).ok_or(Damaged("options"))?;
        let id = u32::try_from(from.varint("identifier")?).map_err(|_| Damaged("identifier"))?;
        let (no_local, retain_as_published) = (bits & 4 != 0, bits & 8 != 0);
        Ok(Self { qos, no_local, retain_as_published, id: (id > 0).then_some(id) })
    }
}

impl Moment {
    fn write(&self, to: &mut Writer) {
        to.varint(self.known_ms);
        to.raw(&self.stamp.wall_ms.to_le_bytes());
        to.raw(&self.stamp.mono_ms.to_le_bytes());
        to.raw(&self.stamp.boot.0);
        to.u8(u8::from(self.stamp.quality == TimeQuality::Synced));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let known_ms = from.varint("known time")?;
        let wall_ms = i64::from_le_bytes(from.array("wall time")?);
        let mono_ms = u64::from_le_bytes(from.array("monotonic time")?);
        let boot = BootId(from.array("boot id")?);
        let quality = if from.u8("time quality")? == 1 { TimeQuality::Synced } else { TimeQuality::Unsynced };
        Ok(Self { known_ms, stamp: Stamp { wall_ms, mono_ms, boot, quality } })
    }
}
