//! Multiplies by a constant: shunts, dividers, other units.

use std::sync::Arc;

use super::offset::finite;
use super::{Filter, Make, Spec, round};
use crate::config::Fields;
use crate::model::Sample;

pub(super) static SPEC: Spec = Spec {
    name: "scale",
    summary: "multiplies by a constant",
    keys: &[("scale", "", "the factor, not 0"), ("unit", "as before", "the unit of the product")],
    example: "{ scale = 0.001, unit = \"kPa\" }",
    configure,
};

struct Scale {
    factor: f64,
    unit: Option<Arc<str>>,
    decimals: i32,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let unit: Option<Arc<str>> = fields.maybe("unit");
    let factor = finite(fields, "scale")?;
    if factor == 0.0 {
        fields.wrong("scale", "`scale`: 0 would make every value 0", None);
        return None;
    }
    let decimals = -libm::log10(factor.abs()).floor() as i32;
    Some(Box::new(move || Box::new(Scale { factor, unit: unit.clone(), decimals })))
}

impl Filter for Scale {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        let measure = &mut sample.reading.measure;
        let (a, b) = (measure.min * self.factor, measure.max * self.factor);
        (measure.min, measure.max) = (a.min(b), a.max(b));
        // A thousandth of a whole number has three decimals that carry information.
        let decimals = i32::from(measure.decimals) + self.decimals;
        measure.decimals = decimals.clamp(0, i32::from(round::MOST_DECIMALS)) as u8;
        if let Some(unit) = &self.unit {
            measure.unit = unit.to_string().into();
        }
        sample.reading.value *= self.factor;
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};

    #[test]
    fn a_constant_multiplies() {
        assert_eq!(values("{ scale = 0.5 }", &[21.0, 0.0, -40.0]), [10.5, 0.0, -20.0]);
        assert_eq!(values("{ scale = -2 }", &[3.0]), [-6.0]);
    }

    #[test]
    fn unit_range_and_decimals_follow() {
        for (scale, decimals) in [(0.001, 5), (1.8, 2), (100.0, 0), (1e6, 0), (1e-12, 9)] {
            let step = format!("{{ scale = {scale}, unit = \"x\" }}");
            let given = chain(&step).apply(sample(0, 20.0)).unwrap().reading.measure;
            assert_eq!((given.decimals, &*given.unit), (decimals, "x"), "{scale}");
            assert_eq!((given.min, given.max), (-40.0 * scale, 85.0 * scale));
        }
        let given = chain("{ scale = -1 }").apply(sample(0, 20.0)).unwrap().reading.measure;
        assert_eq!((given.min, given.max, &*given.unit), (-85.0, 40.0, "°C"));
    }
}
