//! The whole hub against a model of the specification: random sequences of packets from several clients.
//!
//! `WEIR_FUZZ_SEQUENCES=200000 cargo test --profile fuzz --lib hub::tests -- --nocapture` runs it long, on all cores;
//! `WEIR_FUZZ_SEED` chooses other sequences. A failure prints its seed and the shortest sequence that fails.

mod acts;
mod delivery;
mod ending;
mod found;
mod model;
mod parting;
mod routing;
mod run;
mod session;
mod steps;
mod world;
