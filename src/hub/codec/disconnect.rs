//! DISCONNECT and AUTH (sections 3.14 and 3.15).

use super::properties::{self, Properties};
use super::wire::{Reader, malformed};
use super::{CodecError, Reason, Version};

/// The end of a connection, or a step of enhanced authentication: a reason and properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice<'a> {
    /// Always success in MQTT 3.
    pub reason: Reason,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
}

/// The reasons a DISCONNECT may give (MQTT 5.0 section 3.14.2.1).
fn is_disconnect_reason(reason: Reason) -> bool {
    matches!(reason.0, 0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0x90 | 0x93..=0xa2)
}

pub(super) fn decode<'a>(kind: u8, reader: &mut Reader<'a>, version: Version) -> Result<Notice<'a>, CodecError> {
    if version != Version::V5 || reader.is_empty() {
        return Ok(Notice { reason: Reason::SUCCESS, properties: None });
    }
    let reason = Reason(reader.u8()?);
    let is_auth = kind == 15;
    let known = if is_auth { matches!(reason.0, 0x00 | 0x18 | 0x19) } else { is_disconnect_reason(reason) };
    if !known {
        return Err(malformed("a reason code that this packet cannot give"));
    }
    let allowed = if is_auth { properties::AUTH } else { properties::DISCONNECT };
    let properties = if reader.is_empty() { None } else { properties::decode(reader, allowed)? };
    Ok(Notice { reason, properties })
}

pub(super) fn encode(notice: &Notice<'_>, version: Version, out: &mut Vec<u8>) {
    if version != Version::V5 || (notice.reason == Reason::SUCCESS && notice.properties.is_none()) {
        return;
    }
    out.push(notice.reason.0);
    if notice.properties.is_some() {
        properties::encode(out, notice.properties.as_deref());
    }
}
