//! Buses by name, each with one owner.

mod settings;

use std::sync::Arc;

pub use settings::{Backend, BusSettings, Family, Settings};

/// All buses of this gateway; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Buses {
    settings: Arc<Settings>,
}

impl Buses {
    /// Buses as told; nothing is opened before a driver asks.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// What the buses were told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether readings over the bus called `name` are made by simulated chips.
    pub fn is_simulated(&self, name: &str) -> bool {
        self.settings.is_simulated(name)
    }
}
