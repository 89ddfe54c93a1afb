//! The hub over real sockets: independent clients, raw bytes, hostile clients.

#[path = "hub/bench.rs"]
mod bench;
#[path = "hub/inside.rs"]
mod inside;
#[path = "hub/mosquitto.rs"]
mod mosquitto;
#[path = "hub/program.rs"]
mod program;
