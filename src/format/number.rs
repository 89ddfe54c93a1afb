//! Numbers as text.

/// `value` rounded to `decimals`, without trailing zeros, exponent or negative zero: `21.4`, `-3`, `0`.
///
/// A value that is not finite, which never leaves a filter chain, is `null`.
pub fn number(value: f64, decimals: u8) -> String {
    if !value.is_finite() {
        return "null".into();
    }
    let mut text = format!("{value:.*}", usize::from(decimals));
    if text.contains('.') {
        let end = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(end);
    }
    match text.as_str() {
        "-0" => "0".into(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::number;
    use proptest::prelude::*;

    #[test]
    fn numbers_look_as_people_write_them() {
        for (value, decimals, text) in [
            (21.4, 1, "21.4"),
            (21.4000001, 2, "21.4"),
            (21.0, 2, "21"),
            (100.0, 0, "100"),
            (1000.0, 3, "1000"),
            (-0.04, 1, "0"),
            (-0.0, 0, "0"),
            (-40.0, 2, "-40"),
            (0.1 + 0.2, 9, "0.3"),
            (1e-7, 9, "0.0000001"),
            (1e21, 0, "1000000000000000000000"),
            (123_456_789_012.0, 0, "123456789012"),
            (f64::NAN, 1, "null"),
            (f64::NEG_INFINITY, 1, "null"),
        ] {
            assert_eq!(number(value, decimals), text);
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back_within_its_decimals(value in -1e12..1e12, decimals in 0_u8..=9) {
            let text = number(value, decimals);
            prop_assert!(!text.contains(['e', 'E']) && !text.ends_with('.'));
            let read: f64 = text.parse().unwrap();
            prop_assert!((read - value).abs() <= 0.5 * 10_f64.powi(-i32::from(decimals)) + value.abs() * 1e-15);
        }

        #[test]
        fn every_number_is_json(value in prop::num::f64::ANY, decimals in 0_u8..=9) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&number(value, decimals)).is_ok());
        }
    }
}
