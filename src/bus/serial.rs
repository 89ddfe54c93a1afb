//! Serial ports, real and simulated. A port has one user; what it says is read as it comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tokio_serial::{DataBits, ErrorKind, SerialStream, StopBits};

use super::Buses;
use super::owner::{Owner, threads};
use super::simulated::World;
use crate::model::Fault;

/// How often a simulated device speaks.
const SPEAKS_EVERY: Duration = Duration::from_secs(1);

/// The parity bit of each character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// Which port, and how characters travel on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialSettings {
    /// The device node.
    pub port: String,
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Data bits of a character, 5 to 8.
    pub data_bits: u8,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
}

/// Makes one line of a simulated device.
pub type Speak = Box<dyn FnMut() -> String + Send>;

/// A serial port, opened when it is first read, and again after it was lost.
pub struct SerialPort {
    settings: SerialSettings,
    wire: Wire,
}

enum Wire {
    Real { owner: Arc<Owner<()>>, stream: Option<SerialStream> },
    Simulated { speak: Speak, next: Instant, said: VecDeque<u8> },
}

impl SerialPort {
    /// Opens the port unless it is open; tells whether it was opened just now.
    ///
    /// # Errors
    /// [`Fault::NotPresent`], [`Fault::Permission`], [`Fault::Busy`] when another program has it,
    /// [`Fault::Bus`] for anything else, [`Fault::Timeout`] when the kernel does not answer.
    pub async fn open(&mut self) -> Result<bool, Fault> {
        let Wire::Real { owner, stream } = &mut self.wire else { return Ok(false) };
        if stream.is_some() {
            return Ok(false);
        }
        let settings = self.settings.clone();
        let runtime = Handle::current();
        *stream = Some(owner.transact(0, move |()| open(&settings, &runtime)).await?);
        Ok(true)
    }

    /// Waits for bytes of the open port. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Fault::NotPresent`] when the port is gone; it is opened again by the next [`SerialPort::open`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        match &mut self.wire {
            Wire::Simulated { speak, next, said } => {
                while said.is_empty() {
                    sleep_until(*next).await;
                    *next = Instant::now() + SPEAKS_EVERY;
                    said.extend(format!("{}\r\n", speak()).into_bytes());
                }
                let count = said.len().min(buffer.len());
                said.drain(..count).zip(buffer).for_each(|(byte, to)| *to = byte);
                Ok(count)
            }
            Wire::Real { stream, .. } => {
                let gone = |why: &str| Fault::NotPresent(format!("{} is gone: {why}", self.settings.port));
                let Some(open) = stream else { return Err(gone("it is not open")) };
                let why = match open.read(buffer).await {
                    Ok(0) => "the line was hung up".to_owned(),
                    Ok(count) => return Ok(count),
                    Err(error) => error.to_string(),
                };
                *stream = None;
                Err(gone(&why))
            }
        }
    }
}

impl Buses {
    /// The serial port that `settings` name; `simulated` makes the device behind it when `serial` is simulated.
    ///
    /// # Errors
    /// What `simulated` answers.
    pub fn serial(
        &self,
        settings: SerialSettings,
        simulated: impl FnOnce(World) -> Result<Speak, Fault>,
    ) -> Result<SerialPort, Fault> {
        let wire = if self.is_simulated("serial") {
            let speak = simulated(World::new(self.settings.seed))?;
            Wire::Simulated { speak, next: Instant::now(), said: VecDeque::from(*b"\n") }
        } else {
            // The node's own name, because threads have short names.
            let name = format!("weir-{}", settings.port.rsplit('/').next().unwrap_or_default());
            // The deadline is for opening and setting the port.
            let deadline = self.settings.bus("serial").deadline;
            let make = || Arc::new(Owner::new(deadline, threads(name, || ())));
            let owner = self.open().threads.entry(settings.port.clone()).or_insert_with(make).clone();
            Wire::Real { owner, stream: None }
        };
        Ok(SerialPort { settings, wire })
    }
}

fn open(settings: &SerialSettings, runtime: &Handle) -> Result<SerialStream, Fault> {
    let builder = tokio_serial::new(&settings.port, settings.baud)
        .parity(match settings.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .data_bits(match settings.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        })
        .stop_bits(if settings.stop_bits == 2 { StopBits::Two } else { StopBits::One });
    // The stream is registered with the runtime, whose thread this is not.
    let _inside = runtime.enter();
    SerialStream::open(&builder).map_err(|error| fault(&settings.port, &error))
}

fn fault(port: &str, error: &tokio_serial::Error) -> Fault {
    let why = format!("{port}: {error}");
    match error.kind() {
        ErrorKind::Io(std::io::ErrorKind::NotFound) => Fault::NotPresent(why),
        ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => Fault::Permission(why),
        // The library's word for a port that another program has.
        ErrorKind::NoDevice => Fault::Busy(why),
        _ => Fault::Bus(why),
    }
}
