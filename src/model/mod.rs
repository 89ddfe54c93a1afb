//! Leaf types that every room shares; this room knows only the standard library.
//!
//! Invariant: a value of these types is right by construction. A [`Topic`] can be published to,
//! a [`Filter`] can be subscribed to, a [`Name`] is one safe topic level.

pub(crate) mod bytes;
mod fault;
mod format;
mod measure;
mod message;
mod name;
mod sample;
mod ticket;
mod topic;

pub use fault::Fault;
pub use format::Format;
pub use measure::{Measure, Reading, Spread};
pub use message::{Message, Origin, Payload, Properties, Qos, REPEATED};
pub use name::{Name, NameError};
pub use sample::{BootId, Quality, Sample, Source, Stamp, TimeQuality};
pub use ticket::{Receipt, Refusal, Ticket, Verdict};
pub use topic::{Filter, Topic, TopicError};
