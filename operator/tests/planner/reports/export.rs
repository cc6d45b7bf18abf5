//! What is told of the `ConfigMap` with the addresses, and what is in it.

use sumu_operator::status::export::{Exported, KEYS, data, told};
use sumu_operator::status::{EXPORTED, Progress, READY};
use sumu_operator::sumu_stack::{ConditionStatus, SumuStackStatus};

use super::{LATER, NOON, SETTLED, after_passes, condition, ready, report, report_pass};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, stack};
use crate::passes::pass;

fn foreign() -> Exported {
    Exported::Foreign { name: "addresses".into() }
}

/// A settled stack with its report.
fn settled() -> (Fixture, SumuStackStatus) {
    let mut fixture = stack("export: {configMapName: addresses}");
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let status = report_pass(&mut fixture, &last, NOON);
    (fixture, status)
}

#[test]
fn addresses_are_exported_all_at_once_or_not_at_all() {
    let mut fixture = stack("export: {configMapName: addresses}");
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    let desired = fixture.desired.clone();
    let mut seen = 0;
    for _ in 0..40 {
        let status = report_pass(&mut fixture, &pass(&cloud, &desired), NOON);
        let Some(data) = data(&status) else {
            assert!(status.endpoint.is_none(), "the stage opens last");
            continue;
        };
        seen += 1;
        assert!(data.keys().map(String::as_str).eq(sorted()), "{data:?}");
        assert!(data.values().all(|value| !value.is_empty()), "{data:?}");
        assert_eq!(data["SUMU_ENDPOINT"], status.endpoint.unwrap());
        assert_eq!(Some(&data["MESSAGES_QUEUE_URL"]), status.messages.unwrap().queue_url.as_ref());
    }
    assert!(seen > 5, "it was complete in {seen} reports");
}

fn sorted() -> Vec<&'static str> {
    let mut keys = KEYS.to_vec();
    keys.sort_unstable();
    keys
}

#[test]
fn a_config_map_that_cannot_be_written_makes_ready_false_and_nothing_else() {
    let (mut fixture, before) = settled();
    let after = told(&fixture.stack, before.clone(), Some(&foreign()), LATER);
    let (status, reason, message) = ready(&after);
    assert_eq!((status, reason), (ConditionStatus::False, "OwnershipConflict"));
    assert!(message.starts_with("Exported: ConfigMap addresses exists"), "{message}");
    assert_eq!(condition(&after, READY).last_transition_time, LATER);
    assert_eq!(condition(&after, EXPORTED).observed_generation, after.observed_generation);
    for old in before.conditions.iter().filter(|old| old.type_ != READY) {
        assert_eq!(condition(&after, &old.type_), old);
    }
    assert_eq!(after.endpoint, before.endpoint);

    // The next report begins without it, and comes to the same.
    fixture.stack.status = Some(after.clone());
    let (_, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let again = report_pass(&mut fixture, &last, NOON);
    fixture.stack.status = Some(after.clone());
    assert_eq!(told(&fixture.stack, again, Some(&foreign()), NOON), after, "nothing has changed but the time");
}

#[test]
fn what_is_worse_than_a_config_map_is_told_first() {
    let mut fixture = stack("export: {configMapName: addresses}");
    let (cloud, _) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    cloud.change(|world| world.held.topics.clear());
    let desired = fixture.desired.clone();
    let status = report(&mut fixture, Progress::Passed(&pass(&cloud, &desired), &desired), NOON);
    let after = told(&fixture.stack, status.clone(), Some(&foreign()), NOON);
    assert_eq!(condition(&after, READY), condition(&status, READY));
    assert_eq!(condition(&after, EXPORTED).reason, "OwnershipConflict");
}

#[test]
fn nothing_is_told_of_a_config_map_that_nobody_asks_for() {
    let (fixture, before) = settled();
    let written = Exported::Written { name: "addresses".into() };
    let with = told(&fixture.stack, before.clone(), Some(&written), NOON);
    assert_eq!(condition(&with, EXPORTED).status, ConditionStatus::True);
    assert_eq!(condition(&with, READY), condition(&before, READY));
    assert_eq!(told(&fixture.stack, with, None, LATER), before);
}
