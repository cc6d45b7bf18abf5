//! The conditions, and when they turn.

use insta::assert_snapshot;
use sumu_contract::Function;
use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::converge::StepFailure;
use sumu_operator::observed::FailedUpdate;
use sumu_operator::plan::Part;
use sumu_operator::stack::Invalid;
use sumu_operator::stack::name::{OWNER_TAG, QueueId};
use sumu_operator::status::{Progress, READY, SUSPENDED, is_persistent};
use sumu_operator::sumu_stack::ConditionStatus::{False, True, Unknown};

use super::{LATER, NOON, SETTLED, after_passes, condition, error, lines, ready, report, report_pass};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::passes::{look_at, pass};

#[test]
fn a_settled_stack_is_ready_in_all_its_parts() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let status = report_pass(&mut fixture, &last, NOON);
    assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
    for part in Part::ALL {
        assert_eq!(condition(&status, part.as_str()).status, True, "{}", part.as_str());
    }
    assert_eq!(status.conditions.len(), 1 + Part::ALL.len());
}

#[test]
fn a_stack_with_a_failed_update_of_a_function_is_not_ready_and_says_awss_reason() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    cloud.change(|world| {
        let function = world.held.functions.get_mut(&Function::Routes).unwrap();
        let reason = "The role lacks a right".to_owned();
        function.failed_update = Some(FailedUpdate { reason, is_young: false });
    });
    let last = pass(&cloud, &fixture.desired);
    let status = report_pass(&mut fixture, &last, LATER);
    let told = "AWS has given up on the last update of function routes: The role lacks a right";
    assert_eq!(ready(&status), (False, "Failed", format!("Functions: {told}").as_str()));
    assert_eq!(condition(&status, "Functions").message, told);
}

#[test]
fn a_stack_in_the_making_says_what_is_made_and_what_is_waited_for() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace { role: 0, ..Pace::SLOW }, 5);
    let status = report_pass(&mut fixture, &last, NOON);
    assert_snapshot!(lines(&status), @"
    Ready False Progressing: Gateway: creating deployment (sumu 679f0aeb08041746)
    Connections False Progressing: changing table connections time to live by delete_at on
    Notifications False Waiting: subscription of the pusher waits for the pusher's permission for sns.amazonaws.com
    Messages True Settled: In place
    Functions False Waiting: function authorizer is Pending; function routes is Pending; function pusher is Pending; and 4 more
    Gateway False Progressing: creating deployment (sumu 679f0aeb08041746)
    ");
}

#[test]
fn a_call_that_is_denied_is_told_where_it_belongs_and_as_what_is_worst() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.denied = Some("+ table"));
    let status = report_pass(&mut fixture, &pass(&cloud, &fixture_desired()), NOON);
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), (False, "AccessDenied"));
    assert!(message.starts_with("Connections: ") && message.contains("the operator lacks the right"), "{message}");
    assert_eq!(condition(&status, "Notifications").reason, "Progressing");
}

fn fixture_desired() -> sumu_operator::desired::Desired {
    stack("").desired
}

#[test]
fn a_failure_that_goes_on_is_written_once() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.denied = Some("+ "));
    let first = report_pass(&mut fixture, &pass(&cloud, &fixture_desired()), NOON);
    // Lanes end in any order, and answers carry request ids: neither may show.
    let second = report_pass(&mut fixture, &pass(&cloud, &fixture_desired()), LATER);
    assert_eq!(first, second);
}

#[test]
fn many_failures_of_one_cause_do_not_hide_one_of_another() {
    let mut fixture = stack("");
    let (_, mut last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let failure = |name: &str, message: &str| {
        let (resource, message) = (name.to_owned(), message.to_owned());
        StepFailure { part: Part::Functions, error: CloudError { resource, message, ..error(Kind::Quota) } }
    };
    last.failures = ["a", "b", "c", "d"].map(|name| failure(name, "too many tables")).into();
    last.failures.push(failure("e", "too many roles"));
    let status = report_pass(&mut fixture, &last, NOON);
    let message = &condition(&status, "Functions").message;
    assert!(message.contains("a: SomeCode: too many tables; DescribeTable e: SomeCode: too many roles"), "{message}");
    assert!(message.ends_with("and 2 more"), "{message}");
}

#[test]
fn a_foreign_resource_is_told_with_the_remedy() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::MessagesDeadLetters).unwrap();
        queue.tags.insert(OWNER_TAG.into(), "another".into());
    });
    let status = report_pass(&mut fixture, &pass(&cloud, &fixture_desired()), NOON);
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), (False, "OwnershipConflict"));
    assert!(message.contains("messages-dead-letters") && message.contains("delete or rename it"), "{message}");
    assert_eq!(condition(&status, "Messages").reason, "OwnershipConflict");
    assert_eq!(condition(&status, "Gateway").status, True, "{}", lines(&status));
}

#[test]
fn a_refused_stack_says_why_and_what_was_known_of_it_stays() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let before = report_pass(&mut fixture, &last, NOON);
    fixture.stack.metadata.generation = Some(4);
    let invalid = Invalid("spec.x: is wrong: do y".into());
    let status = report(&mut fixture, Progress::Refused(&invalid), LATER);
    assert_eq!(ready(&status), (False, "InvalidSpec", "spec.x: is wrong: do y"));
    assert_eq!(status.observed_generation, Some(4));
    assert_eq!(status.endpoint, before.endpoint, "clients can connect as before");
    let part = condition(&status, "Gateway");
    assert_eq!((part.status, part.observed_generation), (True, Some(3)), "not looked at for this generation");
}

#[test]
fn one_lost_answer_is_no_news() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let before = report_pass(&mut fixture, &last, NOON);
    let error = error(Kind::Unreachable);
    let progress = Progress::Unseen { error: &error, is_persistent: false };
    assert_eq!(report(&mut fixture, progress, LATER), before);
}

#[test]
fn a_new_stack_that_cannot_be_looked_at_says_so_at_once() {
    let mut fixture = stack("");
    let error = error(Kind::Unreachable);
    let progress = Progress::Unseen { error: &error, is_persistent: false };
    let status = report(&mut fixture, progress, NOON);
    assert_eq!(ready(&status).0, Unknown);
}

#[test]
fn aws_that_cannot_be_looked_at_for_long_makes_a_stack_unknown_and_forgets_nothing() {
    let mut fixture = stack("");
    let (cloud, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let before = report_pass(&mut fixture, &last, NOON);
    let error = error(Kind::Denied);
    let progress = Progress::Unseen { error: &error, is_persistent: true };
    let status = report(&mut fixture, progress, LATER);
    let sentence = "AWS cannot be looked at: DescribeTable t: SomeCode: some message";
    assert_eq!(ready(&status), (Unknown, "AccessDenied", sentence));
    assert_eq!(condition(&status, READY).last_transition_time, LATER);
    assert_eq!(status.endpoint, before.endpoint);

    let again = report_pass(&mut fixture, &pass(&cloud, &fixture_desired()), LATER);
    assert_eq!(condition(&again, READY).last_transition_time, LATER, "ready again, since now");
    assert_eq!(condition(&again, "Gateway").last_transition_time, NOON, "a part that nobody saw did not turn");
}

#[test]
fn failures_that_pass_by_themselves_are_news_only_when_they_go_on() {
    for kind in [Kind::Throttled, Kind::Unreachable, Kind::Internal, Kind::Busy] {
        assert!(!is_persistent(&error(kind), 0) && is_persistent(&error(kind), 10), "{kind:?}");
    }
    for kind in [Kind::Denied, Kind::Quota, Kind::Rejected] {
        assert!(is_persistent(&error(kind), 0), "{kind:?}");
    }
}

#[test]
fn a_suspended_stack_that_is_settled_stays_ready() {
    let mut fixture = stack("suspend: true");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let desired = fixture.desired.clone();
    let status = report(&mut fixture, Progress::Suspended(&look_at(&cloud, &desired), &desired), NOON);
    assert_eq!(ready(&status).0, True);
    let suspended = condition(&status, SUSPENDED);
    assert_eq!(suspended.status, True);
    assert_eq!(suspended.message, "spec.suspend is true, no change is made in AWS; nothing is held back");
}

#[test]
fn a_suspended_stack_says_what_it_holds_back() {
    let mut fixture = stack("suspend: true");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    cloud.change(|world| world.held.apis[0].stages.clear());
    let desired = fixture.desired.clone();
    let status = report(&mut fixture, Progress::Suspended(&look_at(&cloud, &desired), &desired), NOON);
    let sentence = "spec.suspend is true, no change is made in AWS; held back: creating stage prod";
    assert_eq!(ready(&status), (False, SUSPENDED, sentence));
}

#[test]
fn a_stack_that_is_deleted_says_what_is_still_there() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::SLOW, 40);
    let nothing = fixture.nothing.clone();
    let mut story = String::new();
    for _ in 0..40 {
        let pass = pass(&cloud, &nothing);
        let lines = lines(&report(&mut fixture, Progress::Deleting(&pass), NOON));
        if !story.ends_with(&lines) {
            story.push_str(&lines);
        }
    }
    assert_snapshot!(story, @"
    Ready False Deleting: Deleting api 3c6ef362
    Ready False Deleting: Deleting function authorizer; deleting function routes
    Ready False Deleting: Deleting: queue presence-dead-letters stays until function authorizer is gone; role authorizer stays until function authorizer is gone; role routes stays until function routes is gone; and 13 more
    Ready False Deleting: Deleting role authorizer policy; deleting role authorizer; deleting role routes policy; and 3 more
    Ready False Deleting: Deleting function pusher; deleting function watchdog
    Ready False Deleting: Deleting: queue presence-dead-letters stays until function pusher is gone; role pusher stays until function pusher is gone; role watchdog stays until function watchdog is gone; and 4 more
    Ready False Deleting: Deleting queue presence-dead-letters; deleting role pusher policy; deleting role pusher; and 4 more
    Ready False Deleting: Deleting queue messages-dead-letters
    Ready False Deleting: Deleting: table connections is DELETING; table presence is DELETING
    Ready False Deleting: Deleting: nothing is left in AWS
    ");
}

#[test]
fn a_deletion_that_is_denied_says_so_in_reason_and_sentence() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    cloud.change(|world| world.denied = Some("- function"));
    let nothing = fixture.nothing.clone();
    let last = (0..SETTLED).map(|_| pass(&cloud, &nothing)).last().unwrap();
    let status = report(&mut fixture, Progress::Deleting(&last), NOON);
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), (False, "AccessDenied"));
    assert!(message.contains("the operator lacks the right"), "{message}");
}

#[test]
fn a_protected_table_that_stops_a_deletion_is_the_reason() {
    let mut fixture = stack("connections: {deletionProtection: true}");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let nothing = fixture.nothing.clone();
    let last = (0..SETTLED).map(|_| pass(&cloud, &nothing)).last().unwrap();
    let status = report(&mut fixture, Progress::Deleting(&last), NOON);
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), (False, "DeletionProtected"));
    assert!(message.contains("set spec.connections.deletionProtection to false"), "{message}");
}

#[test]
fn what_needs_a_person_outweighs_what_passes_by_itself() {
    let mut fixture = stack("");
    let mut last = pass(&MemoryCloud::new(&fixture, Pace::INSTANT), &fixture.desired);
    let failure = |part, kind| StepFailure { part, error: error(kind) };
    last.failures = vec![failure(Part::Notifications, Kind::Denied), failure(Part::Gateway, Kind::Busy)];
    let status = report_pass(&mut fixture, &last, NOON);
    assert!(ready(&status).2.starts_with("Notifications: "), "{}", ready(&status).2);
}
