//! What tools that know only kstatus (Flux, `kpt`, Argo CD by its rules) make of our status.

use kube::CustomResourceExt as _;
use serde_json::{Value, json};
use sumu_operator::cloud::Kind;
use sumu_operator::stack::Invalid;
use sumu_operator::stack::name::{OWNER_TAG, QueueId};
use sumu_operator::status::{Progress, READY, STALLED};
use sumu_operator::sumu_stack::{ConditionStatus, SumuStack, SumuStackStatus};

use super::{LATER, NOON, SETTLED, after_passes, condition, error, report, report_pass};
use crate::cloud::Pace;
use crate::fixtures::{Fixture, stack};
use crate::passes::{look_at, pass};

/// The rules of kstatus for kinds that it does not know, in their order: deletion, generation, the conditions
/// `Reconciling` and `Stalled`, `Ready`; what says nothing is taken for done.
fn kstatus(object: &Value) -> &'static str {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return "Terminating";
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return "InProgress";
    }
    let conditions = object["status"]["conditions"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let is = |type_: &str, status: &str| {
        conditions.iter().any(|condition| condition["type"] == type_ && condition["status"] == status)
    };
    match () {
        () if is("Reconciling", "True") => "InProgress",
        () if is("Stalled", "True") => "Failed",
        () if is("Ready", "False") || is("Ready", "Unknown") => "InProgress",
        () => "Current",
    }
}

fn of(fixture: &Fixture) -> &'static str {
    kstatus(&serde_json::to_value(&fixture.stack).unwrap())
}

#[test]
fn a_stack_is_current_when_it_is_ready_and_in_progress_before() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace::SLOW, 3);
    report_pass(&mut fixture, &last, NOON);
    assert_eq!(of(&fixture), "InProgress");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    report_pass(&mut fixture, &last, NOON);
    assert_eq!(of(&fixture), "Current");
}

#[test]
fn a_stack_whose_spec_was_not_seen_yet_is_in_progress_though_it_is_ready() {
    let mut fixture = stack("");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    report_pass(&mut fixture, &last, NOON);
    fixture.stack.metadata.generation = Some(99);
    assert_eq!(of(&fixture), "InProgress");
}

#[test]
fn a_stack_that_cannot_be_built_seen_or_changed_is_not_current() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let (desired, denied) = (fixture.desired.clone(), error(Kind::Denied));
    let invalid = Invalid("spec.authorizer is too large".into());
    report(&mut fixture, Progress::Refused(&invalid), NOON);
    assert_eq!(of(&fixture), "Failed", "only a person can change it");
    report(&mut fixture, Progress::Unseen { error: &denied, is_persistent: true }, NOON);
    assert_eq!(of(&fixture), "Failed");
    report(&mut fixture, Progress::Unseen { error: &error(Kind::Throttled), is_persistent: true }, NOON);
    assert_eq!(of(&fixture), "InProgress", "it passes");
    report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
    assert_eq!(of(&fixture), "Current", "nothing is left of it");
    cloud.change(|world| world.held.topics.clear());
    report(&mut fixture, Progress::Suspended(&look_at(&cloud, &desired), &desired), NOON);
    assert_eq!(of(&fixture), "InProgress", "something is held back");
}

#[test]
fn a_suspended_stack_that_is_as_asked_for_is_current() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let desired = fixture.desired.clone();
    report(&mut fixture, Progress::Suspended(&look_at(&cloud, &desired), &desired), NOON);
    assert_eq!(of(&fixture), "Current");
}

#[test]
fn a_stack_that_is_deleted_is_terminating() {
    let mut fixture = stack("");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let nothing = fixture.nothing.clone();
    let mut object = serde_json::to_value(&fixture.stack).unwrap();
    object["metadata"]["deletionTimestamp"] = json!(NOON);
    fixture.stack = serde_json::from_value(object).unwrap();
    report(&mut fixture, Progress::Deleting(&pass(&cloud, &nothing)), NOON);
    assert_eq!(of(&fixture), "Terminating");
}

#[test]
fn an_object_that_nobody_has_looked_at_yet_is_in_progress() {
    let crd = serde_json::to_value(SumuStack::crd()).unwrap();
    let default = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["default"];
    let mut object = serde_json::to_value(&stack("").stack).unwrap();
    object["status"] = default.clone();
    assert_eq!(kstatus(&object), "InProgress", "with the status that the API server gives it: {default}");
    let fresh: SumuStack = serde_json::from_value(object).unwrap();
    assert!(fresh.status.unwrap().conditions.is_empty(), "it is no status of ours");
}

#[test]
fn what_waits_for_a_person_is_stalled_for_as_long_as_it_does_and_says_the_same_as_ready() {
    let mut fixture = stack("");
    let (cloud, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let is_stalled = |status: &SumuStackStatus| status.conditions.iter().any(|it| it.type_ == STALLED);
    assert!(!is_stalled(&report_pass(&mut fixture, &last, NOON)));
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.tags.insert(OWNER_TAG.into(), "another".into());
    });
    let desired = fixture.desired.clone();
    for now in [NOON, LATER] {
        let status = report_pass(&mut fixture, &pass(&cloud, &desired), now);
        let (stalled, ready) = (condition(&status, STALLED), condition(&status, READY));
        assert_eq!(stalled.status, ConditionStatus::True);
        assert_eq!((&stalled.reason, &stalled.message), (&ready.reason, &ready.message));
        assert_eq!(stalled.last_transition_time, NOON);
    }
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.tags.insert(OWNER_TAG.into(), desired.owner.uid.clone());
    });
    assert!(!is_stalled(&report_pass(&mut fixture, &pass(&cloud, &desired), LATER)));
}
