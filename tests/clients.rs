//! Independent clients against the hub: every QoS, MQTT 3.1.1 and 5, over TCP, TLS and WebSocket.
//!
//! `scripts/test` installs what they need and names it in the environment: `WEIR_TEST_PYTHON` (a Python with
//! tests/requirements.txt), `WEIR_TEST_NODE_MODULES` (where tests/clients/js is installed). A client that it cannot
//! install stands in `WEIR_TEST_WITHOUT`, and its tests say that they were left out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

#[path = "hub/bench.rs"]
#[allow(dead_code, reason = "the hub's tests use the rest")]
mod bench;
#[path = "common/mod.rs"]
mod common;
#[path = "clients/house.rs"]
mod house;
#[path = "clients/mosquitto.rs"]
mod mosquitto;
#[path = "hub/program.rs"]
mod program;
#[path = "clients/programs.rs"]
mod programs;
#[path = "clients/rumqtt.rs"]
mod rumqtt;
