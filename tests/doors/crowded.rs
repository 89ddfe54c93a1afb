//! Too many at once: the silent, the many of one address, the many in a second, and those for whom there is no place.

use std::net::Ipv4Addr;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use weir::hub::codec::{Packet, Reason};
use weir::hub::{Limits, Settings};

use crate::bench::{self, Bench, soon, until};
use crate::client::{Client, encoded, publish};

async fn hub(limits: Limits) -> Bench {
    bench::start(Settings { limits, ..bench::settings() }).await
}

/// A connection from 127.0.0.`last`.
async fn from(bench: &Bench, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    soon(socket.connect(bench.address)).await.unwrap()
}

/// Whether the hub closes this connection without a word.
async fn is_closed(mut stream: TcpStream) -> bool {
    soon(stream.read(&mut [0])).await.unwrap_or(0) == 0
}

fn closed(bench: &Bench, word: &str) -> u64 {
    bench.hub.counters().closed.get(word).copied().unwrap_or(0)
}

#[tokio::test]
async fn two_thousand_silent_connections_keep_nobody_out() {
    let bench = hub(Limits { connections: 100, ..Limits::default() }).await;
    let mut early = Client::welcomed(from(&bench, 1).await, "early").await;
    let mut silent = Vec::new();
    for number in 0..2000 {
        silent.push(from(&bench, 1 + (number % 200) as u8).await);
    }
    Client::welcomed(from(&bench, 1).await, "late").await.echo("a", b"b").await;
    until(|| closed(&bench, "lobby_full") >= 1900).await;
    assert!(is_closed(silent.swap_remove(0)).await);
    early.ping().await;
    assert_eq!(bench.hub.counters().clients, 1);
}

#[tokio::test]
async fn without_a_place_a_client_is_told_so_and_gets_the_next() {
    let bench = hub(Limits { connections: 2, ..Limits::default() }).await;
    let mut one = Client::welcomed(from(&bench, 1).await, "one").await;
    let two = Client::welcomed(from(&bench, 1).await, "two").await;
    let mut three = Client::new(from(&bench, 1).await);
    assert_eq!(three.connect("three").await, Some(Reason::SERVER_BUSY));
    assert_eq!(three.next().await, None);
    drop(two);
    until(|| bench.hub.counters().clients == 1).await;
    // The place is given back a moment after the client is gone.
    let welcomed =
        async { while Client::new(from(&bench, 1).await).connect("three").await != Some(Reason::SUCCESS) {} };
    soon(welcomed).await;
    one.ping().await;
}

#[tokio::test]
async fn an_address_gets_so_many_connections_and_others_get_theirs() {
    let limits = Limits { connections_per_address: 3, limit_loopback: true, ..Limits::default() };
    let bench = hub(limits.clone()).await;
    let mut clients = Vec::new();
    for name in ["a", "b", "c"] {
        clients.push(Client::welcomed(from(&bench, 1).await, name).await);
    }
    assert!(is_closed(from(&bench, 1).await).await);
    assert_eq!(closed(&bench, "connections_per_address"), 1);
    Client::welcomed(from(&bench, 2).await, "d").await.ping().await;
    bench
        .hub
        .reload(Settings { limits: Limits { connections_per_address: 4, ..limits }, ..bench::settings() })
        .await
        .unwrap();
    clients.push(Client::welcomed(from(&bench, 1).await, "e").await);
    for client in &mut clients {
        client.ping().await;
    }
    clients.pop();
    until(|| bench.hub.counters().clients == 3).await;
    let welcomed = async {
        let hello = async |stream| Client::new(stream).connect("f").await;
        while hello(from(&bench, 1).await).await.is_none() {}
    };
    soon(welcomed).await;
}

#[tokio::test]
async fn an_address_opens_so_many_connections_per_second() {
    let limits = Limits { connects_per_address: 1, limit_loopback: true, ..Limits::default() };
    let bench = hub(limits).await;
    let mut first = Client::welcomed(from(&bench, 1).await, "first").await;
    for number in 0..30 {
        drop(from(&bench, 1).await);
        if number % 10 == 0 {
            drop(from(&bench, 2).await);
        }
    }
    until(|| closed(&bench, "connects_per_address") >= 15).await;
    assert!(closed(&bench, "connects_per_address") <= 22, "ten at once are fine");
    Client::welcomed(from(&bench, 2).await, "other").await.ping().await;
    first.ping().await;
}

#[tokio::test]
async fn by_default_this_machine_has_no_bounds_of_its_own() {
    let bench = hub(Limits { connections_per_address: 1, connects_per_address: 1, ..Limits::default() }).await;
    let mut clients = Vec::new();
    for number in 0..30 {
        clients.push(Client::welcomed(from(&bench, 1).await, &number.to_string()).await);
    }
    for client in &mut clients {
        client.stream.try_write(&encoded(&publish("all/here", b""))).unwrap();
        assert!(matches!(crate::client::parse(&client.next().await.unwrap()), Packet::Puback(_)));
    }
}
