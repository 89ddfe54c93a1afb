//! MQTT 3.1.1, and 3.1 where it differs.

mod client_id;
mod connack;
mod connect;
mod data;
mod delivery;
mod durable;
mod ending;
mod errors;
mod old;
mod order;
mod publish;
mod retain;
mod session;
mod subscribe;
mod topics;
mod transport;
mod unsubscribe;
mod websocket;
mod will;

use crate::bench::Bench;
use crate::client::Client;
use crate::connect::Connect;
use crate::packet::Publish;
use crate::packet::Version::V311;

/// A client whose session outlives its connection; it must (not) be present.
async fn kept(bench: &Bench, id: &str, present: bool) -> Client {
    let (client, was_present) = bench.connect(&Connect::kept(V311, id)).await;
    assert_eq!(was_present, present, "Session Present for {id}");
    client
}

/// Another client publishes this; the hub has taken it when this returns.
async fn tell(bench: &Bench, publish: &Publish) {
    let mut publisher = bench.client(V311, "teller").await;
    publisher.tell(publish).await;
    publisher.disconnect().await;
}

fn message(topic: &str, qos: u8, payload: &str) -> Publish {
    Publish::new(topic, qos, if qos == 0 { 0 } else { 7 }, payload)
}

/// The hub must close the connection on which these bytes follow a good CONNECT, and say nothing more.
async fn closes(bench: &Bench, bytes: &[u8]) {
    let mut client = bench.client(V311, "wrong").await;
    client.try_send(bytes).await;
    client.expect_closed().await;
}

/// The hub must close a connection that begins with these bytes, without CONNACK.
async fn is_no_connect(bench: &Bench, bytes: &[u8]) {
    let mut client = bench.open(V311).await;
    client.try_send(bytes).await;
    client.expect_closed().await;
}
