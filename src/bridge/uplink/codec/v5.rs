//! MQTT 5.

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::{Error, QoS, v5};

use super::{Hello, In, Out, PLAIN, Publish, Welcome, WireError, arrived};
use crate::model::{Properties, Qos, Topic};

fn qos_out(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn qos_in(qos: QoS) -> Qos {
    Qos::from_level(qos as u8).unwrap_or(Qos::AtMostOnce)
}

pub(super) fn encode(packet: &Out<'_>, to: &mut BytesMut) -> Result<(), WireError> {
    let packet = match packet {
        Out::Connect(hello) => connect(hello),
        Out::Publish(publish) => v5::Packet::Publish(v5::Publish {
            dup: publish.dup,
            qos: qos_out(publish.qos),
            retain: publish.retain,
            topic: Bytes::copy_from_slice(publish.topic.as_str().as_bytes()),
            pkid: publish.id,
            payload: publish.payload.clone(),
            properties: publish.properties.as_deref().map(properties_out),
        }),
        Out::Subscribe(id, filters) => {
            // No-local: the cloud does not send back what we forward. Retained values come once per
            // session and not at every reconnect, and keep their flag.
            let filters = filters.iter().map(|(filter, qos)| v5::Filter {
                path: filter.to_string(),
                qos: qos_out(*qos),
                nolocal: true,
                preserve_retain: true,
                retain_forward_rule: v5::RetainForwardRule::OnNewSubscribe,
            });
            v5::Packet::Subscribe(v5::Subscribe { pkid: *id, filters: filters.collect(), properties: None })
        }
        Out::PubAck(id) => v5::Packet::PubAck(v5::PubAck::new(*id, None)),
        Out::PubRec(id) => v5::Packet::PubRec(v5::PubRec::new(*id, None)),
        Out::PubComp(id) => v5::Packet::PubComp(v5::PubComp::new(*id, None)),
        Out::PingReq => v5::Packet::PingReq(v5::PingReq),
        Out::Disconnect => v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection)),
    };
    packet.write(to, None).map(drop).map_err(wire)
}

fn connect(hello: &Hello) -> v5::Packet {
    let mut properties = v5::ConnectProperties::new();
    properties.session_expiry_interval = Some(hello.session_expiry_s);
    properties.receive_maximum = Some(hello.receive_max);
    properties.max_packet_size = Some(hello.packet_max);
    let connect = v5::Connect {
        keep_alive: hello.keepalive_s,
        client_id: hello.client_id.clone(),
        clean_start: false,
        properties: Some(properties),
    };
    let (topic, payload) = &hello.will;
    let will = v5::LastWill::new(topic.as_str(), payload.clone(), QoS::AtLeastOnce, true, None);
    let login = v5::Login::new(&*hello.login.0, &*hello.login.1);
    v5::Packet::Connect(connect, Some(will), Some(login))
}

fn properties_out(from: &Properties) -> v5::PublishProperties {
    v5::PublishProperties {
        payload_format_indicator: from.utf8_payload.map(u8::from),
        message_expiry_interval: from.expiry_s,
        topic_alias: None,
        response_topic: from.response_topic.as_ref().map(Topic::to_string),
        correlation_data: from.correlation.as_deref().map(Bytes::copy_from_slice),
        user_properties: from.user.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        subscription_identifiers: vec![],
        content_type: from.content_type.as_deref().map(str::to_owned),
    }
}

fn properties_in(from: v5::PublishProperties) -> Properties {
    Properties {
        utf8_payload: from.payload_format_indicator.map(|indicator| indicator != 0),
        expiry_s: from.message_expiry_interval,
        content_type: from.content_type.map(Into::into),
        response_topic: from.response_topic.and_then(|topic| Topic::new(&topic).ok()),
        correlation: from.correlation_data.map(|data| data.as_ref().into()),
        user: from.user_properties.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
    }
}

pub(super) fn decode(packet: &mut BytesMut) -> Result<In, WireError> {
    Ok(match v5::Packet::read(packet, None).map_err(wire)? {
        v5::Packet::ConnAck(ack) => In::Welcome(ack.properties.map_or(PLAIN, welcome)),
        v5::Packet::Publish(publish) => publish_in(publish)?,
        v5::Packet::PubRel(release) => In::PubRel(release.pkid),
        v5::Packet::SubAck(ack) => {
            let granted = |code: &&v5::SubscribeReasonCode| matches!(code, v5::SubscribeReasonCode::Success(_));
            In::SubAck(ack.return_codes.len() - ack.return_codes.iter().filter(granted).count())
        }
        v5::Packet::PingResp(_) => In::PingResp,
        _ => In::Other,
    })
}

fn welcome(from: v5::ConnAckProperties) -> Welcome {
    Welcome {
        receive_max: from.receive_max.unwrap_or(PLAIN.receive_max).max(1),
        packet_max: from.max_packet_size.map_or(PLAIN.packet_max, |max| max as usize),
        keepalive_s: from.server_keep_alive,
        retain: from.retain_available != Some(0),
        qos_1: from.max_qos != Some(0),
    }
}

fn publish_in(publish: v5::Publish) -> Result<In, WireError> {
    let topic = std::str::from_utf8(&publish.topic).map_err(|_| WireError("a topic that is not UTF-8".into()))?;
    let (id, qos) = (publish.pkid, qos_in(publish.qos));
    let make = |topic| Publish {
        topic,
        payload: publish.payload.clone(),
        qos,
        retain: publish.retain,
        dup: publish.dup,
        id,
        properties: publish.properties.clone().map(properties_in).map(Box::new),
    };
    Ok(arrived(topic, make, id, qos))
}

/// Reason string and server reference among the properties of a CONNACK that refuses; what is odd
/// is left out, because the code alone says enough.
pub(super) fn told(properties: &[u8]) -> (Option<String>, Option<String>) {
    /// Property identifiers (MQTT 5 section 2.2.2.2).
    const REASON: u8 = 0x1f;
    const SERVER: u8 = 0x1c;
    /// The longest text that is told on.
    const LONGEST: usize = 200;
    let (mut reason, mut server) = (None, None);
    // A length of more than one byte holds more than anybody needs to say here.
    let mut rest = match properties {
        [length @ ..0x80, rest @ ..] => rest.get(..usize::from(*length)).unwrap_or_default(),
        [_, _, rest @ ..] => rest,
        _ => &[],
    };
    while let [kind @ (REASON | SERVER), high, low, text @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(text) = text.get(..length) else { break };
        let words: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        *(if *kind == REASON { &mut reason } else { &mut server }) = Some(words);
        rest = &rest[3 + length..];
    }
    (reason, server)
}

fn wire(error: Error) -> WireError {
    WireError(error.to_string())
}
