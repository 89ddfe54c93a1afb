//! What every task leans on: supervision, back-off, the health board, clocks, logging, systemd.

pub mod backoff;
pub mod clock;
pub mod health;
mod journal;
pub mod logging;
mod supervise;
pub mod systemd;

pub use backoff::Backoff;
pub use clock::Clock;
pub use health::{Board, Health, Hole, Part, State, Status};
pub use supervise::supervise;
