//! When to look again. Pure: the caller brings the history and the chance.

use std::time::Duration;

use crate::cloud::{CloudError, Kind};
use crate::converge::{Pass, StepFailure};
use crate::plan::{Part, WaitReason};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Of so many looks at a settled stack one reads everything; the others only what changes at all often.
const WHOLE_LOOK_EVERY: u32 = 6;
/// Where looks are far apart each of them reads everything, so that nothing that was changed stays unseen for days.
const WHOLE_LOOK_AFTER_MAX: Duration = Duration::from_hours(1);

/// However seldom a stack is looked at that is in place: one that is not is waited for.
const REJECTED_AGAIN_MAX: Duration = Duration::from_mins(10);

/// What is known of a stack's earlier passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Passes since the stack was last settled or its spec changed.
    pub attempt: u32,
    /// How many passes in a row before this one had the same steps.
    pub repeats: u32,
}

/// How long a stack that is in place is left alone: as its own spec says, or else as the operator is told for all.
#[must_use]
pub fn resync(of_stack: Option<u32>, of_operator: Duration) -> Duration {
    of_stack.map_or(of_operator, |seconds| Duration::from_secs(seconds.into()))
}

/// How long after a look at everything the next one reads everything too.
#[must_use]
pub fn whole_look_after(resync: Duration) -> Duration {
    (resync * WHOLE_LOOK_EVERY).min(WHOLE_LOOK_AFTER_MAX)
}

/// How long after a pass the next one comes.
///
/// `chance` is between 0 and 1 and spreads retries, so that a hundred stacks do not come back together.
#[must_use]
pub fn after_pass(pass: &Pass, history: History, chance: f64, resync: Duration) -> Duration {
    let History { attempt, repeats } = history;
    let failures = pass.failures.iter().map(|failure| after_failure(failure, repeats, chance, resync));
    let waits = pass.plan.waits.iter().filter_map(|wait| match &wait.reason {
        // AWS needs a second or two for most things; what takes longer is asked for less often.
        WaitReason::Ready { .. } | WaitReason::Gone { .. } => {
            Some(SECOND.mul_f64(1.15_f64.powi(exponent(attempt, 20))))
        }
        // Ends by a step of ours, which has its own time: that of its failure, when it fails.
        WaitReason::Exists { .. } => None,
        // Whoever uses it may end at any moment, and nobody tells us.
        WaitReason::InUse { .. } | WaitReason::Holding { .. } => Some(SECOND * 20),
        WaitReason::Foreign(_)
        | WaitReason::Protected(_)
        | WaitReason::LostPrincipal { .. }
        | WaitReason::Failed { .. }
        | WaitReason::Conflict(_)
        | WaitReason::Absent { .. }
        | WaitReason::Denied(_)
        | WaitReason::Pending { .. }
        | WaitReason::Shared { .. } => Some(MINUTE),
    });
    // Also when a part is stuck: the others go on, though not so fast that what has failed is pressed.
    let pause = if pass.failures.is_empty() { Duration::ZERO } else { SECOND * 2 };
    let progress = (pass.applied > 0).then(|| after_progress(repeats).max(pause));
    // Every look costs calls too: who is throttled and comes back at once keeps the account at its limit.
    let is_throttled = pass.failures.iter().any(|failure| failure.error.kind == Kind::Throttled);
    let floor = if is_throttled { after_error(Kind::Throttled, repeats, chance, resync) } else { Duration::ZERO };
    let next = failures.chain(waits).chain(progress).min().map(|urgent| urgent.max(floor));
    next.unwrap_or_else(|| resync.mul_f64(0.9 + 0.2 * chance))
}

/// At once, as the next steps are known only after another look. When the same steps come again, AWS does not show
/// yet what was written, or somebody undoes it: then more and more slowly.
fn after_progress(repeats: u32) -> Duration {
    if repeats == 0 { Duration::ZERO } else { SECOND.mul_f64(1.5_f64.powi(exponent(repeats, 10))) }
}

/// How long after a look that failed the next one comes; `attempt` counts the looks in a row that failed before it.
#[must_use]
pub fn after_look(error: &CloudError, attempt: u32, chance: f64, resync: Duration) -> Duration {
    after_error(error.kind, attempt, chance, resync)
}

/// How long an update of a function that Lambda has given up rests before the next; `before` counts those in a row that
/// were given up before it. It is mended outside the cluster: a role gets its rights back, an address is free again.
#[must_use]
pub fn after_failed_update(before: u32) -> Duration {
    after_error(Kind::Quota, before, 0.0, Duration::ZERO)
}

/// What Lambda refuses of an event source is mended outside the cluster: a function is made, its timeout is lowered.
///
/// API Gateway takes one call about a domain name in 30 s from a whole account, and what it refuses is mended outside the
/// cluster: a certificate is issued, a domain name is let go. So it is with subscriptions: a function or a role is made.
fn after_failure(failure: &StepFailure, attempt: u32, chance: f64, resync: Duration) -> Duration {
    let error = &failure.error;
    match error.kind {
        Kind::Rejected if failure.part == Part::Subscriptions => after_error(Kind::Quota, attempt, chance, resync),
        Kind::Rejected if error.operation.ends_with("EventSourceMapping") => {
            after_error(Kind::Quota, attempt, chance, resync)
        }
        _ if !error.operation.ends_with("DomainName") => after_error(error.kind, attempt, chance, resync),
        Kind::Busy => SECOND * 10,
        Kind::Throttled => SECOND * 31 + (SECOND * 10).mul_f64(chance),
        Kind::Rejected => after_error(Kind::Quota, attempt, chance, resync),
        kind => after_error(kind, attempt, chance, resync),
    }
}

fn after_error(kind: Kind, attempt: u32, chance: f64, resync: Duration) -> Duration {
    match kind {
        Kind::AlreadyExists | Kind::NotFound => SECOND.mul_f64(1.5_f64.powi(exponent(attempt, 8))),
        // Roles spread in about ten seconds: ask densely at first.
        Kind::Propagating => {
            if attempt < 60 {
                SECOND * 2
            } else {
                MINUTE
            }
        }
        Kind::Busy => {
            if attempt < 120 {
                SECOND * 3
            } else {
                MINUTE
            }
        }
        // Full jitter over a doubling bound (Marc Brooker, "Exponential Backoff And Jitter").
        Kind::Throttled | Kind::Unreachable | Kind::Internal => {
            let bound = SECOND.mul_f64(2_f64.powi(exponent(attempt, 6)));
            SECOND.mul_f64(0.5) + bound.mul_f64(chance)
        }
        // Mended outside the cluster, where no event tells us. A right that was just given, credentials that are just
        // being exchanged and a clock that is just being set are there in seconds, so it is asked again soon at first.
        Kind::Denied => (SECOND * 5).mul_f64(2_f64.powi(exponent(attempt, 6))).min(MINUTE * 5),
        Kind::Quota | Kind::Unprepared => {
            if attempt < 5 {
                MINUTE
            } else {
                MINUTE * 5
            }
        }
        // Nothing will change it but a change of the spec, which comes as an event; unless AWS had only not yet heard
        // of something that the call names.
        Kind::Rejected => {
            if attempt < 4 {
                SECOND * 15
            } else {
                resync.min(REJECTED_AGAIN_MAX)
            }
        }
    }
}

fn exponent(attempt: u32, max: u32) -> i32 {
    // At most `max`, which is small.
    i32::try_from(attempt.min(max)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Observed;
    use crate::plan::{Plan, Wait};

    const RESYNC: Duration = Duration::from_mins(10);

    fn pass() -> Pass {
        Pass {
            observed: Observed::default(),
            plan: Plan::default(),
            applied: 0,
            failures: vec![],
            missing_rights: None,
        }
    }

    fn failed(kind: Kind) -> StepFailure {
        let error =
            CloudError { operation: "X", resource: "r".into(), kind, code: String::new(), message: String::new() };
        StepFailure { part: Part::Functions, error }
    }

    fn history(passes: u32) -> History {
        History { attempt: passes, repeats: passes }
    }

    #[test]
    fn a_settled_stack_is_looked_at_again_after_the_resync_period_give_or_take_a_tenth() {
        assert_eq!(after_pass(&pass(), history(0), 0.0, RESYNC), Duration::from_mins(9));
        assert_eq!(after_pass(&pass(), history(0), 1.0, RESYNC), Duration::from_mins(11));
    }

    #[test]
    fn a_stack_that_says_how_often_it_is_looked_at_is_and_the_others_as_the_operator_is_told() {
        assert_eq!(resync(None, RESYNC), RESYNC);
        let [often, seldom] = [60, 86_400].map(|seconds| resync(Some(seconds), RESYNC));
        assert_eq!([often, seldom], [MINUTE, Duration::from_hours(24)]);
        assert_eq!(after_pass(&pass(), history(0), 0.0, seldom), Duration::from_mins(24 * 54));
        assert_eq!(after_pass(&pass(), history(0), 1.0, often), SECOND * 66);
    }

    #[test]
    fn every_sixth_look_is_at_everything_and_every_one_where_looks_are_an_hour_apart() {
        assert_eq!(whole_look_after(MINUTE), MINUTE * 6);
        assert_eq!([RESYNC, Duration::from_hours(24)].map(whole_look_after), [Duration::from_hours(1); 2]);
    }

    #[test]
    fn what_was_rejected_is_tried_again_before_a_stack_is_looked_at_once_a_day() {
        let pass = Pass { failures: vec![failed(Kind::Rejected)], ..pass() };
        assert_eq!(after_pass(&pass, history(9), 0.5, Duration::from_hours(24)), MINUTE * 10);
    }

    #[test]
    fn progress_is_followed_at_once_unless_it_is_the_same_again() {
        let pass = Pass { applied: 3, ..pass() };
        assert_eq!(after_pass(&pass, History { attempt: 3, repeats: 0 }, 0.5, RESYNC), Duration::ZERO);
        let [second, later, latest] =
            [1, 5, 50].map(|repeats| after_pass(&pass, History { attempt: 9, repeats }, 0.5, RESYNC));
        assert!(
            SECOND < second && second < later && later < latest && latest <= MINUTE,
            "{second:?} {later:?} {latest:?}"
        );
    }

    #[test]
    fn a_part_that_is_stuck_holds_up_no_other() {
        let pass = Pass { applied: 3, failures: vec![failed(Kind::Quota)], ..pass() };
        let after = |repeats| after_pass(&pass, History { attempt: 3, repeats }, 0.5, RESYNC);
        assert_eq!(after(0), SECOND * 2);
        assert!(after(9) > SECOND * 30, "what makes no progress is pressed: {:?}", after(9));
        assert_eq!(after_pass(&Pass { applied: 0, ..pass.clone() }, history(3), 0.5, RESYNC), MINUTE);
    }

    #[test]
    fn the_most_urgent_reason_wins() {
        let pass = Pass { failures: vec![failed(Kind::Denied), failed(Kind::Propagating)], ..pass() };
        assert_eq!(after_pass(&pass, history(1), 0.5, RESYNC), SECOND * 2);
    }

    #[test]
    fn what_waits_for_a_step_that_fails_for_good_does_not_hurry_it() {
        let wait = Wait { part: Part::Functions, reason: WaitReason::Exists { what: "f".into(), needs: "r".into() } };
        let plan = Plan { steps: vec![], waits: vec![wait] };
        let pass = Pass { plan, failures: vec![failed(Kind::Quota)], ..pass() };
        assert_eq!(after_pass(&pass, history(0), 0.5, RESYNC), MINUTE);
    }

    #[test]
    fn throttling_backs_off_further_with_each_attempt() {
        let pass = Pass { failures: vec![failed(Kind::Throttled)], ..pass() };
        let [first, later] = [1, 5].map(|attempt| after_pass(&pass, history(attempt), 1.0, RESYNC));
        assert!(first < later && later <= MINUTE, "{first:?} {later:?}");
    }

    #[test]
    fn a_denied_call_is_tried_again_soon_and_then_ever_more_seldom() {
        let pass = Pass { failures: vec![failed(Kind::Denied)], ..pass() };
        let [first, fourth, later] = [0, 3, 99].map(|attempt| after_pass(&pass, history(attempt), 0.5, RESYNC));
        assert_eq!([first, fourth, later], [SECOND * 5, SECOND * 40, MINUTE * 5]);
    }

    #[test]
    fn what_the_account_lacks_is_asked_for_again_as_seldom_as_what_it_has_too_little_of() {
        let after = |kind, repeats| {
            let pass = Pass { failures: vec![failed(kind)], ..pass() };
            after_pass(&pass, history(repeats), 0.5, RESYNC)
        };
        assert_eq!([after(Kind::Unprepared, 0), after(Kind::Unprepared, 5)], [MINUTE, MINUTE * 5]);
        assert_eq!([after(Kind::Quota, 0), after(Kind::Quota, 5)], [MINUTE, MINUTE * 5]);
    }

    #[test]
    fn who_is_throttled_does_not_come_back_sooner_for_what_waits_for_the_call() {
        let wait = Wait { part: Part::Functions, reason: WaitReason::Gone { what: "f".into(), before: "api".into() } };
        let plan = Plan { steps: vec![], waits: vec![wait] };
        let failures = vec![failed(Kind::Throttled), failed(Kind::Propagating)];
        let throttled = Pass { plan: plan.clone(), failures, ..pass() };
        let later = after_pass(&throttled, history(5), 1.0, RESYNC);
        assert_eq!(
            later,
            after_pass(&Pass { failures: vec![failed(Kind::Throttled)], ..pass() }, history(5), 1.0, RESYNC)
        );
        assert!(later > after_pass(&Pass { plan, ..pass() }, history(5), 1.0, RESYNC), "{later:?}");
    }

    #[test]
    fn a_rejected_call_is_tried_a_few_times_and_then_left_to_the_next_change() {
        let pass = Pass { failures: vec![failed(Kind::Rejected)], ..pass() };
        let [first, later] = [0, 9].map(|attempt| after_pass(&pass, history(attempt), 0.5, RESYNC));
        assert_eq!([first, later], [SECOND * 15, RESYNC]);
    }

    #[test]
    fn a_call_about_a_domain_name_is_made_once_in_thirty_seconds_and_again_when_a_certificate_may_be_issued() {
        let about_domain = |kind| {
            let mut failure = failed(kind);
            failure.error.operation = "CreateDomainName";
            Pass { failures: vec![failure], ..pass() }
        };
        let after = |kind, repeats| after_pass(&about_domain(kind), history(repeats), 0.0, RESYNC);
        assert_eq!([after(Kind::Throttled, 0), after(Kind::Throttled, 9)], [SECOND * 31; 2]);
        assert_eq!([after(Kind::Rejected, 0), after(Kind::Rejected, 9)], [MINUTE, MINUTE * 5]);
        assert_eq!([after(Kind::Busy, 0), after(Kind::Denied, 0)], [SECOND * 10, SECOND * 5]);
    }

    #[test]
    fn a_subscription_that_sns_refuses_is_tried_again_when_what_it_names_may_be_there() {
        let failure = StepFailure { part: Part::Subscriptions, ..failed(Kind::Rejected) };
        let pass = Pass { failures: vec![failure], ..pass() };
        assert_eq!([0, 9].map(|attempt| after_pass(&pass, history(attempt), 0.5, RESYNC)), [MINUTE, MINUTE * 5]);
    }

    #[test]
    fn a_consumer_that_lambda_refuses_is_tried_again_when_its_function_may_have_been_mended() {
        let mut failure = failed(Kind::Rejected);
        failure.error.operation = "CreateEventSourceMapping";
        let pass = Pass { failures: vec![failure], ..pass() };
        let [first, later] = [0, 9].map(|attempt| after_pass(&pass, history(attempt), 0.5, RESYNC));
        assert_eq!([first, later], [MINUTE, MINUTE * 5]);
    }

    #[test]
    fn what_needs_a_person_is_not_polled_every_second() {
        let wait = Wait { part: Part::Connections, reason: WaitReason::Foreign("table".into()) };
        let pass = Pass { plan: Plan { steps: vec![], waits: vec![wait] }, ..pass() };
        assert_eq!(after_pass(&pass, history(0), 0.5, RESYNC), MINUTE);
    }
}
