//! Plans as people read them, pass by pass: the text of a snapshot is what the debug log says.

use std::fmt::Write as _;

use insta::assert_snapshot;
use sumu_operator::desired::Desired;
use sumu_operator::observed::Count;
use sumu_operator::stack::name::{OWNER_TAG, QueueId, TableId};

use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{names, stack, with_new_code};
use crate::passes::{look_at, pass, settle};

/// AWS as it mostly is: tables, functions and event sources take a moment, and so does a role.
const USUAL: Pace =
    Pace { table: 2, function: 1, source: 1, deployment: 0, change: 3, role: 3, queue_name: 4, domain: 2 };

/// More passes than any of these stories has.
const PASSES_MAX: usize = 40;

/// Pass after pass, until nothing is left to do or nothing can be done.
fn tell(cloud: &MemoryCloud, desired: &Desired) -> String {
    let mut story = String::new();
    for count in 1..=PASSES_MAX {
        let pass = pass(cloud, desired);
        // Writing to a String cannot fail.
        let _ = write!(story, "pass {count}\n{}", pass.plan);
        for failure in &pass.failures {
            let _ = writeln!(story, "! {}", failure.error);
        }
        story.push('\n');
        let is_stuck = pass.plan.steps.is_empty() && pass.plan.waits.iter().any(|wait| !wait.reason.ends_by_itself());
        if pass.plan.is_settled() || is_stuck {
            return story;
        }
    }
    panic!("a story without an end:\n{story}")
}

#[test]
fn a_new_stack_is_made_layer_by_layer() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    assert_snapshot!(tell(&cloud, &fixture.desired));
}

#[test]
fn an_edit_changes_only_what_it_is_about() {
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let edited = stack("{authorizer: {tokenSources: [Header]}, functions: {memoryMiB: 512}, tags: {cost: c-43}}");
    assert_snapshot!(tell(&cloud, &edited.desired));
}

#[test]
fn a_new_version_of_the_operator_brings_new_code() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    settle(&cloud, &fixture.desired);
    assert_snapshot!(tell(&cloud, &with_new_code(&fixture.stack)));
}

#[test]
fn what_somebody_has_broken_is_put_right() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    settle(&cloud, &fixture.desired);
    cloud.change(|world| {
        let held = &mut world.held;
        held.tables.get_mut(&TableId::Connections).unwrap().stream_arn = None;
        held.queues.get_mut(&QueueId::Messages).unwrap().attributes.insert("DelaySeconds".into(), "900".into());
        held.apis[0].authorizers.clear();
    });
    assert_snapshot!(tell(&cloud, &fixture.desired));
}

#[test]
fn a_deleted_stack_goes_from_the_outside_in_and_a_protected_table_stays() {
    let fixture = stack("connections: {deletionProtection: true}");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    settle(&cloud, &fixture.desired);
    let mut story = tell(&cloud, &fixture.nothing);
    story.push_str("spec.connections.deletionProtection becomes false\n\n");
    story.push_str(&tell(&cloud, &stack("connections: {deletionProtection: false}").nothing));
    assert_snapshot!(story);
}

#[test]
fn a_custom_domain_is_made_then_changed_and_taken_away() {
    let domain = |name: &str, zone: &str| {
        stack(&format!(
            "gateway: {{customDomain: {{domainName: {name}, certificateArn: 'arn:aws:acm:eu-west-3:210987654321:certificate/1', \
             path: push, hostedZoneId: {zone}}}}}"
        ))
    };
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let mut told = tell(&cloud, &domain("live.example.com", "ZONE1").desired);
    told.push_str("another name in another hosted zone\n\n");
    told.push_str(&tell(&cloud, &domain("chat.example.org", "ZONE2").desired));
    told.push_str("spec.gateway.customDomain is taken out\n\n");
    told.push_str(&tell(&cloud, &stack("").desired));
    assert_snapshot!(told);
}

#[test]
fn a_suspended_stack_says_what_it_holds_back_and_does_it_when_it_goes_on() {
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let edited = "suspend: true, functions: {memoryMiB: 512}, connections: {deletionProtection: true}";
    let calls = cloud.calls();
    let mut told = format!("held back\n{}\n", look_at(&cloud, &stack(&format!("{{{edited}}}")).desired).plan);
    assert!(cloud.lines_since(calls).is_empty(), "a look makes no change");
    told.push_str("spec.suspend becomes false\n\n");
    told.push_str(&tell(&cloud, &stack(&format!("{{{}}}", edited.replace("true, f", "false, f"))).desired));
    assert_snapshot!(told);
}

#[test]
fn a_grace_period_is_switched_on() {
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    assert_snapshot!(tell(&cloud, &stack("presence: {gracePeriodSeconds: 30}").desired));
}

#[test]
fn a_grace_period_is_switched_off_once_no_departure_is_on_its_way() {
    let with = stack("presence: {gracePeriodSeconds: 30}");
    let cloud = MemoryCloud::new(&with, USUAL);
    settle(&cloud, &with.desired);
    assert_snapshot!(tell(&cloud, &stack("").desired));
}

#[test]
fn tags_that_leave_the_spec_leave_everything_and_the_note_of_them_last() {
    let with = stack("tags: {team: chat, cost: c-42}");
    let cloud = MemoryCloud::new(&with, USUAL);
    settle(&cloud, &with.desired);
    assert_snapshot!(tell(&cloud, &stack("").desired));
}

#[test]
fn code_in_a_bucket_takes_the_place_of_the_operators_own() {
    let package = |prefix: &str, routes: &str| {
        stack(&format!(
            "functions: {{package: {{s3: {{bucket: code, prefix: {prefix}, \
             codeSha256: {{authorizer: a, routes: {routes}, pusher: p, watchdog: w}}}}}}}}"
        ))
    };
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let mut told = tell(&cloud, &package("v1/", "r1").desired);
    told.push_str("another build of routes, under another prefix\n\n");
    told.push_str(&tell(&cloud, &package("v2/", "r2").desired));
    assert_snapshot!(told);
}

#[test]
fn access_logs_and_point_in_time_recovery_are_switched_on_and_off() {
    let with = stack("{gateway: {accessLogs: {}}, connections: {pointInTimeRecovery: true}}");
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let mut told = tell(&cloud, &with.desired);
    told.push_str("access logs are taken out of the spec, and point-in-time recovery is false\n\n");
    told.push_str(&tell(&cloud, &stack("connections: {pointInTimeRecovery: false}").desired));
    assert_snapshot!(told);
}

#[test]
fn subscriptions_are_made_then_changed_and_taken_away() {
    let subscriptions = |list: &str| stack(&format!("messages: {{subscriptions: [{list}]}}"));
    let queue = "{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'}";
    let function = "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:mailer'}";
    let other = queue.replace("'}", "', rawMessageDelivery: true, filterPolicy: {user_id: [alice]}}");
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    cloud.change(|world| world.make_function("mailer"));
    settle(&cloud, &stack("").desired);
    let mut told = tell(&cloud, &subscriptions(&format!("{queue}, {function}")).desired);
    told.push_str("the queue is to get something else, and the function nothing\n\n");
    told.push_str(&tell(&cloud, &subscriptions(&other).desired));
    told.push_str("spec.messages.subscriptions is taken out\n\n");
    told.push_str(&tell(&cloud, &stack("").desired));
    assert_snapshot!(told);
}

#[test]
fn consumers_are_made_then_changed_and_taken_away() {
    let cloud = MemoryCloud::new(&stack(""), USUAL);
    settle(&cloud, &stack("").desired);
    let consumer = |name: &str, batch: u32| {
        format!("{{functionArn: 'arn:aws:lambda:eu-west-3:210987654321:function:{name}', batchSize: {batch}}}")
    };
    let with = |consumers: &[String]| stack(&format!("messages: {{consumers: [{}]}}", consumers.join(", "))).desired;
    let mut told = tell(&cloud, &with(&[consumer("chat", 10), consumer("audit:live", 10)]));
    told.push_str("another batch for one, and another function for the other\n\n");
    told.push_str(&tell(&cloud, &with(&[consumer("chat", 5), consumer("billing", 10)])));
    told.push_str("spec.messages.consumers is taken out\n\n");
    told.push_str(&tell(&cloud, &stack("").desired));
    assert_snapshot!(told);
}

#[test]
fn a_retained_stack_is_let_go_from_the_inside_out() {
    let fixture = stack("deletionPolicy: Retain");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    settle(&cloud, &fixture.desired);
    let retained = Desired::of_deleted(&fixture.stack, fixture.owner.clone(), names(&fixture.owner));
    assert_snapshot!(tell(&cloud, &retained));
}

#[test]
fn a_deletion_waits_for_clients_and_messages_and_then_goes_on() {
    let fixture = stack("deletion: {whenInUse: Wait}");
    let cloud = MemoryCloud::new(&fixture, USUAL);
    settle(&cloud, &fixture.desired);
    let waiting = Desired::of_deleted(&fixture.stack, fixture.owner.clone(), names(&fixture.owner));
    cloud.change(|world| {
        world.connections = Count::Exactly(2);
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.attributes.insert("ApproximateNumberOfMessages".into(), "3".into());
    });
    let mut story = tell(&cloud, &waiting);
    cloud.change(|world| {
        world.connections = Count::default();
        let queue = world.held.queues.get_mut(&QueueId::Messages).unwrap();
        queue.attributes.insert("ApproximateNumberOfMessages".into(), "0".into());
    });
    story.push_str("the clients have gone, and the messages are worked off\n\n");
    // All else is as with any other deletion.
    let _ = write!(story, "pass 1\n{}", pass(&cloud, &waiting).plan);
    assert_snapshot!(story);
}

#[test]
fn a_table_of_somebody_else_is_named_and_the_rest_is_made() {
    let fixture = stack("");
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    settle(&cloud, &fixture.desired);
    let mut theirs = cloud.held().tables[&TableId::Connections].clone();
    theirs.tags.insert(OWNER_TAG.into(), "the UID of another stack".into());
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| world.held.tables.insert(TableId::Connections, theirs));
    assert_snapshot!(tell(&cloud, &fixture.desired));
}
