//! Looking at a machine: what is connected to it, and what keeps a gateway on it from working.
//!
//! Looking and judging are apart: what a rule needs is gathered first, behind the bus room's traits, so that the
//! same code runs on a real machine, on trees of files and on simulated chips; judging is pure.

pub mod doctor;
pub mod scan;
