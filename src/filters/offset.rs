//! Adds a constant: calibration of a sensor that reads too high or too low.

use super::{Filter, Make, Spec, round};
use crate::config::Fields;
use crate::model::Sample;

pub(super) static SPEC: Spec = Spec {
    name: "offset",
    summary: "adds a constant, in the measure's unit",
    keys: &[("offset", "", "what to add; negative to subtract")],
    example: "{ offset = -0.3 }",
    configure,
};

struct Offset {
    add: f64,
    decimals: u8,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let add = finite(fields, "offset")?;
    let decimals = round::decimals_of(add);
    Some(Box::new(move || Box::new(Offset { add, decimals })))
}

/// A number that is neither infinite nor NaN, both of which TOML can write.
pub(super) fn finite(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<f64> {
    let number: f64 = fields.need(key)?;
    if !number.is_finite() {
        fields.wrong(key, format!("`{key}`: {number} is not a finite number"), None);
        return None;
    }
    Some(number)
}

impl Filter for Offset {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        let measure = &mut sample.reading.measure;
        measure.min += self.add;
        measure.max += self.add;
        measure.decimals = measure.decimals.max(self.decimals);
        sample.reading.value += self.add;
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};

    #[test]
    fn a_constant_is_added() {
        assert_eq!(values("{ offset = -0.25 }", &[21.5, 0.0, -40.0]), [21.25, -0.25, -40.25]);
        assert_eq!(values("{ offset = 3 }", &[-3.0]), [0.0]);
    }

    #[test]
    fn the_range_moves_along_and_no_decimal_is_lost() {
        let given = chain("{ offset = -0.125 }").apply(sample(0, 20.0)).unwrap();
        assert_eq!((given.reading.measure.min, given.reading.measure.max), (-40.125, 84.875));
        assert_eq!(given.reading.measure.decimals, 3);
    }
}
