//! Updates of functions that Lambda has given up: whether each may be tried again.
//!
//! How long ago one failed is told by our own clock from when it was first seen, so no two clocks are compared.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::backoff::after_failed_update;

/// The last failure of each function's updates, by its name.
#[derive(Default)]
pub(super) struct FailedUpdates(Mutex<BTreeMap<String, Failure>>);

struct Failure {
    /// When Lambda has last changed the function, as it says: another time is another update.
    of: String,
    seen: Instant,
    /// How many in a row were given up before.
    before: u32,
}

impl FailedUpdates {
    /// Notes that the update of that time has failed, and says whether it is too early for another.
    pub(super) fn saw(&self, name: &str, of: &str, now: Instant) -> bool {
        let mut failures = self.lock();
        let (seen, before) = match failures.get(name) {
            Some(last) if last.of == of => (last.seen, last.before),
            last => {
                let before = last.map_or(0, |last| last.before.saturating_add(1));
                failures.insert(name.to_owned(), Failure { of: of.to_owned(), seen: now, before });
                (now, before)
            }
        };
        now.duration_since(seen) < after_failed_update(before)
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Failure>> {
        // Only whole entries are put in and taken out, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_update_that_fails_again_and_again_is_tried_ever_more_seldom_and_one_that_succeeds_ends_the_row() {
        let (failed, begin) = (FailedUpdates::default(), Instant::now());
        let mut now = begin;
        let mut rests = Vec::new();
        for update in 0..7 {
            let of = format!("2026-03-01T12:00:0{update}.000+0000");
            let first_seen = now;
            while failed.saw("pusher", &of, now) {
                now += Duration::from_secs(1);
            }
            rests.push((now - first_seen).as_secs());
        }
        assert_eq!(rests, [60, 60, 60, 60, 60, 300, 300]);
        failed.forget("pusher");
        assert!(failed.saw("pusher", "later", now) && failed.saw("pusher", "later", now + Duration::from_secs(59)));
        assert!(!failed.saw("pusher", "later", now + Duration::from_mins(1)));
    }
}
