//! How often each value came, in a bounded space and at the price of one addition a value.
//!
//! Values below 32 are kept as they are, larger ones to a sixteenth of themselves.

use std::sync::atomic::{AtomicU32, Ordering};

/// Values below 2^5 have a bucket each; above, each doubling has 2^4.
const EXACT_BITS: u32 = 5;
const STEP_BITS: u32 = 4;
const EXACT: u64 = 1 << EXACT_BITS;
const STEPS: u64 = 1 << STEP_BITS;

/// Values of 2^40 and more count as that: as milliseconds they are 34 years.
const BITS: u32 = 40;
const BUCKETS: usize = (1 << EXACT_BITS) + ((BITS - EXACT_BITS) as usize) * (1 << STEP_BITS);

/// How many values `CloudWatch` takes for one metric of one line.
pub const VALUES_MAX: usize = 100;

/// How often each value came.
#[derive(Debug)]
pub struct Distribution(Box<[AtomicU32]>);

impl Default for Distribution {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Distribution {
    /// Notes one value.
    pub fn record(&self, value: u64) {
        if let Some(count) = self.0.get(bucket(value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All values in their order if there are at most [`VALUES_MAX`]; else so many of them, in even distances from the
    /// smallest to the largest, so that `CloudWatch` sees the same percentiles.
    #[must_use]
    pub fn values(&self) -> Vec<u64> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed).into()).collect();
        let total: u64 = counts.iter().sum();
        let wanted = total.min(VALUES_MAX as u64);
        let mut values = Vec::new();
        let mut passed = 0;
        for (index, count) in counts.into_iter().enumerate() {
            passed += count;
            while (values.len() as u64) < wanted && rank(values.len() as u64, wanted, total) < passed {
                values.push(value(index as u64));
            }
        }
        values
    }
}

/// Which of `total` values in their order is the `nth` of `wanted`.
fn rank(nth: u64, wanted: u64, total: u64) -> u64 {
    if wanted < 2 { 0 } else { nth * (total - 1) / (wanted - 1) }
}

fn bucket(value: u64) -> usize {
    let value = value.min((1 << BITS) - 1);
    let index = if value < EXACT {
        value
    } else {
        let doubling = value.ilog2();
        let step = (value >> (doubling - STEP_BITS)) - STEPS;
        EXACT + u64::from(doubling - EXACT_BITS) * STEPS + step
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The middle of a bucket.
fn value(bucket: u64) -> u64 {
    let Some(above) = bucket.checked_sub(EXACT) else { return bucket };
    // Each doubling is twice as wide as the one before it.
    let width = 1 << (above / STEPS + u64::from(EXACT_BITS - STEP_BITS));
    (STEPS + above % STEPS) * width + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let distribution = Distribution::default();
        values.into_iter().for_each(|value| distribution.record(value));
        distribution.values()
    }

    #[test]
    fn few_values_come_back_in_their_order() {
        assert_eq!(of([]), [] as [u64; 0]);
        assert_eq!(of([7]), [7]);
        assert_eq!(of([31, 0, 5, 5]), [0, 5, 5, 31]);
    }

    #[test]
    fn of_many_values_the_percentiles_stay() {
        // 990 fast ones and ten slow ones.
        let values = of((0..990).map(|_| 5).chain((0..10).map(|_| 30)));
        assert_eq!((values.len(), values[0], values[97], values[98], values[99]), (100, 5, 5, 5, 30));
        assert_eq!(of((0..30).cycle().take(3_000)).iter().filter(|value| **value < 15).count(), 50);
    }

    proptest! {
        #[test]
        fn a_value_is_kept_to_a_sixteenth_and_the_order_is_kept(one in 0_u64..1 << 40, other in 0_u64..1 << 40) {
            let kept = of([one])[0];
            prop_assert!(kept.abs_diff(one) <= one / 16, "{one} became {kept}");
            prop_assert!((bucket(one) <= bucket(other)) == (one <= other) || bucket(one) == bucket(other));
        }

        #[test]
        fn there_are_never_too_many_nor_too_few(values in prop::collection::vec(any::<u64>(), 0..400)) {
            prop_assert_eq!(of(values.iter().copied()).len(), values.len().min(VALUES_MAX));
        }
    }

    #[test]
    fn the_largest_value_has_a_bucket() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
