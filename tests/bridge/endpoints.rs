//! Several endpoints, and peers that say no, send us on, are busy, or speak an older version.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use weir::bridge::{Condition, Endpoint, Options, Timing};

use crate::common::collector::Collector;
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::common::proxy::Proxy;
use crate::fake::{Answer, Fake, Got, connack, nothing, puback, puback_v4};
use crate::harness::{Gateway, PATIENCE, quick, settings};

fn at(address: SocketAddr) -> impl Fn(&Condition) -> bool {
    let endpoint = Endpoint::plain(address).to_string();
    move |condition| condition.endpoint.as_ref() == Some(&endpoint)
}

fn reason_has(text: &'static str) -> impl Fn(&Condition) -> bool {
    move |condition| condition.reason.as_deref().is_some_and(|reason| reason.contains(text))
}

/// Returns to the first endpoint after a fraction of a second.
fn homesick() -> Options {
    let options = quick();
    Options { timing: Timing { home: Duration::from_millis(200), ..options.timing }, ..options }
}

#[tokio::test]
async fn the_next_endpoint_takes_over_and_the_first_gets_everything_back_when_it_answers() {
    let (first, second) = (Mosquitto::start().await, Mosquitto::start().await);
    let mut at_first = Collector::start(first.address(), "up/shed/dev/#");
    let mut at_second = Collector::start(second.address(), "up/shed/dev/#");
    let road = Proxy::start(first.address()).await;
    let mut settings = settings(road.address());
    settings.endpoints.push(Endpoint::plain(second.address()));
    let gateway = Gateway::start(settings, homesick()).await;
    gateway.until_condition("the first", at(road.address())).await;
    gateway.acknowledged("shed/dev/a", 1..=50).await;
    gateway.until_drained().await;

    road.refuse(true);
    road.cut();
    gateway.until_condition("the second", at(second.address())).await;
    gateway.acknowledged("shed/dev/a", 51..=100).await;
    gateway.until_drained().await;

    road.refuse(false);
    gateway.until_condition("the first again", at(road.address())).await;
    gateway.acknowledged("shed/dev/a", 101..=150).await;
    gateway.until_drained().await;
    at_first.one("up/shed/dev/a", "150").await;
    at_second.one("up/shed/dev/a", "100").await;
    let numbers = |from: u32, to: u32| (from..=to).map(|number| number.to_string()).collect::<Vec<_>>();
    assert_eq!(at_first.firsts()["up/shed/dev/a"], [numbers(1, 50), numbers(101, 150)].concat());
    assert_eq!(at_second.firsts()["up/shed/dev/a"], numbers(51, 100));
    assert_eq!(at_first.all.len() + at_second.all.len(), 150, "leaving repeats nothing");
    gateway.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_answers_tcp_and_nothing_else_does_not_pull_the_session_to_and_fro() {
    let cloud = Mosquitto::start().await;
    // Takes every connection and never says a word of MQTT.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(mute.local_addr().unwrap());
    settings.endpoints.push(Endpoint::plain(cloud.address()));
    let options = homesick();
    let timing = Timing { open: Duration::from_millis(200), ..options.timing };
    let gateway = Gateway::start(settings, Options { timing, ..options }).await;
    let began = Instant::now();
    let mut watch = gateway.bridge.watch();
    // Hold-offs double, so that returns become rare: 0.2, 0.4, 0.8, 1.6, 3.2 s ...
    let mut sessions = 0;
    while began.elapsed() < Duration::from_secs(6) {
        if timeout(Duration::from_secs(6), watch.changed()).await.is_ok() && watch.borrow_and_update().is_up() {
            sessions += 1;
        }
    }
    assert!((2..=6).contains(&sessions), "{sessions} sessions");
}

#[tokio::test]
async fn a_peer_that_sends_us_on_is_left_for_the_next() {
    let cloud = Mosquitto::start().await;
    let moved = Fake::start(|got| match got {
        Got::Connect(_) => Answer::Bytes(b"\x20\x10\0\x9d\x0d\x1c\0\x0abroker-two".to_vec()),
        _ => nothing(),
    })
    .await;
    let only = Gateway::start(settings(moved.address), quick()).await;
    only.until_condition("moved", reason_has("use another server: broker-two")).await;
    only.stop().await;
    let mut settings = settings(moved.address);
    settings.endpoints.push(Endpoint::plain(cloud.address()));
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_condition("the next", at(cloud.address())).await;
}

#[tokio::test]
async fn a_session_that_is_sent_on_opens_at_the_next_endpoint() {
    let cloud = Mosquitto::start().await;
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let mut settings = settings(fake.address);
    settings.endpoints.push(Endpoint::plain(cloud.address()));
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_condition("the first", at(fake.address)).await;
    fake.say(&[0xe0, 2, 0x9c, 0]).await;
    gateway.until_condition("the next", at(cloud.address())).await;
}

#[tokio::test]
async fn a_busy_peer_is_asked_ever_more_rarely_from_the_start() {
    let connects = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connects);
    let busy = Fake::start(move |got| match got {
        Got::Connect(_) => {
            counted.fetch_add(1, Ordering::Relaxed);
            Answer::Bytes(vec![0x20, 3, 0, 0x89, 0])
        }
        _ => nothing(),
    })
    .await;
    let began = Instant::now();
    let gateway = Gateway::start(settings(busy.address), quick()).await;
    gateway.until_condition("busy", reason_has("it is busy")).await;
    busy.until("three attempts", |got| got.iter().filter(|got| matches!(got, Got::Connect(_))).count() >= 3).await;
    // At most half is taken off 1.5 s and then 3 s.
    assert!(began.elapsed() >= Duration::from_millis(2250), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_twin_is_named() {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), quick()).await;
    gateway.until_up().await;
    fake.say(&[0xe0, 2, 0x8e, 0]).await;
    let twin = gateway.until_condition("named", reason_has("another client uses the client id")).await;
    assert!(twin.reason.unwrap().contains("a copy of another"));
}

/// A broker that speaks MQTT 3.1.1 and nothing newer. It lasts as long as this process: it has no way to stop.
async fn rumqttd_of_3_1_1() -> SocketAddr {
    let address = free_address();
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: 1 << 20,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "v4".into(), listen: address, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 20,
        max_outgoing_packet_count: 200,
        max_segment_size: 100 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let v4 = Some(HashMap::from([("1".to_owned(), server)]));
    let mut broker = Broker::new(Config { v4, router, ..Config::default() });
    std::thread::spawn(move || drop(broker.start()));
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, listens).await.expect("rumqttd listens");
    address
}

#[tokio::test]
async fn a_broker_that_speaks_3_1_1_only_gets_3_1_1_and_status_says_what_is_lost() {
    let cloud = rumqttd_of_3_1_1().await;
    let road = Proxy::start(cloud).await;
    let gateway = Gateway::start(settings(road.address()), quick()).await;
    let old = gateway.until_condition("a session", Condition::is_up).await;
    assert_eq!(old.version, Some(4));
    let said = old.to_string();
    assert!(said.contains("MQTT 3.1.1 without dedupe key, hop mark, expiry and content type"), "{said}");

    gateway.acknowledged("shed/dev/a", 1..=10).await;
    gateway.until_drained().await;
    road.cut();
    gateway.until_condition("noticed", |condition| !condition.is_up()).await;
    let began = Instant::now();
    gateway.until_up().await;
    assert!(began.elapsed() < Duration::from_millis(2500), "the older version is tried at once: {:?}", began.elapsed());
    gateway.acknowledged("shed/dev/a", 11..=20).await;
    gateway.until_drained().await;
    // Acknowledged by the broker, one by one.
    let counters = gateway.bridge.status().counters;
    assert!(counters.delivered >= 20 && counters.set_aside + counters.expired == 0, "{counters:?}");
}

/// Something before the broker accepts and closes while the broker is away, so that the first session is in 3.1.1.
#[tokio::test]
async fn a_session_in_3_1_1_that_was_only_a_guess_is_left_for_mqtt_5() {
    let mut guessed = false;
    let fake = Fake::start(move |got| match got {
        Got::Connect(5) if !guessed => Answer::Close,
        Got::Connect(5) => connack(&[]),
        Got::Connect(_) => {
            guessed = true;
            Answer::Bytes(vec![0x20, 2, 0, 0])
        }
        Got::Publish(id, ..) => puback_v4(*id),
        _ => nothing(),
    })
    .await;
    let gateway = Gateway::start(settings(fake.address), homesick()).await;
    let version = |version| move |condition: &Condition| condition.is_up() && condition.version == Some(version);
    gateway.until_condition("3.1.1", version(4)).await;
    gateway.until_condition("MQTT 5", version(5)).await;
    gateway.acknowledged("shed/dev/a", 1..=10).await;
}
