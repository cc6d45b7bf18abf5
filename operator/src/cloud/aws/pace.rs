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
use crate::cloud::{CloudError, Kind};
use crate::stack::name::Account;

/// How often something may be called in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rate {
    /// AWS's name of what is called.
    name: &'static str,
    /// The time between two calls in the long run.
    every: Duration,
    /// How many may come at once.
    burst: u32,
}

impl Rate {
    const fn new(name: &'static str, every: Duration, burst: u32) -> Self {
        Self { name, every, burst }
    }

    const ALL: [Self; 5] = [Self::GATEWAY, Self::DEPLOYMENT, Self::API_DELETION, Self::FUNCTIONS, Self::GET_FUNCTION];
    /// All calls of API Gateway's control plane: half of the 10 a second and 40 at once that an account has.
    pub(super) const GATEWAY: Self = Self::new("API Gateway", Duration::from_millis(200), 20);
    /// `CreateDeployment`: AWS takes one in 5 s.
    pub(super) const DEPLOYMENT: Self = Self::new("CreateDeployment", Duration::from_secs(6), 1);
    /// `DeleteApi`: AWS takes one in 30 s.
    pub(super) const API_DELETION: Self = Self::new("DeleteApi", Duration::from_secs(31), 1);
    /// Lambda's control plane: AWS takes 15 a second.
    pub(super) const FUNCTIONS: Self = Self::new("Lambda", Duration::from_millis(100), 15);
    /// `GetFunction`: AWS takes 100 a second.
    pub(super) const GET_FUNCTION: Self = Self::new("GetFunction", Duration::from_millis(20), 50);
}

/// Longer than this nobody waits in a pass: it would hold up other stacks, and the pass comes again.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pace in one account and region.
#[derive(Debug, Default)]
pub struct Pace(Option<Mutex<HashMap<Rate, Bucket>>>);

/// The generic cell rate algorithm (ITU-T I.371): the time at which all that was taken has come back.
#[derive(Debug)]
struct Bucket(Instant);

impl Bucket {
    /// How long to wait for a call. One that may wait has its place then; a check has it only when it need not wait.
    fn wait(&mut self, rate: Rate, is_check: bool, now: Instant) -> Duration {
        let full = self.0.max(now);
        let burst = if is_check { rate.burst.div_ceil(2) } else { rate.burst };
        let wait = full.duration_since(now).saturating_sub(rate.every * (burst - 1));
        if wait.is_zero() || (!is_check && wait <= PATIENCE) {
            self.0 = full + rate.every;
        }
        wait
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
        let new = || Arc::new(Self(Some(Mutex::default())));
        Arc::clone(paces.entry(account.clone()).or_insert_with(new))
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// When that takes too long.
    pub(super) async fn keep(&self, operation: &'static str, rates: &[Rate]) -> Result<(), CloudError> {
        for rate in rates {
            self.keep_one(operation, *rate).await?;
        }
        Ok(())
    }

    async fn keep_one(&self, operation: &'static str, rate: Rate) -> Result<(), CloudError> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        loop {
            let (wait, is_check) = {
                let (now, is_check) = (Instant::now(), is_check());
                let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
                (buckets.entry(rate).or_insert_with(|| Bucket(now)).wait(rate, is_check, now), is_check)
            };
            if wait.is_zero() {
                return Ok(());
            }
            if wait > PATIENCE {
                return Err(too_fast(operation, rate));
            }
            held().get_or_create(&Held { called: rate.name }).inc_by(wait.as_secs_f64());
            debug!(called = rate.name, wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "call held back");
            tokio::time::sleep(wait).await;
            if !is_check {
                return Ok(());
            }
        }
    }
}

fn too_fast(operation: &'static str, rate: Rate) -> CloudError {
    let message = format!("held back by the operator: AWS takes few {} calls from an account", rate.name);
    CloudError { operation, resource: String::new(), kind: Kind::Throttled, code: "HeldBack".into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new("x", Duration::from_secs(1), 4);

    #[test]
    fn so_many_come_at_once_and_then_one_after_the_other() {
        let now = Instant::now();
        let mut bucket = Bucket(now);
        let waits = [(); 6].map(|()| bucket.wait(RATE, false, now).as_secs());
        assert_eq!(waits, [0, 0, 0, 0, 1, 2]);
        assert_eq!(bucket.wait(RATE, false, now + Duration::from_mins(1)).as_secs(), 0, "all has come back");
    }

    #[test]
    fn a_check_leaves_half_to_others_and_takes_no_place_while_it_waits() {
        let now = Instant::now();
        let mut bucket = Bucket(now);
        let checks = [(); 4].map(|()| bucket.wait(RATE, true, now).as_secs());
        assert_eq!(checks, [0, 0, 1, 1]);
        let others = [(); 3].map(|()| bucket.wait(RATE, false, now).as_secs());
        assert_eq!(others, [0, 0, 1]);
    }

    #[test]
    fn a_place_far_back_is_not_taken() {
        let (now, rate) = (Instant::now(), Rate::new("x", Duration::from_secs(31), 1));
        let mut bucket = Bucket(now);
        let waits = [(); 4].map(|()| bucket.wait(rate, false, now).as_secs());
        assert_eq!(waits, [0, 31, 62, 62]);
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_so_and_nobody_waits_when_it_is_off() {
        let account = Account { partition: "aws".into(), region: "eu-west-1".into(), id: "pace".into() };
        let pace = Pace::of(&account);
        assert!(pace.keep("DeleteApi", &[Rate::API_DELETION]).await.is_ok());
        let full = async || pace.keep("DeleteApi", &[Rate::new("full", Duration::from_mins(2), 1)]).await;
        assert!(full().await.is_ok());
        let told = full().await.unwrap_err();
        assert_eq!((told.kind, told.operation), (Kind::Throttled, "DeleteApi"));
        assert!(Arc::ptr_eq(&pace, &Pace::of(&account)), "an account and region has one pace");
        for _ in 0..100 {
            assert!(Pace::default().keep("DeleteApi", &[Rate::API_DELETION]).await.is_ok());
        }
    }
}
