//! Bridges: chosen topics to and from a cloud broker, through outages.

pub mod record;
pub mod rules;
mod settings;
pub mod uplink;

pub use settings::{Class, Endpoint, Forward, Receive, Replay, Settings, Tls, Transport, Version};
