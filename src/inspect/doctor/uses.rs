//! What a configuration needs of the machine.

use crate::drivers::{Claim, Configured};
use crate::model::Name;
use crate::plan::Plan;

/// The devices of a configuration that are not simulated, each with what it claims.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses(pub(super) Vec<(Name, Claim)>);

impl Uses {
    pub(super) fn of(plan: Option<&Plan>) -> Self {
        let Some(plan) = plan else { return Self::default() };
        let real = |configured: &Configured| -> Vec<Claim> {
            let simulated = |claim: &&Claim| claim.bus().is_some_and(|bus| plan.buses.is_simulated(bus));
            configured.claims.iter().filter(|claim| !simulated(claim)).cloned().collect()
        };
        let sensors = plan.sensors.iter().map(|sensor| (&sensor.name, real(&sensor.configured)));
        let outputs = plan.outputs.iter().map(|output| (&output.name, real(&output.configured)));
        let all = sensors.chain(outputs);
        Self(all.flat_map(|(name, claims)| claims.into_iter().map(|claim| (name.clone(), claim))).collect())
    }

    /// The I2C buses, each once.
    pub(super) fn i2c(&self) -> Vec<&str> {
        let mut buses: Vec<_> = self
            .0
            .iter()
            .filter_map(|(_, claim)| match claim {
                Claim::I2c { bus, .. } => Some(bus.as_str()),
                _ => None,
            })
            .collect();
        buses.sort_unstable();
        buses.dedup();
        buses
    }

    /// The serial ports.
    pub(super) fn serial(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, claim)| match claim {
            Claim::Serial { port } => Some(port.as_str()),
            _ => None,
        })
    }

    /// The GPIO lines, and whose they are.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0.iter().filter_map(|(name, claim)| match claim {
            Claim::Gpio { line } => Some((name, line.as_str())),
            _ => None,
        })
    }

    /// The devices on the 1-Wire bus, and whose they are.
    pub(super) fn one_wire(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0.iter().filter_map(|(name, claim)| match claim {
            Claim::Kernel { family: "w1", device } => Some((name, device.as_str())),
            _ => None,
        })
    }
}
