//! The system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ports::Clock;

/// The system's clock and timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    async fn pause(&self, longest: Duration) {
        tokio::time::sleep(longest.mul_f64(rand::random())).await;
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
