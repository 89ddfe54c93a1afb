//! Holds back what cannot be: a false reading must not be taken for truth.
//!
//! By default a value outside is dropped and counted. `outside = "mark"` passes it with the quality
//! `suspect`, for those who would rather see it than have a hole.

use std::cmp::Ordering;

use serde::Deserialize;

use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::model::{Quality, Sample};

pub(super) static SPEC: Spec = Spec {
    name: "range",
    summary: "drops values outside two limits, or marks them as suspect",
    keys: &[
        ("range", "", "lower and upper limit, both inside"),
        ("outside", "\"drop\"", "what to do with a value outside: \"drop\" (and count) or \"mark\" (as suspect)"),
    ],
    example: "{ range = [-40, 85] }",
    configure,
};

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outside {
    Drop,
    Mark,
}

struct Range {
    min: f64,
    max: f64,
    outside: Outside,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let outside = fields.value("outside").map(|value| value.read("outside", fields.problems));
    let [min, max]: [f64; 2] = fields.need("range")?;
    // NaN is refused too.
    if min.partial_cmp(&max) != Some(Ordering::Less) {
        let message = format!("`range`: the lower limit {min} must be below the upper limit {max}");
        fields.wrong("range", message, Some("write it as in [-40, 85]".into()));
        return None;
    }
    let outside = outside.unwrap_or(Some(Outside::Drop))?;
    Some(Box::new(move || Box::new(Range { min, max, outside })))
}

impl Filter for Range {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        let inside = (self.min..=self.max).contains(&sample.reading.value);
        match self.outside {
            _ if inside => Some(sample),
            Outside::Drop => None,
            Outside::Mark => {
                sample.quality = Quality::Suspect;
                Some(sample)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};
    use crate::model::Quality;

    #[test]
    fn both_limits_are_inside_and_the_rest_is_dropped() {
        let taken = [-40.0, 85.0, -40.01, 85.01, 127.9, 21.0];
        assert_eq!(values("{ range = [-40, 85] }", &taken), [-40.0, 85.0, 21.0]);
    }

    #[test]
    fn marking_keeps_the_value() {
        let mut chain = chain("{ range = [-40.0, 85], outside = \"mark\" }");
        let mut quality = |value| chain.apply(sample(0, value)).unwrap().quality;
        assert_eq!([quality(20.0), quality(127.9), quality(-41.0)], [Quality::Ok, Quality::Suspect, Quality::Suspect]);
    }
}
