//! What this process has written lately, by name.
//!
//! Several of AWS's reads lag behind its writes by seconds to a minute. What was accepted is laid over what is read
//! for that long, so that a thing is not made twice, written again and again or taken for somebody else's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// SQS documents that attributes take up to 60 seconds to propagate; everything else is faster.
const LAG_MAX: Duration = Duration::from_mins(1);

/// Tags of what only we use are read again once an hour: whose it is does not change from one look to the next.
pub(super) const TAGS_READ_EVERY: Duration = Duration::from_hours(1);

/// Values that were written lately.
pub(super) struct Recent<T> {
    values: Mutex<BTreeMap<String, (Instant, T)>>,
    lifetime: Duration,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self::lasting(LAG_MAX)
    }
}

impl<T> Recent<T> {
    /// Values that are good for that long.
    pub(super) fn lasting(lifetime: Duration) -> Self {
        Self { values: Mutex::default(), lifetime }
    }
}

impl<T: Clone> Recent<T> {
    pub(super) fn put(&self, name: &str, value: T) {
        self.lock().insert(name.to_owned(), (Instant::now(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<T> {
        let mut values = self.lock();
        values.retain(|_, (at, _)| at.elapsed() < self.lifetime);
        values.get(name).map(|(_, value)| value.clone())
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, T)>> {
        // Only whole entries are put in and taken out, so a panic elsewhere leaves nothing half done.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
