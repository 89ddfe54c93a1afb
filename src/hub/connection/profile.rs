//! What one CONNECT says, judged: the profile of the connection, or the reason to refuse it. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::super::access::Refused;
use super::super::codec::{CodecError, Connack, Connect, Packet, Properties, Reason, Version, Will};
use super::super::settings::{Limits, Settings};
use super::super::tree::levels;
use super::message::{self, is_open};
use crate::model::{Message, Origin, Qos, Topic};

/// What the connection is bound to.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) version: Version,
    pub(super) client_id: Arc<str>,
    /// The server chose the client id.
    assigned: bool,
    pub(super) clean_start: bool,
    /// Zero is none.
    pub(super) keep_alive: Duration,
    /// What the client asked for, when the server decided otherwise.
    keep_alive_changed: bool,
    /// How long the session outlives the connection.
    pub(super) expiry: Duration,
    expiry_changed: bool,
    /// QoS 1 and 2 messages in flight to the client.
    pub(super) window: u16,
    /// The largest packet the client takes.
    pub(super) max_packet: usize,
    /// Topic aliases the client takes.
    pub(super) aliases: u16,
    /// The will and its delay.
    pub(super) will: Option<(Message, Duration)>,
}

fn refuse<T>(reason: Reason, why: &'static str) -> Result<T, Refused> {
    Err(Refused { reason, why })
}

/// Judges a CONNECT, whoever sent it.
pub(super) fn judge(connect: &Connect<'_>, settings: &Settings) -> Result<Profile, Refused> {
    let limits = &settings.limits;
    let empty = Properties::default();
    let asked = connect.properties.as_deref().unwrap_or(&empty);
    if asked.authentication_method.is_some() {
        return refuse(Reason::BAD_AUTHENTICATION_METHOD, "enhanced authentication is not offered");
    }
    let (client_id, assigned) = client_id(connect)?;
    let (keep_alive, keep_alive_changed) = keep_alive(connect, limits);
    let (expiry, expiry_changed) = expiry(connect, asked, limits);
    let will = connect.will.as_ref().map(|it| will(it, &client_id, settings)).transpose()?;
    let profile = Profile {
        version: connect.version,
        client_id,
        assigned,
        clean_start: connect.clean_start,
        keep_alive,
        keep_alive_changed,
        expiry,
        expiry_changed,
        window: limits.in_flight.min(asked.receive_maximum.unwrap_or(u16::MAX)),
        max_packet: max_packet(connect),
        aliases: asked.topic_alias_maximum.unwrap_or(0).min(limits.topic_alias),
        will,
    };
    if !profile.takes_connack(limits) {
        return refuse(Reason::PACKET_TOO_LARGE, "the client takes no packet as large as CONNACK");
    }
    Ok(profile)
}

/// The largest packet the client takes, in bytes.
pub(super) fn max_packet(connect: &Connect<'_>) -> usize {
    let asked = connect.properties.as_ref().and_then(|it| it.maximum_packet_size);
    asked.map_or(usize::MAX, |size| size as usize)
}

fn client_id(connect: &Connect<'_>) -> Result<(Arc<str>, bool), Refused> {
    if !connect.client_id.is_empty() {
        return Ok((connect.client_id.into(), false));
    }
    match connect.version {
        Version::V3 => refuse(Reason::CLIENT_ID_INVALID, "MQTT 3.1 needs a client id"),
        // MQTT-3.1.3-8 of 3.1.1.
        Version::V4 if !connect.clean_start => refuse(Reason::CLIENT_ID_INVALID, "a kept session needs a client id"),
        _ => Ok((format!("weir-{:016x}", fastrand::u64(..)).into(), true)),
    }
}

/// MQTT 5 can be told another keep-alive; older versions keep what they asked for.
fn keep_alive(connect: &Connect<'_>, limits: &Limits) -> (Duration, bool) {
    let asked = Duration::from_secs(connect.keep_alive_s.into());
    let too_long = asked.is_zero() || asked > limits.keepalive;
    if too_long && connect.version == Version::V5 && !limits.keepalive.is_zero() {
        (limits.keepalive.min(Duration::from_secs(u16::MAX.into())), true)
    } else {
        (asked, false)
    }
}

fn expiry(connect: &Connect<'_>, asked: &Properties<'_>, limits: &Limits) -> (Duration, bool) {
    match connect.version {
        Version::V5 => {
            let asked = Duration::from_secs(asked.session_expiry_s.unwrap_or(0).into());
            (asked.min(limits.session_expiry), asked > limits.session_expiry)
        }
        _ if connect.clean_start => (Duration::ZERO, false),
        _ => (limits.session_expiry, false),
    }
}

fn will(will: &Will<'_>, client_id: &Arc<str>, settings: &Settings) -> Result<(Message, Duration), Refused> {
    let limits = &settings.limits;
    let topic = Topic::new(will.topic).ok().filter(|topic| levels(topic.as_str()) <= limits.topic_levels);
    let Some(topic) = topic else { return refuse(Reason::TOPIC_NAME_INVALID, "the will's topic is not a topic name") };
    if will.qos as u8 > limits.qos {
        return refuse(Reason::QOS_NOT_SUPPORTED, "the will's QoS is too high");
    }
    if will.retain && !limits.retain {
        return refuse(Reason::RETAIN_NOT_SUPPORTED, "retained messages are switched off");
    }
    if !is_open(topic.as_str(), settings) {
        return refuse(Reason::NOT_AUTHORIZED, "the will's topic belongs to the gateway");
    }
    let delay = will.properties.as_ref().and_then(|it| it.will_delay_s).unwrap_or(0);
    let properties = will.properties.as_deref().map(message::properties).transpose();
    let Ok(properties) = properties.map_err(|error: CodecError| error) else {
        return refuse(Reason::PROTOCOL_ERROR, "the will's response topic is not a topic name");
    };
    let message = Message {
        topic,
        payload: will.payload.into(),
        qos: will.qos,
        retain: will.retain,
        properties: properties.flatten(),
        origin: Origin::Client(Arc::clone(client_id)),
        source: None,
    };
    Ok((message, Duration::from_secs(delay.into())))
}

impl Profile {
    /// Whether the CONNACK that welcomes this client is small enough for it (MQTT-3.1.2-24).
    fn takes_connack(&self, limits: &Limits) -> bool {
        let mut bytes = Vec::new();
        if self.max_packet < usize::MAX {
            Packet::Connack(self.connack(false, limits)).encode(self.version, &mut bytes);
        }
        bytes.len() <= self.max_packet
    }

    /// The CONNACK that welcomes this client.
    pub(super) fn connack(&self, session_present: bool, limits: &Limits) -> Connack<'_> {
        let seconds = |span: Duration| span.as_secs().min(u32::MAX.into()) as u32;
        let properties = Properties {
            session_expiry_s: self.expiry_changed.then(|| seconds(self.expiry)),
            receive_maximum: Some(limits.in_flight.max(1)),
            maximum_qos: (limits.qos < 2).then_some(limits.qos == 1),
            retain_available: (!limits.retain).then_some(false),
            maximum_packet_size: Some(limits.packet_size.min(u32::MAX as usize) as u32),
            assigned_client_id: self.assigned.then_some(&*self.client_id),
            topic_alias_maximum: (limits.topic_alias > 0).then_some(limits.topic_alias),
            server_keep_alive_s: self.keep_alive_changed.then(|| seconds(self.keep_alive) as u16),
            ..Properties::default()
        };
        Connack { session_present, reason: Reason::SUCCESS, properties: Some(Box::new(properties)) }
    }

    /// The higher of two QoS levels this hub grants.
    pub(super) fn grant(qos: Qos, limits: &Limits) -> Qos {
        Qos::from_level(limits.qos).map_or(qos, |highest| qos.min(highest))
    }
}
