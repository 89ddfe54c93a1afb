//! Local to cloud, through everything that can happen to a link.

use std::time::Duration;

use weir::model::{Format, Measure, Message, Properties, Qos, Quality, Sample, Source, Stamp, TimeQuality, Topic};

use crate::common::collector::Collector;
use crate::common::mosquitto::Mosquitto;
use crate::common::proxy::Proxy;
use crate::harness::{Gateway, forward, message, name, quick, safe, settings};

/// Everything below the bridge's prefix, from a cloud behind a proxy.
async fn cloud() -> (Mosquitto, Proxy, Collector) {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    let collector = Collector::start(cloud.address(), "up/shed/dev/#");
    (cloud, proxy, collector)
}

/// All numbers up to `last` arrived on three topics, each in order, nothing missing.
async fn all_in_order(collector: &mut Collector, last: u32) {
    for device in ["a", "b", "c"] {
        collector.one(&format!("up/shed/dev/{device}"), &last.to_string()).await;
    }
    let wanted: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
    for (topic, payloads) in collector.firsts() {
        assert_eq!(payloads, wanted, "{topic}");
    }
}

/// The numbers `from..=to` on three topics, in turn, acknowledged.
async fn publish_on_three(gateway: &Gateway, from: u32, to: u32) {
    let mut receipts = Vec::new();
    for number in from..=to {
        for device in ["a", "b", "c"] {
            receipts.push(gateway.publish(&format!("shed/dev/{device}"), &number.to_string()).await);
        }
    }
    for receipt in receipts {
        safe(receipt).await;
    }
}

#[tokio::test]
async fn messages_reach_the_cloud_with_prefix_properties_and_dedupe_key() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let gateway = Gateway::start(settings(proxy.address()), quick()).await;
    let properties = Properties { user: vec![("colour".into(), "blue".into())], ..Properties::default() };
    let message = Message { properties: Some(Box::new(properties)), ..message("shed/dev/a", "1") };
    safe(gateway.hub.publish(message).await).await;
    collector.one("up/shed/dev/a", "1").await;
    let key = format!("weir-id:{}/{}/cloud.2/1", gateway.store.id(), gateway.store.start_number());
    let way = format!("weir-hop:shed~{}", &gateway.store.id().to_string()[..8]);
    assert_eq!(collector.all[0].properties, format!("colour:blue {key} {way}"));
    gateway.until_drained().await;
    gateway.stop().await;
}

#[tokio::test]
async fn readings_are_formatted_when_they_leave() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let gateway = Gateway::start(settings(proxy.address()), quick()).await;
    let stamp = Stamp {
        wall_ms: 1_795_342_500_123,
        mono_ms: 1,
        boot: weir::model::BootId::default(),
        quality: TimeQuality::Synced,
    };
    let reading = Measure::fixed("temperature", "°C", -40.0, 85.0, 2).is(21.4);
    let sample = Sample { sensor: name("greenhouse"), reading, stamp, quality: Quality::Ok, sequence: 7 };
    // The collector reads text.
    for (name, format) in Format::ALL.into_iter().filter(|(_, format)| format.is_text()) {
        let source = Some(Source { sample: sample.clone(), format }.into());
        let message = Message { source, ..message(&format!("shed/dev/{name}"), "made when it leaves") };
        safe(gateway.hub.publish(message).await).await;
    }
    let json = r#"{"value":21.4,"unit":"°C","time":"2026-11-22T10:15:00.123Z","quality":"ok","seq":7}"#;
    collector.one("up/shed/dev/json", json).await;
    collector.one("up/shed/dev/value", "21.4").await;
    let senml = r#"[{"n":"shed/dev/senml","u":"Cel","t":1795342500.123,"v":21.4,"quality":"ok","seq":7}]"#;
    collector.one("up/shed/dev/senml", senml).await;
    let influx = "temperature,gateway=shed,sensor=greenhouse,unit=°C value=21.4,quality=\"ok\",seq=7i";
    collector.one("up/shed/dev/influx", &format!("{influx} 1795342500123000000")).await;
}

#[tokio::test]
async fn a_cut_link_loses_nothing_and_keeps_the_order() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let gateway = Gateway::start(settings(proxy.address()), quick()).await;
    gateway.until_up().await;
    for round in 0..5 {
        publish_on_three(&gateway, round * 50 + 1, round * 50 + 25).await;
        proxy.cut();
        publish_on_three(&gateway, round * 50 + 26, round * 50 + 50).await;
    }
    all_in_order(&mut collector, 250).await;
    gateway.until_drained().await;
    assert!(gateway.bridge.status().counters.connects >= 2);
    gateway.stop().await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_packet_loses_nothing() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let gateway = Gateway::start(settings(proxy.address()), quick()).await;
    gateway.until_up().await;
    for (round, bytes) in [701, 1003, 37, 150].into_iter().enumerate() {
        proxy.cut_after(bytes);
        let first = round as u32 * 20 + 1;
        publish_on_three(&gateway, first, first + 19).await;
        gateway.until_condition("cut", |condition| !condition.is_up()).await;
        gateway.until_up().await;
    }
    all_in_order(&mut collector, 80).await;
}

#[tokio::test]
async fn a_link_that_stalls_either_way_is_noticed_by_what_is_not_acknowledged() {
    for (up, down) in [(true, false), (false, true), (true, true)] {
        let (_cloud, proxy, mut collector) = cloud().await;
        let gateway = Gateway::start(settings(proxy.address()), quick()).await;
        gateway.until_up().await;
        publish_on_three(&gateway, 1, 10).await;
        proxy.stall(up, down);
        publish_on_three(&gateway, 11, 20).await;
        gateway.until_condition("noticed", |condition| !condition.is_up()).await;
        proxy.stall(false, false);
        all_in_order(&mut collector, 20).await;
    }
}

#[tokio::test]
async fn a_cloud_that_restarts_gets_everything_once_it_is_back() {
    let (mut cloud, proxy, mut collector) = cloud().await;
    let gateway = Gateway::start(settings(proxy.address()), quick()).await;
    gateway.until_up().await;
    publish_on_three(&gateway, 1, 50).await;
    cloud.stop();
    publish_on_three(&gateway, 51, 300).await;
    gateway.until_condition("noticed", |condition| !condition.is_up()).await;
    assert!(gateway.bridge.status().backlog >= 750);
    cloud.start_again().await;
    all_in_order(&mut collector, 300).await;
    gateway.until_drained().await;
}

#[tokio::test]
async fn nothing_leaves_the_store_before_its_puback_and_a_new_process_sends_it() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_in(dir.path(), settings(proxy.address()), quick()).await;
    gateway.until_up().await;
    // The cloud gets everything, but its acknowledgements do not come through.
    proxy.stall(false, true);
    gateway.acknowledged("shed/dev/a", 1..=30).await;
    collector.one("up/shed/dev/a", "30").await;
    assert_eq!(gateway.bridge.status().backlog, 30);
    gateway.stop().await;
    proxy.stall(false, false);
    let gateway = Gateway::start_in(dir.path(), settings(proxy.address()), quick()).await;
    assert_eq!(gateway.bridge.status().backlog, 30);
    gateway.until_drained().await;
    let wanted: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    assert_eq!(collector.firsts()["up/shed/dev/a"], wanted);
    gateway.stop().await;
}

#[tokio::test]
async fn a_backlog_is_sent_at_its_rate_and_alarms_pass_it() {
    let (_cloud, proxy, mut collector) = cloud().await;
    proxy.refuse(true);
    let mut settings = settings(proxy.address());
    settings.replay.rate_per_s = 200;
    let alarms = weir::bridge::Forward { class: weir::bridge::Class::Alarm, ..forward("shed/dev/alarm") };
    settings.forward.insert(0, alarms);
    let gateway = Gateway::start(settings, quick()).await;
    gateway.acknowledged("shed/dev/a", 1..=200).await;
    gateway.acknowledged("shed/dev/alarm", 1..=5).await;
    proxy.refuse(false);
    gateway.until_up().await;
    let began = tokio::time::Instant::now();
    gateway.until_drained().await;
    // 205 records less a burst of 20, at 200 per second.
    assert!(began.elapsed() >= Duration::from_millis(850), "{:?}", began.elapsed());
    collector.one("up/shed/dev/a", "200").await;
    let position = |payload: &str, topic: &str| {
        collector.all.iter().position(|arrived| arrived.topic == topic && arrived.payload == payload).unwrap()
    };
    assert!(position("5", "up/shed/dev/alarm") < position("1", "up/shed/dev/a"));
}

#[tokio::test]
async fn a_message_larger_than_the_cloud_takes_is_given_up_and_holds_nothing_up() {
    let cloud = Mosquitto::start_with("max_packet_size 2000").await;
    let mut collector = Collector::start(cloud.address(), "up/#");
    let gateway = Gateway::start(settings(cloud.address()), quick()).await;
    let huge = "x".repeat(3000);
    for payload in ["1", &huge, "2"] {
        gateway.publish("shed/dev/a", payload).await;
    }
    collector.one("up/shed/dev/a", "2").await;
    gateway.until_drained().await;
    let status = gateway.bridge.status();
    assert_eq!((status.counters.set_aside, status.dropped), (1, 1));
}

#[tokio::test]
async fn qos_0_rules_and_memory_acknowledgements() {
    let (_cloud, proxy, mut collector) = cloud().await;
    let mut settings = settings(proxy.address());
    let rule = weir::bridge::Forward { qos: Qos::AtMostOnce, ..forward("shed/dev/a") };
    let memory = weir::bridge::Forward { ack_from_memory: true, ..forward("shed/dev/b") };
    settings.forward = vec![rule, memory];
    let gateway = Gateway::start(settings, quick()).await;
    let receipt = gateway.publish("shed/dev/b", "1").await;
    assert!(receipt.verdict().is_some(), "acknowledged at once");
    gateway.acknowledged("shed/dev/a", 1..=100).await;
    collector.one("up/shed/dev/a", "100").await;
    gateway.until_drained().await;
}

#[tokio::test]
async fn the_state_is_told_here_and_at_the_cloud() {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    let mut collector = Collector::start(cloud.address(), "up/shed/bridge/#");
    let mut options = quick();
    options.timing.status = Duration::from_millis(50);
    let gateway = Gateway::start(settings(proxy.address()), options).await;
    let filter = (&Topic::new("shed/bridge/cloud/status").unwrap()).into();
    let mut here = gateway.hub.subscribe(vec![filter], 100);
    let told = async |here: &mut weir::hub::Subscription, what: &[&str]| loop {
        let delivery = tokio::time::timeout(crate::harness::PATIENCE, here.recv()).await.unwrap().unwrap();
        let document = String::from_utf8_lossy(&delivery.message.payload).into_owned();
        if what.iter().all(|part| document.contains(part)) {
            assert!(delivery.message.retain);
            return;
        }
    };
    told(&mut here, &[r#"{"state":"up""#]).await;
    let says = |what: &'static str| {
        move |all: &[crate::common::collector::Arrived]| {
            all.last().is_some_and(|last| last.topic == "up/shed/bridge/cloud/status" && last.payload.contains(what))
        }
    };
    collector.until("up", says(r#""state":"up""#)).await;
    proxy.refuse(true);
    proxy.cut();
    told(&mut here, &[r#"{"state":"down""#]).await;
    collector.until("the will", says(r#""reason":"connection lost""#)).await;
    gateway.publish("shed/dev/a", "1").await;
    told(&mut here, &[r#""backlog":1,"oldest":"20"#]).await;
    proxy.refuse(false);
    told(&mut here, &[r#"{"state":"up""#, r#""backlog":0"#]).await;
    gateway.until_drained().await;
    collector.until("up again", says(r#""state":"up""#)).await;
    gateway.stop().await;
    collector.until("good-bye", says(r#""state":"down""#)).await;
    // It said so itself: the will is not published when a bridge says good-bye.
    let last = collector.all.last().unwrap();
    assert!(!last.payload.contains("connection lost"), "{last:?}");
}
