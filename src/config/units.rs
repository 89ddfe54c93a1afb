//! Values that carry their unit, checked at the door.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A span of time as users write it: `"500ms"`, `"30s"`, `"10m"`, `"18h"`, `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Every(pub Duration);

/// A number of bytes as users write it: `"64KiB"`, `"512MiB"`, `"40MB"`, `"0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A 7-bit I2C address that is not reserved: 0x08 to 0x77 (I2C specification UM10204, section 3.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct I2cAddress(u8);

/// A password or key: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; for the one place that sends or checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Every {
    /// Reads a number and one of the units `ms`, `s`, `m`, `h`, `d`.
    ///
    /// # Errors
    /// Says what a right value looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let factor = |unit| match unit {
            "ms" => Some(1.0),
            "s" => Some(1e3),
            "m" => Some(60e3),
            "h" => Some(3600e3),
            "d" => Some(86400e3),
            _ => None,
        };
        let (number, unit) = split(text);
        let ms = factor(unit).zip(number).map(|(factor, number)| number * factor);
        match ms {
            Some(ms) if ms <= 1e14 => Ok(Self(Duration::from_millis(ms.round() as u64))),
            _ => Err(format!("{text:?} is not a time: write a number and ms, s, m, h or d, as in \"30s\"")),
        }
    }
}

impl Bytes {
    /// Reads a number and one of the units `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`; `"0"` needs none.
    ///
    /// # Errors
    /// Says what a right value looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let factor = |unit| match unit {
            "B" => Some(1.0),
            "kB" | "KB" => Some(1e3),
            "MB" => Some(1e6),
            "GB" => Some(1e9),
            "TB" => Some(1e12),
            "KiB" => Some(1024.0),
            "MiB" => Some(1024.0 * 1024.0),
            "GiB" => Some(1024.0 * 1024.0 * 1024.0),
            "TiB" => Some(1024.0 * 1024.0 * 1024.0 * 1024.0),
            _ => None,
        };
        let (number, unit) = split(text);
        let bytes = match (number, unit) {
            (Some(0.0), "") => Some(0.0),
            (number, unit) => factor(unit).zip(number).map(|(factor, number)| number * factor),
        };
        match bytes {
            Some(bytes) if bytes <= 1e18 => Ok(Self(bytes.round() as u64)),
            _ => Err(format!(
                "{text:?} is not a size: write a number and B, KiB, MiB, GiB, kB, MB or GB, as in \"64MiB\""
            )),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        largest(f, self.0.as_millis() as u64, &units, "0s")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        largest(f, self.0, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")], "0B")
    }
}

/// Writes `value` in the largest unit that needs no fraction.
fn largest(f: &mut fmt::Formatter<'_>, value: u64, units: &[(u64, &str)], zero: &str) -> fmt::Result {
    match units.iter().find(|(size, _)| value > 0 && value.is_multiple_of(*size)) {
        Some((size, unit)) => write!(f, "{}{unit}", value / size),
        None => f.write_str(zero),
    }
}

/// The number in front and the unit behind it.
fn split(text: &str) -> (Option<f64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (text[..end].parse().ok(), text[end..].trim_start())
}

impl I2cAddress {
    /// Checks that `address` is 0x08 to 0x77.
    ///
    /// # Errors
    /// Says what a right value looks like.
    pub fn new(address: u8) -> Result<Self, String> {
        match address {
            0x08..=0x77 => Ok(Self(address)),
            _ => Err(format!("{address:#04x} is not an I2C address: they go from 0x08 to 0x77")),
        }
    }

    /// The 7-bit address.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for I2cAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// Makes serde read a type from text through its `parse`.
macro_rules! from_text {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

from_text!(Every, "a time with its unit, as in \"30s\"");
from_text!(Bytes, "a size with its unit, as in \"64MiB\"");

impl<'de> Deserialize<'de> for I2cAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = u8::deserialize(deserializer)?;
        Self::new(address).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_carry_their_unit() {
        for text in ["500ms", "90s", "18h", "7d", "0s"] {
            assert_eq!(Every::parse(text).unwrap().to_string(), text);
        }
        for text in ["64KiB", "3MiB", "1GiB", "7B"] {
            assert_eq!(Bytes::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Every::parse("500ms").unwrap().0, Duration::from_millis(500));
        assert_eq!(Every::parse("1.5s").unwrap().0, Duration::from_millis(1500));
        assert_eq!(Every::parse("7d").unwrap().0, Duration::from_secs(7 * 86_400));
        for wrong in ["30", "", "s", "-1s", "1.2.3s", "30 sec", "1e3s", "99999999999999d"] {
            assert!(Every::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Bytes::parse("64MiB").unwrap().0, 64 << 20);
        assert_eq!(Bytes::parse("40MB").unwrap().0, 40_000_000);
        assert_eq!(Bytes::parse("0").unwrap().0, 0);
        for wrong in ["64", "MiB", "64mib", "-1B", "99999999999GiB"] {
            assert!(Bytes::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn reserved_addresses_are_refused() {
        assert_eq!(I2cAddress::new(0x76).unwrap().to_string(), "0x76");
        assert!(I2cAddress::new(0x07).is_err());
        assert!(I2cAddress::new(0x78).is_err());
    }
}
