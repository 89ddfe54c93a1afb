//! The buses' promises: one wedged device or thread does not cost the others their cadence.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "bus/gpio.rs"]
mod gpio;
#[path = "bus/simulated.rs"]
mod simulated;
#[path = "bus/support.rs"]
mod support;
#[path = "bus/thread.rs"]
mod thread;
