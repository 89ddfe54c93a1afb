//! Outputs through the registers of a Raspberry Pi: a write is one store and cannot block.

use rppal::gpio::{Error, Gpio, Level, Mode, OutputPin};

use super::{Initial, OutputSettings, cdev};
use crate::model::Fault;

/// Why there is no output.
pub(super) enum Refusal {
    /// This is not the way here; the character device may be.
    NotHere(String),
    /// No way would do.
    Fault(Fault),
}

impl Refusal {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::NotHere(why) => Fault::NotPresent(why),
            Self::Fault(fault) => fault,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownModel => Self::NotHere("rppal knows no Raspberry Pi in this machine".into()),
            Error::PermissionDenied(node) => Self::NotHere(format!("rppal may not open {node}")),
            Error::Io(error) => Self::NotHere(format!("rppal: {error}")),
            Error::PinUsed(pin) => Self::Fault(Fault::Busy(format!("GPIO{pin} is in use already"))),
            Error::PinNotAvailable(pin) => Self::Fault(Fault::NotPresent(format!("this Pi has no GPIO{pin}"))),
            Error::ThreadPanic => Self::Fault(Fault::Panicked),
        }
    }
}

/// An output line.
pub(super) struct Output {
    pin: OutputPin,
    active_low: bool,
}

impl Output {
    pub(super) fn open(settings: &OutputSettings) -> Result<Self, Refusal> {
        let line = &settings.line;
        let number = line.bcm().ok_or_else(|| Refusal::NotHere(format!("{line} has no number that rppal knows")))?;
        let gpio = Gpio::new()?;
        // Registers do not ask who else uses a line; the kernel knows.
        if let Some(consumer) = cdev::user(line) {
            return Err(Refusal::Fault(Fault::Busy(format!("{line} is in use by {consumer}"))));
        }
        let pin = gpio.get(number)?;
        let high = match settings.initial {
            Initial::Set(active) => active != settings.active_low,
            Initial::Keep if pin.mode() == Mode::Output => pin.read() == Level::High,
            Initial::Keep => settings.active_low,
        };
        let mut pin = if high { pin.into_output_high() } else { pin.into_output_low() };
        // The level outlives us: what is safe has been set before, by the output's own rules.
        pin.set_reset_on_drop(false);
        Ok(Self { pin, active_low: settings.active_low })
    }

    pub(super) fn set(&mut self, active: bool) {
        self.pin.write(if active == self.active_low { Level::Low } else { Level::High });
    }
}
