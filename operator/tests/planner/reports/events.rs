//! Which reports are events, over whole lives of stacks.

use sumu_operator::cloud::Kind;
use sumu_operator::stack::Invalid;
use sumu_operator::stack::name::{OWNER_TAG, QueueId};
use sumu_operator::status::events::{Occurrence, events};
use sumu_operator::status::{Context, Progress, status};

use super::{LATER, SETTLED, error};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, endpoints, stack};
use crate::passes::{look_at, pass};

/// The events of one report, which becomes the object's status.
fn told(fixture: &mut Fixture, progress: Progress<'_>, was_settled: bool) -> Vec<Occurrence> {
    let endpoints = endpoints();
    let words = Context { endpoints: &endpoints, now: LATER, was_settled };
    let next = status(&fixture.stack, progress, &words);
    let told = events(&fixture.stack, &next, was_settled);
    fixture.stack.status = Some(next);
    told
}

fn told_of_pass(fixture: &mut Fixture, cloud: &MemoryCloud, was_settled: bool) -> Vec<Occurrence> {
    let desired = fixture.desired.clone();
    let pass = pass(cloud, &desired);
    told(fixture, Progress::Passed(&pass, &desired), was_settled)
}

/// A stack that is in place and has told so.
fn settled() -> (Fixture, MemoryCloud) {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    for _ in 0..SETTLED {
        told_of_pass(&mut fixture, &cloud, false);
    }
    (fixture, cloud)
}

fn reasons(events: &[Occurrence]) -> Vec<(bool, &str)> {
    events.iter().map(|event| (event.is_warning, event.reason.as_str())).collect()
}

const NONE: [(bool, &str); 0] = [];

#[test]
fn the_making_of_a_stack_is_one_event_when_it_is_ready_and_a_settled_stack_makes_none() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    let news: Vec<Occurrence> = (0..60).flat_map(|_| told_of_pass(&mut fixture, &cloud, false)).collect();
    assert_eq!(reasons(&news), [(false, "Ready")]);
    assert!(news[0].note.contains("clients connect at wss://"), "{}", news[0].note);
    assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, true)), NONE);
}

#[test]
fn drift_is_told_with_what_is_put_right_and_then_that_it_is() {
    let (mut fixture, cloud) = settled();
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.attributes.insert("VisibilityTimeout".into(), "1".into());
    });
    let news = told_of_pass(&mut fixture, &cloud, true);
    assert_eq!(reasons(&news), [(false, "DriftFound")]);
    assert!(news[0].note.contains("changing queue messages attributes VisibilityTimeout"), "{}", news[0].note);
    assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, false)), [(false, "Ready")]);
}

#[test]
fn a_change_of_the_spec_or_a_newer_operator_is_no_drift() {
    for (generation, was_settled) in [(1, true), (0, false)] {
        let (mut fixture, cloud) = settled();
        cloud.change(|world| {
            let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
            queue.attributes.insert("VisibilityTimeout".into(), "1".into());
        });
        *fixture.stack.metadata.generation.get_or_insert_default() += generation;
        assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, was_settled)), [(false, "Updating")]);
    }
}

#[test]
fn what_needs_a_person_is_a_warning_once_and_again_when_it_says_something_else() {
    let (mut fixture, cloud) = settled();
    let foreign = |id: QueueId| {
        cloud.change(|world| {
            world.held.queues.get_mut(&id).unwrap().tags.insert(OWNER_TAG.into(), "another".into());
        });
    };
    foreign(QueueId::Notifications);
    let news = told_of_pass(&mut fixture, &cloud, true);
    assert_eq!(reasons(&news), [(true, "OwnershipConflict")]);
    assert!(news[0].note.contains("delete or rename it"), "{}", news[0].note);
    assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, false)), NONE);

    let invalid = Invalid("spec.authorizer is too large".into());
    assert_eq!(reasons(&told(&mut fixture, Progress::Refused(&invalid), false)), [(true, "InvalidSpec")]);
    assert_eq!(reasons(&told(&mut fixture, Progress::Refused(&invalid), false)), NONE);
    let invalid = Invalid("spec.tags has too many".into());
    assert_eq!(reasons(&told(&mut fixture, Progress::Refused(&invalid), false)), [(true, "InvalidSpec")]);
}

#[test]
fn a_denied_call_is_a_warning_and_aws_troubles_are_told_when_they_last() {
    let (mut fixture, cloud) = settled();
    cloud.change(|world| {
        world.held.queues.remove(&QueueId::Messages);
        world.denied = Some("+ queue");
    });
    assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, true)), [(true, "AccessDenied")]);
    let throttled = error(Kind::Throttled);
    let unseen = |is_persistent| Progress::Unseen { error: &throttled, is_persistent };
    assert_eq!(reasons(&told(&mut fixture, unseen(false), false)), NONE);
    let news = told(&mut fixture, unseen(true), false);
    assert_eq!(reasons(&news), [(true, "Throttled")]);
    assert!(news[0].is_same_again, "they come and go, so they are counted");
}

#[test]
fn suspending_is_told_with_what_is_held_back_and_so_is_its_end() {
    let (mut fixture, cloud) = settled();
    let desired = fixture.desired.clone();
    let look = look_at(&cloud, &desired);
    assert_eq!(reasons(&told(&mut fixture, Progress::Suspended(&look, &desired), false)), [(false, "Suspended")]);
    assert_eq!(reasons(&told(&mut fixture, Progress::Suspended(&look, &desired), false)), NONE);
    assert_eq!(reasons(&told_of_pass(&mut fixture, &cloud, false)), [(false, "Resumed")]);
}

#[test]
fn a_deletion_is_told_when_it_begins_and_when_something_blocks_it() {
    let (mut fixture, cloud) = settled();
    let nothing = fixture.nothing.clone();
    let mut all = Vec::new();
    for _ in 0..SETTLED {
        let pass = pass(&cloud, &nothing);
        all.extend(told(&mut fixture, Progress::Deleting(&pass), true));
    }
    assert_eq!(reasons(&all), [(false, "Deleting")]);

    let (mut fixture, cloud) = settled();
    cloud.change(|world| world.denied = Some("- "));
    let pass = pass(&cloud, &nothing);
    assert_eq!(reasons(&told(&mut fixture, Progress::Deleting(&pass), true)), [(true, "AccessDenied")]);
}

#[test]
fn a_note_is_never_longer_than_the_api_server_takes() {
    let mut fixture = stack("");
    let invalid = Invalid("é".repeat(2000));
    let news = told(&mut fixture, Progress::Refused(&invalid), false);
    assert!(news[0].note.len() <= 1024 && news[0].note.ends_with("é…"), "{} bytes", news[0].note.len());
}
