//! The store: durable queues of opaque, versioned records.

mod settings;

pub use settings::{Settings, WhenFull};
