//! A GPIO line as an output: relays, valves, lamps.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::options::choice;
use super::{Claim, Configured, Driver, Kind, Recognise, Simulate, Spec};
use crate::bus::gpio::{Initial, LineName, Output, OutputSettings};
use crate::config::Fields;
use crate::model::{Fault, Reading};

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "gpio-out",
    summary: "GPIO line as an output: relays, valves, lamps",
    measures: &[],
    kind: Kind::Output,
    options: &[
        ("line", "", "\"GPIO17\", or chip and number as in \"gpiochip0:17\""),
        ("active", "\"high\"", "the level that means on: \"high\" or \"low\""),
        ("initial", "\"off\"", "when opened at start: \"off\", \"on\" or \"keep\" (as it was found)"),
    ],
    example: "line = \"GPIO27\"",
    configure,
    simulate: Simulate::Gpio,
    recognise: Recognise::No,
    captures: &[],
};

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let missing = !fields.has("line");
    let line = fields.text("line", LineName::parse);
    if missing {
        fields.wrong("line", "`line` is missing here", None);
    }
    let active_low = choice(fields, "active", &[("high", false), ("low", true)]);
    let choices = [("off", Initial::Set(false)), ("on", Initial::Set(true)), ("keep", Initial::Keep)];
    let settings = OutputSettings { line: line?, active_low, initial: choice(fields, "initial", &choices) };
    // What was commanded last: reopening the line after a fault must not switch it.
    let commanded = Arc::new(Mutex::new(None));
    Some(Configured {
        measures: Vec::new(),
        claims: vec![Claim::Gpio { line: settings.line.to_string() }],
        open: Box::new(move |buses| {
            let last: Option<bool> = *commanded.lock().unwrap_or_else(PoisonError::into_inner);
            let initial = last.map_or(settings.initial, Initial::Set);
            let output = buses.gpio_output(&OutputSettings { initial, ..settings.clone() })?;
            Ok(Box::new(GpioOut { output, commanded: commanded.clone() }))
        }),
    })
}

struct GpioOut {
    output: Output,
    commanded: Arc<Mutex<Option<bool>>>,
}

#[async_trait]
impl Driver for GpioOut {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        Err(Fault::BadData("this driver is an output and reads nothing".into()))
    }

    async fn set(&mut self, on: bool) -> Result<(), Fault> {
        self.output.set(on).await?;
        *self.commanded.lock().unwrap_or_else(PoisonError::into_inner) = Some(on);
        Ok(())
    }
}
