//! CONNECT (section 3.1).

use crate::bench::Bench;
use crate::bytes::ack;
use crate::packet::Publish;
use crate::packet::Version::V311;

/// [MQTT-3.1.0-1]
#[tokio::test]
async fn mqtt_3_1_0_1_another_first_packet_than_connect_closes() {
    let bench = Bench::start().await;
    let firsts = [ack(0x40, 1), Publish::new("t", 0, 0, "x").bytes(V311), vec![0xc0, 0], vec![0xe0, 0]];
    for first in firsts {
        let mut client = bench.open(V311).await;
        client.send(&first).await;
        client.expect_closed().await;
    }
}
