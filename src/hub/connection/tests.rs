//! What takes time, with the clock in the test's hand.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::access::Visitor;
use super::super::codec::{Connect, Options, Packet, Publish, Subscribe, Version, decode};
use super::super::durable::{Consumer, Durable, Full};
use super::super::{Limits, Settings, Shared, upkeep};
use super::*;
use crate::hub::doors::Lobby;
use crate::model::{Filter, Name, Qos, Refusal, Ticket};

fn shared() -> Arc<Shared> {
    limited(Limits::default())
}

fn limited(limits: Limits) -> Arc<Shared> {
    let settings = Settings { limits, ..Settings::new(Name::new("shed").unwrap()) };
    Arc::new(Shared::new(settings, None, CancellationToken::new()))
}

/// The client's end of a connection whose pipe holds `size` bytes each way.
fn open(hub: &Arc<Shared>, size: usize) -> DuplexStream {
    let (client, server) = duplex(size);
    tokio::spawn(serve(
        Arc::clone(hub),
        server,
        Visitor::plain("127.0.0.1:1".parse().unwrap()),
        Lobby::default().enter(1).0,
    ));
    client
}

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    bytes
}

async fn client(hub: &Arc<Shared>, size: usize, version: Version, keep_alive_s: u16) -> DuplexStream {
    let mut pipe = open(hub, size);
    let (will, user, password, properties) = (None, None, None, None);
    let (clean_start, client_id) = (true, "c");
    let connect = Connect { version, clean_start, keep_alive_s, client_id, will, user, password, properties };
    pipe.write_all(&bytes(&Packet::Connect(Box::new(connect)), version)).await.unwrap();
    pipe
}

/// Reads until the hub closes the connection.
async fn rest(pipe: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn publish(qos: Qos, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let publish = Publish { dup: false, qos, retain: false, topic: "t", packet_id, properties: None, payload };
    bytes(&Packet::Publish(publish), Version::V4)
}

/// Refuses every message, or has no room for it.
struct Wall {
    room: bool,
}

impl Durable for Wall {
    fn offer(&self, _: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        match (self.room, ticket) {
            (true, Some(ticket)) => ticket.refuse(Refusal::QuotaExceeded),
            (true, None) => {}
            (false, ticket) => return Err(Full(ticket)),
        }
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

fn wall(hub: &Shared, room: bool) {
    let durable = Arc::new(Wall { room });
    hub.router.add_consumer(&[Filter::new("t").unwrap()], &Arc::new(Consumer { durable }));
}

#[tokio::test(start_paused = true)]
async fn connect_has_ten_seconds_however_many_bytes_trickle_in() {
    let hub = shared();
    let began = Instant::now();
    let mut pipe = open(&hub, 1024);
    for byte in b"\x10\x0d\0\x04MQT" {
        pipe.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(rest(&mut pipe).await.is_empty());
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(hub.router.tally.read().closed["handshake_timeout"], 1);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_ends_at_one_and_a_half_and_pings_hold_it_off() {
    let hub = shared();
    let began = Instant::now();
    let mut pipe = client(&hub, 1024, Version::V4, 10).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(14)).await;
        pipe.write_all(&[0xc0, 0]).await.unwrap();
    }
    assert_eq!(rest(&mut pipe).await, [0x20, 2, 0, 0, 0xd0, 0, 0xd0, 0, 0xd0, 0]);
    assert_eq!(began.elapsed().as_secs(), 3 * 14 + 15);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_zero_is_for_ever_in_3_1_1_and_the_servers_in_5() {
    let hub = shared();
    let mut old = client(&hub, 1024, Version::V4, 0).await;
    let mut new = open(&hub, 1024);
    new.write_all(b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01n").await.unwrap();
    let began = Instant::now();
    let got = rest(&mut new).await;
    let (packet, _) = decode(&got, Version::V5, 1024).unwrap().unwrap();
    let Packet::Connack(connack) = packet else { panic!("{got:?}") };
    assert_eq!(connack.properties.unwrap().server_keep_alive_s, Some(18 * 3600));
    assert_eq!(began.elapsed().as_secs(), 27 * 3600);
    old.write_all(&[0xc0, 0]).await.unwrap();
    let mut answer = [0; 6];
    old.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0, 0xd0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_the_hub_does_not_read_is_not_called_silent() {
    let hub = shared();
    wall(&hub, false);
    let mut pipe = client(&hub, 1024, Version::V4, 10).await;
    let message = publish(Qos::AtLeastOnce, 1, &[b'x'; 10_000]);
    let flood = async {
        loop {
            pipe.write_all(&message).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(300), flood).await.is_err(), "held back, and not closed");
    assert_eq!(hub.router.tally.read().closed, Default::default());
    let held = hub.router.tally.read().messages_in as usize * message.len();
    assert!((Held::BYTES..Held::BYTES + 200_000).contains(&held), "{held} bytes are held");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_let_go() {
    let hub = shared();
    let mut pipe = client(&hub, 64, Version::V4, 0).await;
    let filters = vec![("t", Options::plain(Qos::AtMostOnce))];
    let subscribe = Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters });
    pipe.write_all(&bytes(&subscribe, Version::V4)).await.unwrap();
    pipe.write_all(&publish(Qos::AtMostOnce, 0, &[b'x'; 50])).await.unwrap();
    pipe.write_all(&publish(Qos::AtMostOnce, 0, &[b'y'; 50])).await.unwrap();
    let began = Instant::now();
    while hub.router.tally.read().closed.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((60..=122).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_old_client_whose_message_was_refused_is_let_go_after_ten_seconds() {
    let hub = shared();
    wall(&hub, true);
    let mut pipe = client(&hub, 1024, Version::V4, 0).await;
    pipe.write_all(&publish(Qos::AtLeastOnce, 1, b"x")).await.unwrap();
    pipe.write_all(&[0xc0, 0]).await.unwrap();
    let began = Instant::now();
    assert_eq!(rest(&mut pipe).await, [0x20, 2, 0, 0, 0xd0, 0], "no PUBACK");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_kept_session_of_an_old_client_ends_after_its_time() {
    let hub = limited(Limits { session_expiry: Duration::from_secs(3600), ..Limits::default() });
    tokio::spawn(upkeep::run(Arc::clone(&hub)));
    let mut pipe = open(&hub, 1024);
    pipe.write_all(b"\x10\x0d\0\x04MQTT\x04\0\0\0\0\x01k\xe0\0").await.unwrap();
    assert_eq!(rest(&mut pipe).await, [0x20, 2, 0, 0]);
    let began = Instant::now();
    while hub.sessions.survey().sessions == 1 {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!((60..=61).contains(&(began.elapsed().as_secs() / 60)));
}

/// How long the publisher of 1,000 messages is held up by a receiver that takes `size` bytes every `pause`, and
/// how many messages are lost.
async fn outrun(size: usize, pause: Duration) -> (Duration, u64) {
    let hub = limited(Limits { queued_messages: 100, ..Limits::default() });
    let mut receiver = client(&hub, 256, Version::V4, 0).await;
    let filters = vec![("t", Options::plain(Qos::AtLeastOnce))];
    let subscribe = Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters });
    receiver.write_all(&bytes(&subscribe, Version::V4)).await.unwrap();
    let slow = tokio::spawn(async move {
        let mut buffer = vec![0; size];
        loop {
            tokio::time::sleep(pause).await;
            receiver.read_exact(&mut buffer).await.unwrap();
        }
    });
    let mut publisher = open(&hub, 1 << 20);
    publisher.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01p").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    publisher.write_all(&publish(Qos::AtMostOnce, 0, &[b'x'; 1000]).repeat(1000)).await.unwrap();
    publisher.write_all(&[0xc0, 0]).await.unwrap();
    let mut answer = [0; 6];
    publisher.read_exact(&mut answer).await.unwrap();
    let took = began.elapsed();
    slow.abort();
    (took, hub.counters().dropped)
}

#[tokio::test(start_paused = true)]
async fn a_publisher_waits_for_a_receiver_that_is_a_little_slower() {
    // Two messages every millisecond.
    let (took, dropped) = outrun(2010, Duration::from_millis(1)).await;
    assert_eq!(dropped, 0);
    assert!((300..1000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_is_waited_for_a_tenth_of_a_second() {
    let (took, dropped) = outrun(2010, Duration::from_secs(100)).await;
    assert!((90..=200).contains(&took.as_millis()), "{took:?}");
    assert!(dropped > 700, "{dropped}");
}
