//! Many hostile clients, and heavy ones: the others notice nothing, and memory stays within its bound.

use std::time::Duration;

use tokio::time::Instant;
use weir::hub::codec::{Options, Packet, Publish, Reason, Subscribe, Verdicts, Version};

use crate::bench::{self, Bench, until};
use crate::raw::{QOS0, QOS1, QOS2, Raw, ack, connect, publish, will};

/// However busy the hub is, a round trip takes no longer; the machine that tests may be busy itself.
const PROMPT: Duration = Duration::from_secs(10);

/// An honest client, there from the beginning.
struct Probe(Raw);

impl Probe {
    async fn new(bench: &Bench) -> Self {
        let mut raw = Raw::client(bench, Version::V5, "probe").await;
        raw.subscribe("probe", QOS1).await;
        Self(raw)
    }

    /// A message to itself and back.
    async fn round_trip(&mut self) {
        let began = Instant::now();
        self.0.publish(publish("probe", QOS0, 0, "x")).await;
        self.0.expect(Packet::Publish(publish("probe", QOS0, 0, "x"))).await;
        assert!(began.elapsed() < PROMPT, "a round trip took {:?}", began.elapsed());
    }
}

fn check_memory(bench: &Bench) {
    let counters = bench.hub.counters();
    // However little is left, every client gets one step of 4 KiB.
    let least = 4096 * (counters.clients_most + 1);
    assert!(counters.memory_most <= counters.memory_bound + least, "{counters:?}");
}

#[tokio::test]
async fn two_thousand_half_open_connections_keep_nobody_out() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    let mut silent = Vec::new();
    for number in 0..2000 {
        let mut raw = Raw::open(&bench, Version::V5).await;
        if number % 2 == 0 {
            raw.bytes(b"\x10\x0d\0\x04MQ").await;
        }
        silent.push(raw);
        if number % 250 == 0 {
            probe.round_trip().await;
        }
    }
    Raw::client(&bench, Version::V4, "newcomer").await.disconnect().await;
    probe.round_trip().await;
    check_memory(&bench);
}

#[tokio::test]
async fn a_flood_of_connections_stalls_nobody() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    for round in 0..20 {
        let mut clients = Vec::new();
        for number in 0..50 {
            let mut raw = Raw::open(&bench, Version::V4).await;
            let id = format!("flood/+#$/{}", number % 7);
            raw.send(&Packet::Connect(Box::new(connect(Version::V4, &id)))).await;
            clients.push(raw);
        }
        probe.round_trip().await;
        if round % 2 == 0 {
            clients.into_iter().for_each(Raw::cut);
        }
    }
    until(|| bench.hub.counters().clients <= 8).await;
}

/// Each replay is a walk through all retained messages. One client asked for hundreds of them, again and
/// again: all of them were kept, and nobody else had a turn before they were done.
#[tokio::test]
async fn walks_through_the_retained_messages_stall_nobody() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    for number in 0..20_000 {
        bench.hub.publish(bench::message(&format!("r/{number}"), "x").retained()).await;
    }
    let mut walker = Raw::client(&bench, Version::V4, "walker").await;
    let texts: Vec<String> = (0..300).map(|number| format!("+/none/{number}")).collect();
    let filters: Vec<_> = texts.iter().map(|text| (text.as_str(), Options::plain(QOS0))).collect();
    let subscribe = Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters });
    for _ in 0..20 {
        walker.send(&subscribe).await;
        probe.round_trip().await;
    }
    walker.cut();
    probe.round_trip().await;
}

#[tokio::test]
async fn a_subscribe_with_ten_thousand_filters_gets_a_thousand() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    for version in [Version::V4, Version::V5] {
        let mut client = Raw::client(&bench, version, "c").await;
        let texts: Vec<String> = (0..10_000).map(|number| format!("{number}/#")).collect();
        let filters = texts.iter().map(|text| (text.as_str(), Options::plain(QOS0))).collect();
        client.send(&Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters })).await;
        let bytes = client.next().await.expect("a SUBACK");
        let Packet::Suback(Verdicts { reasons, .. }) = client.parse(&bytes) else { panic!("{bytes:?}") };
        assert_eq!((reasons.len(), reasons.iter().filter(|it| !it.is_error()).count()), (10_000, 1000));
        probe.round_trip().await;
        client.disconnect().await;
    }
    until(|| bench.hub.counters().subscriptions == 1).await;
}

/// Filters as long and as deep as they may be.
#[tokio::test]
async fn long_and_deep_subscriptions_stay_within_the_memory() {
    let mut settings = bench::settings();
    settings.limits.memory = 8 << 20;
    let bench = bench::start(settings).await;
    let mut probe = Probe::new(&bench).await;
    for number in 0..4 {
        let mut client = Raw::client(&bench, Version::V5, &format!("c{number}")).await;
        for level in 0..100 {
            let long = format!("{number}/{level}/{}", "x".repeat(65_000));
            let deep = format!("{number}/{level}/{}", "a/".repeat(120));
            client.subscribe(&long, QOS0).await;
            client.subscribe(&deep, QOS0).await;
        }
        probe.round_trip().await;
    }
    check_memory(&bench);
}

#[tokio::test]
async fn retained_bombs_and_wills_stay_within_the_memory() {
    let mut settings = bench::settings();
    (settings.limits.memory, settings.limits.retained_bytes) = (16 << 20, 8 << 20);
    let bench = bench::start(settings).await;
    let mut probe = Probe::new(&bench).await;
    let payload = "x".repeat(60_000);
    let mut bomber = Raw::client(&bench, Version::V4, "bomber").await;
    for number in 0..400 {
        let topic = format!("bomb/{number}");
        bomber.publish(Publish { retain: true, ..publish(&topic, QOS0, 0, &payload) }).await;
    }
    bomber.expect_nothing().await;
    probe.round_trip().await;
    assert!(bench.hub.counters().retained_bytes <= 8 << 20);
    let mut sessions = Vec::new();
    for number in 0..400 {
        let id = format!("will-{number}");
        let mut connect = connect(Version::V4, &id);
        connect.will = Some(will("will", &payload));
        let mut raw = Raw::open(&bench, Version::V4).await;
        raw.send(&Packet::Connect(Box::new(connect))).await;
        sessions.push(raw);
    }
    probe.round_trip().await;
    check_memory(&bench);
}

/// A 3.1.1 client may begin as many QoS 2 exchanges as there are packet ids.
#[tokio::test]
async fn all_packet_ids_can_be_in_use() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    let mut client = Raw::client(&bench, Version::V4, "c").await;
    for id in 1..=u16::MAX {
        client.publish(publish("t", QOS2, id, "x")).await;
        client.expect(Packet::Pubrec(ack(id))).await;
    }
    client.publish(Publish { dup: true, ..publish("t", QOS2, 1, "x") }).await;
    client.expect(Packet::Pubrec(ack(1))).await;
    client.send(&Packet::Pubrel(ack(1))).await;
    client.expect(Packet::Pubcomp(ack(1))).await;
    probe.round_trip().await;
    assert_eq!(bench.hub.counters().messages_in, 65_536 + 1);
    check_memory(&bench);
}

/// A large packet that never comes costs nothing, and one that is too large ends at once.
#[tokio::test]
async fn promises_of_large_packets_cost_nothing() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut client = Raw::client(&bench, Version::V5, &format!("c{number}")).await;
        // 1,048,000 bytes are announced.
        client.bytes(&[0x30, 0xc0, 0xfb, 0x3f, 0, 1, b't', 0]).await;
        clients.push(client);
    }
    probe.round_trip().await;
    let counters = bench.hub.counters();
    assert!(counters.memory < 4 << 20, "{counters:?}");
    for client in &mut clients {
        client.bytes(b"x").await;
    }
    let mut liar = Raw::client(&bench, Version::V5, "liar").await;
    liar.bytes(&[0x30, 0xff, 0xff, 0xff, 0x7f]).await;
    liar.expect_end(Reason::PACKET_TOO_LARGE).await;
}

#[tokio::test]
async fn whoever_does_not_read_its_acknowledgements_is_not_read() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    let mut deaf = Raw::client(&bench, Version::V4, "deaf").await;
    let mut bytes = Vec::new();
    Packet::Publish(publish("t", QOS1, 1, "")).encode(Version::V4, &mut bytes);
    let bytes = bytes.repeat(10_000);
    let flood = async {
        loop {
            deaf.bytes(&bytes).await;
        }
    };
    let stopped = tokio::time::timeout(Duration::from_secs(3), flood).await.is_err();
    assert!(stopped, "a flood has no end");
    probe.round_trip().await;
    check_memory(&bench);
}

/// Zero length wherever there is a length.
#[tokio::test]
async fn nothing_at_all_is_fine_or_refused() {
    let bench = bench::hub().await;
    let mut probe = Probe::new(&bench).await;
    let mut client = Raw::client(&bench, Version::V5, "").await;
    // An empty user property, an empty payload, an empty filter, an empty group.
    client.bytes(&[0x32, 11, 0, 1, b't', 0, 5, 5, 0x26, 0, 0, 0, 0]).await;
    let bytes = client.next().await.expect("a PUBACK");
    assert!(matches!(client.parse(&bytes), Packet::Puback(ack) if !ack.reason.is_error()), "{bytes:?}");
    assert_eq!(client.subscribe("", QOS0).await, Reason::TOPIC_FILTER_INVALID);
    assert_eq!(client.subscribe("$share//t", QOS0).await, Reason::TOPIC_FILTER_INVALID);
    client.publish(publish("", QOS0, 0, "")).await;
    client.expect_end(Reason::PROTOCOL_ERROR).await;
    let mut willing = connect(Version::V5, "w");
    willing.will = Some(will("", ""));
    let mut raw = Raw::open(&bench, Version::V5).await;
    raw.send(&Packet::Connect(Box::new(willing))).await;
    let bytes = raw.next().await.expect("a CONNACK");
    assert!(matches!(raw.parse(&bytes), Packet::Connack(it) if it.reason == Reason::TOPIC_NAME_INVALID));
    probe.round_trip().await;
}
