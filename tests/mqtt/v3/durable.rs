//! State that outlives the process: the disk of a hub that was killed, and a new hub on it.

use super::{kept, message, tell};
use crate::bench::Bench;
use crate::bytes::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack};
use crate::packet::Version::V311;
use weir::store::disk::sim::SimDisk;

/// The hub is killed; what its disk had flushed is there again.
async fn killed(bench: Bench, disk: &mut SimDisk) -> Bench {
    *disk = disk.crash(7);
    let next = Bench::on(disk).await;
    drop(bench);
    next
}

/// [MQTT-4.1.0-1]
#[tokio::test]
async fn mqtt_4_1_0_1_a_session_does_not_end_with_the_process() {
    let mut disk = SimDisk::new(1);
    let mut bench = Bench::on(&disk).await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    let mut watcher = kept(&bench, "w", false).await;
    watcher.subscribe("other", 2).await;
    // Half of an exchange each way, and a message on its way.
    client.publish(&message("other", 2, "x")).await;
    client.expect(&ack(PUBREC, 7)).await;
    assert_eq!(watcher.receive().await.text(), "x");
    watcher.expect_silence().await;
    tell(&bench, &message("t", 2, "half")).await;
    tell(&bench, &message("t", 1, "sent")).await;
    let (half, sent) = (client.delivery().await, client.delivery().await);
    client.send(&ack(PUBREC, half.id)).await;
    client.expect(&ack(PUBREL, half.id)).await;
    for round in 0..2 {
        bench = killed(bench, &mut disk).await;
        client = kept(&bench, "c", true).await;
        client.wait_for(&ack(PUBREL, half.id)).await;
        assert_eq!(client.delivery().await, sent.clone().again(), "round {round}");
        client.publish(&message("other", 2, "x").again()).await;
        client.expect(&ack(PUBREC, 7)).await;
    }
    client.send(&[ack(PUBREL, 7), ack(PUBCOMP, half.id), ack(PUBACK, sent.id)].concat()).await;
    client.expect(&ack(PUBCOMP, 7)).await;
    client.expect_silence().await;
    kept(&bench, "w", true).await.expect_silence().await;
    tell(&bench, &message("t", 1, "new")).await;
    assert_eq!(client.receive().await.text(), "new", "the subscription is there");
}

/// [MQTT-3.1.2-5]
/// [MQTT-3.3.1-5]
#[tokio::test]
async fn mqtt_3_1_2_5_what_was_acknowledged_waits_on_disk() {
    let mut disk = SimDisk::new(2);
    let mut bench = Bench::on(&disk).await;
    let mut client = kept(&bench, "c", false).await;
    client.subscribe("t", 2).await;
    client.disconnect().await;
    for (qos, text) in [(1, "one"), (2, "two")] {
        tell(&bench, &message("t", qos, text)).await;
        tell(&bench, &message("kept", qos, text).retained()).await;
    }
    bench = killed(bench, &mut disk).await;
    let mut client = kept(&bench, "c", true).await;
    for (qos, text) in [(1, "one"), (2, "two")] {
        let publish = client.receive().await;
        assert_eq!((publish.qos, publish.text(), publish.retain), (qos, text, false));
    }
    let mut late = bench.client(V311, "late").await;
    late.subscribe("kept", 2).await;
    let retained = late.receive().await;
    assert_eq!((retained.qos, retained.text(), retained.retain), (2, "two", true));
}
