//! MQTT 3.1.1.

use bytes::BytesMut;
use rumqttc::mqttbytes::{self, QoS, v4};

use super::{In, Out, PACKET_MAX, WireError, arrived};
use crate::model::Qos;

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
        Out::Connect(hello) => {
            let mut connect = v4::Connect::new(hello.client_id.clone());
            connect.clean_session = false;
            connect.keep_alive = hello.keepalive_s;
            let (topic, payload) = &hello.will;
            connect.last_will = Some(v4::LastWill::new(topic.as_str(), payload.clone(), QoS::AtLeastOnce, true));
            connect.set_login(&*hello.login.0, &*hello.login.1);
            v4::Packet::Connect(connect)
        }
        Out::Publish(publish) => v4::Packet::Publish(v4::Publish {
            dup: publish.dup,
            qos: qos_out(publish.qos),
            retain: publish.retain,
            topic: publish.topic.to_string(),
            pkid: publish.id,
            payload: publish.payload.clone(),
        }),
        Out::Subscribe(id, filters) => {
            let filters =
                filters.iter().map(|(filter, qos)| v4::SubscribeFilter::new(filter.to_string(), qos_out(*qos)));
            v4::Packet::Subscribe(v4::Subscribe { pkid: *id, filters: filters.collect() })
        }
        Out::PubAck(id) => v4::Packet::PubAck(v4::PubAck::new(*id)),
        Out::PubRec(id) => v4::Packet::PubRec(v4::PubRec::new(*id)),
        Out::PubComp(id) => v4::Packet::PubComp(v4::PubComp::new(*id)),
        Out::PingReq => v4::Packet::PingReq,
        Out::Disconnect => v4::Packet::Disconnect,
    };
    packet.write(to, PACKET_MAX).map(drop).map_err(wire)
}

pub(super) fn decode(packet: &mut BytesMut) -> Result<In, WireError> {
    Ok(match v4::Packet::read(packet, PACKET_MAX).map_err(wire)? {
        v4::Packet::Publish(publish) => {
            let (id, qos) = (publish.pkid, qos_in(publish.qos));
            let v4::Publish { dup, retain, topic, payload, .. } = publish;
            arrived(&topic, |topic| super::Publish { topic, payload, qos, retain, dup, id, properties: None }, id, qos)
        }
        v4::Packet::PubRel(release) => In::PubRel(release.pkid),
        v4::Packet::SubAck(ack) => {
            let refused = |code: &&v4::SubscribeReasonCode| matches!(code, v4::SubscribeReasonCode::Failure);
            In::SubAck(ack.return_codes.iter().filter(refused).count())
        }
        v4::Packet::PingResp => In::PingResp,
        _ => In::Other,
    })
}

fn wire(error: mqttbytes::Error) -> WireError {
    WireError(error.to_string())
}
