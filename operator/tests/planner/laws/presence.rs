//! What the watchdog may do, and what becomes of what it cannot work off.

use std::collections::BTreeSet;

use serde_json::json;
use sumu_contract::Function;
use sumu_operator::desired::functions::GivingUp;
use sumu_operator::stack::name::{QueueId, SourceId, TableId};

use super::settled;
use crate::cloud::Pace;
use crate::fixtures::stack;

#[test]
fn a_record_that_fails_is_tried_again_a_bounded_number_of_times_then_kept_and_none_is_dropped_for_its_age() {
    let fixture = stack("");
    let names = &fixture.desired.names;
    let stream = &fixture.desired.sources[&SourceId::Connections];
    let dead_letters_arn = names.queue_arn(QueueId::PresenceDeadLetters);
    assert_eq!(stream.giving_up, Some(GivingUp { retries_max: 100, age_seconds_max: -1, dead_letters_arn }));
    assert!(stream.bisects, "one record that fails holds up no other for long");

    let cloud = settled(&fixture, Pace::INSTANT);
    let held = cloud.held();
    let found = held.sources.iter().find(|source| source.source_arn.contains("/stream/")).unwrap();
    assert_eq!((&found.giving_up, found.bisects, found.reports_item_failures), (&stream.giving_up, true, true));
    let policy = held.roles[&Function::Watchdog].policy.clone().unwrap();
    let gives_up = policy.statements().find(|statement| statement["Sid"] == "GiveUp").unwrap();
    assert_eq!(gives_up["Resource"], json!([names.queue_arn(QueueId::PresenceDeadLetters)]), "as its own role");
}

#[test]
fn the_watchdog_reads_no_stream_but_that_of_the_stacks_connections() {
    let fixture = stack("presence: {gracePeriodSeconds: 9}");
    let cloud = settled(&fixture, Pace::INSTANT);
    let policy = cloud.held().roles[&Function::Watchdog].policy.clone().unwrap();
    let stream = format!("{}/stream/*", fixture.desired.names.table_arn(TableId::Connections));
    let mut reads = BTreeSet::new();
    for statement in policy.statements() {
        let actions: Vec<&str> =
            statement["Action"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        if statement["Resource"] == json!(["*"]) {
            assert_eq!(actions, ["dynamodb:ListStreams"], "the one action that DynamoDB cannot narrow");
        } else if actions
            .iter()
            .any(|action| ["GetRecords", "GetShardIterator", "DescribeStream"].contains(&&action["dynamodb:".len()..]))
        {
            assert_eq!(statement["Resource"], json!([stream]));
            reads.extend(actions.into_iter().map(str::to_owned));
        }
    }
    let expected = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
    assert!(reads.iter().eq(expected.iter()), "{reads:?}");
}
