//! Two devices with one client id.

use std::time::Duration;

use tokio::time::Instant;
use weir::hub::Settings;
use weir::hub::codec::{Packet, Publish, Reason, Version};

use crate::bench::{self, until};
use crate::raw::{QOS0, Raw, connect};

/// A client id that cannot stand in a topic as it is.
const ID: &str = "pump/1+#";
const TOPIC: &str = "$SYS/weir/duplicate/pump%2F1%2B%23";

#[tokio::test]
async fn devices_that_throw_each_other_out_are_named_and_slowed_down() {
    let settings = Settings { sys_interval: Duration::from_secs(1), ..bench::settings() };
    let bench = bench::start(settings).await;
    let mut reader = Raw::client(&bench, Version::V5, "reader").await;
    assert_eq!(reader.subscribe(TOPIC, QOS0).await, Reason::SUCCESS);
    let homes = ["127.0.0.11", "127.0.0.12"].map(|ip| ip.parse().unwrap());
    let mut present = Raw::from(&bench, homes[0], connect(Version::V5, ID)).await;
    // Three take-overs are let through at once: they may have their reasons.
    for round in 1..=3 {
        let next = Raw::from(&bench, homes[round % 2], connect(Version::V5, ID)).await;
        present.expect_end(Reason::SESSION_TAKEN_OVER).await;
        present = next;
    }
    let quarrel = bench.hub.counters().duplicates;
    assert_eq!((quarrel.len(), &*quarrel[0].client_id, quarrel[0].takeovers), (1, ID, 3));
    assert_eq!(quarrel[0].addresses.map(|address| address.ip()), homes);
    assert_eq!(quarrel[0].delay_ms, 1000);
    let bytes = reader.next().await.expect("the quarrel is told");
    let Packet::Publish(Publish { topic: TOPIC, payload, .. }) = reader.parse(&bytes) else { panic!("{bytes:?}") };
    let text = std::str::from_utf8(payload).unwrap();
    assert!(text.contains("127.0.0.11:") && text.contains("127.0.0.12:") && text.contains(ID), "{text}");

    // The next one waits, and the present one goes on meanwhile.
    let began = Instant::now();
    let (next, ()) = tokio::join!(Raw::from(&bench, homes[0], connect(Version::V5, ID)), async {
        until(|| bench.hub.counters().connects == 6).await;
        present.tell("still", "here").await;
    });
    assert!(began.elapsed() >= Duration::from_secs(1));
    present.expect_end(Reason::SESSION_TAKEN_OVER).await;
    next.disconnect().await;
    // One that comes back after it left has nobody to throw out, so that it does not wait.
    until(|| bench.hub.counters().clients == 1).await;
    let began = Instant::now();
    Raw::from(&bench, homes[0], connect(Version::V5, ID)).await.disconnect().await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_device_that_gives_up_while_it_waits_leaves_nothing_behind() {
    let bench = bench::hub().await;
    let homes = ["127.0.0.21", "127.0.0.22"].map(|ip| ip.parse().unwrap());
    let mut all = Vec::new();
    for round in 0..=3 {
        all.push(Raw::from(&bench, homes[round % 2], connect(Version::V4, ID)).await);
    }
    let mut hasty = Raw::open(&bench, Version::V4).await;
    hasty.send(&Packet::Connect(Box::new(connect(Version::V4, ID)))).await;
    until(|| bench.hub.counters().connects == 5).await;
    hasty.cut();
    until(|| bench.hub.counters().closed.contains_key("left_before_connack")).await;
    let owner = all.last_mut().expect("there are four");
    owner.expect_nothing().await;
    assert_eq!(bench.hub.counters().duplicates[0].takeovers, 3);
}
