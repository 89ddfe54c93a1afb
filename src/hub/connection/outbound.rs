//! What goes to a client: from its session's queue into the output buffer.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::{Ack, Packet, Publish, Reason, Version};
use super::super::counters::{Cause, add};
use super::super::handover::Outgoing;
use super::{Connection, End, message};
use crate::model::Qos;

/// Bytes that are put together before they are written.
const BATCH: usize = 64 << 10;
/// Messages taken from the session at once.
const TAKE: usize = 256;

/// Why a client is disconnected that takes nothing while its queue is full.
pub(super) const TOO_SLOW: &str = "the client takes too little: its queue is full";

/// Steps through the retained messages before others have their turn.
const REPLAYS: usize = 8;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Fills the output buffer with what may be sent now.
    pub(super) fn fill_output(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let mut replayed = 0;
        while self.wire.pending() < BATCH {
            let mut outgoing = std::mem::take(&mut self.outgoing);
            let mut session = self.session()?;
            if session.is_too_slow() {
                return Err(End::Closed(Reason::QUOTA_EXCEEDED, TOO_SLOW));
            }
            let taken = session.take(TAKE, now, &mut outgoing);
            let (queued, withheld) = (session.queued(), std::mem::take(&mut session.withheld));
            drop(session);
            add(&self.hub.router.tally.expired, taken.expired);
            add(&self.hub.router.tally.withheld, withheld);
            let mut skipped = false;
            for item in outgoing.drain(..) {
                skipped |= !self.deliver(&item, now)?;
            }
            self.outgoing = outgoing;
            // What was skipped has made room in the window.
            let replays = !skipped && queued < TAKE && replayed < REPLAYS && self.replay()?;
            replayed += usize::from(replays);
            if taken.all && !skipped && !replays {
                break;
            }
        }
        self.rests = replayed == REPLAYS;
        Ok(())
    }

    /// False when the client takes no packet that large.
    fn deliver(&mut self, outgoing: &Outgoing, now: Instant) -> Result<bool, End> {
        match outgoing {
            Outgoing::Release { id } => self.send(&Packet::Pubrel(Ack::new(*id, Reason::SUCCESS))),
            Outgoing::Publish { id, dup, parcel } => {
                let v5 = self.profile.version == Version::V5;
                let plain = || message::publish(parcel, *id, *dup, v5, now);
                let mut publish = plain();
                let alias = self.alias(&mut publish);
                let aliased = self.write(&Packet::Publish(publish));
                // Without an alias it may fit where it does not with one.
                let sent = aliased || alias.is_some() && self.write(&Packet::Publish(plain()));
                if !sent {
                    self.hub.router.tally.dropped(Cause::TooLarge, 1);
                    if parcel.qos != Qos::AtMostOnce {
                        self.session()?.skip(*id);
                    }
                    return Ok(false);
                }
                if let Some(Alias::New(alias)) = alias.filter(|_| aliased) {
                    self.aliases_out.insert(parcel.message.topic.clone(), alias);
                }
                self.moved.messages_out += 1;
                self.moved.payload_out += parcel.message.payload.len();
            }
        }
        Ok(true)
    }

    /// Puts a topic alias into `publish` when the client takes them.
    fn alias(&self, publish: &mut Publish<'_>) -> Option<Alias> {
        if self.profile.aliases == 0 {
            return None;
        }
        let known = self.aliases_out.get(publish.topic).copied();
        let next = self.aliases_out.len() as u16 + 1;
        let alias = known.or((next <= self.profile.aliases).then_some(next))?;
        publish.properties.get_or_insert_default().topic_alias = Some(alias);
        if known.is_some() {
            publish.topic = "";
            return Some(Alias::Known);
        }
        Some(Alias::New(alias))
    }
}

/// The topic alias in a PUBLISH.
#[derive(Clone, Copy)]
enum Alias {
    Known,
    New(u16),
}
