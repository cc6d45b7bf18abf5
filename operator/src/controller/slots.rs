//! How many passes are made at once, and who is next: whoever waits longest, and changes before looks for drift.
//!
//! The controller's own limit (`Config::concurrency`) takes the next object out of a set, which is by chance: while passes
//! took long, some of twenty stacks had fifteen of them and others none.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The slots of all passes.
pub(super) struct Slots {
    all: Semaphore,
    /// Those that looks for drift may take: half, so that a change never waits for all of them.
    for_checks: Semaphore,
}

/// A slot that is taken until this is dropped.
pub(super) struct Slot<'a> {
    _slot: Option<SemaphorePermit<'a>>,
    _of_checks: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub(super) fn new(count: u16) -> Self {
        let count = usize::from(count);
        Self { all: Semaphore::new(count), for_checks: Semaphore::new(count.div_ceil(2)) }
    }

    /// Waits for a slot. Tokio's semaphores serve in the order in which they were asked.
    pub(super) async fn take(&self, is_check: bool) -> Slot<'_> {
        // Neither is ever closed.
        let of_checks = if is_check { self.for_checks.acquire().await.ok() } else { None };
        Slot { _slot: self.all.acquire().await.ok(), _of_checks: of_checks }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// A slot, if there is one at once.
    fn now(slots: &Slots, is_check: bool) -> Option<Slot<'_>> {
        slots.take(is_check).now_or_never()
    }

    #[test]
    fn looks_for_drift_leave_half_of_the_slots_to_changes() {
        let slots = Slots::new(3);
        let checks = [now(&slots, true), now(&slots, true)];
        assert!(checks.iter().all(Option::is_some));
        assert!(now(&slots, true).is_none(), "a third look");
        let change = now(&slots, false);
        assert!(change.is_some(), "a change waits for looks");
        assert!(now(&slots, false).is_none(), "a fourth pass");
        drop(change);
        assert!(now(&slots, false).is_some());
    }

    #[test]
    fn changes_may_take_all_slots_and_one_slot_serves_both() {
        let slots = Slots::new(2);
        let changes = [now(&slots, false), now(&slots, false)];
        assert!(changes.iter().all(Option::is_some));
        let one = Slots::new(1);
        drop(now(&one, true).unwrap());
        assert!(now(&one, false).is_some());
    }

    #[tokio::test]
    async fn whoever_waits_longest_is_next() {
        let slots = Slots::new(1);
        let taken = slots.take(false).await;
        let (mut first, mut second) = (Box::pin(slots.take(false)), Box::pin(slots.take(false)));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        drop(taken);
        assert!((&mut second).now_or_never().is_none(), "the second was served before the first");
        let slot = first.await;
        drop(slot);
        second.await;
    }
}
