//! MQTT over WebSocket (chapter 6).

use crate::packet::Version::V311;
use crate::ws;

/// [MQTT-6.0.0-1]
#[tokio::test]
async fn mqtt_6_0_0_1_other_frames_than_binary_ones_close() {
    ws::only_binary_frames(V311).await;
}

/// [MQTT-6.0.0-2]
#[tokio::test]
async fn mqtt_6_0_0_2_packets_and_frames_are_not_aligned() {
    ws::packets_across_frames(V311).await;
}

/// [MQTT-6.0.0-3]
#[tokio::test]
async fn mqtt_6_0_0_3_no_other_subprotocol_is_chosen() {
    ws::without_the_subprotocol().await;
}

/// [MQTT-6.0.0-4]
#[tokio::test]
async fn mqtt_6_0_0_4_the_subprotocol_is_mqtt() {
    ws::the_subprotocol_is_mqtt().await;
}
