//! How fast the operator calls AWS: below what AWS takes from an account, because others call it too.
//!
//! Whoever waits has taken its place, so nobody starves. A look at a stack that was in place leaves half of what may come
//! at once to those that somebody waits for.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tracing::debug;

use super::calls::is_check;
use super::rates::Rate;
use crate::stack::name::Account;

/// Longer than this nobody waits for its place: it would hold up other stacks, and the pass comes again.
const PATIENCE: Duration = Duration::from_secs(40);
/// So long a check lets others go first. Then it takes a place like them, and none waits for ever.
const POLITE: Duration = Duration::from_secs(20);
/// Longer than this no call waits for a rate.
pub(super) const WAIT_MAX: Duration = PATIENCE.saturating_add(POLITE);

/// The pace in one account and region.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<Rate, Bucket>>);

/// A call that would have to wait too long for its turn, by the name of its rate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("held back by the operator: AWS takes few {0} calls from an account")]
pub(crate) struct HeldBack(pub(super) &'static str);

/// The generic cell rate algorithm (ITU-T I.371): the time at which all that was taken has come back.
#[derive(Debug)]
struct Bucket(Instant);

/// When a call may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    /// It has a place, which comes after this time.
    At(Duration),
    /// It has none yet.
    AskAgain(Duration),
    /// Not in the time that anybody waits.
    Never,
}

impl Bucket {
    /// The turn of a call that has waited for a time already. A check takes a place only when it need not wait, or has
    /// been polite for long.
    fn turn(&mut self, rate: Rate, is_check: bool, waited: Duration, now: Instant) -> Turn {
        let is_polite = is_check && waited < POLITE;
        let full = self.0.max(now);
        let burst = if is_polite { rate.burst.div_ceil(2) } else { rate.burst };
        let wait = full.duration_since(now).saturating_sub(rate.every * (burst - 1));
        if is_polite && !wait.is_zero() {
            return Turn::AskAgain(wait.min(POLITE));
        }
        if wait > PATIENCE {
            return Turn::Never;
        }
        self.0 = full + rate.every;
        if wait.is_zero() { Turn::Now } else { Turn::At(wait) }
    }
}

/// What was held back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Held {
    /// What was called.
    called: &'static str,
}

/// Seconds.
type Seconds = Counter<f64, AtomicU64>;

/// The seconds for which calls were held back, by what was called. They begin at zero, because a rate needs a first value.
#[must_use]
pub fn held() -> &'static Family<Held, Seconds> {
    static HELD: LazyLock<Family<Held, Seconds>> = LazyLock::new(|| {
        let held = Family::default();
        for rate in Rate::ALL {
            let _ = held.get_or_create(&Held { called: rate.name });
        }
        held
    });
    &HELD
}

impl Pace {
    /// The pace that all who work in an account and region share.
    pub(super) fn of(account: &Account) -> Arc<Self> {
        static PACES: LazyLock<Mutex<HashMap<Account, Arc<Pace>>>> = LazyLock::new(Mutex::default);
        let mut paces = PACES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(paces.entry(account.clone()).or_default())
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// When that takes too long.
    pub(super) async fn keep(&self, rate: Rate) -> Result<(), HeldBack> {
        let began = Instant::now();
        loop {
            let now = Instant::now();
            let waited = now.duration_since(began);
            let turn = {
                let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                buckets.entry(rate).or_insert_with(|| Bucket(now)).turn(rate, is_check(), waited, now)
            };
            let pause = match turn {
                Turn::Now => return Ok(()),
                Turn::Never => return Err(HeldBack(rate.name)),
                Turn::At(pause) | Turn::AskAgain(pause) => pause,
            };
            held().get_or_create(&Held { called: rate.name }).inc_by(pause.as_secs_f64());
            debug!(
                called = rate.name,
                wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "call held back"
            );
            tokio::time::sleep(pause).await;
            if let Turn::At(_) = turn {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new("x", Duration::from_secs(1), 4);

    fn at(seconds: u64) -> Turn {
        Turn::At(Duration::from_secs(seconds))
    }

    fn ask_again(seconds: u64) -> Turn {
        Turn::AskAgain(Duration::from_secs(seconds))
    }

    #[test]
    fn so_many_come_at_once_and_then_one_after_the_other() {
        let now = Instant::now();
        let mut bucket = Bucket(now);
        let turns = [(); 6].map(|()| bucket.turn(RATE, false, Duration::ZERO, now));
        assert_eq!(turns, [Turn::Now, Turn::Now, Turn::Now, Turn::Now, at(1), at(2)]);
        let later = bucket.turn(RATE, false, Duration::ZERO, now + Duration::from_mins(1));
        assert_eq!(later, Turn::Now, "all has come back");
    }

    #[test]
    fn a_check_leaves_half_to_others_and_takes_no_place_while_it_waits() {
        let now = Instant::now();
        let mut bucket = Bucket(now);
        let checks = [(); 4].map(|()| bucket.turn(RATE, true, Duration::ZERO, now));
        assert_eq!(checks, [Turn::Now, Turn::Now, ask_again(1), ask_again(1)]);
        let others = [(); 3].map(|()| bucket.turn(RATE, false, Duration::ZERO, now));
        assert_eq!(others, [Turn::Now, Turn::Now, at(1)]);
    }

    #[test]
    fn a_check_that_was_polite_for_long_takes_a_place_like_others() {
        let now = Instant::now();
        let mut bucket = Bucket(now);
        let slow = Rate::new("slow", Duration::from_secs(31), 1);
        assert_eq!(bucket.turn(slow, false, Duration::ZERO, now), Turn::Now);
        let polite = [Duration::ZERO, POLITE].map(|waited| bucket.turn(slow, true, waited, now));
        assert_eq!(polite, [ask_again(20), at(31)]);
    }

    #[test]
    fn a_place_far_back_is_not_taken() {
        let (now, rate) = (Instant::now(), Rate::new("x", Duration::from_secs(31), 1));
        let mut bucket = Bucket(now);
        let turns = [(); 4].map(|()| bucket.turn(rate, false, Duration::ZERO, now));
        assert_eq!(turns, [Turn::Now, at(31), Turn::Never, Turn::Never]);
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_so() {
        let account = Account { partition: "aws".into(), region: "eu-west-1".into(), id: "pace".into() };
        let pace = Pace::of(&account);
        let slow = Rate::new("slow", Duration::from_mins(2), 1);
        assert_eq!(pace.keep(slow).await, Ok(()));
        assert_eq!(pace.keep(slow).await, Err(HeldBack("slow")));
        assert_eq!(pace.keep(RATE).await, Ok(()), "each rate by itself");
        assert!(Arc::ptr_eq(&pace, &Pace::of(&account)), "an account and region has one pace");
    }
}
