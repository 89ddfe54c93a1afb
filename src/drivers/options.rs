//! Options that many drivers share.

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
        let bus: Option<String> = fields.need("bus");
        let first = I2cAddress::new(possible[0]).expect("drivers list addresses that exist");
        let given: Option<Option<I2cAddress>> = optional(fields, "address");
        let address = given?.unwrap_or(first).get();
        if !possible.contains(&address) {
            let list: Vec<_> = possible.iter().map(|a| format!("{a:#04x}")).collect();
            fields.wrong("address", format!("this device cannot sit at {address:#04x}"), Some(list.join(", ")));
            return None;
        }
        let bus = bus?;
        if crate::bus::Family::of(&bus) != Some(crate::bus::Family::I2c) {
            fields.wrong("bus", format!("`{bus}` is no I2C bus"), Some("they are called i2c-1, i2c-2 ...".into()));
            return None;
        }
        Some(Self { bus, address })
    }

    /// The claim to this place.
    pub(super) fn claim(&self) -> Claim {
        Claim::I2c { bus: self.bus.clone(), address: self.address }
    }
}

/// The value of `key`: `Some(None)` when it is not there, `None` when it is wrong.
pub(super) fn optional<T: serde::de::DeserializeOwned>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
) -> Option<Option<T>> {
    match fields.value(key) {
        None => Some(None),
        Some(value) => value.read(key, fields.problems).map(Some),
    }
}

/// One of several words, the first of which is the default.
pub(super) fn choice<T: Copy>(fields: &mut Fields<'_, '_>, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
    let given: Option<Option<String>> = optional(fields, key);
    let Some(word) = given? else { return Some(choices[0].1) };
    let found = choices.iter().find(|(name, _)| *name == word).map(|&(_, value)| value);
    if found.is_none() {
        let words: Vec<_> = choices.iter().map(|&(name, _)| name).collect();
        let help = crate::config::nearest(&word, &words)
            .map_or_else(|| format!("one of {}", words.join(", ")), |near| format!("did you mean `{near}`?"));
        fields.wrong(key, format!("`{key}` cannot be `{word}`"), Some(help));
    }
    found
}

/// One of several numbers, the first of which is the default.
pub(super) fn number(fields: &mut Fields<'_, '_>, key: &'static str, choices: &[u32]) -> Option<u32> {
    let given: Option<Option<u32>> = optional(fields, key);
    let number = given?.unwrap_or(choices[0]);
    if !choices.contains(&number) {
        let list: Vec<_> = choices.iter().map(u32::to_string).collect();
        fields.wrong(key, format!("`{key}` cannot be {number}"), Some(format!("one of {}", list.join(", "))));
        return None;
    }
    Some(number)
}
