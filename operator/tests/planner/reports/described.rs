//! What the status tells beside the conditions, and when it is written.

use sumu_contract::Function;
use sumu_operator::stack::name::Account;
use sumu_operator::status::{Progress, READY, begun, moved};

use super::{LATER, NOON, SETTLED, after_passes, condition, report, report_pass};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::stack;
use crate::passes::{empty, pass};

#[test]
fn a_settled_stack_is_written_once() {
    let mut fixture = stack("");
    let (cloud, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let first = report_pass(&mut fixture, &last, NOON);
    let desired = fixture.desired.clone();
    let second = report_pass(&mut fixture, &pass(&cloud, &desired), LATER);
    assert_eq!(first, second, "nothing has changed but the time");
}

#[test]
fn a_condition_keeps_its_time_until_its_status_turns() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    let desired = fixture.desired.clone();
    let first = report_pass(&mut fixture, &pass(&cloud, &desired), "2026-05-01T12:00:01Z");
    let mut previous = first;
    for second in 2..=SETTLED {
        let now = format!("2026-05-01T12:00:{second:02}Z");
        let status = report_pass(&mut fixture, &pass(&cloud, &desired), &now);
        for new in &status.conditions {
            let old = condition(&previous, &new.type_);
            let expected = if old.status == new.status { &old.last_transition_time } else { &now };
            assert_eq!(&new.last_transition_time, expected, "{} at {now}", new.type_);
        }
        previous = status;
    }
    assert_ne!(condition(&previous, READY).last_transition_time, condition(&previous, "Messages").last_transition_time);
}

#[test]
fn every_report_speaks_of_the_generation_that_it_was_made_for() {
    let mut fixture = stack("");
    fixture.stack.metadata.generation = Some(7);
    let (_, last) = after_passes(&fixture, Pace::INSTANT, 2);
    let status = report_pass(&mut fixture, &last, NOON);
    assert_eq!(status.observed_generation, Some(7));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(7)));
}

#[test]
fn the_address_is_told_only_once_somebody_answers_there() {
    let mut fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::SLOW);
    let desired = fixture.desired.clone();
    for _ in 0..40 {
        let pass = pass(&cloud, &desired);
        let status = report_pass(&mut fixture, &pass, NOON);
        let is_open = pass.observed.api().is_some_and(|api| !api.stages.is_empty());
        assert_eq!(status.endpoint.is_some(), is_open);
        assert_eq!(status.management_endpoint.is_some(), is_open);
        assert_eq!(status.stage_name.is_some(), is_open);
        assert_eq!(status.api_id.as_deref(), pass.observed.api_id(), "the id is known earlier");
    }
    let status = fixture.stack.status.unwrap();
    let id = status.api_id.unwrap();
    assert_eq!(status.endpoint.unwrap(), format!("wss://{id}.clients.eu-west-3.amazonaws.com/prod"));
    assert_eq!(status.management_endpoint.unwrap(), format!("https://{id}.backends.eu-west-3.amazonaws.com/prod"));
}

#[test]
fn each_address_is_where_it_belongs() {
    let mut fixture = stack("");
    let (cloud, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let status = report_pass(&mut fixture, &last, NOON);
    let (names, held) = (&fixture.desired.names, cloud.held());
    let prefix = names.prefix();
    let connections = status.connections_table.unwrap();
    assert_eq!(connections.name, format!("{prefix}-connections"));
    assert!(connections.stream_arn.unwrap().starts_with(&format!("{}/stream/", connections.arn)));
    let presence = status.presence_table.unwrap();
    assert_eq!((presence.name, presence.stream_arn), (format!("{prefix}-presence"), None));
    for (word, found) in [("notifications", status.notifications.unwrap()), ("messages", status.messages.unwrap())] {
        let ends = |text: Option<String>, end: &str| assert!(text.as_ref().unwrap().ends_with(end), "{word}: {text:?}");
        ends(found.topic_arn, &format!(":sns:eu-west-3:210987654321:{prefix}-{word}").replace(":sns:", ":"));
        ends(found.queue_url, &format!("/{prefix}-{word}"));
        ends(found.queue_arn, &format!(":{prefix}-{word}"));
        ends(found.dead_letter_queue_url, &format!("/{prefix}-{word}-dead-letters"));
    }
    let functions = status.functions.unwrap();
    let told = [functions.authorizer, functions.routes, functions.pusher, functions.watchdog];
    for (function, told) in Function::ALL.into_iter().zip(told) {
        let (told, held) = (told.unwrap(), &held.functions[&function]);
        assert_eq!((&told.arn, &told.code_sha256), (&held.arn, &held.code_sha256), "{function}");
        assert!(told.code_sha256.contains(function.as_str()));
    }
}

#[test]
fn what_is_gone_is_no_longer_told() {
    let mut fixture = stack("");
    let (cloud, last) = after_passes(&fixture, Pace::INSTANT, SETTLED);
    let before = report_pass(&mut fixture, &last, NOON);
    let nothing = fixture.nothing.clone();
    let first = pass(&cloud, &nothing);
    let status = report(&mut fixture, Progress::Deleting(&first), NOON);
    assert_eq!(status.endpoint, before.endpoint, "clients still reach it");
    empty(&cloud, &nothing);
    let last = pass(&cloud, &nothing);
    let status = report(&mut fixture, Progress::Deleting(&last), NOON);
    assert_eq!((status.endpoint, status.api_id, status.connections_table), (None, None, None));
}

#[test]
fn a_stack_is_pinned_to_its_account_and_region_before_anything_is_made() {
    let mut fixture = stack("");
    let home = fixture.desired.names.account().clone();
    assert_eq!(moved(&fixture.stack, &home), None, "it lives nowhere yet");
    let begun = begun(&fixture.stack, &home);
    assert!(begun.conditions.is_empty(), "nothing was seen");
    fixture.stack.status = Some(begun);
    assert_eq!(moved(&fixture.stack, &home), None);
    for elsewhere in
        [Account { id: "000000000001".into(), ..home.clone() }, Account { region: "eu-west-1".into(), ..home.clone() }]
    {
        let refusal = moved(&fixture.stack, &elsewhere).unwrap().to_string();
        assert!(refusal.contains("210987654321") && refusal.contains("eu-west-3"), "{refusal}");
    }
    // A pass and a deletion know it too.
    let (_, last) = after_passes(&fixture, Pace::INSTANT, 1);
    let pinned = fixture.stack.status.clone().unwrap().aws;
    assert_eq!(report_pass(&mut fixture, &last, NOON).aws, pinned);
    assert_eq!(report(&mut fixture, Progress::Deleting(&last), NOON).aws, pinned);
}
