//! The moving average: the mean of the last values.

use super::window::{Window, size, worse};
use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::model::{Quality, Sample};

pub(super) static SPEC: Spec = Spec {
    name: "average",
    summary: "the moving average of the last values; of fewer while they come in",
    keys: &[("average", "", "of how many values, 2 to 3600")],
    example: "{ average = 5 }",
    configure,
};

struct Average(Window);

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let size = size(fields, "average", 2)?;
    Some(Box::new(move || Box::new(Average(Window::new(size)))))
}

impl Filter for Average {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        self.0.push(&sample);
        let count = self.0.values().len() as f64;
        // Summed afresh each time: a running sum would carry its rounding errors for ever.
        // Divided before they are added, so that the sum cannot overflow.
        sample.reading.value = self.0.values().map(|(value, _)| value / count).sum();
        sample.quality = self.0.values().map(|(_, quality)| quality).fold(Quality::Ok, worse);
        Some(sample)
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};
    use crate::model::Quality;

    #[test]
    fn the_mean_of_the_last_values() {
        assert_eq!(values("{ average = 2 }", &[1.0, 3.0, 5.0, -5.0]), [1.0, 2.0, 4.0, 0.0]);
        assert_eq!(values("{ average = 4 }", &[4.0, 8.0, 12.0, 0.0, 4.0]), [4.0, 6.0, 8.0, 6.0, 6.0]);
    }

    #[test]
    fn the_largest_numbers_have_a_mean_too() {
        assert_eq!(values("{ average = 2 }", &[f64::MAX, f64::MAX]), [f64::MAX, f64::MAX]);
    }

    #[test]
    fn one_suspect_value_makes_the_mean_suspect() {
        let mut chain = chain("[{ range = [0, 50], outside = \"mark\" }, { average = 2 }]");
        let mut quality = |value| chain.apply(sample(0, value)).unwrap().quality;
        let seen = [quality(20.0), quality(99.0), quality(20.0), quality(20.0)];
        assert_eq!(seen, [Quality::Ok, Quality::Suspect, Quality::Suspect, Quality::Ok]);
    }
}
