//! Whatever a client does wrong ends its own connection, with a reason, and nothing else.

use std::time::Duration;

use weir::hub::Anonymous;
use weir::hub::codec::{Connack, Notice, Options, Packet, Properties, Publish, Reason, Version};

use crate::bench::{self, Bench, message, until};
use crate::raw::{QOS0, QOS1, Raw, ack, connect, publish, will, with};

/// The hub is alive and well.
async fn still_serves(bench: &Bench) {
    let mut client = Raw::client(bench, Version::V5, "witness").await;
    client.subscribe("witness", QOS1).await;
    client.tell("other", "x").await;
    client.disconnect().await;
}

async fn refusal(bench: &Bench, packet: weir::hub::codec::Connect<'_>) -> Reason {
    let mut raw = Raw::open(bench, packet.version).await;
    raw.send(&Packet::Connect(Box::new(packet))).await;
    let bytes = raw.next().await.expect("a CONNACK");
    let Packet::Connack(Connack { reason, .. }) = raw.parse(&bytes) else { panic!("{bytes:?}") };
    assert_eq!(raw.next().await, None);
    reason
}

#[tokio::test]
async fn a_connect_that_cannot_be_welcomed_is_told_why() {
    let bench = bench::hub().await;
    let mut kept = connect(Version::V4, "");
    kept.clean_start = false;
    assert_eq!(refusal(&bench, kept).await, Reason::CLIENT_ID_INVALID);
    let mut enhanced = connect(Version::V5, "c");
    enhanced.properties = with(Properties { authentication_method: Some("SCRAM"), ..Properties::default() });
    assert_eq!(refusal(&bench, enhanced).await, Reason::BAD_AUTHENTICATION_METHOD);
    let mut forger = connect(Version::V5, "c");
    forger.will = Some(will("shed/greenhouse/temperature", "99"));
    assert_eq!(refusal(&bench, forger).await, Reason::NOT_AUTHORIZED);
    let mut raw = Raw::open(&bench, Version::V5).await;
    raw.bytes(b"\x10\x0d\0\x04MQTT\x09\x02\0\x3c\0\0\0").await;
    let bytes = raw.next().await.unwrap();
    assert!(matches!(raw.parse(&bytes), Packet::Connack(it) if it.reason == Reason::UNSUPPORTED_VERSION));
    assert_eq!(raw.next().await, None);
    let mut settings = bench::settings();
    settings.allow_anonymous = Anonymous::Never;
    let closed = bench::start(settings).await;
    for version in [Version::V4, Version::V5] {
        assert_eq!(refusal(&closed, connect(version, "c")).await, Reason::NOT_AUTHORIZED);
    }
    still_serves(&bench).await;
}

#[tokio::test]
async fn an_empty_client_id_gets_one() {
    let bench = bench::hub().await;
    let mut raw = Raw::open(&bench, Version::V5).await;
    raw.send(&Packet::Connect(Box::new(connect(Version::V5, "")))).await;
    let bytes = raw.next().await.unwrap();
    let Packet::Connack(connack) = raw.parse(&bytes) else { panic!("{bytes:?}") };
    assert!(connack.properties.unwrap().assigned_client_id.unwrap().starts_with("weir-"));
    Raw::client(&bench, Version::V4, "").await.disconnect().await;
}

#[tokio::test]
async fn nonsense_before_connect_ends_the_connection() {
    let bench = bench::hub().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xc0, 0],
        &[0; 64],
        &[0xff; 64],
        b"\x10\xff\xff\xff\xff\xff",
        b"\x30\x02\0\0",
    ] {
        let mut raw = Raw::open(&bench, Version::V4).await;
        raw.bytes(bytes).await;
        assert_eq!(raw.next().await, None);
    }
    still_serves(&bench).await;
}

#[tokio::test]
async fn a_client_that_breaks_the_rules_is_told_the_reason() {
    let bench = bench::hub().await;
    let mut huge = vec![0x30, 0xff, 0xff, 0xff, 0x7f];
    huge.resize(3000, b'x');
    let mut second = Vec::new();
    Packet::Connect(Box::new(connect(Version::V5, "c"))).encode(Version::V5, &mut second);
    let cases: [(&[u8], Reason); 8] = [
        (&huge, Reason::PACKET_TOO_LARGE),
        (&second, Reason::PROTOCOL_ERROR),
        (&[0xd0, 0], Reason::PROTOCOL_ERROR),
        (&[0xf0, 0], Reason::PROTOCOL_ERROR),
        (&[0x36, 0], Reason::MALFORMED),
        (&[0x30, 3, 0, 0, 0], Reason::PROTOCOL_ERROR),
        (&[0x30, 6, 0, 1, b't', 2, 0x0b, 1], Reason::PROTOCOL_ERROR),
        (b"\x82\x10\0\x01\0\0\x0a$share/g/t\x04", Reason::PROTOCOL_ERROR),
    ];
    for (bytes, reason) in cases {
        for version in [Version::V4, Version::V5] {
            let mut client = Raw::client(&bench, version, "c").await;
            client.bytes(bytes).await;
            if version == Version::V5 {
                client.expect_end(reason).await;
            } else if reason != Reason::PROTOCOL_ERROR {
                assert_eq!(client.next().await, None);
            }
        }
    }
    assert!(bench.hub.counters().closed[Reason::PACKET_TOO_LARGE.word()] >= 2);
    still_serves(&bench).await;
}

#[tokio::test]
async fn one_byte_at_a_time_is_enough() {
    let bench = bench::hub().await;
    let mut raw = Raw::open(&bench, Version::V5).await;
    let mut bytes = Vec::new();
    Packet::Connect(Box::new(connect(Version::V5, "slow"))).encode(Version::V5, &mut bytes);
    Packet::Publish(publish("é/t", QOS1, 3, "slowly")).encode(Version::V5, &mut bytes);
    let mut inside = bench.hub.subscribe(bench::filters(&["#"]), 10);
    for byte in bytes {
        raw.bytes(&[byte]).await;
        tokio::task::yield_now().await;
    }
    raw.next().await.expect("a CONNACK");
    raw.expect(Packet::Puback(ack(3))).await;
    assert_eq!(*bench::soon(inside.recv()).await.unwrap().message.payload, *b"slowly");
}

#[tokio::test]
async fn what_the_gateway_says_of_itself_cannot_be_forged() {
    // The hub itself says nothing on `$SYS` here.
    let bench = bench::start(weir::hub::Settings { sys_interval: Duration::ZERO, ..bench::settings() }).await;
    let mut inside = bench.hub.subscribe(bench::filters(&["#", "$SYS/#"]), 10);
    let mut old = Raw::client(&bench, Version::V4, "old").await;
    let mut new = Raw::client(&bench, Version::V5, "new").await;
    for topic in ["shed/greenhouse/temperature", "shed/gateway/status", "$SYS/broker/uptime"] {
        old.tell(topic, "forged").await;
        new.publish(publish(topic, QOS1, 1, "forged")).await;
        new.expect(Packet::Puback(weir::hub::codec::Ack::new(1, Reason::NOT_AUTHORIZED))).await;
        new.publish(publish(topic, QOS0, 0, "forged")).await;
    }
    new.expect_nothing().await;
    assert_eq!(bench.hub.counters().refused[Reason::NOT_AUTHORIZED.word()], 9);
    for (topic, text) in [("shed/cmd/pump/set", "on"), ("shed/dev/1", "x"), ("shedding/greenhouse", "y")] {
        new.tell(topic, text).await;
        assert_eq!(*bench::soon(inside.recv()).await.unwrap().message.payload, *text.as_bytes());
    }
}

#[tokio::test]
async fn a_client_gets_no_packet_larger_than_it_takes() {
    let bench = bench::hub().await;
    let mut small = connect(Version::V5, "small");
    small.properties = with(Properties { maximum_packet_size: Some(60), ..Properties::default() });
    let (mut client, _) = Raw::with(&bench, small).await;
    client.subscribe_with("t", Options::plain(QOS1), None).await;
    bench.hub.publish(message("t", &"x".repeat(60)).with_qos(QOS1)).await;
    bench.hub.publish(message("t", "fits").with_qos(QOS1)).await;
    let bytes = client.next().await.unwrap();
    assert!(matches!(client.parse(&bytes), Packet::Publish(Publish { payload: b"fits", .. })));
    assert_eq!(bench.hub.counters().dropped, 1);
}

#[tokio::test]
async fn a_payload_above_the_limit_is_refused_and_the_connection_stays() {
    let mut settings = bench::settings();
    settings.limits.payload_size = 10;
    let bench = bench::start(settings).await;
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    client.publish(publish("t", QOS1, 1, "12345678901")).await;
    client.expect(Packet::Puback(weir::hub::codec::Ack::new(1, Reason::QUOTA_EXCEEDED))).await;
    client.tell("t", "1234567890").await;
}

#[tokio::test]
async fn connections_and_sessions_are_bounded() {
    let mut settings = bench::settings();
    (settings.limits.connections, settings.limits.sessions) = (3, 2);
    let bench = bench::start(settings).await;
    let one = Raw::client(&bench, Version::V5, "1").await;
    let _two = Raw::client(&bench, Version::V5, "2").await;
    assert_eq!(refusal(&bench, connect(Version::V5, "3")).await, Reason::QUOTA_EXCEEDED);
    let _silent = Raw::open(&bench, Version::V5).await;
    until(|| bench.hub.counters().connections == 4).await;
    assert_eq!(Raw::open(&bench, Version::V5).await.next().await, None);
    one.disconnect().await;
    until(|| bench.hub.counters().sessions == 1).await;
    Raw::client(&bench, Version::V5, "4").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_nobody_and_memory_is_bounded() {
    let mut settings = bench::settings();
    (settings.limits.queued_messages, settings.limits.queued_bytes) = (1000, 1 << 20);
    let bench = bench::start(settings).await;
    let mut slow = Raw::client(&bench, Version::V5, "slow").await;
    slow.subscribe("t", QOS0).await;
    let mut quick = Raw::client(&bench, Version::V5, "quick").await;
    quick.subscribe("t", QOS0).await;
    let mut publisher = Raw::client(&bench, Version::V5, "pub").await;
    let payload = "x".repeat(10_000);
    // More than all socket buffers hold.
    for _ in 0..2000 {
        publisher.publish(publish("t", QOS0, 0, &payload)).await;
        quick.expect(Packet::Publish(publish("t", QOS0, 0, &payload))).await;
    }
    publisher.expect_nothing().await;
    assert!(bench.hub.counters().dropped > 0);
    slow.cut();
    until(|| bench.hub.counters().clients == 2).await;
}

#[tokio::test]
async fn silence_ends_a_connection_after_one_and_a_half_keep_alives() {
    let bench = bench::hub().await;
    for version in [Version::V4, Version::V5] {
        let mut hasty = connect(version, "hasty");
        hasty.keep_alive_s = 1;
        let began = tokio::time::Instant::now();
        let (mut client, _) = Raw::with(&bench, hasty).await;
        client.expect_end(Reason::KEEP_ALIVE_TIMEOUT).await;
        assert!(began.elapsed() >= Duration::from_millis(1500));
    }
}

#[tokio::test]
async fn a_hub_that_stops_says_so() {
    let bench = bench::hub().await;
    let mut client = Raw::client(&bench, Version::V5, "c").await;
    drop(bench);
    let bytes = client.next().await.expect("a DISCONNECT");
    let Packet::Disconnect(Notice { reason, .. }) = client.parse(&bytes) else { panic!("{bytes:?}") };
    assert_eq!(reason, Reason::SERVER_SHUTTING_DOWN);
}
