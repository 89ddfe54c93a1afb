//! CONNECT and CONNACK (sections 3.1 and 3.2).

use super::properties::{self, Properties};
use super::wire::{Reader, malformed, protocol_error, put_binary};
use super::{CodecError, Reason, Version};
use crate::model::Qos;

/// A client asks for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Which MQTT the client speaks.
    pub version: Version,
    /// Start with an empty session.
    pub clean_start: bool,
    /// Seconds; 0 is none.
    pub keep_alive_s: u16,
    /// Empty: the server chooses.
    pub client_id: &'a str,
    /// Published when the connection ends badly.
    pub will: Option<Will<'a>>,
    /// User name.
    pub user: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
}

/// The message a client leaves for the case that it dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where to.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// How.
    pub qos: Qos,
    /// Keep it as the topic's last value.
    pub retain: bool,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
}

/// The server's answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connack<'a> {
    /// The server has kept state of this client.
    pub session_present: bool,
    /// MQTT 5 reason; for older versions the nearest return code is sent.
    pub reason: Reason,
    /// MQTT 5 properties.
    pub properties: Option<Box<Properties<'a>>>,
}

const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER: u8 = 0x80;

fn version(reader: &mut Reader<'_>) -> Result<Version, CodecError> {
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(protocol_error("the protocol name is not MQTT"));
    }
    match (name, reader.u8()?) {
        (b"MQIsdp", 3) => Ok(Version::V3),
        (b"MQTT", 4) => Ok(Version::V4),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(CodecError { reason: Reason::UNSUPPORTED_VERSION, why: "the protocol level is not supported" }),
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), CodecError> {
    if flags & 1 != 0 && version != Version::V3 {
        return Err(malformed("the reserved CONNECT flag is set"));
    }
    if flags & WILL == 0 && flags & (WILL_RETAIN | 0x18) != 0 {
        return Err(malformed("will flags without a will"));
    }
    if version != Version::V5 && flags & PASSWORD != 0 && flags & USER == 0 {
        return Err(malformed("a password without a user name"));
    }
    Ok(())
}

pub(super) fn decode<'a>(reader: &mut Reader<'a>) -> Result<Connect<'a>, CodecError> {
    let version = version(reader)?;
    let v5 = version == Version::V5;
    let flags = reader.u8()?;
    check_flags(flags, version)?;
    let keep_alive_s = reader.u16()?;
    let properties = if v5 { properties::decode(reader, properties::CONNECT)? } else { None };
    if properties.as_ref().is_some_and(|it| it.authentication_data.is_some() && it.authentication_method.is_none()) {
        return Err(protocol_error("authentication data without a method"));
    }
    let client_id = reader.text()?;
    let will = if flags & WILL == 0 { None } else { Some(will(reader, flags, v5)?) };
    // In 3.1 a login may be announced and missing (3.1, section 3.1, user name and password flags).
    let has = |flag: u8, reader: &Reader<'_>| flags & flag != 0 && !(version == Version::V3 && reader.is_empty());
    let user = if has(USER, reader) { Some(reader.text()?) } else { None };
    let password = if has(PASSWORD, reader) { Some(reader.binary()?) } else { None };
    let clean_start = flags & CLEAN != 0;
    Ok(Connect { version, clean_start, keep_alive_s, client_id, will, user, password, properties })
}

fn will<'a>(reader: &mut Reader<'a>, flags: u8, v5: bool) -> Result<Will<'a>, CodecError> {
    let qos = Qos::from_level(flags >> 3 & 3).ok_or(malformed("the will's QoS is 3"))?;
    let properties = if v5 { properties::decode(reader, properties::WILL)? } else { None };
    let topic = reader.text()?;
    let payload = reader.binary()?;
    Ok(Will { topic, payload, qos, retain: flags & WILL_RETAIN != 0, properties })
}

pub(super) fn encode(connect: &Connect<'_>, out: &mut Vec<u8>) {
    let (name, level): (&[u8], u8) = match connect.version {
        Version::V3 => (b"MQIsdp", 3),
        Version::V4 => (b"MQTT", 4),
        Version::V5 => (b"MQTT", 5),
    };
    let v5 = connect.version == Version::V5;
    put_binary(out, name);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    let will = connect.will.as_ref();
    let will_flags = will.map_or(0, |will| WILL | (will.qos as u8) << 3 | bit(will.retain, WILL_RETAIN));
    let logins = bit(connect.user.is_some(), USER) | bit(connect.password.is_some(), PASSWORD);
    out.extend_from_slice(&[level, bit(connect.clean_start, CLEAN) | will_flags | logins]);
    out.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    if v5 {
        properties::encode(out, connect.properties.as_deref());
    }
    put_binary(out, connect.client_id.as_bytes());
    if let Some(will) = will {
        if v5 {
            properties::encode(out, will.properties.as_deref());
        }
        put_binary(out, will.topic.as_bytes());
        put_binary(out, will.payload);
    }
    for field in [connect.user.map(str::as_bytes), connect.password].into_iter().flatten() {
        put_binary(out, field);
    }
}

pub(super) fn decode_connack<'a>(reader: &mut Reader<'a>, version: Version) -> Result<Connack<'a>, CodecError> {
    let flags = reader.u8()?;
    if flags > 1 {
        return Err(malformed("reserved CONNACK flags are set"));
    }
    let code = reader.u8()?;
    let v5 = version == Version::V5;
    let reason = if v5 { Reason(code) } else { from_v3(code)? };
    let properties = if v5 { properties::decode(reader, properties::CONNACK)? } else { None };
    // MQTT 3.1 has no such flag: the byte is reserved there.
    Ok(Connack { session_present: flags == 1 && version != Version::V3, reason, properties })
}

fn from_v3(code: u8) -> Result<Reason, CodecError> {
    match code {
        0 => Ok(Reason::SUCCESS),
        1 => Ok(Reason::UNSUPPORTED_VERSION),
        2 => Ok(Reason::CLIENT_ID_INVALID),
        3 => Ok(Reason::SERVER_UNAVAILABLE),
        4 => Ok(Reason::BAD_CREDENTIALS),
        5 => Ok(Reason::NOT_AUTHORIZED),
        _ => Err(malformed("an unknown CONNACK return code")),
    }
}

pub(super) fn encode_connack(connack: &Connack<'_>, version: Version, out: &mut Vec<u8>) {
    if version == Version::V5 {
        out.extend_from_slice(&[connack.session_present.into(), connack.reason.0]);
        properties::encode(out, connack.properties.as_deref());
    } else {
        let present = connack.session_present && version == Version::V4;
        out.extend_from_slice(&[present.into(), connack.reason.connack_v3().unwrap_or(3)]);
    }
}
