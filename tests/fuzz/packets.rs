//! Random packets of every kind that are right, in every version.

use fastrand::Rng;
use weir::hub::codec::{
    Ack, Connack, Connect, Notice, Options, Packet, Publish, Reason, RetainHandling, Subscribe, Unsubscribe, Verdicts,
    Version, Will,
};
use weir::model::Qos;

use crate::values::{binary, flag, id, properties, qos, short, text};

const OF_MESSAGE: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x26];
const OF_CONNECT: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
const OF_CONNACK: &[u8] =
    &[0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a];
const OF_ACK: &[u8] = &[0x1f, 0x26];

/// A packet that is right in `version`.
pub(crate) fn packet(rng: &mut Rng, version: Version) -> Packet<'static> {
    let v5 = version == Version::V5;
    match rng.u8(1..if v5 { 16 } else { 15 }) {
        1 => Packet::Connect(Box::new(connect(rng, version))),
        2 => Packet::Connack(connack(rng, version)),
        3 => Packet::Publish(publish(rng, version)),
        4 => Packet::Puback(ack(rng, version, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])),
        5 => Packet::Pubrec(ack(rng, version, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])),
        6 => Packet::Pubrel(ack(rng, version, &[0x00, 0x92])),
        7 => Packet::Pubcomp(ack(rng, version, &[0x00, 0x92])),
        8 => Packet::Subscribe(subscribe(rng, version)),
        9 => Packet::Suback(verdicts(rng, version, &[0, 1, 2, 0x80])),
        10 => Packet::Unsubscribe(Unsubscribe {
            packet_id: id(rng),
            properties: properties(rng, version, &[0x26]),
            filters: (0..rng.usize(1..6)).map(|_| text(rng)).collect(),
        }),
        11 => Packet::Unsuback(verdicts(rng, version, if v5 { &[0, 0x11, 0x80, 0x87, 0x91] } else { &[] })),
        12 => Packet::Pingreq,
        13 => Packet::Pingresp,
        14 => {
            Packet::Disconnect(notice(rng, version, &[0x00, 0x04, 0x81, 0x82, 0x89, 0x98], &[0x11, 0x1c, 0x1f, 0x26]))
        }
        _ => Packet::Auth(notice(rng, version, &[0x00, 0x18, 0x19], &[0x15, 0x16, 0x1f, 0x26])),
    }
}

fn one_of(rng: &mut Rng, codes: &[u8]) -> Reason {
    Reason(codes[rng.usize(..codes.len())])
}

fn connect(rng: &mut Rng, version: Version) -> Connect<'static> {
    let user = flag(rng).then(|| text(rng));
    // MQTT 5 takes a password without a name.
    let may_have_password = version == Version::V5 || user.is_some();
    Connect {
        version,
        clean_start: flag(rng),
        keep_alive_s: short(rng),
        client_id: text(rng),
        will: flag(rng).then(|| will(rng, version)),
        user,
        password: (may_have_password && flag(rng)).then(|| binary(rng)),
        properties: properties(rng, version, OF_CONNECT),
    }
}

fn will(rng: &mut Rng, version: Version) -> Will<'static> {
    let allowed = [OF_MESSAGE, &[0x18]].concat();
    let properties = properties(rng, version, &allowed);
    Will { topic: text(rng), payload: binary(rng), qos: qos(rng), retain: flag(rng), properties }
}

fn connack(rng: &mut Rng, version: Version) -> Connack<'static> {
    let old = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87];
    let reason = if version == Version::V5 { one_of(rng, &[0, 0x80, 0x87, 0x97, 0x9f]) } else { one_of(rng, &old) };
    // MQTT 3.1 has no such flag, and a refusal finds no session.
    let session_present = version != Version::V3 && reason == Reason::SUCCESS && flag(rng);
    Connack { session_present, reason, properties: properties(rng, version, OF_CONNACK) }
}

fn publish(rng: &mut Rng, version: Version) -> Publish<'static> {
    let qos = qos(rng);
    let acknowledged = qos != Qos::AtMostOnce;
    let allowed = [OF_MESSAGE, &[0x0b, 0x0b, 0x0b, 0x23]].concat();
    Publish {
        dup: acknowledged && flag(rng),
        qos,
        retain: flag(rng),
        topic: text(rng),
        packet_id: if acknowledged { id(rng) } else { 0 },
        properties: properties(rng, version, &allowed),
        payload: binary(rng),
    }
}

fn ack(rng: &mut Rng, version: Version, reasons: &[u8]) -> Ack<'static> {
    let reason = if version == Version::V5 { one_of(rng, reasons) } else { Reason::SUCCESS };
    Ack { packet_id: id(rng), reason, properties: properties(rng, version, OF_ACK) }
}

fn options(rng: &mut Rng, version: Version) -> Options {
    if version != Version::V5 {
        return Options::plain(qos(rng));
    }
    let handling = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
    Options {
        qos: qos(rng),
        no_local: flag(rng),
        retain_as_published: flag(rng),
        retain_handling: handling[rng.usize(..3)],
    }
}

fn subscribe(rng: &mut Rng, version: Version) -> Subscribe<'static> {
    let filters = (0..rng.usize(1..6)).map(|_| (text(rng), options(rng, version))).collect();
    Subscribe { packet_id: id(rng), properties: properties(rng, version, &[0x0b, 0x26]), filters }
}

fn verdicts(rng: &mut Rng, version: Version, codes: &[u8]) -> Verdicts<'static> {
    let count = if codes.is_empty() { 0 } else { rng.usize(1..9) };
    let reasons = (0..count).map(|_| one_of(rng, codes)).collect();
    Verdicts { packet_id: id(rng), properties: properties(rng, version, OF_ACK), reasons }
}

fn notice(rng: &mut Rng, version: Version, reasons: &[u8], allowed: &[u8]) -> Notice<'static> {
    if version != Version::V5 {
        return Notice { reason: Reason::SUCCESS, properties: None };
    }
    Notice { reason: one_of(rng, reasons), properties: properties(rng, version, allowed) }
}
