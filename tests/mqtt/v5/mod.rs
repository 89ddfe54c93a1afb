//! MQTT 5.0.

mod connect;
mod flags;
mod format;
mod malformed;

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
