//! Changes of the spec: in place where SNS can, and otherwise another subscription in the old one's stead.

use sumu_operator::desired::Desired;
use sumu_operator::observed::subscriptions::ListedState;
use sumu_operator::plan::Part;
use sumu_operator::stack::name::QueueId;

use super::{ALL, assert_gone, assert_subscribed, cloud, confirm, settled_with, with};
use crate::cloud::{Fault, Pace, World};
use crate::fixtures::{Fixture, stack};
use crate::laws::assert_whole;
use crate::passes::{empty, pass, settle};

#[test]
fn raw_delivery_and_the_filter_change_in_place() {
    let before = with(&ALL[..3]);
    let whole = settled_with(&before, Pace::INSTANT);
    let arn = |listed: &[ListedState]| listed[0].arn.clone();
    let old = arn(&whole.held().subscriptions.listed);
    let endpoint = "{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders'";
    let cases: [(&str, &[&str]); 3] = [
        (", filterPolicy: {source: [lambda.routes.publish]}}", &["~ subscription sqs orders RawMessageDelivery"]),
        (", rawMessageDelivery: true}", &["~ subscription sqs orders FilterPolicy"]),
        (
            ", filterPolicy: {user_id: [{exists: true}]}}",
            &["~ subscription sqs orders FilterPolicy", "~ subscription sqs orders RawMessageDelivery"],
        ),
    ];
    for (rest, expected) in cases {
        let after = with(&[&format!("{endpoint}{rest}"), ALL[1], ALL[2]]);
        let cloud = whole.copy();
        let calls = cloud.calls();
        settle(&cloud, &after.desired);
        assert_eq!(cloud.lines_since(calls), expected, "{rest}");
        assert_subscribed(&cloud, &after);
        assert_eq!(arn(&cloud.held().subscriptions.listed), old, "it is the same subscription");
    }
}

#[test]
fn a_firehose_subscription_gets_another_role_in_place() {
    let before = with(&ALL[8..]);
    let after = with(&[&ALL[8].replace("role/archive", "role/other")]);
    let cloud = settled_with(&before, Pace::INSTANT);
    let calls = cloud.calls();
    settle(&cloud, &after.desired);
    assert_eq!(cloud.lines_since(calls), ["~ subscription firehose deliverystream/archive SubscriptionRoleArn"]);
    assert_subscribed(&cloud, &after);
}

#[test]
fn a_subscription_that_is_taken_out_goes_with_its_permission_and_the_others_stay() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let (before, after) = (with(&ALL[..3]), with(&[ALL[0], ALL[2]]));
        let cloud = settled_with(&before, pace);
        let calls = cloud.calls();
        settle(&cloud, &after.desired);
        assert_subscribed(&cloud, &after);
        let expected = [
            "- permission of function mailer for topic messages",
            "- subscription lambda function:mailer",
            "~ topic messages notes of subscriptions",
            "~ topic messages notes of subscriptions",
        ];
        assert_eq!(cloud.lines_since(calls), expected);
    }
}

#[test]
fn the_last_subscription_takes_the_dead_letter_queue_and_the_notes_along() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let (with_all, without) = (with(&ALL), stack(""));
        let cloud = settled_with(&with_all, pace);
        confirm(&cloud, &with_all);
        settle(&cloud, &without.desired);
        assert_gone(&cloud);
        assert_whole(&cloud, &without);
        settle(&cloud, &with_all.desired);
        assert_subscribed(&cloud, &with_all);
    }
}

/// Fifty subscriptions of functions with names as long as these may be.
fn fifty(letter: char) -> (Vec<String>, Vec<String>) {
    let names: Vec<String> = (0..50).map(|number| format!("{}-{number:02}", letter.to_string().repeat(61))).collect();
    let one = |name| format!("{{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:{name}'}}");
    (names.iter().map(one).collect(), names)
}

#[test]
fn fifty_functions_are_replaced_by_fifty_others_whatever_room_the_notes_have() {
    let [(before, old), (after, new)] = ['f', 'g'].map(fifty);
    let fixture = |all: &[String]| with(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let (before, after) = (fixture(&before), fixture(&after));
    let cloud = cloud(&before, Pace::INSTANT);
    cloud.change(|world| old.iter().chain(&new).for_each(|name| world.make_function(name)));
    let tags: Vec<String> = (0..40).map(|number| format!("t{number}: v")).collect();
    let tags = stack(&format!("tags: {{cost: null, {}}}", tags.join(", "))).desired.tags;
    let crowded = |fixture: &Fixture| Desired { tags: tags.clone(), ..fixture.desired.clone() };
    settle(&cloud, &crowded(&before));
    assert_eq!(cloud.held().subscriptions.listed.len(), 50);
    settle(&cloud, &crowded(&after));
    let held = cloud.held();
    assert!(held.subscriptions.listed.iter().all(|found| found.endpoint.contains("ggg")), "an old one is left");
    assert_eq!(held.subscriptions.listed.len(), 50);
}

#[test]
fn an_edit_in_the_middle_of_the_making_loses_nothing() {
    let edits: [&[&str]; 4] = [&ALL[1..2], &ALL[..1], &[ALL[2], ALL[0]], &[]];
    let first = with(&ALL[..3]);
    for passes in 0..14 {
        for edit in edits {
            let second = with(edit);
            let cloud = cloud(&first, Pace::INSTANT);
            (0..passes).for_each(|_| drop(pass(&cloud, &first.desired)));
            settle(&cloud, &second.desired);
            if edit.is_empty() { assert_gone(&cloud) } else { assert_subscribed(&cloud, &second) }
        }
    }
}

#[test]
fn a_change_of_everything_is_carried_out_whichever_call_fails() {
    let (before, after) = (with(&ALL[..2]), with(&[ALL[2], ALL[3]]));
    let whole = settled_with(&before, Pace::INSTANT);
    let clean = whole.copy();
    settle(&clean, &after.desired);
    for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
        for at in whole.calls() + 1..=clean.calls() {
            let cloud = whole.copy();
            cloud.change(|world: &mut World| world.fault = Some((at, fault)));
            settle(&cloud, &after.desired);
            assert_subscribed(&cloud, &after);
        }
    }
}

#[test]
fn a_dead_letter_queue_with_messages_outlives_the_last_subscription_until_they_are_gone() {
    for (kind, count) in [("", "12"), ("Delayed", "1"), ("NotVisible", "1")] {
        let (with_one, without) = (with(&ALL[..1]), stack(""));
        let cloud = settled_with(&with_one, Pace::INSTANT);
        let put = |count: &str| {
            cloud.change(|world| {
                let queue = world.held.queues.get_mut(&QueueId::SubscriptionsDeadLetters).unwrap();
                queue.attributes.insert(format!("ApproximateNumberOfMessages{kind}"), count.into());
            });
        };
        put(count);
        let plan = (0..5).map(|_| pass(&cloud, &without.desired)).last().unwrap().plan;
        let messages = if count == "1" { "1 message" } else { "12 messages" };
        let told = format!(
            "… queue subscriptions-dead-letters stays while it holds {messages}: work them off, or purge it to let them go\n"
        );
        assert_eq!(plan.to_string(), told);
        assert!(plan.waits.iter().all(|wait| wait.part == Part::Subscriptions && !wait.reason.ends_by_itself()));
        assert!(cloud.held().subscriptions.listed.is_empty(), "the subscription waits too");
        // It is found again, and it is what a subscription that comes back gets.
        let again = cloud.copy();
        settle(&again, &with_one.desired);
        assert_subscribed(&again, &with_one);

        put("0");
        settle(&cloud, &without.desired);
        assert_gone(&cloud);
        assert_whole(&cloud, &without);
    }
}

#[test]
fn a_deletion_waits_for_no_dead_letter_that_nobody_asked_to_keep() {
    let fixture = with(&ALL[..1]);
    let cloud = settled_with(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        let queue = world.held.queues.get_mut(&QueueId::SubscriptionsDeadLetters).unwrap();
        queue.attributes.insert("ApproximateNumberOfMessages".into(), "12".into());
    });
    empty(&cloud, &fixture.nothing);
}
