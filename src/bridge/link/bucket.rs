//! A token bucket: how fast a backlog is sent. Pure, the caller brings time.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens that come back at a steady rate, up to a tenth of a second's worth.
#[derive(Debug)]
pub(super) struct Bucket {
    rate_per_s: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket; rate 0 = no bound.
    pub(super) fn new(rate_per_s: u32, now: Instant) -> Self {
        let rate_per_s = f64::from(rate_per_s);
        Self { rate_per_s, tokens: burst(rate_per_s), filled: now }
    }

    /// Whether a token is there now.
    pub(super) fn ready(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.rate_per_s;
        self.tokens = (self.tokens + gained).min(burst(self.rate_per_s));
        self.filled = now;
        self.rate_per_s == 0.0 || self.tokens >= 1.0
    }

    /// Takes a token that [`Bucket::ready`] has seen.
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// When the next token will be there.
    pub(super) fn next(&self) -> Instant {
        if self.rate_per_s == 0.0 {
            return self.filled;
        }
        let missing_s = (1.0 - self.tokens).max(0.0) / self.rate_per_s;
        // Rounded up, so that the token is there at the first look.
        self.filled + Duration::from_secs_f64(missing_s) + Duration::from_micros(1)
    }
}

fn burst(rate_per_s: f64) -> f64 {
    (rate_per_s / 10.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_gives_its_rate_and_a_small_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        let mut now = start;
        let mut taken = 0;
        while now < start + Duration::from_secs(10) {
            while bucket.ready(now) {
                bucket.take();
                taken += 1;
            }
            now = bucket.next();
        }
        assert!((1000..=1011).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn rate_0_is_no_bound() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0, now);
        for _ in 0..1000 {
            assert!(bucket.ready(now));
            bucket.take();
        }
    }
}
