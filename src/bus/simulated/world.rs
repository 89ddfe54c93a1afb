//! What simulated chips measure: values that wander slowly, the same ones for the same seed.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The surroundings of one simulated chip; a cheap handle.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    start: Instant,
    fixed: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl World {
    /// A world that starts now and grows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, start: Instant::now(), fixed: Arc::default() }
    }

    fn fixed(&self) -> MutexGuard<'_, BTreeMap<String, f64>> {
        self.fixed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds `quantity` at `value` from now on.
    pub fn set(&self, quantity: &str, value: f64) {
        self.fixed().insert(quantity.to_owned(), value);
    }

    /// How long this world has existed.
    pub fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// What `quantity` is now: held, or wandering between `low` and `high`.
    pub fn value(&self, quantity: &str, low: f64, high: f64) -> f64 {
        let held = self.fixed().get(quantity).copied();
        held.unwrap_or_else(|| wander(self.seed, quantity, self.age().as_secs_f64()) * (high - low) + low)
    }
}

/// Another seed for each `name` (FNV-1a).
pub(in crate::bus) fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A smooth value from 0 to 1: a slow, a middling and a quick wave, each with its own period and phase.
fn wander(seed: u64, quantity: &str, seconds: f64) -> f64 {
    let mut random = fastrand::Rng::with_seed(seed_of(seed, quantity));
    let mut wave = |weight: f64, period_s: f64| {
        let period_s = period_s * (0.8 + 0.4 * random.f64());
        weight * libm::sin(TAU * (seconds / period_s + random.f64()))
    };
    0.5 + wave(0.35, 900.0) + wave(0.1, 60.0) + wave(0.05, 7.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_wander_smoothly_within_their_range_and_repeat_by_seed() {
        let mut least = f64::MAX;
        let mut most = f64::MIN;
        for second in 0..10_000 {
            let (now, next) = (f64::from(second), f64::from(second + 1));
            let value = wander(7, "temperature", now);
            assert!((0.0..=1.0).contains(&value));
            assert!((value - wander(7, "temperature", next)).abs() < 0.1, "no jumps");
            assert_eq!(value, wander(7, "temperature", now));
            (least, most) = (least.min(value), most.max(value));
        }
        assert!(most - least > 0.5, "it does move");
        assert_ne!(wander(7, "humidity", 1.0), wander(7, "temperature", 1.0));
        assert_ne!(wander(8, "temperature", 1.0), wander(7, "temperature", 1.0));
    }
}
