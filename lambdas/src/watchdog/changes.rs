//! What the watchdog's line tells: how often presence has changed, and how long records have waited.
//!
//! Changes are counted where they happen and not returned, so that what was done before a failure counts too.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sumu_contract::presence::State;

use crate::ports::PresenceItem;
use crate::telemetry::metric::{PRESENCE_OFFLINE, PRESENCE_ONLINE, PRESENCE_RETRIES};
use crate::telemetry::{Distribution, Line};

/// How often presence has changed. Each change is told once.
#[derive(Debug, Default)]
pub struct Changes {
    online: AtomicU64,
    offline: AtomicU64,
    retries: AtomicU64,
}

impl Changes {
    /// A user's item was written so. Of who is leaving, and of who comes back from that, nobody is told, nor is it
    /// counted.
    pub fn changed(&self, item: &PresenceItem) {
        let count = match item.state {
            State::Online if item.announced < item.version => &self.online,
            State::Offline => &self.offline,
            State::Online | State::Leaving => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A user is tried again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds them to the invocation's line.
    pub fn tell(&self, line: &mut Line) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        line.count(PRESENCE_ONLINE, take(&self.online))
            .count(PRESENCE_OFFLINE, take(&self.offline))
            .count(PRESENCE_RETRIES, take(&self.retries));
    }
}

/// How long the records of a stream have waited at `now`, in milliseconds. The stream tells whole seconds.
#[must_use]
pub fn waits(event: &Value, now: u64) -> Distribution {
    let waits = Distribution::default();
    for record in event["Records"].as_array().into_iter().flatten() {
        if let Some(ms) = record["dynamodb"]["ApproximateCreationDateTime"].as_f64().and_then(epoch_ms) {
            waits.record(now.saturating_sub(ms));
        }
    }
    waits
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of f64 saturate; the sign is checked"
)]
fn epoch_ms(seconds: f64) -> Option<u64> {
    (seconds > 0.0).then_some((seconds * 1000.0) as u64)
}
