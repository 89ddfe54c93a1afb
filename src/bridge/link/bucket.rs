//! Token buckets: how fast a backlog is sent, in messages or in bytes. Pure, the caller brings time.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens that come back at a steady rate, up to a twentieth of a second's worth.
#[derive(Debug)]
pub(super) struct Bucket {
    rate_per_s: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket; rate 0 = no bound.
    pub(super) fn new(rate_per_s: f64, now: Instant) -> Self {
        Self { rate_per_s, tokens: burst(rate_per_s), filled: now }
    }

    /// Whether a token is there now.
    pub(super) fn ready(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.rate_per_s;
        self.tokens = (self.tokens + gained).min(burst(self.rate_per_s));
        self.filled = now;
        self.rate_per_s == 0.0 || self.tokens >= 1.0
    }

    /// Takes tokens after [`Bucket::ready`] has seen one; what is taken beyond that has to come back first.
    pub(super) fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
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
    (rate_per_s / 20.0).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_gives_its_rate_and_a_small_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100.0, start);
        let mut now = start;
        let mut taken = 0;
        while now < start + Duration::from_secs(10) {
            while bucket.ready(now) {
                bucket.take(1.0);
                taken += 1;
            }
            now = bucket.next();
        }
        assert!((1000..=1006).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn a_large_message_is_paid_for_afterwards() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000.0, start);
        assert!(bucket.ready(start));
        bucket.take(5050.0);
        assert!(!bucket.ready(start + Duration::from_secs(5)));
        assert_eq!(bucket.next().duration_since(start).as_millis(), 5001);
        assert!(bucket.ready(start + Duration::from_millis(5002)));
    }

    #[tokio::test]
    async fn rate_0_is_no_bound() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0.0, now);
        for _ in 0..1000 {
            assert!(bucket.ready(now));
            bucket.take(1.0);
        }
    }
}
