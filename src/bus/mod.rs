//! Buses by name, each with one owner.

/// All buses of this gateway.
#[derive(Debug, Clone, Default)]
pub struct Buses {}
