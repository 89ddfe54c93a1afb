//! Rounds to a number of decimals, half away from zero.

use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::model::Sample;

/// More decimals than this carry no information in any sensor.
pub(super) const MOST_DECIMALS: u8 = 9;

pub(super) static SPEC: Spec = Spec {
    name: "round",
    summary: "rounds to a number of decimals",
    keys: &[("round", "", "how many decimals to keep, 0 to 9")],
    example: "{ round = 1 }",
    configure,
};

struct Round {
    decimals: u8,
    factor: f64,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let decimals: u8 = fields.need("round")?;
    if decimals > MOST_DECIMALS {
        fields.wrong("round", format!("`round`: {decimals} is not between 0 and {MOST_DECIMALS}"), None);
        return None;
    }
    let factor = 10_f64.powi(decimals.into());
    Some(Box::new(move || Box::new(Round { decimals, factor })))
}

/// How many decimals `number` needs when written out.
pub(super) fn decimals_of(number: f64) -> u8 {
    let text = number.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    decimals.min(MOST_DECIMALS.into()) as u8
}

impl Filter for Round {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        let rounded = (sample.reading.value * self.factor).round() / self.factor;
        // A value so large that the product overflows has no decimals to round.
        if rounded.is_finite() {
            sample.reading.value = rounded;
        }
        sample.reading.measure.decimals = self.decimals;
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};

    #[test]
    fn values_keep_the_decimals_asked_for() {
        assert_eq!(values("{ round = 1 }", &[21.44, 21.46, -0.04, 1e300]), [21.4, 21.5, 0.0, 1e300]);
        assert_eq!(values("{ round = 0 }", &[0.5, -0.5, 2.4]), [1.0, -1.0, 2.0]);
        assert_eq!(values("{ round = 1 }", &[1.7e308]), [1.7e308]);
        assert_eq!(chain("{ round = 4 }").apply(sample(0, 1.0)).unwrap().reading.measure.decimals, 4);
    }

    #[test]
    fn decimals_are_counted_as_written() {
        for (number, decimals) in [(0.0, 0), (-0.3, 1), (12.125, 3), (1e-12, 9), (1e20, 0)] {
            assert_eq!(super::decimals_of(number), decimals, "{number}");
        }
    }
}
