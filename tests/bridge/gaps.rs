//! What will never arrive is told, here and at the cloud; what the cloud refuses for good is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::timeout;
use weir::model::Topic;
use weir::store::{ChainKey, WhenFull};

use crate::common::collector::Collector;
use crate::common::mosquitto::Mosquitto;
use crate::common::proxy::Proxy;
use crate::fake::{Fake, Got, connack, nothing, puback};
use crate::harness::{Gateway, PATIENCE, name, open_store_as, quick, settings, store_settings};

/// Waits until the store knows that the cloud knows all gaps of a chain, and that there is one.
async fn until_told(gateway: &Gateway, class: u8) {
    let chain = gateway.store.chain(ChainKey { queue: name("cloud"), class });
    let told = async {
        while chain.gaps().is_empty() || !chain.untold().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{:?}", chain.gaps()));
}

#[tokio::test]
async fn what_the_quota_takes_is_told_here_at_once_and_at_the_cloud_when_it_is_back() {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    proxy.refuse(true);
    let mut collector = Collector::start(cloud.address(), "up/shed/#");
    let dir = tempfile::tempdir().unwrap();
    let store = open_store_as(weir::store::Settings {
        max_size: 512 << 10,
        segment_size: 64 << 10,
        when_full: WhenFull::DropOldest,
        ..store_settings(dir.path().to_owned())
    });
    let gateway = Gateway::start_on(store, settings(proxy.address()), quick()).await;
    let filter = (&Topic::new("shed/bridge/cloud/gap").unwrap()).into();
    let mut here = gateway.hub.subscribe(vec![filter], 100);
    let payload = "x".repeat(8 << 10);
    for number in 1..=150 {
        gateway.acknowledged(&format!("shed/dev/{number}"), [number]).await;
        gateway.publish("shed/dev/large", &payload).await;
    }
    let delivery = timeout(PATIENCE, here.recv()).await.unwrap().unwrap();
    let document = String::from_utf8_lossy(&delivery.message.payload).into_owned();
    assert!(document.contains(r#""class":"telemetry""#) && document.contains(r#""cause":"quota""#), "{document}");
    proxy.refuse(false);
    let is_first = |arrived: &crate::common::collector::Arrived| {
        arrived.topic == "up/shed/bridge/cloud/gap" && arrived.payload == document
    };
    collector.until("the gap", |all| all.iter().any(is_first)).await;
    let gap = collector.all.iter().find(|arrived| is_first(arrived)).unwrap();
    assert!(gap.properties.contains("/cloud.2/gap/"), "{gap:?}");
    until_told(&gateway, 2).await;
    gateway.until_drained().await;
    gateway.acknowledged("shed/dev/end", [1]).await;
    collector.one("up/shed/dev/end", "1").await;
    // Nothing is missing but what was told: every number arrived, or lies in a gap.
    let arrived = collector.firsts().keys().filter(|topic| topic.starts_with("up/shed/dev/")).count() as u64;
    let chain = gateway.store.chain(ChainKey { queue: name("cloud"), class: 2 });
    let missing: u64 = chain.gaps().iter().map(|gap| gap.records).sum();
    let large = collector.all.iter().filter(|arrived| arrived.topic.ends_with("/large")).count() as u64;
    // Neither the end nor the large ones, which share a topic, are among the numbers.
    assert_eq!(arrived - 2 + large + missing, 300, "{:?}", chain.gaps());
}

#[tokio::test]
async fn dead_letters_are_kept_over_a_restart_told_and_sent_again_when_somebody_says_so() {
    let forgiving = Arc::new(AtomicBool::new(false));
    let forgives = Arc::clone(&forgiving);
    let fake = Fake::start(move |got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic.ends_with("/bad") && !forgives.load(Ordering::Relaxed) => {
            puback(*id, 0x87)
        }
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_in(dir.path(), settings(fake.address), quick()).await;
    gateway.acknowledged("shed/dev/bad", 1..=3).await;
    gateway.acknowledged("shed/dev/good", 1..=3).await;
    gateway.until_drained().await;
    until_told(&gateway, 2).await;
    let told = fake.payloads("up/shed/bridge/cloud/gap");
    assert!(told[0].contains(r#""first":1,"#) && told[0].contains(r#""cause":"refused""#), "{told:?}");
    let chain = gateway.store.chain(ChainKey { queue: name("cloud"), class: 2 });
    assert_eq!(chain.gaps().iter().map(|gap| gap.records).sum::<u64>(), 3, "{told:?}");
    gateway.stop().await;

    let gateway = Gateway::start_in(dir.path(), settings(fake.address), quick()).await;
    assert_eq!(gateway.bridge.status().dead_letters, 3);
    let letters = gateway.bridge.dead_letters().await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.number).collect::<Vec<_>>(), [1, 2, 3]);
    for letter in &letters {
        assert_eq!(letter.topic.as_deref(), Some("up/shed/dev/bad"));
        assert!(letter.why.contains("0x87") && letter.key.contains("/cloud.2/"), "{letter:?}");
    }
    forgiving.store(true, Ordering::Relaxed);
    let before = fake.payloads("up/shed/dev/bad").len();
    assert_eq!(gateway.bridge.empty_dead_letters(false).await, Ok(3));
    gateway.until_drained().await;
    assert_eq!(fake.payloads("up/shed/dev/bad")[before..], ["1", "2", "3"]);
    assert_eq!(gateway.bridge.status().dead_letters, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn dead_letters_can_be_forgotten() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, _, topic, _) if topic.ends_with("/bad") => puback(*id, 0x90),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.acknowledged("shed/dev/bad", 1..=2).await;
    gateway.until_drained().await;
    let before = fake.payloads("up/shed/dev/bad").len();
    assert_eq!(gateway.bridge.empty_dead_letters(true).await, Ok(2));
    assert_eq!(gateway.bridge.dead_letters().await, Ok(vec![]));
    // They are gone, and that is a gap of the dead letters.
    until_told(&gateway, 4).await;
    assert_eq!(fake.payloads("up/shed/dev/bad").len(), before);
}
