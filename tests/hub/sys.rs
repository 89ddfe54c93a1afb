//! `$SYS`, as its readers find it.

use std::collections::BTreeMap;
use std::time::Duration;

use weir::hub::codec::{Ack, Packet, Publish, Reason, Version};
use weir::hub::sys_topics;

use crate::bench::{self, Bench, filters, soon};
use crate::mosquitto_broker::Mosquitto;
use crate::program::Program;
use crate::raw::{QOS0, QOS1, Raw, ack, publish};

fn quick() -> weir::hub::Settings {
    weir::hub::Settings { sys_interval: Duration::from_secs(1), ..bench::settings() }
}

/// What mosquitto_sub shows of `$SYS/broker` at `address`: all retained values.
async fn broker_topics(address: std::net::SocketAddr) -> BTreeMap<String, String> {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let arguments = ["-h", &host, "-p", &port, "-t", "$SYS/broker/#", "-v", "--retained-only", "-W", "2"];
    let text = Program::start("mosquitto_sub", &arguments, "install mosquitto-clients").try_output().await;
    let values = BTreeMap::from_iter(text.lines().map(|line| {
        // Topics may contain blanks; values are numbers or begin with the name of the broker.
        let at = line.find(" mosquitto ").or_else(|| line.find(" weir "));
        let at = at.unwrap_or_else(|| line.strip_suffix(" seconds").unwrap_or(line).rfind(' ').unwrap());
        (line[..at].to_owned(), line[at + 1..].to_owned())
    }));
    assert!(values.len() > 20, "{text}");
    values
}

/// A value with its digits taken out: `0.00` and `12.34` look the same, `0` does not.
fn shape(value: &str) -> String {
    let mut shape = String::new();
    for part in value.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        shape.push_str(if rest.len() < part.len() { "9" } else { "" });
        shape.push_str(rest);
    }
    let decimals = value.rsplit_once('.').map(|(_, decimals)| decimals.len());
    format!("{shape} {decimals:?}")
}

/// Whoever reads mosquitto's figures finds the same topics with values of the same form here.
#[tokio::test]
async fn every_topic_of_mosquitto_is_there_in_its_format() {
    let peer = Mosquitto::start_with("sys_interval 1\n").await;
    let bench = bench::start(quick()).await;
    let (theirs, ours) = (broker_topics(peer.address()).await, broker_topics(bench.address).await);
    for (topic, value) in &theirs {
        let our = ours.get(topic).unwrap_or_else(|| panic!("{topic} is missing, {value:?} there"));
        if topic == "$SYS/broker/version" {
            assert!(our.starts_with("weir version "), "{our}");
        } else {
            assert_eq!(shape(our), shape(value), "{topic}: {our}, {value} there");
        }
    }
    let listed: Vec<_> = sys_topics().into_iter().map(|(topic, _)| topic).collect();
    assert!(ours.keys().all(|topic| listed.contains(topic)));
}

/// Waits for this value on this topic.
async fn told(client: &mut Raw, topic: &str, wanted: &str) {
    loop {
        let bytes = client.next().await.expect("the figure");
        if let Packet::Publish(Publish { topic: name, payload, .. }) = client.parse(&bytes)
            && name == topic
            && payload == wanted.as_bytes()
        {
            return;
        }
    }
}

#[tokio::test]
async fn figures_count_what_clients_do() {
    let bench = bench::start(quick()).await;
    let mut reader = Raw::client(&bench, Version::V5, "reader").await;
    let mut worker = Raw::client(&bench, Version::V5, "worker").await;
    worker.subscribe("$share/group/t", QOS1).await;
    worker.subscribe("u", QOS1).await;
    let mut kept = publish("kept", QOS1, 1, "12345");
    kept.retain = true;
    worker.publish(kept).await;
    worker.next().await.expect("a PUBACK");
    // One after the other: a figure that does not change is not told again.
    for (topic, wanted) in [
        ("clients/connected", "2"),
        ("clients/maximum", "2"),
        ("shared_subscriptions/count", "1"),
        ("retained messages/count", "1"),
        ("publish/messages/received", "1"),
        ("publish/bytes/received", "5"),
        ("store/messages/bytes", "9"),
    ] {
        let topic = format!("$SYS/broker/{topic}");
        reader.send_subscribe(&topic, QOS0).await;
        told(&mut reader, &topic, wanted).await;
    }
    assert_eq!(bench.hub.counters().retained, 1, "figures are not retained messages of the users");
}

#[tokio::test]
async fn wildcards_find_no_figures_and_nobody_else_publishes_them() {
    let bench = bench::start(quick()).await;
    let mut nosy = Raw::client(&bench, Version::V5, "nosy").await;
    for filter in ["#", "+/broker/uptime", "+/#", "$share/group/#"] {
        nosy.subscribe(filter, QOS0).await;
    }
    let mut inside = bench.hub.subscribe(filters(&["$SYS/broker/uptime"]), 10);
    // The retained value, and one that is told while `nosy` is subscribed.
    for _ in 0..2 {
        assert!(soon(inside.recv()).await.unwrap().message.retain);
    }
    nosy.expect_nothing().await;
    for topic in ["$SYS", "$SYS/broker/uptime", "$SYS/mine"] {
        nosy.publish(publish(topic, QOS1, 1, "x")).await;
        nosy.expect(Packet::Puback(Ack::new(1, Reason::NOT_AUTHORIZED))).await;
    }
    let mut old = Raw::client(&bench, Version::V4, "old").await;
    old.publish(publish("$SYS/broker/uptime", QOS1, 1, "")).await;
    old.expect(Packet::Puback(ack(1))).await;
    assert_eq!(old.subscribe("$SYS/broker/uptime", QOS0).await, Reason::SUCCESS);
    let bytes = old.next().await.expect("the retained value, which the empty message did not delete");
    assert!(matches!(old.parse(&bytes), Packet::Publish(it) if it.retain && it.payload.ends_with(b" seconds")));
}

#[tokio::test]
async fn a_hub_that_is_told_to_be_silent_takes_its_figures_back() {
    let bench: Bench = bench::start(quick()).await;
    let mut witness = bench.hub.subscribe(filters(&["$SYS/broker/version"]), 10);
    assert!(!soon(witness.recv()).await.unwrap().message.payload.is_empty());
    bench.hub.reload(weir::hub::Settings { sys_interval: Duration::ZERO, ..bench::settings() }).await.unwrap();
    // The value may have come twice: live, and as the retained one.
    while !soon(witness.recv()).await.unwrap().message.payload.is_empty() {}
    bench.hub.reload(quick()).await.unwrap();
    assert!(!soon(witness.recv()).await.unwrap().message.payload.is_empty());
}
