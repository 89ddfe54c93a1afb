//! Options that many drivers share. A wrong value is noted and its default goes on.

use serde::de::DeserializeOwned;

use crate::bus::Family;
use crate::config::Fields;
use crate::config::units::I2cAddress;

use super::Claim;

/// Where an I2C device sits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct I2cPlace {
    /// The bus, for example `i2c-1`.
    pub(super) bus: String,
    /// The 7-bit address.
    pub(super) address: u8,
}

impl I2cPlace {
    /// Reads `bus` and `address`; without `address` it is the first of `possible`.
    pub(super) fn read(fields: &mut Fields<'_, '_>, possible: &[u8]) -> Option<Self> {
        let address = fields.maybe::<I2cAddress>("address").map_or(possible[0], I2cAddress::get);
        if !possible.contains(&address) {
            let list: Vec<_> = possible.iter().map(|address| format!("{address:#04x}")).collect();
            let help = format!("it answers at {}", list.join(", "));
            fields.wrong("address", format!("this device cannot be at {address:#04x}"), Some(help));
        }
        let bus: String = fields.need("bus")?;
        if Family::of(&bus) != Some(Family::I2c) {
            fields.wrong("bus", format!("{bus:?} is no I2C bus"), Some("they are called i2c-0, i2c-1 ...".into()));
        }
        Some(Self { bus, address })
    }

    /// The claim to this place.
    pub(super) fn claim(&self) -> Claim {
        Claim::I2c { bus: self.bus.clone(), address: self.address }
    }
}

/// The value of `key`: `Some(None)` when it is not there, `None` when it is wrong.
pub(super) fn optional<T: DeserializeOwned>(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<T>> {
    match fields.value(key) {
        None => Some(None),
        Some(value) => value.read(key, fields.problems).map(Some),
    }
}

/// One of several words, the first of which is the default.
pub(super) fn choice<T: Copy>(fields: &mut Fields<'_, '_>, key: &'static str, choices: &[(&'static str, T)]) -> T {
    fields.word(key, choices).unwrap_or(choices[0].1)
}

/// One of several numbers, the first of which is the default.
pub(super) fn number(fields: &mut Fields<'_, '_>, key: &'static str, choices: &[u32]) -> u32 {
    let Some(number) = fields.maybe(key) else { return choices[0] };
    if choices.contains(&number) {
        return number;
    }
    let list: Vec<_> = choices.iter().map(u32::to_string).collect();
    fields.wrong(key, format!("`{key}` cannot be {number}"), Some(format!("write one of {}", list.join(", "))));
    choices[0]
}
