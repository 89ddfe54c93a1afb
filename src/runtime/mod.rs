//! What every task leans on: supervision, back-off, the health board, clocks, the kernel's news of links, logging, systemd.

pub mod backoff;
pub mod clock;
pub mod health;
mod journal;
pub mod logging;
pub mod network;
mod supervise;
pub mod systemd;

pub use backoff::{Backoff, Blame};
pub use clock::Clock;
pub use health::{Board, Health, Hole, Part, State, Status};
pub use network::Network;
pub use supervise::supervise;
