//! The last departures of a stack that has lost its grace period.
//!
//! Users who were leaving at that moment are told gone when their departure comes back. So the queue and what feeds it to
//! the watchdog stay until nothing can be in it any more:
//! 1. the watchdog has been told that there is no grace period, so it puts nothing more there;
//! 2. that is so long ago that no copy of it from before is at work, and that SQS has counted what the last one sent;
//! 3. SQS counts no message, neither delayed nor waiting nor being worked off.
//!
//! A stack that is deleted waits for none of this.

use sumu_contract::Function;

use crate::desired::Desired;
use crate::observed::{Observed, Readiness};
use crate::stack::name::QueueId;

/// Whether there may be departures that nobody has worked off, on a queue that is to go.
pub(super) fn are_under_way(desired: &Desired, observed: &Observed) -> bool {
    let Some(queue) = observed.queues.get(&QueueId::Departures) else { return false };
    let Some(config) = desired.functions.get(&Function::Watchdog) else { return false };
    if desired.queues.contains_key(&QueueId::Departures) {
        return false;
    }
    let is_told = observed.functions.get(&Function::Watchdog).is_some_and(|watchdog| {
        watchdog.readiness == Readiness::Ready
            && watchdog.failed_update.is_none()
            && !watchdog.changed_lately
            && config.environment(&desired.names, observed).is_ok_and(|want| want == watchdog.environment)
    });
    !is_told || queue.holds_messages()
}
