//! Seeded fuzzing of what the network sends: bounded with every test run, millions of inputs on demand.
//!
//! `WEIR_FUZZ_EXECUTIONS=10000000 cargo test --profile fuzz --test fuzz -- --nocapture` runs the codec long, on all
//! cores; `WEIR_FUZZ_SEED` chooses other inputs. A failure prints its input as small as it can be made.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(clippy::print_stderr, reason = "a long run reports what it has done")]

#[path = "fuzz/codec.rs"]
mod codec;
#[path = "fuzz/found.rs"]
mod found;
#[path = "fuzz/judge.rs"]
mod judge;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/packets.rs"]
mod packets;
#[path = "fuzz/values.rs"]
mod values;
