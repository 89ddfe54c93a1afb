//! What must not happen before something is on the disk.

use std::sync::atomic::{AtomicU8, Ordering};

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const REFUSED: u8 = 2;

/// Opens once, when the record behind it is on the disk, or is refused for good.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU8);

impl Gate {
    pub(crate) const fn closed() -> Self {
        Self(AtomicU8::new(CLOSED))
    }

    pub(crate) const fn opened() -> Self {
        Self(AtomicU8::new(OPEN))
    }

    pub(super) fn open(&self) {
        self.0.store(OPEN, Ordering::Release);
    }

    pub(super) fn refuse(&self) {
        self.0.store(REFUSED, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire) == CLOSED
    }

    /// The record will never be on the disk: what waits for it must not happen at all.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.load(Ordering::Acquire) == REFUSED
    }
}
