//! Transports and conformance (chapters 6 and 7).

use crate::bench::Bench;
use crate::bytes::{hex, packet, text};
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V311;

/// [MQTT-7.0.0-2]
#[tokio::test]
async fn mqtt_7_0_0_2_a_client_needs_no_extension() {
    let bench = Bench::start().await;
    let mut client = bench.open(V311).await;
    client.send_hex("10 0d 0004 4d515454 04 02 0000 0001 63").await;
    client.expect(&hex("20 02 00 00")).await;
    client.send_hex("82 06 0001 0001 74 00 30 04 0001 74 78").await;
    client.expect(&hex("90 03 0001 00")).await;
    client.expect(&hex("30 04 0001 74 78")).await;
    client.send_hex("a2 05 0002 0001 74 c0 00").await;
    client.expect(&hex("b0 02 0002")).await;
    client.expect(&hex("d0 00")).await;
    client.disconnect().await;
}

/// [MQTT-7.1.1-1]
#[tokio::test]
async fn mqtt_7_1_1_1_tcp_carries_bytes_however_they_are_cut() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("t", 1).await;
    let payload: Vec<u8> = (0..1_000_000_u32).map(|at| (at * 7 + at / 256) as u8).collect();
    let stream = [Connect::new(V311, "c").bytes(), Publish::new("t", 1, 1, "small").bytes(V311)].concat();
    let mut client = bench.open(V311).await;
    for byte in &stream {
        client.send(std::slice::from_ref(byte)).await;
        tokio::task::yield_now().await;
    }
    client.expect(&hex("20 02 00 00")).await;
    client.expect(&hex("40 02 00 01")).await;
    assert_eq!(watcher.receive().await.text(), "small");
    let large = packet(0x32, [text("t"), vec![0, 2], payload.clone()].concat());
    for part in large.chunks(7919) {
        client.send(part).await;
    }
    client.expect(&hex("40 02 00 02")).await;
    assert!(watcher.receive().await.payload == payload, "a million bytes arrive as they were sent");
}
