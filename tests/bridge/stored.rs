//! What the store has to do with it: elision, a full store, a bridge that dies, two bridges.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use weir::bridge::Bridge;
use weir::model::{Refusal, Verdict};
use weir::store::WhenFull;

use crate::common::collector::Collector;
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::common::proxy::Proxy;
use crate::harness::{Gateway, PATIENCE, name, open_store_as, quick, run, safe, settings, store_settings};

#[tokio::test]
async fn while_the_link_is_good_hardly_anything_is_written() {
    let cloud = Mosquitto::start().await;
    let dir = tempfile::tempdir().unwrap();
    let store = open_store_as(weir::store::Settings {
        // Nothing is committed for its age in this test.
        max_loss: Duration::from_secs(3600),
        ..store_settings(dir.path().to_owned())
    });
    let gateway = Gateway::start_on(store, settings(cloud.address()), quick()).await;
    gateway.until_up().await;
    let mut receipts = Vec::new();
    for number in 0..200 {
        receipts.push(gateway.publish("shed/dev/a", &number.to_string()).await);
    }
    for receipt in receipts {
        safe(receipt).await;
    }
    let status = gateway.store.status();
    let chain = status.chains.iter().find(|chain| chain.key.class == 2).unwrap();
    // On a busy machine a few may wait longer than two round trips, and are then written.
    assert!(chain.elided >= 150 && status.totals.records <= 50, "{chain:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_full_store_refuses_the_publisher_and_takes_again_when_the_cloud_is_back() {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    proxy.refuse(true);
    let dir = tempfile::tempdir().unwrap();
    let store = open_store_as(weir::store::Settings {
        max_size: 512 << 10,
        segment_size: 64 << 10,
        when_full: WhenFull::Reject,
        ..store_settings(dir.path().to_owned())
    });
    let gateway = Gateway::start_on(store, settings(proxy.address()), quick()).await;
    let payload = "x".repeat(8 << 10);
    let mut kept = 0;
    let refused = loop {
        let receipt = timeout(PATIENCE, gateway.publish("shed/dev/a", &payload)).await.unwrap();
        match timeout(PATIENCE, receipt).await.unwrap() {
            Verdict::Safe => kept += 1,
            refused => break refused,
        }
    };
    assert_eq!(refused, Verdict::Refused(Refusal::QuotaExceeded));
    assert!(kept > 10, "{kept}");
    proxy.refuse(false);
    // It takes records again as soon as the cloud has some.
    loop {
        let receipt = timeout(PATIENCE, gateway.publish("shed/dev/a", "again")).await.unwrap();
        if timeout(PATIENCE, receipt).await.unwrap() == Verdict::Safe {
            break;
        }
    }
    // Until all is there, another commit may find it full once more.
    gateway.until_drained().await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    gateway.until_drained().await;
    assert!(gateway.bridge.status().counters.delivered >= kept + 3);
}

#[tokio::test]
async fn a_bridge_that_is_torn_down_goes_on_where_it_was() {
    let cloud = Mosquitto::start().await;
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let mut gateway = Gateway::start(settings(cloud.address()), quick()).await;
    for life in 0..3 {
        gateway.acknowledged("shed/dev/a", life * 10 + 1..=life * 10 + 5).await;
        // As after a panic: the task is gone, wherever it was; the bridge stays attached.
        gateway.task.abort();
        gateway.acknowledged("shed/dev/a", life * 10 + 6..=life * 10 + 10).await;
        gateway.task = run(&gateway.bridge, &gateway.stop);
    }
    collector.one("up/shed/dev/a", "30").await;
    let wanted: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    assert_eq!(collector.firsts()["up/shed/dev/a"], wanted);
    gateway.until_drained().await;
    gateway.stop().await;
}

#[tokio::test]
async fn two_bridges_have_their_own_queues_and_both_must_have_a_message() {
    let cloud = Mosquitto::start().await;
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let gateway = Gateway::start(settings(cloud.address()), quick()).await;
    let nowhere = weir::bridge::Settings { name: name("other"), ..settings(free_address()) };
    let other = Arc::new(Bridge::attach(nowhere, &name("shed"), &gateway.hub, &gateway.store, quick()));
    let other_task = run(&other, &gateway.stop);
    gateway.acknowledged("shed/dev/a", 1..=50).await;
    collector.one("up/shed/dev/a", "50").await;
    gateway.until_drained().await;
    assert_eq!(other.status().backlog, 50);
    gateway.stop.cancel();
    other_task.await.unwrap().unwrap();
    drop(other);
    gateway.stop().await;
}
