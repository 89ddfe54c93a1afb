//! The way to the cloud: packets, and connections that never block anybody here.

pub mod codec;
