//! What tools that know only kstatus (Flux, `kpt`, Argo CD by its rules) make of our status.

use serde_json::{Value, json};
use sumu_operator::cloud::Kind;
use sumu_operator::stack::Invalid;
use sumu_operator::status::Progress;

use super::{NOON, SETTLED, after_passes, error, report, report_pass};
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
    assert_eq!(of(&fixture), "InProgress");
    report(&mut fixture, Progress::Unseen { error: &denied, is_persistent: true }, NOON);
    assert_eq!(of(&fixture), "InProgress");
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
