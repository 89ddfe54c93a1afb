//! Buses by name, each with one owner.
//!
//! Nothing is opened before a driver asks, and then by the bus's worker: a named OS thread for
//! hardware, a task for a simulated bus. Simulated chips and tests' mocks enter behind the worker only,
//! so drivers, deadlines and breakers are the same code in all cases.

mod breaker;
pub mod gpio;
pub mod i2c;
pub mod kernel;
mod owner;
pub mod serial;
mod settings;
pub mod simulated;
mod sys;
mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use i2c::I2c;
pub use owner::Owner;
pub use settings::{Backend, BusSettings, Family, Settings};
pub use tally::BusStatus;

use crate::model::Fault;
use i2c::{OpenAdapter, Port};
use owner::threads;
use simulated::{MakeChip, SimulatedI2c};

/// All buses of this gateway; a cheap handle.
#[derive(Clone, Default)]
pub struct Buses {
    settings: Arc<Settings>,
    open: Arc<Mutex<Open>>,
}

/// The buses that someone has asked for.
#[derive(Default)]
struct Open {
    i2c: BTreeMap<String, I2cBus>,
    threads: BTreeMap<String, Arc<Owner<()>>>,
    gpio: Option<gpio::SimulatedGpio>,
}

/// One I2C bus.
#[derive(Clone)]
struct I2cBus {
    owner: Arc<Owner<Port>>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Simulated(SimulatedI2c),
    Kernel(u8),
    /// A test's own adapter.
    Other,
}

impl Buses {
    /// Buses as told; nothing is opened before a driver asks.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), open: Arc::default() }
    }

    /// What the buses were told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether readings over the bus called `name` are made by simulated chips.
    pub fn is_simulated(&self, name: &str) -> bool {
        self.settings.is_simulated(name)
    }

    /// `path` below the root of the kernel's trees: `sys/class/hwmon` is `/sys/class/hwmon`.
    pub fn kernel_path(&self, path: &str) -> PathBuf {
        self.settings.kernel_root.join(path.trim_start_matches('/'))
    }

    /// The kernel's trees as files. Reading one may block: [`Buses::kernel`] does so on a thread of its own.
    pub fn files(&self) -> kernel::Root {
        kernel::Root(self.settings.kernel_root.clone())
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device at `address` on the I2C bus called `bus`. On a simulated bus, `chip` is put there first.
    ///
    /// # Errors
    /// [`Fault::NotPresent`] when no bus has that name, [`Fault::Busy`] when a kernel driver owns the chip.
    /// Whether the bus and the device are there shows at the first transaction.
    pub fn i2c(&self, bus: &str, address: u8, chip: MakeChip) -> Result<I2c, Fault> {
        let I2cBus { owner, kind } = self.i2c_bus(bus)?;
        match kind {
            Kind::Simulated(simulated) => simulated.ensure(address, chip),
            Kind::Kernel(number) => i2c::linux::refuse_bound(&self.settings.kernel_root, number, address)?,
            Kind::Other => {}
        }
        Ok(I2c::new(owner, address))
    }

    /// The device at `address` on the I2C bus called `bus`, whatever it is: to look whether there is one.
    ///
    /// # Errors
    /// As [`Buses::i2c`].
    pub fn whatever_is_at(&self, bus: &str, address: u8) -> Result<I2c, Fault> {
        let I2cBus { owner, kind } = self.i2c_bus(bus)?;
        if let Kind::Kernel(number) = kind {
            i2c::linux::refuse_bound(&self.settings.kernel_root, number, address)?;
        }
        Ok(I2c::new(owner, address))
    }

    /// The simulated bus called `bus`, to put chips on it and to make trouble.
    ///
    /// # Errors
    /// [`Fault::NotPresent`] when that bus is not simulated.
    pub fn simulated_i2c(&self, bus: &str) -> Result<SimulatedI2c, Fault> {
        match self.i2c_bus(bus)?.kind {
            Kind::Simulated(simulated) => Ok(simulated),
            _ => Err(Fault::NotPresent(format!("{bus} is not simulated"))),
        }
    }

    /// Adds an I2C bus whose worker thread uses what `open` gives.
    pub fn add_i2c(&self, bus: &str, open: OpenAdapter) {
        let deadline = self.settings.bus(bus).deadline;
        let start = threads(format!("weir-{bus}"), move || Port::new(open.clone()));
        let owner = Arc::new(Owner::new(deadline, start));
        self.open().i2c.insert(bus.to_owned(), I2cBus { owner, kind: Kind::Other });
    }

    /// The owner of the thread called `weir-NAME`, which does blocking work that is not bound to a bus
    /// of its own, with the deadline of `[bus.NAME]`.
    pub fn thread(&self, name: &str) -> Arc<Owner<()>> {
        let make = || Arc::new(Owner::new(self.settings.bus(name).deadline, threads(format!("weir-{name}"), || ())));
        self.open().threads.entry(name.to_owned()).or_insert_with(make).clone()
    }

    fn i2c_bus(&self, bus: &str) -> Result<I2cBus, Fault> {
        let mut open = self.open();
        if let Some(known) = open.i2c.get(bus) {
            return Ok(known.clone());
        }
        let made = self.make_i2c(bus)?;
        open.i2c.insert(bus.to_owned(), made.clone());
        Ok(made)
    }

    fn make_i2c(&self, bus: &str) -> Result<I2cBus, Fault> {
        let deadline = self.settings.bus(bus).deadline;
        if self.is_simulated(bus) {
            let simulated = SimulatedI2c::new(simulated::seed_of(self.settings.seed, bus));
            let owner = Arc::new(Owner::new(deadline, simulated.tasks()));
            return Ok(I2cBus { owner, kind: Kind::Simulated(simulated) });
        }
        let number = i2c::linux::number(bus)?;
        let open: OpenAdapter = Arc::new(move || Ok(Box::new(i2c::linux::Bus::open(number, deadline)?)));
        let start = threads(format!("weir-{bus}"), move || Port::new(open.clone()));
        Ok(I2cBus { owner: Arc::new(Owner::new(deadline, start)), kind: Kind::Kernel(number) })
    }

    /// The state of every bus that someone has asked for.
    pub fn status(&self) -> Vec<BusStatus> {
        let open = self.open();
        let i2c = open.i2c.iter().map(|(name, bus)| bus.owner.tally().status(name, self.is_simulated(name)));
        let threads = open.threads.iter().map(|(name, owner)| owner.tally().status(name, false));
        i2c.chain(threads).collect()
    }
}
