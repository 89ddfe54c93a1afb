//! Conformance with MQTT 3.1, 3.1.1 and 5.0: one test for each normative statement that a server can
//! violate, as raw bytes over real sockets. What is covered is listed in `tests/mqtt/COVERAGE.md`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "mqtt/bench.rs"]
mod bench;
#[path = "mqtt/bytes.rs"]
mod bytes;
#[path = "mqtt/client.rs"]
mod client;
#[path = "mqtt/connect.rs"]
mod connect;
#[path = "mqtt/coverage.rs"]
mod coverage;
#[path = "mqtt/packet.rs"]
mod packet;
#[path = "mqtt/properties.rs"]
mod properties;
#[path = "mqtt/statements.rs"]
mod statements;
#[path = "mqtt/v3/mod.rs"]
mod v3;
#[path = "mqtt/v5/mod.rs"]
mod v5;
#[path = "mqtt/ws.rs"]
mod ws;
