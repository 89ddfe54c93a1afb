//! The hub: weir's embedded MQTT broker, and the only meeting point of the house.

mod settings;

pub use settings::{Anonymous, Limits, Settings};
