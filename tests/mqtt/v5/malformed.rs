//! Malformed packets (0x81) and protocol errors (0x82): sections 2.2.2 and 4.13, and what chapter 3 says of each packet.

use super::{MALFORMED, PROTOCOL_ERROR, ends, refused};
use crate::bench::Bench;
use crate::bytes::{hex, packet, text};
use crate::packet::Version::V5;

/// A valid value of every property, its identifier in front.
const PROPERTIES: [&str; 27] = [
    "01 01",
    "02 00 00 00 09",
    "03 00 01 61",
    "08 00 01 61",
    "09 00 01 61",
    "0b 05",
    "11 00 00 00 09",
    "12 00 01 61",
    "13 00 09",
    "15 00 01 61",
    "16 00 01 61",
    "17 01",
    "18 00 00 00 09",
    "19 01",
    "1a 00 01 61",
    "1c 00 01 61",
    "1f 00 01 61",
    "21 00 09",
    "22 00 09",
    "23 00 01",
    "24 01",
    "25 01",
    "26 00 01 61 00 01 62",
    "27 00 00 00 ff",
    "28 01",
    "29 01",
    "2a 01",
];

/// Packets that can carry properties, and which (table 2-4): what is in front of the properties, what is behind.
const CARRIERS: [(u8, &str, &str, &[u8]); 8] = [
    (0x30, "00 01 74", "78", &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26]),
    (0x40, "00 01 00", "", &[0x1f, 0x26]),
    (0x50, "00 01 00", "", &[0x1f, 0x26]),
    (0x62, "00 01 00", "", &[0x1f, 0x26]),
    (0x70, "00 01 00", "", &[0x1f, 0x26]),
    (0x82, "00 01", "00 01 74 00", &[0x0b, 0x26]),
    (0xa2, "00 01", "00 01 74", &[0x26]),
    (0xe0, "00", "", &[0x11, 0x1c, 0x1f, 0x26]),
];
const CONNECT: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
const WILL: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];

fn with(first: u8, front: &str, properties: &[u8], behind: &str) -> Vec<u8> {
    packet(first, [&hex(front)[..], &[properties.len() as u8], properties, &hex(behind)].concat())
}

/// CONNECT with properties of its own and of a will.
fn connect(own: &[u8], will: &[u8]) -> Vec<u8> {
    let head = [&text("MQTT")[..], &[5, 0x06, 0, 0, own.len() as u8], own, &text("c")].concat();
    packet(0x10, [&head[..], &[will.len() as u8], will, &text("t"), &text("x")].concat())
}

/// [MQTT-4.13.1-1]
/// [MQTT-3.1.4-1]
#[tokio::test]
async fn mqtt_4_13_1_1_a_property_that_the_packet_cannot_carry_is_malformed() {
    let bench = Bench::start().await;
    for property in PROPERTIES.map(hex) {
        let foreign = |allowed: &[u8]| !allowed.contains(&property[0]);
        for (first, front, behind, _) in CARRIERS.iter().filter(|carrier| foreign(carrier.3)) {
            ends(&bench, &with(*first, front, &property, behind), MALFORMED).await;
        }
        if foreign(CONNECT) {
            refused(&bench, &connect(&property, &[]), MALFORMED).await;
        }
        if foreign(WILL) {
            refused(&bench, &connect(&[], &property), MALFORMED).await;
        }
    }
    for unknown in ["00 00", "04 00", "2b 00", "7f 00", "80 01 00"].map(hex) {
        ends(&bench, &with(0x30, "00 01 74", &unknown, ""), MALFORMED).await;
        refused(&bench, &connect(&unknown, &[]), MALFORMED).await;
    }
}

/// [MQTT-4.13.1-1]
/// [MQTT-3.1.4-1]
#[tokio::test]
async fn mqtt_4_13_1_1_a_property_that_comes_twice_is_a_protocol_error() {
    let bench = Bench::start().await;
    for property in PROPERTIES.map(hex) {
        let id = property[0];
        let twice = [&property[..], &property].concat();
        if id != 0x26 {
            for (first, front, behind, _) in CARRIERS.iter().filter(|carrier| carrier.3.contains(&id)) {
                ends(&bench, &with(*first, front, &twice, behind), PROTOCOL_ERROR).await;
            }
        }
        if id != 0x26 && CONNECT.contains(&id) {
            refused(&bench, &connect(&twice, &[]), PROTOCOL_ERROR).await;
        }
        if id != 0x26 && WILL.contains(&id) {
            refused(&bench, &connect(&[], &twice), PROTOCOL_ERROR).await;
        }
    }
}

/// [MQTT-4.13.1-1]
/// [MQTT-3.1.4-1]
#[tokio::test]
async fn mqtt_4_13_1_1_a_property_that_is_cut_off_is_malformed() {
    let bench = Bench::start().await;
    for property in PROPERTIES.map(hex) {
        let id = property[0];
        let cut = &property[..property.len() - 1];
        for (first, front, _, _) in CARRIERS.iter().filter(|carrier| carrier.3.contains(&id)) {
            // By the property length, and by the end of the packet.
            ends(&bench, &with(*first, front, cut, ""), MALFORMED).await;
            let length = property.len() as u8;
            ends(&bench, &packet(*first, [&hex(front)[..], &[length], cut].concat()), MALFORMED).await;
        }
        if CONNECT.contains(&id) {
            refused(&bench, &connect(cut, &[]), MALFORMED).await;
        }
        if WILL.contains(&id) {
            refused(&bench, &connect(&[], cut), MALFORMED).await;
        }
    }
}

/// [MQTT-4.13.1-1]
/// [MQTT-3.1.4-1]
#[tokio::test]
async fn mqtt_4_13_1_1_values_that_a_property_cannot_have() {
    let bench = Bench::start().await;
    // Receive Maximum and Maximum Packet Size of zero, flags that are neither 0 nor 1, data without a method.
    for wrong in ["21 00 00", "27 00 00 00 00", "17 02", "19 02", "16 00 01 61"] {
        refused(&bench, &connect(&hex(wrong), &[]), PROTOCOL_ERROR).await;
    }
    refused(&bench, &connect(&[], &hex("01 02")), PROTOCOL_ERROR).await;
    ends(&bench, &with(0x30, "00 01 74", &hex("01 02"), ""), PROTOCOL_ERROR).await;
    // Subscription Identifier zero, and one that no variable byte integer can hold.
    ends(&bench, &with(0x82, "00 01", &hex("0b 00"), "00 01 74 00"), PROTOCOL_ERROR).await;
    ends(&bench, &with(0x82, "00 01", &hex("0b ff ff ff ff 01"), "00 01 74 00"), MALFORMED).await;
}

/// [MQTT-4.13.1-1]
/// [MQTT-4.13.2-1]
#[tokio::test]
async fn mqtt_4_13_1_1_packets_that_end_early_or_late_are_malformed() {
    let bench = Bench::start().await;
    for wrong in [
        // Nothing at all, or half of the packet id.
        "30 00",
        "32 03 00 01 74",
        "32 04 00 01 74 00",
        "40 00",
        "40 01 00",
        "50 00",
        "62 00",
        "70 00",
        "82 01 00",
        "a2 00",
        // A topic, a filter, properties longer than the packet; no properties; a filter without options.
        "30 03 00 05 74",
        "82 05 00 01 00 00 09",
        "30 04 00 01 74 07",
        "30 03 00 01 74",
        "82 02 00 01",
        "a2 02 00 01",
        "82 06 00 01 00 00 01 74",
        // Something behind the end.
        "c0 01 00",
        "40 05 00 01 00 00 00",
        "62 05 00 01 00 00 00",
        "e0 03 00 00 00",
        "a2 07 00 01 00 00 01 74 00",
    ] {
        ends(&bench, &hex(wrong), MALFORMED).await;
    }
}

/// [MQTT-3.4.2-1]
/// [MQTT-3.5.2-1]
/// [MQTT-3.6.2-1]
/// [MQTT-3.7.2-1]
/// [MQTT-3.14.2-1]
#[tokio::test]
async fn mqtt_3_4_2_1_reason_codes_that_a_packet_cannot_give_end_the_connection() {
    let bench = Bench::start().await;
    let publish: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let release: &[u8] = &[0x00, 0x92];
    let mut client = bench.client(V5, "right").await;
    for (first, right) in [(0x40, publish), (0x50, publish), (0x62, release), (0x70, release)] {
        for code in [0x01, 0x02, 0x11, 0x18, 0x7f, 0x81, 0x82, 0x8f, 0x93, 0xa2, 0xa3, 0xff] {
            ends(&bench, &packet(first, [0, 1, code]), MALFORMED).await;
        }
        for code in right {
            client.send(&packet(first, [0, 1, *code])).await;
        }
    }
    for code in [0x01, 0x02, 0x10, 0x18, 0x84, 0x85, 0x86, 0x91, 0x92, 0xa3] {
        ends(&bench, &packet(0xe0, [code]), MALFORMED).await;
    }
    // An unknown PUBREC and PUBREL is answered, an unknown PUBACK and PUBCOMP is not.
    let mut answers = 0;
    client.send(&[0xc0, 0]).await;
    while client.next().await.kind() != 13 {
        answers += 1;
    }
    assert_eq!(answers, publish.len() + release.len());
}
