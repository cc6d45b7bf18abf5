//! What is told of access logs.

use sumu_operator::plan::Part;
use sumu_operator::stack::name::{LogGroupId, OWNER_TAG};
use sumu_operator::status::events::events;
use sumu_operator::status::{Context, Progress, STALLED, status};
use sumu_operator::sumu_stack::ConditionStatus::{False, True};

use super::{LATER, NOON, SETTLED, condition, lines, ready, report_pass};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{endpoints, stack};
use crate::laws::access_logs::logged;
use crate::passes::{pass, settle};

const ACCESS_LOGS: &str = Part::AccessLogs.as_str();

#[test]
fn access_logs_have_a_condition_for_as_long_as_there_are_any() {
    let mut fixture = logged();
    let desired = fixture.desired.clone();
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    for _ in 0..60 {
        let pass = pass(&cloud, &desired);
        let status = report_pass(&mut fixture, &pass, NOON);
        let is_on = pass.observed.api().is_some_and(|api| api.stages.iter().any(|stage| stage.access_logs.is_some()));
        assert_eq!(condition(&status, ACCESS_LOGS).status == True, is_on, "{}", lines(&status));
        assert!(is_on || ready(&status).0 == False, "what is on its way is waited for: {}", lines(&status));
    }
    let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
    assert_eq!(ready(&status), (True, "Settled", "Everything is in place"));
    assert_eq!(status.conditions.len(), 2 + Part::ALL.len());

    let mut without = stack("");
    settle(&cloud, &without.desired);
    let desired = without.desired.clone();
    let status = report_pass(&mut without, &pass(&cloud, &desired), NOON);
    assert!(status.conditions.iter().all(|condition| condition.type_ != ACCESS_LOGS), "{}", lines(&status));
}

#[test]
fn a_stack_whose_account_lacks_the_role_for_logs_is_ready_and_says_what_to_do() {
    let mut fixture = logged();
    let desired = fixture.desired.clone();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.lacks_log_role = true);
    let last = (0..SETTLED + 2).map(|_| pass(&cloud, &desired)).last().unwrap();
    let told = report_pass(&mut fixture, &last, NOON);
    let missed = condition(&told, ACCESS_LOGS);
    assert_eq!((missed.status, missed.reason.as_str()), (False, "ActionRequired"));
    let words = ["UpdateStage", "CloudWatch Logs role ARN must be set", "apigateway.amazonaws.com"];
    let remedy = ["AmazonAPIGatewayPushToCloudWatchLogs", "aws apigateway update-account", "/cloudwatchRoleArn"];
    for word in words.into_iter().chain(remedy) {
        assert!(missed.message.contains(word), "no {word:?} in {}", missed.message);
    }
    let (state, reason, message) = ready(&told);
    assert_eq!((state, reason), (True, "Settled"));
    assert!(message.starts_with("Everything is in place but access logs: ") && message.contains("update-account"));
    assert!(told.conditions.iter().all(|condition| condition.type_ != STALLED), "{}", lines(&told));
    assert!(told.endpoint.is_some(), "clients can come");
    assert_eq!(report_pass(&mut fixture, &pass(&cloud, &desired), LATER), told, "it is told once");

    cloud.change(|world| world.lacks_log_role = false);
    settle(&cloud, &desired);
    let status = report_pass(&mut fixture, &pass(&cloud, &desired), LATER);
    assert_eq!(condition(&status, ACCESS_LOGS).status, True);
    assert_eq!(ready(&status).2, "Everything is in place");
}

#[test]
fn a_log_group_of_somebody_else_is_told_and_keeps_no_stack_from_being_ready() {
    let mut fixture = logged();
    let desired = fixture.desired.clone();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &desired);
    cloud.change(|world| {
        let group = world.held.log_groups.get_mut(&LogGroupId::AccessLogs).unwrap();
        group.tags.insert(OWNER_TAG.into(), "another".into());
    });
    let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
    assert_eq!(condition(&status, ACCESS_LOGS).reason, "OwnershipConflict");
    assert_eq!(ready(&status).0, True, "{}", lines(&status));
    assert!(ready(&status).2.contains("delete or rename it"), "{}", ready(&status).2);
}

#[test]
fn a_deletion_that_is_kept_from_the_log_group_says_so() {
    let mut fixture = logged();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    cloud.change(|world| world.denied = Some("- log group access-logs"));
    let nothing = fixture.nothing.clone();
    let last = (0..SETTLED).map(|_| pass(&cloud, &nothing)).last().unwrap();
    let status = super::report(&mut fixture, Progress::Deleting(&last), NOON);
    assert_eq!((ready(&status).0, ready(&status).1), (False, "AccessDenied"));
}

#[test]
fn what_keeps_a_stack_from_logging_is_an_event_once() {
    let mut fixture = logged();
    let desired = fixture.desired.clone();
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.lacks_log_role = true);
    let mut told = Vec::new();
    for _ in 0..SETTLED + 6 {
        let pass = pass(&cloud, &desired);
        let endpoints = endpoints();
        let words = Context { endpoints: &endpoints, now: NOON, was_settled: false };
        let next = status(&fixture.stack, Progress::Passed(&pass, &desired), &words);
        told.extend(events(&fixture.stack, &next, false));
        fixture.stack.status = Some(next);
    }
    let mut reasons: Vec<(bool, &str)> = told.iter().map(|event| (event.is_warning, event.reason.as_str())).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [(false, "Ready"), (true, "ActionRequired")]);
}
