//! The hub's doors over real sockets: TLS, WebSocket, per-address limits, handshakes that never end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "doors/addresses.rs"]
mod addresses;
#[path = "hub/bench.rs"]
#[allow(dead_code, reason = "the hub's tests use the rest")]
mod bench;
#[path = "doors/client.rs"]
mod client;
#[path = "common/mod.rs"]
mod common;
#[path = "doors/crowded.rs"]
mod crowded;
#[path = "doors/encrypted.rs"]
mod encrypted;
#[path = "doors/tls.rs"]
mod tls;
#[path = "doors/websocket.rs"]
mod websocket;
