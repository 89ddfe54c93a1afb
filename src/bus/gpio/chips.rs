//! The chips with GPIO lines, and who uses the lines.

use gpiocdev::chip::Chip as Cdev;
use gpiocdev::line::Offset;

use super::super::Buses;
use super::super::kernel::Files as _;
use crate::model::Fault;

/// A chip with GPIO lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioChip {
    /// The kernel's name, whose number may change from boot to boot.
    pub name: String,
    /// What it is, and stays.
    pub label: String,
    /// Its lines.
    pub lines: Vec<GpioLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioLine {
    /// The name that the board gives it; may be empty.
    pub name: String,
    /// Who uses it; empty when the user did not say.
    pub user: Option<String>,
}

impl Buses {
    /// Every GPIO chip, or why it cannot be looked at, by node.
    pub fn gpio_chips(&self) -> Vec<(String, Result<GpioChip, Fault>)> {
        if self.is_simulated("gpio") {
            let line = |number: u8| GpioLine { name: format!("GPIO{number}"), user: None };
            let chip =
                GpioChip { name: "gpiochip0".into(), label: "simulated".into(), lines: (0..28).map(line).collect() };
            return vec![("/dev/gpiochip0".into(), Ok(chip))];
        }
        let names = self.files().list("dev").unwrap_or_default();
        let nodes = names.into_iter().filter(|name| name.starts_with("gpiochip"));
        nodes.map(|name| (format!("/dev/{name}"), self.gpio_chip(&name))).collect()
    }

    fn gpio_chip(&self, name: &str) -> Result<GpioChip, Fault> {
        let path = self.kernel_path(&format!("dev/{name}"));
        let explain = |error: gpiocdev::Error| super::cdev::explain_chip(name, &error);
        let chip = Cdev::from_path(path).map_err(explain)?;
        let info = chip.info().map_err(explain)?;
        let line = |offset: Offset| {
            let line = chip.line_info(offset).map_err(explain)?;
            Ok(GpioLine { name: line.name, user: line.used.then_some(line.consumer) })
        };
        let lines = (0..info.num_lines).map(line).collect::<Result<_, Fault>>()?;
        Ok(GpioChip { name: info.name, label: info.label, lines })
    }
}
