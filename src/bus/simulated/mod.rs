//! Simulated chips on simulated buses, under the real driver code.
//!
//! A chip answers writes and reads as its datasheet says; what it measures comes from its [`World`].
//! Tests make trouble through [`SimulatedI2c`].

mod registers;
mod replay;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_hal::i2c::Operation;
use tokio::sync::{Notify, mpsc};

use super::i2c::{Adapter, OpenAdapter, Port};
use super::owner::{Job, Start};
use crate::model::Fault;

pub use registers::{ByteRegisters, WordRegisters};
pub use replay::{Exchange, Replay};
pub use world::World;
pub(super) use world::seed_of;

/// A simulated I2C chip.
pub trait Chip: Send {
    /// Bytes between START and STOP (or repeated START), without the address.
    ///
    /// # Errors
    /// [`Fault::Nack`] for what the chip does not acknowledge.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault>;

    /// Fills `buffer` as the chip would.
    ///
    /// # Errors
    /// [`Fault::Nack`] when it is busy.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault>;
}

/// Makes a chip whose measurements come from a world.
pub type MakeChip = fn(World) -> Box<dyn Chip>;

/// What a test does to one simulated chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not acknowledge its address, as if unplugged.
    Unplugged,
    /// Its next transaction never returns, until the trouble is lifted.
    Hangs,
    /// The kernel gives up on each of its transactions.
    TimesOut,
    /// One bit of each read is wrong, counted from the first byte's highest; reads without it are right.
    Flips(usize),
}

/// A simulated I2C bus; a cheap handle for those who play with it.
#[derive(Clone, Default)]
pub struct SimulatedI2c {
    chips: Arc<Mutex<BTreeMap<u8, Place>>>,
    calm: Arc<Notify>,
    seed: u64,
}

/// What sits at one address.
struct Place {
    chip: Box<dyn Chip>,
    world: World,
    trouble: Option<Trouble>,
}

impl SimulatedI2c {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn chips(&self) -> MutexGuard<'_, BTreeMap<u8, Place>> {
        self.chips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a chip at `address`, unless there is one.
    pub(super) fn ensure(&self, address: u8, make: MakeChip) {
        let mut chips = self.chips();
        chips.entry(address).or_insert_with(|| {
            let world = World::new(self.seed.wrapping_add(address.into()));
            Place { chip: make(world.clone()), world, trouble: None }
        });
    }

    /// Puts `chip` at `address`, in the place of what was there.
    pub fn place(&self, address: u8, chip: Box<dyn Chip>) {
        self.chips().insert(address, Place { chip, world: World::new(self.seed), trouble: None });
    }

    /// The world that the chip at `address` measures; nothing when no driver has opened one there.
    pub fn world(&self, address: u8) -> Option<World> {
        self.chips().get(&address).map(|place| place.world.clone())
    }

    /// Makes or lifts trouble for the chip at `address`; `false` when there is none.
    pub fn trouble(&self, address: u8, trouble: Option<Trouble>) -> bool {
        let mut chips = self.chips();
        let Some(place) = chips.get_mut(&address) else { return false };
        place.trouble = trouble;
        self.calm.notify_waiters();
        true
    }

    fn hangs(&self, address: u8) -> bool {
        self.chips().get(&address).is_some_and(|place| place.trouble == Some(Trouble::Hangs))
    }

    /// Waits until the chip at `address` lets go of the bus.
    async fn released(&self, address: u8) {
        loop {
            let calm = self.calm.notified();
            tokio::pin!(calm);
            calm.as_mut().enable();
            if !self.hangs(address) {
                return;
            }
            calm.await;
        }
    }

    /// Workers that are tasks: a paused clock and a thread would race.
    pub(super) fn tasks(&self) -> Start<Port> {
        let bus = self.clone();
        Box::new(move |jobs| {
            tokio::spawn(serve(bus.clone(), jobs));
            Ok(())
        })
    }
}

/// Serves jobs; one whose chip hangs is not finished before the chip lets go.
async fn serve(bus: SimulatedI2c, mut jobs: mpsc::Receiver<Job<Port>>) {
    let last = Arc::new(Mutex::new(0));
    let adapter = Wires { bus: bus.clone(), last: last.clone() };
    let open: OpenAdapter = Arc::new(move || Ok(Box::new(adapter.clone())));
    let mut port = Port::new(open);
    while let Some(job) = jobs.recv().await {
        let finished = job.run(&mut port);
        let address = *last.lock().unwrap_or_else(PoisonError::into_inner);
        bus.released(address).await;
        finished.tell();
    }
}

/// The simulated bus as its worker holds it.
#[derive(Clone)]
struct Wires {
    bus: SimulatedI2c,
    last: Arc<Mutex<u8>>,
}

impl Adapter for Wires {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = address;
        let mut chips = self.bus.chips();
        let place = chips.get_mut(&address).ok_or(Fault::Nack)?;
        match place.trouble {
            Some(Trouble::Unplugged) => return Err(Fault::Nack),
            Some(Trouble::TimesOut) => return Err(Fault::Timeout),
            _ => {}
        }
        operations.iter_mut().try_for_each(|operation| place.run(operation))
    }
}

impl Place {
    fn run(&mut self, operation: &mut Operation<'_>) -> Result<(), Fault> {
        match operation {
            Operation::Write(bytes) => self.chip.write(bytes),
            Operation::Read(buffer) => {
                self.chip.read(buffer)?;
                if let Some(Trouble::Flips(bit)) = self.trouble
                    && let Some(byte) = buffer.get_mut(bit / 8)
                {
                    *byte ^= 0x80 >> (bit % 8);
                }
                Ok(())
            }
        }
    }
}
