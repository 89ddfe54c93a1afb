//! I2C: device handles for drivers, and what the bus's worker does for them.

pub mod adapters;
pub(super) mod linux;

use std::sync::Arc;

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource, Operation};

use super::owner::Owner;
use crate::model::Fault;

/// The blocking bus behind an owner: hardware, a simulated bus, or a test's own.
///
/// Implemented by every [`embedded_hal::i2c::I2c`] whose errors can be told as a [`Fault`].
pub trait Adapter: Send {
    /// One transaction: START, the operations with repeated START between them, STOP.
    ///
    /// # Errors
    /// The fault as the bus tells it.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault>;
}

impl<T> Adapter for T
where
    T: embedded_hal::i2c::I2c + Send,
    T::Error: Into<Fault>,
{
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        embedded_hal::i2c::I2c::transaction(self, address, operations).map_err(Into::into)
    }
}

impl From<ErrorKind> for Fault {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NoAcknowledge(_) => Fault::Nack,
            other => Fault::Bus(other.to_string()),
        }
    }
}

impl embedded_hal::i2c::Error for Fault {
    fn kind(&self) -> ErrorKind {
        match self {
            Fault::Nack => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Fault::Bus(_) => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

/// Opens the bus; called by the worker, because opening may block too.
pub type OpenAdapter = Arc<dyn Fn() -> Result<Box<dyn Adapter>, Fault> + Send + Sync>;

/// What a worker holds: the bus once it is open.
pub(super) struct Port {
    open: OpenAdapter,
    adapter: Option<Box<dyn Adapter>>,
}

impl Port {
    pub(super) fn new(open: OpenAdapter) -> Self {
        Self { open, adapter: None }
    }

    /// Writes `wrote` if there is any, then reads `length` bytes if any are wanted.
    fn exchange(&mut self, address: u8, wrote: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
        let mut read = vec![0; length];
        let outcome = match (wrote.is_empty(), length) {
            (true, _) => self.run(address, &mut [Operation::Read(&mut read)]),
            (false, 0) => self.run(address, &mut [Operation::Write(wrote)]),
            (false, _) => self.run(address, &mut [Operation::Write(wrote), Operation::Read(&mut read)]),
        };
        outcome.map(|()| read)
    }

    /// A bus that fails in another way than by silence is opened afresh, as a re-plugged adapter needs it.
    fn run(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        let mut adapter = match self.adapter.take() {
            Some(adapter) => adapter,
            None => (self.open)()?,
        };
        let outcome = adapter.transaction(address, operations);
        if matches!(outcome, Ok(()) | Err(Fault::Nack | Fault::Busy(_))) {
            self.adapter = Some(adapter);
        }
        outcome
    }
}

/// One device on an I2C bus. Each call is one transaction with the bus's deadline; other devices
/// have their turn between two calls.
pub struct I2c {
    owner: Arc<Owner<Port>>,
    address: u8,
}

impl I2c {
    pub(super) fn new(owner: Arc<Owner<Port>>, address: u8) -> Self {
        Self { owner, address }
    }

    /// Writes `bytes`.
    ///
    /// # Errors
    /// The bus's fault, or [`Fault::Timeout`], or [`Fault::Wedged`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.exchange(bytes, 0).await.map(drop)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// As [`I2c::write`].
    pub async fn read<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.write_read(&[]).await
    }

    /// Writes `bytes`, then reads `N` bytes after a repeated START.
    ///
    /// # Errors
    /// As [`I2c::write`].
    pub async fn write_read<const N: usize>(&mut self, bytes: &[u8]) -> Result<[u8; N], Fault> {
        let read = self.exchange(bytes, N).await?;
        Ok(read.try_into().expect("an exchange reads as many bytes as were asked for"))
    }

    /// Writes `bytes` if there are any, then reads `length` bytes if any are wanted.
    ///
    /// # Errors
    /// As [`I2c::write`].
    pub async fn exchange(&mut self, bytes: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
        let (address, bytes) = (self.address, bytes.to_vec());
        self.owner.transact(u32::from(address), move |port: &mut Port| port.exchange(address, &bytes, length)).await
    }
}
