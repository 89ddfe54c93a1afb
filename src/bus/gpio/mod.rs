//! GPIO lines: inputs with edges, outputs that keep their level.
//!
//! Edges always come from the kernel's character device, with its debouncing and its count of edges that
//! were lost. Outputs use the registers of a Raspberry Pi when they can, else the character device.
//! Opening a line happens in the caller and is a matter of microseconds; reading and writing one that may
//! sit behind a slow expander is done by the thread `weir-gpio`.

mod cdev;
mod chips;
mod line;
mod pi;
mod simulated;

use std::time::Duration;

use super::{Backend, Buses};
use crate::model::Fault;

pub use chips::{GpioChip, GpioLine};
pub use line::LineName;
pub use simulated::SimulatedGpio;

/// The resistor behind an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// As it was found.
    AsIs,
    /// None.
    Off,
    /// To the supply.
    Up,
    /// To ground.
    Down,
}

/// Which edges are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Both.
    Both,
    /// Those to the active level.
    Rising,
    /// Those to the inactive level.
    Falling,
}

impl Edges {
    fn include(self, active: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Rising => active,
            Self::Falling => !active,
        }
    }
}

/// How an input is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSettings {
    /// The line.
    pub line: LineName,
    /// Its resistor.
    pub pull: Pull,
    /// Whether the low level is the active one.
    pub active_low: bool,
    /// How long a new level must last to count.
    pub debounce: Duration,
    /// Which edges are told.
    pub edges: Edges,
}

/// What an output starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// Active or not.
    Set(bool),
    /// As it was found, if it was an output; else inactive.
    Keep,
}

/// How an output is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// The line.
    pub line: LineName,
    /// Whether the low level is the active one.
    pub active_low: bool,
    /// What it starts with.
    pub initial: Initial,
}

/// A change of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Whether the line became active.
    pub active: bool,
    /// How many edges were lost before this one.
    pub missed: u64,
}

/// An open input.
pub struct Input(AnyInput);

enum AnyInput {
    Cdev(cdev::Input),
    Simulated(simulated::Input),
}

impl Input {
    /// Whether the line is active now.
    ///
    /// # Errors
    /// The kernel's fault, or those of the thread that asks it.
    pub async fn level(&mut self) -> Result<bool, Fault> {
        match &mut self.0 {
            AnyInput::Cdev(input) => input.level().await,
            AnyInput::Simulated(input) => input.level(),
        }
    }

    /// Waits for the next edge. Dropping the future loses none.
    ///
    /// # Errors
    /// The kernel's fault, for example when the chip was unplugged.
    pub async fn edge(&mut self) -> Result<Edge, Fault> {
        match &mut self.0 {
            AnyInput::Cdev(input) => input.edge().await,
            AnyInput::Simulated(input) => input.edge().await,
        }
    }
}

/// An open output.
pub struct Output(AnyOutput);

enum AnyOutput {
    Cdev(cdev::Output),
    Pi(pi::Output),
    Simulated(simulated::Output),
}

impl Output {
    /// Makes the line active or inactive.
    ///
    /// # Errors
    /// The kernel's fault, or those of the thread that asks it.
    pub async fn set(&mut self, active: bool) -> Result<(), Fault> {
        match &mut self.0 {
            AnyOutput::Cdev(output) => output.set(active).await,
            AnyOutput::Pi(output) => {
                output.set(active);
                Ok(())
            }
            AnyOutput::Simulated(output) => output.set(active),
        }
    }
}

impl Buses {
    /// Opens an input.
    ///
    /// # Errors
    /// [`Fault::NotPresent`], [`Fault::Permission`], [`Fault::Busy`] or [`Fault::Bus`].
    pub fn gpio_input(&self, settings: &InputSettings) -> Result<Input, Fault> {
        if let Some(simulated) = self.simulated() {
            return simulated.input(settings).map(|input| Input(AnyInput::Simulated(input)));
        }
        cdev::Input::open(settings, self.thread("gpio")).map(|input| Input(AnyInput::Cdev(input)))
    }

    /// Opens an output; it has its initial level when this returns.
    ///
    /// # Errors
    /// As [`Buses::gpio_input`].
    pub fn gpio_output(&self, settings: &OutputSettings) -> Result<Output, Fault> {
        if let Some(simulated) = self.simulated() {
            return simulated.output(settings).map(|output| Output(AnyOutput::Simulated(output)));
        }
        let pi = || pi::Output::open(settings).map(|output| Output(AnyOutput::Pi(output)));
        let cdev = || cdev::Output::open(settings, self.thread("gpio")).map(|output| Output(AnyOutput::Cdev(output)));
        match self.settings().bus("gpio").backend {
            Backend::Rppal => pi().map_err(pi::Refusal::into_fault),
            Backend::Cdev => cdev(),
            Backend::Auto | Backend::Simulated => match pi() {
                Err(pi::Refusal::Fault(fault)) => Err(fault),
                Err(pi::Refusal::NotHere(why)) => {
                    tracing::info!(line = %settings.line, "{why}: using the GPIO character device");
                    cdev()
                }
                output => output.map_err(pi::Refusal::into_fault),
            },
        }
    }

    /// The simulated lines, to press buttons and to look at outputs.
    ///
    /// # Errors
    /// [`Fault::NotPresent`] when GPIO is not simulated.
    pub fn simulated_gpio(&self) -> Result<SimulatedGpio, Fault> {
        self.simulated().ok_or_else(|| Fault::NotPresent("gpio is not simulated".into()))
    }

    fn simulated(&self) -> Option<SimulatedGpio> {
        let make = || SimulatedGpio::new(self.settings().seed);
        self.is_simulated("gpio").then(|| self.open().gpio.get_or_insert_with(make).clone())
    }
}
