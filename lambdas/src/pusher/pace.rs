//! How fast one worker may post. Pure: it takes times and gives waits.
//!
//! Posts get places in time, one interval apart. All workers together stay below the rate because each has its share
//! of it. When the gateway says that it is too much, the share is halved at once and grows back slowly (AIMD).

use std::time::Duration;

/// Timers are late by a millisecond or more. What was lost by that may be made up for within this time, or else a
/// share of 700 posts a second would become 500.
const LATENESS_US: u64 = 20_000;

/// The part of the share that is used, in thousandths: it makes room for [`LATENESS_US`] in each second, so that no
/// second has more posts than the share.
const USED: u64 = 970;

/// How long after one halving the next answers say nothing new: they are of posts that were under way already.
const SETTLING_MS: u64 = 1_000;

/// The share grows from nothing to full in this time.
const RECOVERY_MS: u64 = 20_000;

/// The share is never less than this part of what it is at most.
const FLOOR: u64 = 64;

/// The pace of one worker.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The most posts in a thousand seconds.
    full: u64,
    /// The posts in a thousand seconds when it was lowered last.
    lowered_to: u64,
    /// When that was (epoch milliseconds).
    lowered_at: u64,
    /// The next free place (epoch microseconds).
    next: u64,
}

impl Pace {
    /// The share of one of `workers` in `max_rate` posts a second.
    #[must_use]
    pub fn of(max_rate: u32, workers: u32) -> Self {
        let full = (u64::from(max_rate) * USED / u64::from(workers.max(1))).max(1);
        Self { full, lowered_to: full, lowered_at: 0, next: 0 }
    }

    /// Takes the next place and says how long it is until then; takes none that is at `until` (epoch milliseconds) or
    /// later. A later call never gets an earlier place.
    pub fn place(&mut self, now: u64, until: u64) -> Option<Duration> {
        let now_us = now.saturating_mul(1_000);
        let place = self.next.max(now_us.saturating_sub(LATENESS_US));
        if place.max(now_us) >= until.saturating_mul(1_000) {
            return None;
        }
        self.next = place + 1_000_000_000 / self.rate(now);
        Some(Duration::from_micros(place.saturating_sub(now_us)))
    }

    /// The gateway has said that it was too much.
    pub fn throttled(&mut self, now: u64) {
        if now < self.lowered_at.saturating_add(SETTLING_MS) {
            return;
        }
        self.lowered_to = (self.rate(now) / 2).max(self.full / FLOOR).max(1);
        self.lowered_at = now;
    }

    /// Posts in a thousand seconds.
    fn rate(&self, now: u64) -> u64 {
        let passed = now.saturating_sub(self.lowered_at).min(RECOVERY_MS);
        (self.lowered_to + self.full * passed / RECOVERY_MS).min(self.full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000;

    /// The times of posts by one who comes as fast as it can, but each time late by some microseconds.
    fn times(pace: &mut Pace, late: &[u64], until: u64) -> Vec<u64> {
        let mut now = START * 1_000;
        let mut times = Vec::new();
        for late in late.iter().cycle() {
            let Some(wait) = pace.place(now / 1_000, until) else { return times };
            if !wait.is_zero() {
                now += u64::try_from(wait.as_micros()).unwrap() + late;
            }
            times.push(now);
        }
        times
    }

    fn most_in_a_second(times: &[u64]) -> usize {
        let in_second = |from: usize| times[from..].iter().take_while(|at| **at < times[from] + 1_000_000).count();
        (0..times.len()).map(in_second).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_second_has_more_posts_than_the_share(
            max_rate in 50_u32..5_000,
            workers in 1_u32..50,
            late in prop::collection::vec(0_u64..5_000, 1..20),
        ) {
            let times = times(&mut Pace::of(max_rate, workers), &late, START + 3_000);
            let share = max_rate.div_ceil(workers) as usize;
            prop_assert!(most_in_a_second(&times) <= share.max(1), "{} > {share}", most_in_a_second(&times));
        }
    }

    #[test]
    fn late_timers_do_not_cost_the_share() {
        let times = times(&mut Pace::of(7_000, 10), &[1_000, 0, 1_900], START + 10_000);
        assert!(times.len() > 6_500, "{} of 7000", times.len());
    }

    #[test]
    fn a_share_of_less_than_one_a_second_is_kept_too() {
        let times = times(&mut Pace::of(1, 10), &[0], START + 100_000);
        assert_eq!(times.len(), 10);
    }

    #[test]
    fn it_halves_at_once_and_recovers_slowly() {
        let mut pace = Pace::of(10_000, 10);
        let full = pace.rate(START);
        pace.throttled(START);
        pace.throttled(START + 999);
        assert_eq!(pace.rate(START), full / 2, "answers to posts under way say nothing new");
        pace.throttled(START + 1_000);
        assert!(pace.rate(START + 1_000) < full / 3);
        for second in 2..60 {
            pace.throttled(START + second * 1_000);
        }
        assert!(pace.rate(START + 59_000) >= full / FLOOR);
        assert!(pace.rate(START + 64_000) < full / 2);
        assert_eq!(pace.rate(START + 79_000), full);
    }

    #[test]
    fn nothing_is_taken_that_is_too_late() {
        let mut pace = Pace::of(1, 1);
        assert_eq!(pace.place(START, START), None);
        assert_eq!(pace.place(START, START + 1), Some(Duration::ZERO));
        assert_eq!(pace.place(START, START + 500), None);
        assert!(pace.place(START + 1_100, START + 5_000).is_some_and(|wait| wait.is_zero()), "no place was lost");
    }
}
