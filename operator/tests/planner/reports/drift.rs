//! What the status remembers of what somebody had changed.

use sumu_contract::Function;
use sumu_operator::cloud::Kind;
use sumu_operator::status::{Context, Progress, status};
use sumu_operator::sumu_stack::{DriftStatus, SumuStackStatus};

use super::{LATER, NOON, SETTLED, error};
use crate::cloud::{MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, endpoints, stack};
use crate::passes::pass;

const EVENING: &str = "2026-05-01T20:00:00Z";

/// A report at a moment about a stack that had been in place or not, which becomes the object's status.
fn told(fixture: &mut Fixture, progress: Progress<'_>, now: &str, was_settled: bool) -> SumuStackStatus {
    let endpoints = endpoints();
    let next = status(&fixture.stack, progress, &Context { endpoints: &endpoints, now, was_settled });
    fixture.stack.status = Some(next.clone());
    next
}

fn told_of_pass(fixture: &mut Fixture, cloud: &MemoryCloud, now: &str, was_settled: bool) -> SumuStackStatus {
    let desired = fixture.desired.clone();
    let pass = pass(cloud, &desired);
    told(fixture, Progress::Passed(&pass, &desired), now, was_settled)
}

/// A stack that is in place and has told so.
fn settled() -> (Fixture, MemoryCloud) {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    for _ in 0..SETTLED {
        told_of_pass(&mut fixture, &cloud, NOON, false);
    }
    (fixture, cloud)
}

fn give_other_memory(world: &mut World) {
    world.held.functions.get_mut(&Function::Routes).unwrap().memory_mib = 128;
}

#[test]
fn what_somebody_had_changed_stays_in_the_status_once_it_is_put_right() {
    let (mut fixture, cloud) = settled();
    cloud.change(give_other_memory);
    let found = told_of_pass(&mut fixture, &cloud, LATER, true).drift;
    let changes = vec!["changing function routes configuration".to_owned()];
    let generation = fixture.stack.metadata.generation;
    assert_eq!(found, Some(DriftStatus { observed_at: LATER.into(), generation, changes, count: 1 }));
    for was_settled in [false, true, true] {
        assert_eq!(told_of_pass(&mut fixture, &cloud, EVENING, was_settled).drift, found);
    }
    let error = error(Kind::Unreachable);
    let unseen = Progress::Unseen { error: &error, is_persistent: true };
    assert_eq!(told(&mut fixture, unseen, EVENING, true).drift, found);
}

#[test]
fn a_settled_pass_changes_nothing_in_the_status_whether_there_was_drift_or_not() {
    let (mut fixture, cloud) = settled();
    let before = fixture.stack.status.clone();
    assert_eq!(before.as_ref().and_then(|status| status.drift.as_ref()), None);
    assert_eq!(Some(told_of_pass(&mut fixture, &cloud, LATER, true)), before);
    cloud.change(give_other_memory);
    for was_settled in [true, false] {
        told_of_pass(&mut fixture, &cloud, LATER, was_settled);
    }
    let after = fixture.stack.status.clone();
    assert_eq!(Some(told_of_pass(&mut fixture, &cloud, EVENING, true)), after);
}

#[test]
fn the_next_drift_takes_the_place_of_the_last_and_an_edit_of_the_spec_does_not() {
    let (mut fixture, cloud) = settled();
    cloud.change(give_other_memory);
    let first = told_of_pass(&mut fixture, &cloud, LATER, true).drift;
    *fixture.stack.metadata.generation.get_or_insert_default() += 1;
    cloud.change(give_other_memory);
    assert_eq!(told_of_pass(&mut fixture, &cloud, EVENING, false).drift, first, "an edit was taken for drift");
    cloud.change(|world| world.held.topics.clear());
    let second = told_of_pass(&mut fixture, &cloud, EVENING, true).drift.unwrap();
    assert_eq!(second.observed_at, EVENING);
    assert_eq!(second.generation, fixture.stack.metadata.generation);
    assert!(second.changes.iter().any(|change| change.starts_with("creating topic messages")), "{second:?}");
}

#[test]
fn of_much_that_was_changed_ten_things_are_named_and_all_are_counted() {
    let (mut fixture, cloud) = settled();
    cloud.change(|world| {
        for queue in world.held.queues.values_mut() {
            queue.attributes.insert("MessageRetentionPeriod".into(), "60".into());
            queue.tags.remove("cost");
        }
    });
    let found = told_of_pass(&mut fixture, &cloud, LATER, true).drift.unwrap();
    assert_eq!(found.changes.len(), 10);
    assert_eq!(found.count, 2 * 7);
    assert!(found.changes.iter().all(|change| !change.contains("c-42")), "the value of a tag is told: {found:?}");
}

#[test]
fn what_is_made_for_the_first_time_is_no_drift() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    assert_eq!(told_of_pass(&mut fixture, &cloud, NOON, false).drift, None);
}
