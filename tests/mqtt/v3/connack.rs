//! CONNACK (section 3.2).

use super::{is_no_connect, kept};
use crate::bench::{Bench, settings};
use crate::bytes::hex;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V311;
use weir::hub::{Anonymous, Settings};

/// [MQTT-3.2.0-1]
#[tokio::test]
async fn mqtt_3_2_0_1_connack_is_the_first_packet() {
    let bench = Bench::start().await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 1).await;
    client.disconnect().await;
    super::tell(&bench, &super::message("t", 1, "waiting")).await;
    let mut client = bench.open(V311).await;
    let subscribe = hex("82 06 0001 0001 74 01");
    let publish = Publish::new("t", 1, 3, "new").bytes(V311);
    client.send(&[Connect::kept(V311, "c").bytes(), subscribe, publish, hex("c0 00")].concat()).await;
    client.expect(&hex("20 02 01 00")).await;
}

/// [MQTT-3.2.2-1]
#[tokio::test]
async fn mqtt_3_2_2_1_session_present_is_0_for_a_clean_session() {
    let bench = Bench::start().await;
    kept(&bench, "c", false).await.disconnect().await;
    for _ in 0..2 {
        let mut client = bench.open(V311).await;
        client.send(&Connect::new(V311, "c").bytes()).await;
        client.expect(&hex("20 02 00 00")).await;
    }
}

/// [MQTT-3.2.2-2]
#[tokio::test]
async fn mqtt_3_2_2_2_session_present_is_1_when_there_is_a_session() {
    let bench = Bench::start().await;
    kept(&bench, "c", false).await.disconnect().await;
    kept(&bench, "c", true).await.cut();
    let connected = kept(&bench, "c", true).await;
    let (_taken, present) = bench.connect(&Connect::kept(V311, "c")).await;
    assert!(present, "the session of a connected client counts");
    drop(connected);
}

/// [MQTT-3.2.2-3]
#[tokio::test]
async fn mqtt_3_2_2_3_session_present_is_0_when_there_is_none() {
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::kept(V311, "c").bytes()).await;
    client.expect(&hex("20 02 00 00")).await;
    // A clean session leaves nothing behind.
    bench.client(V311, "d").await.disconnect().await;
    kept(&bench, "d", false).await;
}

/// [MQTT-3.2.2-4]
/// [MQTT-3.2.2-5]
#[tokio::test]
async fn mqtt_3_2_2_4_a_refusal_has_no_session_and_closes() {
    let bench = Bench::with(Settings { allow_anonymous: Anonymous::Never, ..settings() }).await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::kept(V311, "c").bytes()).await;
    client.expect(&hex("20 02 00 05")).await;
    client.expect_closed().await;
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send(&Connect::kept(V311, "").bytes()).await;
    client.expect(&hex("20 02 00 02")).await;
    client.expect_closed().await;
}

/// [MQTT-3.2.2-6]
#[tokio::test]
async fn mqtt_3_2_2_6_what_no_return_code_says_closes_without_connack() {
    let bench = Bench::start().await;
    is_no_connect(&bench, &Connect::new(V311, "c").will("will/#", "x", 0, false).bytes()).await;
    is_no_connect(&bench, &Connect::new(V311, "c").will("", "x", 0, false).bytes()).await;
}
