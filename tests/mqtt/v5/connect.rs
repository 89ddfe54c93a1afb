//! CONNECT and CONNACK (sections 3.1 and 3.2): order, client ids, limits.

use super::{PROTOCOL_ERROR, ends, refusal, refused};
use crate::bench::Bench;
use crate::bytes::{PINGREQ, hex};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V5;
use crate::properties::{Properties, Value, id};
use weir::hub::Limits;

/// [MQTT-3.1.0-1]
/// [MQTT-3.14.0-1]
/// [MQTT-3.2.0-1]
#[tokio::test]
async fn mqtt_3_1_0_1_another_first_packet_than_connect_closes_without_a_word() {
    let bench = Bench::start().await;
    let publish = Publish::new("t", 0, 0, "x").bytes(V5);
    for first in
        [publish, PINGREQ.to_vec(), hex("e0 00"), hex("f0 00"), hex("82 07 00 01 00 00 01 74 00"), hex("00 00")]
    {
        let mut client = bench.open(V5).await;
        client.try_send(&first).await;
        client.expect_closed().await;
    }
}

/// [MQTT-3.1.0-2]
/// [MQTT-3.2.0-2]
#[tokio::test]
async fn mqtt_3_1_0_2_a_second_connect_is_a_protocol_error() {
    let bench = Bench::start().await;
    ends(&bench, &Connect::new(V5, "wrong").bytes(), PROTOCOL_ERROR).await;
}

/// [MQTT-3.1.3-2]
#[tokio::test]
async fn mqtt_3_1_3_2_the_client_id_names_the_session() {
    let bench = Bench::start().await;
    for id in ["a", "A", "a ", "á"] {
        assert!(!bench.connect(&Connect::kept(V5, id)).await.1);
    }
    for id in ["a", "A", "a ", "á"] {
        assert!(bench.connect(&Connect::kept(V5, id)).await.1);
    }
}

/// [MQTT-3.1.3-5]
#[tokio::test]
async fn mqtt_3_1_3_5_ids_of_1_to_23_letters_and_digits_are_accepted() {
    let bench = Bench::start().await;
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let ids = (1..=23).map(|length| &all[..length]).chain([&all[20..43], &all[39..]]);
    for id in ids {
        bench.client(V5, id).await.disconnect().await;
    }
}

/// [MQTT-3.1.3-6]
/// [MQTT-3.1.3-7]
/// [MQTT-3.2.2-16]
#[tokio::test]
async fn mqtt_3_1_3_6_an_empty_client_id_gets_a_unique_one() {
    let bench = Bench::start().await;
    let mut ids = Vec::new();
    for clean in [true, false, true] {
        let connect = Connect { clean, ..Connect::kept(V5, "") };
        let mut client = bench.open(V5).await;
        client.send(&connect.bytes()).await;
        let connack = client.connack().await;
        assert!(!connack.session_present);
        let Some(Value::Text(id)) = connack.properties.get(id::ASSIGNED_CLIENT_ID).cloned() else {
            panic!("no assigned client id: {connack:?}")
        };
        ids.push((id, client));
    }
    assert!(ids[0].0 != ids[1].0 && ids[1].0 != ids[2].0 && ids[0].0 != ids[2].0);
    // It is that client's id from now on: whoever comes with it has its session.
    let (id, mut first) = ids.swap_remove(0);
    let (_, present) = bench.connect(&Connect::kept(V5, &id)).await;
    assert!(present);
    first.expect_reason(0x8e).await;
}

/// [MQTT-3.1.4-3]
/// [MQTT-3.14.4-1]
/// [MQTT-3.14.4-2]
/// [MQTT-3.14.2-2]
#[tokio::test]
async fn mqtt_3_1_4_3_a_client_id_in_use_moves_to_the_new_connection() {
    let bench = Bench::start().await;
    let mut first = bench.client(V5, "c").await;
    let mut second = bench.client(V5, "c").await;
    let notice = first.next().await.notice(0xe0);
    assert_eq!(notice.reason, 0x8e);
    assert_eq!(notice.properties.get(id::SESSION_EXPIRY), None);
    first.expect_closed().await;
    second.expect_silence().await;
}

/// [MQTT-3.1.4-5]
/// [MQTT-3.2.2-1]
/// [MQTT-3.2.2-8]
#[tokio::test]
async fn mqtt_3_1_4_5_an_accepted_connect_gets_a_connack_with_success() {
    let bench = Bench::start().await;
    let mut client = bench.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    let packet = client.next().await;
    assert_eq!((packet.first, &packet.body[..2]), (0x20, &[0, 0][..]));
    // Only what a CONNACK can carry, and what this hub has to say.
    let told: Vec<u8> = packet.connack().properties.0.iter().map(|(id, _)| *id).collect();
    let allowed =
        [0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a];
    assert!(told.iter().all(|id| allowed.contains(id)), "{told:02x?}");
    client.expect_silence().await;
}

/// [MQTT-3.2.2-9]
/// [MQTT-3.2.2-10]
/// [MQTT-3.2.2-11]
/// [MQTT-3.2.2-12]
#[tokio::test]
async fn mqtt_3_2_2_9_the_highest_qos_is_announced_and_held() {
    for qos in [0, 1, 2] {
        let bench = Bench::limited(Limits { qos, ..Limits::default() }).await;
        let mut client = bench.open(V5).await;
        client.send(&Connect::new(V5, "c").bytes()).await;
        let told = client.connack().await.properties.get(id::MAXIMUM_QOS).cloned();
        assert_eq!(told, (qos < 2).then_some(Value::Byte(qos)));
        // A higher one in SUBSCRIBE is accepted, and granted as far as it goes.
        assert_eq!(client.subscribe_all(&[("t", 0), ("t", 1), ("t", 2)]).await, [0, 1.min(qos), qos]);
        for higher in qos + 1..3 {
            ends(&bench, &Publish::new("t", higher, 1, "x").bytes(V5), 0x9b).await;
            let will = Connect::new(V5, "w").will("will", "gone", higher, false);
            refused(&bench, &will.bytes(), 0x9b).await;
        }
        client.expect_silence().await;
    }
}

/// [MQTT-3.2.2-13]
/// [MQTT-3.2.2-14]
#[tokio::test]
async fn mqtt_3_2_2_13_where_nothing_is_retained_it_is_told_and_refused() {
    let bench = Bench::limited(Limits { retain: false, ..Limits::default() }).await;
    let mut client = bench.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    assert_eq!(client.connack().await.properties.get(id::RETAIN_AVAILABLE), Some(&Value::Byte(0)));
    refused(&bench, &Connect::new(V5, "w").will("will", "gone", 0, true).bytes(), 0x9a).await;
    ends(&bench, &Publish::new("t", 0, 0, "x").retained().bytes(V5), 0x9a).await;
}

/// [MQTT-3.2.2-15]
#[tokio::test]
async fn mqtt_3_2_2_15_a_packet_above_the_hubs_maximum_packet_size_ends_the_connection() {
    let bench = Bench::limited(Limits { packet_size: 200, ..Limits::default() }).await;
    let mut client = bench.open(V5).await;
    client.send(&Connect::new(V5, "c").bytes()).await;
    assert_eq!(client.connack().await.properties.get(id::MAXIMUM_PACKET_SIZE), Some(&Value::Four(200)));
    // 3 bytes of fixed header, 3 of topic, 1 of properties.
    let publish = |size: usize| Publish::new("t", 0, 0, vec![b'x'; size - 7]).bytes(V5);
    assert_eq!(publish(200).len(), 200);
    client.send(&publish(200)).await;
    client.expect_silence().await;
    ends(&bench, &publish(201), 0x95).await;
    // It is found in the fixed header, before the rest has come.
    ends(&bench, &hex("30 ff ff ff 7f"), 0x95).await;
    let mut early = bench.open(V5).await;
    early.send(&Connect::new(V5, &"c".repeat(300)).bytes()).await;
    refusal(&mut early, 0x95).await;
}

/// [MQTT-3.1.2-28]
/// [MQTT-4.12.0-6]
#[tokio::test]
async fn mqtt_3_1_2_28_what_was_not_asked_for_is_not_in_the_connack() {
    let bench = Bench::start().await;
    let asked = |value| Properties::one(id::REQUEST_RESPONSE, Value::Byte(value));
    for properties in [Properties::default(), asked(0)] {
        let mut client = bench.open(V5).await;
        client.send(&Connect::new(V5, "c").carrying(properties).bytes()).await;
        let told = client.connack().await.properties;
        for unasked in [id::RESPONSE_INFORMATION, id::AUTH_METHOD, id::AUTH_DATA, id::ASSIGNED_CLIENT_ID] {
            assert_eq!(told.get(unasked), None);
        }
    }
    bench.connect(&Connect::new(V5, "c").carrying(asked(1))).await;
}

/// [MQTT-4.12.0-1]
/// [MQTT-4.12.0-4]
/// [MQTT-3.1.2-30]
#[tokio::test]
async fn mqtt_4_12_0_1_an_authentication_method_is_refused() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("#", 0).await;
    let method = Properties::one(id::AUTH_METHOD, Value::Text("SCRAM-SHA-256".into()));
    let data = method.clone().and(id::AUTH_DATA, Value::Data(vec![1, 2, 3]));
    for properties in [method, data] {
        let mut client = bench.open(V5).await;
        let behind = Publish::new("t", 0, 0, "x").bytes(V5);
        client.send(&[Connect::new(V5, "c").carrying(properties).bytes(), behind].concat()).await;
        refusal(&mut client, 0x8c).await;
    }
    watcher.expect_silence().await;
}

/// [MQTT-4.12.0-7]
/// [MQTT-4.12.0-3]
/// [MQTT-4.12.1-1]
/// [MQTT-3.15.2-1]
#[tokio::test]
async fn mqtt_4_12_0_7_auth_without_a_method_is_a_protocol_error() {
    let bench = Bench::start().await;
    for auth in ["f0 00", "f0 01 00", "f0 02 18 00", "f0 07 19 05 15 00 02 78 79"] {
        ends(&bench, &hex(auth), PROTOCOL_ERROR).await;
    }
    for code in [0x01, 0x17, 0x1a, 0x80, 0x8c] {
        ends(&bench, &[0xf0, 1, code], super::MALFORMED).await;
    }
}
