//! A captured exchange, played back as a chip.

use std::sync::{Arc, Mutex, PoisonError};

use super::Chip;
use crate::model::Fault;

/// One write, one read, or a write and a read with a repeated START between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// What went to the chip.
    pub wrote: &'static [u8],
    /// What came back.
    pub read: &'static [u8],
}

/// Plays exchanges back in order and holds the driver to every byte; a cheap handle.
#[derive(Debug, Clone)]
pub struct Replay {
    exchanges: &'static [Exchange],
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    written: bool,
}

impl Replay {
    /// Plays `exchanges` from the first.
    pub fn new(exchanges: &'static [Exchange]) -> Self {
        Self { exchanges, state: Arc::default() }
    }

    /// How many exchanges have not been played.
    pub fn left(&self) -> usize {
        self.exchanges.len() - self.state.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    fn step(&self, take: impl FnOnce(&mut State, &'static Exchange) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(exchange) = self.exchanges.get(state.next) else {
            return Err(Fault::BadData("the capture ends here".into()));
        };
        take(&mut state, exchange)
    }
}

impl Chip for Replay {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.step(|state, exchange| {
            if state.written || exchange.wrote != bytes {
                return Err(Fault::BadData(format!("wrote {bytes:02x?}, the capture has {exchange:02x?}")));
            }
            state.written = !exchange.read.is_empty();
            state.next += usize::from(exchange.read.is_empty());
            Ok(())
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.step(|state, exchange| {
            if state.written == exchange.wrote.is_empty() || exchange.read.len() != buffer.len() {
                return Err(Fault::BadData(format!("read {} bytes, the capture has {exchange:02x?}", buffer.len())));
            }
            buffer.copy_from_slice(exchange.read);
            *state = State { next: state.next + 1, written: false };
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_plays_in_order_and_notices_every_deviation() {
        static CAPTURE: [Exchange; 2] =
            [Exchange { wrote: &[0xfd], read: &[] }, Exchange { wrote: &[0xd0], read: &[0x60] }];
        let mut replay = Replay::new(&CAPTURE);
        let mut byte = [0];
        assert!(replay.read(&mut byte).is_err(), "a read where a write was");
        assert!(replay.write(&[0xfe]).is_err(), "another byte");
        replay.write(&[0xfd]).unwrap();
        replay.write(&[0xd0]).unwrap();
        assert!(replay.write(&[0xd0]).is_err(), "a second write where a read was");
        assert!(replay.read(&mut [0; 2]).is_err(), "another length");
        assert_eq!(replay.left(), 1);
        replay.read(&mut byte).unwrap();
        assert_eq!((byte, replay.left()), ([0x60], 0));
        assert!(replay.write(&[0xfd]).is_err(), "behind the end");
    }
}
