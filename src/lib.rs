//! weir turns a small Linux board into a sensor-to-MQTT gateway.

pub mod bridge;
pub mod bus;
pub mod cli;
pub mod config;
pub mod drivers;
pub mod filters;
pub mod format;
pub mod gateway;
pub mod hub;
pub mod inspect;
pub mod model;
pub mod output;
pub mod plan;
pub mod runtime;
pub mod sampler;
pub mod store;
