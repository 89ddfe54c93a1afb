//! How a GPIO line is named.

use std::fmt;

/// A line by its name, or by its chip and number. The number of a chip may change from boot to boot;
/// names and labels do not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineName {
    /// The name that the board gives it, for example `GPIO17`.
    Named(String),
    /// A chip's name or label and the line's number on it, for example `pinctrl-bcm2711:17`.
    At {
        /// The chip's name (`gpiochip0`) or label.
        chip: String,
        /// The line's number on that chip.
        offset: u32,
    },
}

impl LineName {
    /// Reads `GPIO17`, `gpiochip0:17`, `pinctrl-rp1:17` or any other name that a board gives a line.
    ///
    /// # Errors
    /// Says what a right value looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 64 || text.chars().any(char::is_control) || text.trim() != text {
            return Err(format!("{text:?} is no GPIO line: write \"GPIO17\" or \"gpiochip0:17\""));
        }
        if let Some((chip, offset)) = text.rsplit_once(':')
            && let Ok(offset) = offset.parse()
            && !chip.is_empty()
        {
            return Ok(Self::At { chip: chip.to_owned(), offset });
        }
        match text.get(..4).zip(text.get(4..).and_then(|digits| digits.parse::<u8>().ok())) {
            // One spelling for each of a Pi's lines, so that two devices on one are found out.
            Some((prefix, number)) if prefix.eq_ignore_ascii_case("gpio") => Ok(Self::Named(format!("GPIO{number}"))),
            _ => Ok(Self::Named(text.to_owned())),
        }
    }

    /// The number N of a line called `GPION`, as the Raspberry Pi numbers them.
    pub(super) fn bcm(&self) -> Option<u8> {
        match self {
            Self::Named(name) => name.strip_prefix("GPIO")?.parse().ok(),
            Self::At { .. } => None,
        }
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::At { chip, offset } => write!(f, "{chip}:{offset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_printed_again() {
        for (text, normal, bcm) in [
            ("GPIO17", "GPIO17", Some(17)),
            ("gpio04", "GPIO4", Some(4)),
            ("gpiochip0:17", "gpiochip0:17", None),
            ("pinctrl-rp1:3", "pinctrl-rp1:3", None),
            ("7J1 Header Pin7", "7J1 Header Pin7", None),
            ("GPIO_GEN:x", "GPIO_GEN:x", None),
        ] {
            let line = LineName::parse(text).unwrap();
            assert_eq!((line.to_string().as_str(), line.bcm()), (normal, bcm));
        }
        for wrong in ["", " GPIO1", "GPIO1\n", &"x".repeat(65)] {
            assert!(LineName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
