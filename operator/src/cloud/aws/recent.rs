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

/// What a glance goes by is kept for longer than until the next whole look.
pub(super) const KNOWN_FOR: Duration = Duration::from_hours(30);

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

    /// All values whose names begin like this, by what follows.
    pub(super) fn of(&self, begin: &str) -> BTreeMap<String, T> {
        let mut values = self.lock();
        values.retain(|_, (at, _)| at.elapsed() < self.lifetime);
        let with_rest = |(name, (_, value)): (&String, &(Instant, T))| {
            name.strip_prefix(begin).map(|rest| (rest.to_owned(), value.clone()))
        };
        values.iter().filter_map(with_rest).collect()
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Forgets every value of which that is true.
    pub(super) fn forget_where(&self, is_over: impl Fn(&T) -> bool) {
        self.lock().retain(|_, (_, value)| !is_over(value));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, T)>> {
        // Only whole entries are put in and taken out, so a panic elsewhere leaves nothing half done.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_are_found_together_and_each_has_its_own_time() {
        let recent = Recent::default();
        recent.put("a first", 1);
        recent.put("a second", 2);
        recent.put("ab first", 3);
        assert_eq!(recent.of("a "), BTreeMap::from([("first".into(), 1), ("second".into(), 2)]));
        let over = Recent::lasting(Duration::ZERO);
        over.put("a first", 1);
        assert!(over.of("a ").is_empty() && over.get("a first").is_none());
    }
}
