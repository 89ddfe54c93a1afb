//! Messages in records.

use std::sync::Arc;

use super::{Delivery, Stored, packet_id};
use crate::model::bytes::{Damaged, Reader, Writer};
use crate::model::{Message, Origin, Qos, Topic};

const RETAIN: u8 = 4;
const PROPERTIES: u8 = 8;
const ORIGIN_SHIFT: u8 = 4;

/// About how many bytes a message takes.
pub(super) fn size(message: &Message) -> usize {
    48 + message.topic.as_str().len() + message.payload.len()
}

/// A number that may be missing: 0 or one more than it is.
pub(super) fn write_option(to: &mut Writer, number: Option<u64>) {
    to.varint(number.map_or(0, |number| number.saturating_add(1)));
}

pub(super) fn read_option(from: &mut Reader<'_>) -> Result<Option<u64>, Damaged> {
    Ok(from.varint("number")?.checked_sub(1))
}

pub(super) fn topic(from: &mut Reader<'_>) -> Result<Topic, Damaged> {
    Topic::new(from.text("topic")?).map_err(|_| Damaged("topic"))
}

fn bit(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

pub(super) fn write(to: &mut Writer, message: &Message) {
    let (origin, name) = match &message.origin {
        Origin::Gateway => (0, None),
        Origin::Client(id) => (1, Some(id)),
        Origin::Bridge(name) => (2, Some(name)),
    };
    let flags = bit(message.retain, RETAIN) | bit(message.properties.is_some(), PROPERTIES);
    to.u8(message.qos as u8 | flags | origin << ORIGIN_SHIFT);
    to.text(message.topic.as_str());
    if let Some(name) = name {
        to.text(name);
    }
    if let Some(properties) = &message.properties {
        to.properties(properties);
    }
    to.blob(&message.payload);
}

/// The sample behind a message of the gateway's own is not kept: formats are for bridges, which have theirs.
pub(super) fn read(from: &mut Reader<'_>) -> Result<Message, Damaged> {
    let flags = from.u8("flags")?;
    let qos = Qos::from_level(flags & 3).ok_or(Damaged("QoS"))?;
    let topic = topic(from)?;
    let origin = match flags >> ORIGIN_SHIFT {
        0 => Origin::Gateway,
        1 => Origin::Client(from.text("client id")?.into()),
        2 => Origin::Bridge(from.text("bridge")?.into()),
        _ => return Err(Damaged("origin")),
    };
    let properties = if flags & PROPERTIES == 0 { None } else { Some(Box::new(from.properties()?)) };
    let payload = from.blob("payload")?.into();
    Ok(Message { topic, payload, qos, retain: flags & RETAIN != 0, properties, origin, source: None })
}

pub(super) fn write_stored(to: &mut Writer, stored: &Stored) {
    to.varint(stored.mid);
    write_option(to, stored.expires);
    write(to, &stored.message);
    to.u8(u8::from(stored.inbound.is_some()));
    if let Some((session, id)) = stored.inbound {
        to.varint(session);
        to.varint(id.into());
    }
    stored.deliveries.iter().for_each(|delivery| write_delivery(to, delivery));
}

pub(super) fn read_stored(from: &mut Reader<'_>) -> Result<Stored, super::Error> {
    let mid = from.varint("message")?;
    let expires = read_option(from)?;
    let message = Arc::new(read(from)?);
    let inbound = match from.u8("inbound")? {
        0 => None,
        _ => Some((from.varint("session")?, packet_id(from)?)),
    };
    let mut deliveries = Vec::new();
    while !from.is_empty() {
        deliveries.push(read_delivery(from)?);
    }
    Ok(Stored { mid, message, expires, inbound, deliveries })
}

const IDS: u8 = 8;

fn write_delivery(to: &mut Writer, delivery: &Delivery) {
    to.varint(delivery.session);
    to.u8(delivery.qos as u8 | bit(delivery.retain, RETAIN) | bit(delivery.ids.is_some(), IDS));
    if delivery.qos == Qos::ExactlyOnce {
        to.varint(delivery.packet_id.into());
    }
    if let Some(ids) = &delivery.ids {
        to.varint(ids.len() as u64);
        ids.iter().for_each(|&id| to.varint(id.into()));
    }
}

fn read_delivery(from: &mut Reader<'_>) -> Result<Delivery, super::Error> {
    let session = from.varint("session")?;
    let flags = from.u8("delivery")?;
    let qos = Qos::from_level(flags & 3).ok_or(Damaged("QoS"))?;
    let packet_id = if qos == Qos::ExactlyOnce { packet_id(from)? } else { 0 };
    let ids = if flags & IDS == 0 { None } else { Some(read_ids(from)?) };
    Ok(Delivery { session, qos, retain: flags & RETAIN != 0, packet_id, ids })
}

fn read_ids(from: &mut Reader<'_>) -> Result<Arc<[u32]>, Damaged> {
    let mut ids = Vec::new();
    // A wrong count ends with the bytes.
    for _ in 0..from.varint("identifiers")? {
        ids.push(u32::try_from(from.varint("identifier")?).map_err(|_| Damaged("identifier"))?);
    }
    Ok(ids.into())
}

/// About how many bytes a delivery takes.
pub(crate) fn delivery_size(delivery: &Delivery) -> usize {
    6 + delivery.ids.as_ref().map_or(0, |ids| ids.len() * 2 + 1)
}
