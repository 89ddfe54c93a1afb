//! Numbers in lines.

/// More decimals than this carry no information in any sensor.
const MOST_DECIMALS: usize = 9;

/// A number of a line, and how many decimals it was written with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    pub(super) number: f64,
    pub(super) decimals: u8,
}

/// Reads a decimal number: sign, digits, `decimal`, digits, exponent. White space around it does not count.
pub(super) fn read(text: &str, decimal: char) -> Result<Value, String> {
    let text = text.trim();
    let plain = match decimal {
        '.' => text.to_owned(),
        _ => text.replace(decimal, "."),
    };
    // Rust also reads "inf" and "nan", which no sensor means as a value.
    let digits = plain.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match plain.parse::<f64>() {
        Ok(number) if digits && number.is_finite() => Ok(Value { number, decimals: decimals(&plain) }),
        _ => Err(format!("{text:?} is not a number")),
    }
}

fn decimals(text: &str) -> u8 {
    if text.contains(['e', 'E']) {
        return MOST_DECIMALS as u8;
    }
    let written = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    written.min(MOST_DECIMALS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_devices_write_them() {
        for (text, decimal, number, decimals) in [
            ("21.40", '.', 21.4, 2),
            (" -7 ", '.', -7.0, 0),
            ("+0.5", '.', 0.5, 1),
            ("21,4", ',', 21.4, 1),
            ("1.5e3", '.', 1500.0, 9),
            (".25", '.', 0.25, 2),
            ("0.12345678901", '.', 0.123_456_789_01, 9),
        ] {
            assert_eq!(read(text, decimal), Ok(Value { number, decimals }), "{text}");
        }
        for text in ["", "nan", "inf", "-inf", "0x10", "21,4", "1.2.3", "--", "1e999", "21.4 C", "e"] {
            assert!(read(text, '.').is_err(), "{text}");
        }
    }
}
