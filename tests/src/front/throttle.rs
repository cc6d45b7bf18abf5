//! A stage's limit of connects and frames: a bucket of tokens. Pure.

use jiff::Timestamp;

use super::upstream::Throttle;

/// What is left of a limit.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn full(throttle: Throttle, now: Timestamp) -> Self {
        Self { tokens: throttle.burst, at: now }
    }

    /// Takes one token, if there is one. A limit of 0 lets nothing through.
    pub fn take(&mut self, throttle: Throttle, now: Timestamp) -> bool {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + seconds * throttle.rate).min(throttle.burst);
        self.at = now;
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_at_once_and_then_the_rate() {
        let throttle = Throttle { rate: 10.0, burst: 2.0 };
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let mut bucket = Bucket::full(throttle, at(0));
        let taken: Vec<bool> = [0, 0, 0, 100, 100, 200].into_iter().map(|ms| bucket.take(throttle, at(ms))).collect();
        assert_eq!(taken, [true, true, false, true, false, true]);
        let nothing = Throttle { rate: 0.0, burst: 0.0 };
        assert!(!Bucket::full(nothing, at(0)).take(nothing, at(1_000)));
    }
}
