//! The median of the last values: a single spike never shows.

use super::window::{Window, size, worse};
use super::{Filter, Make, Spec};
use crate::config::Fields;
use crate::model::{Quality, Sample};

pub(super) static SPEC: Spec = Spec {
    name: "median",
    summary: "the median of the last values; of fewer while they come in",
    keys: &[("median", "", "of how many values, 3 to 3600; odd numbers suppress spikes best")],
    example: "{ median = 5 }",
    configure,
};

struct Median(Window);

fn configure(fields: &mut Fields<'_, '_>) -> Option<Make> {
    let size = size(fields, "median", 3)?;
    Some(Box::new(move || Box::new(Median(Window::new(size)))))
}

impl Filter for Median {
    fn apply(&mut self, mut sample: Sample) -> Option<Sample> {
        self.0.push(&sample);
        (sample.reading.value, sample.quality) = middle(self.0.values().collect());
        Some(sample)
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

/// The middle value, or the mean of the two middle ones, with the quality of what was picked.
fn middle(mut values: Vec<(f64, Quality)>) -> (f64, Quality) {
    values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    // Halved before they are added, so that the sum cannot overflow.
    (low.0 / 2.0 + high.0 / 2.0, worse(low.1, high.1))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, sample, values};
    use crate::model::Quality;

    #[test]
    fn a_spike_never_shows_once_the_window_fills() {
        let taken = [20.0, 21.0, 85.0, 22.0, -127.0, 23.0];
        assert_eq!(values("{ median = 3 }", &taken), [20.0, 20.5, 21.0, 22.0, 22.0, 22.0]);
        assert_eq!(values("{ median = 4 }", &[1.0, 2.0, 3.0, 10.0, 4.0]), [1.0, 1.5, 2.0, 2.5, 3.5]);
    }

    #[test]
    fn the_quality_is_that_of_the_value_picked() {
        let mut chain = chain("[{ range = [0, 50], outside = \"mark\" }, { median = 3 }]");
        let mut quality = |value| chain.apply(sample(0, value)).unwrap().quality;
        assert_eq!([quality(20.0), quality(21.0), quality(99.0)], [Quality::Ok; 3]);
        assert_eq!(quality(99.0), Quality::Suspect);
    }

    #[test]
    fn after_a_reset_old_values_do_not_count() {
        let mut chain = chain("{ median = 3 }");
        chain.apply(sample(0, 1.0));
        chain.apply(sample(1, 1.0));
        chain.reset();
        assert_eq!(chain.apply(sample(2, 30.0)).unwrap().reading.value, 30.0);
        assert_eq!(chain.counts().taken, 3);
    }
}
