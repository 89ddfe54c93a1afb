//! Connect flags and the payload that goes with them (sections 3.1.2.3 to 3.1.3).

use super::{MALFORMED, refusal, refused};
use crate::bench::{Bench, settings};
use crate::bytes::{hex, packet, text};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::{V5, V311};
use weir::hub::{Limits, Settings};

fn with_will() -> Connect<'static> {
    Connect::new(V5, "c").will("will", "gone", 1, true).user("u", Some("p"))
}

/// [MQTT-3.1.2-3]
#[tokio::test]
async fn mqtt_3_1_2_3_the_reserved_flag_is_malformed() {
    let bench = Bench::start().await;
    let connect = Connect::new(V5, "c");
    refused(&bench, &connect.bytes_with_flags(connect.flags() | 1), MALFORMED).await;
}

/// [MQTT-3.1.2-9]
/// [MQTT-3.1.3-3]
#[tokio::test]
async fn mqtt_3_1_2_9_a_will_flag_without_a_will_is_malformed() {
    let bench = Bench::start().await;
    refused(&bench, &Connect::new(V5, "c").bytes_with_flags(0x06), MALFORMED).await;
    // Properties only; properties and topic only; no client id even.
    let head = [&text("MQTT")[..], &[5, 0x06, 0, 0, 0]].concat();
    for payload in ["00 01 63 00", "00 01 63 00 00 01 74", "", "00"] {
        refused(&bench, &packet(0x10, [&head[..], &hex(payload)].concat()), MALFORMED).await;
    }
    // And a will without its flag.
    refused(&bench, &with_will().bytes_with_flags(0x02), MALFORMED).await;
}

/// [MQTT-3.1.2-11]
/// [MQTT-3.1.2-13]
#[tokio::test]
async fn mqtt_3_1_2_11_will_qos_or_retain_without_a_will_is_malformed() {
    let bench = Bench::start().await;
    for flags in [0x0a, 0x12, 0x1a, 0x22, 0x2a] {
        refused(&bench, &Connect::new(V5, "c").bytes_with_flags(flags), MALFORMED).await;
    }
}

/// [MQTT-3.1.2-12]
#[tokio::test]
async fn mqtt_3_1_2_12_a_will_can_have_qos_0_1_and_2_but_not_3() {
    let bench = Bench::start().await;
    for qos in 0..3 {
        let mut watcher = bench.client(V5, "w").await;
        watcher.subscribe("will", 2).await;
        let connect = Connect::new(V5, "c").will("will", "gone", qos, false);
        bench.connect(&connect).await.0.cut();
        assert_eq!(watcher.receive().await.qos, qos);
    }
    let connect = Connect::new(V5, "c").will("will", "gone", 0, false);
    refused(&bench, &connect.bytes_with_flags(connect.flags() | 0x18), MALFORMED).await;
}

/// [MQTT-3.1.2-16]
/// [MQTT-3.1.2-17]
/// [MQTT-3.1.2-18]
/// [MQTT-3.1.2-19]
#[tokio::test]
async fn mqtt_3_1_2_16_user_name_and_password_are_there_as_their_flags_say() {
    let bench = Bench::start().await;
    let user = Connect::new(V5, "c").user("u", None);
    let both = Connect::new(V5, "c").user("u", Some("p"));
    let none = Connect::new(V5, "c");
    for (connect, flags) in [(&user, 0x02), (&both, 0x82), (&both, 0x02), (&none, 0x82), (&user, 0xc2), (&none, 0x42)] {
        refused(&bench, &connect.bytes_with_flags(flags), MALFORMED).await;
    }
    for connect in [&none, &user, &both] {
        bench.connect(connect).await.0.disconnect().await;
    }
    // MQTT 5 allows a password alone.
    let mut client = bench.open(V5).await;
    client.send(&user.bytes_with_flags(0x42)).await;
    assert_eq!(client.connack().await.code, 0);
}

/// [MQTT-3.1.3-1]
#[tokio::test]
async fn mqtt_3_1_3_1_the_payload_is_read_in_its_order() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("#", 0).await;
    let (client, _) = bench.connect(&with_will()).await;
    client.cut();
    assert_eq!(watcher.delivery().await, Publish::new("will", 0, 0, "gone"));
}

/// [MQTT-3.1.2-1]
/// [MQTT-3.1.2-2]
#[tokio::test]
async fn mqtt_3_1_2_1_another_protocol_is_refused() {
    let bench = Bench::start().await;
    let connect = |name: &str, level: u8| packet(0x10, [&text(name)[..], &[level, 2, 0, 0, 0, 0, 1, 99]].concat());
    for name in ["mqtt", "MQT", "MQTTX", "", "HTTP"] {
        let mut client = bench.open(V5).await;
        client.try_send(&connect(name, 5)).await;
        if let Some(packet) = client.try_next().await {
            assert_eq!(packet.connack().code, 0x84);
            client.expect_closed().await;
        }
    }
    for level in [6, 7, 0x7f, 0x85, 0xff] {
        refused(&bench, &connect("MQTT", level), 0x84).await;
    }
    // The bridges of MQTT 3 set the highest bit, and wait for the answer of MQTT 3 to try without.
    for level in [0x83, 0x84] {
        let mut client = bench.open(V311).await;
        client.send(&connect("MQTT", level)).await;
        client.expect(&hex("20 02 00 01")).await;
        client.expect_closed().await;
    }
}

/// [MQTT-3.1.4-2]
/// [MQTT-3.2.2-7]
/// [MQTT-4.13.2-1]
#[tokio::test]
async fn mqtt_3_1_4_2_a_client_that_is_not_welcome_is_refused_and_closed() {
    let allow_anonymous = weir::hub::Anonymous::Never;
    let bench = Bench::with(Settings { allow_anonymous, ..settings() }).await;
    refused(&bench, &Connect::new(V5, "c").bytes(), 0x87).await;
}

/// [MQTT-3.1.4-6]
/// [MQTT-3.2.2-6]
#[tokio::test]
async fn mqtt_3_1_4_6_nothing_behind_a_refused_connect_is_processed() {
    let bench = Bench::limited(Limits { qos: 1, ..Limits::default() }).await;
    let mut watcher = bench.client(V5, "w").await;
    watcher.subscribe("#", 0).await;
    // There is a session of that name, which the refusal must not tell of.
    bench.connect(&Connect::kept(V5, "c")).await.0.cut();
    let refused = Connect::kept(V5, "c").will("will", "gone", 2, false).bytes();
    let mut client = bench.open(V5).await;
    let behind = [Publish::new("t", 1, 1, "x").bytes(V5), hex("c0 00"), hex("e0 01 04")].concat();
    client.send(&[refused, behind].concat()).await;
    refusal(&mut client, 0x9b).await;
    watcher.expect_silence().await;
}
