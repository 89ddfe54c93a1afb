//! MQTT 5.0.

mod aliases;
mod connect;
mod deliveries;
mod expiry;
mod flags;
mod flow;
mod format;
mod malformed;
mod properties;
mod publish;
mod qos1;
mod qos2;
mod retain;
mod sessions;
mod shared;
mod sizes;
mod subscribe;
mod topics;
mod unsubscribe;
mod websocket;
mod wills;

use crate::bench::Bench;
use crate::client::Client;
use crate::packet::Version::V5;

/// What is wrong with a packet, by section 4.13.
pub(crate) const MALFORMED: u8 = 0x81;
pub(crate) const PROTOCOL_ERROR: u8 = 0x82;

/// A connected client sends these bytes; the hub must end the connection for this reason.
async fn ends(bench: &Bench, bytes: &[u8], reason: u8) {
    let mut client = bench.client(V5, "wrong").await;
    client.try_send(bytes).await;
    assert_eq!(client.dismissal().await, Some(reason), "the reason of DISCONNECT for {bytes:02x?}");
}

/// These bytes instead of a CONNECT; the hub must refuse them for this reason and close.
async fn refused(bench: &Bench, bytes: &[u8], reason: u8) {
    let mut client = bench.open(V5).await;
    client.try_send(bytes).await;
    refusal(&mut client, reason).await;
}

/// The hub must send a CONNACK with this reason, without a session, and close.
async fn refusal(client: &mut Client, reason: u8) {
    let connack = client.connack().await;
    assert_eq!((connack.code, connack.session_present), (reason, false), "the refusal");
    client.expect_closed().await;
}

/// A subscriber with QoS 2 to everything, and somebody who publishes.
async fn pair(bench: &Bench) -> (Client, Client) {
    let mut subscriber = bench.client(V5, "subscriber").await;
    subscriber.subscribe("#", 2).await;
    (subscriber, bench.client(V5, "publisher").await)
}
