//! Subscriptions to the messages topic: made from anywhere, mended, changed and taken away whole, with what they need.

mod changes;
mod theirs;
mod unconfirmed;

use sumu_operator::observed::subscriptions::{AttributesState, Leave, ListedState, Subscriptions};
use sumu_operator::stack::name::{QueueId, TopicId};
use sumu_operator::stack::subscription::FunctionName;

use crate::cloud::{Fault, MemoryCloud, Pace, World};
use crate::fixtures::{Fixture, stack};
use crate::laws::{assert_whole, settled};
use crate::passes::{empty, pass, settle};

const QUEUE: &str = "arn:aws:sqs:eu-west-3:210987654321:orders";
const FUNCTION: &str = "arn:aws:lambda:eu-west-3:210987654321:function:mailer";

/// One of each protocol, with a function, an alias of it and a function of another account.
const ALL: [&str; 9] = [
    "{protocol: sqs, endpoint: 'arn:aws:sqs:eu-west-3:210987654321:orders', rawMessageDelivery: true, \
     filterPolicy: {source: [lambda.routes.publish]}}",
    "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:mailer'}",
    "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:210987654321:function:mailer:live'}",
    "{protocol: lambda, endpoint: 'arn:aws:lambda:eu-west-3:999999999999:function:elsewhere'}",
    "{protocol: http, endpoint: 'http://hooks.example.com/in'}",
    "{protocol: https, endpoint: 'https://hooks.example.com/in?key=secret', rawMessageDelivery: true}",
    "{protocol: email, endpoint: 'berta@example.com'}",
    "{protocol: sms, endpoint: '+4915112345678'}",
    "{protocol: firehose, endpoint: 'arn:aws:firehose:eu-west-3:210987654321:deliverystream/archive', \
     subscriptionRoleArn: 'arn:aws:iam::210987654321:role/archive'}",
];

/// A stack with these subscriptions.
pub fn with(subscriptions: &[&str]) -> Fixture {
    stack(&format!("messages: {{subscriptions: [{}]}}", subscriptions.join(", ")))
}

/// An empty cloud in which the users' functions are.
pub fn cloud(fixture: &Fixture, pace: Pace) -> MemoryCloud {
    let cloud = MemoryCloud::new(fixture, pace);
    cloud.change(|world| {
        world.make_function("mailer");
        world.make_function("mailer:live");
    });
    cloud
}

pub fn settled_with(fixture: &Fixture, pace: Pace) -> MemoryCloud {
    let cloud = cloud(fixture, pace);
    settle(&cloud, &fixture.desired);
    cloud
}

/// Asserts that exactly these subscriptions are there as they should be, with the permissions of their functions.
fn assert_subscribed(cloud: &MemoryCloud, fixture: &Fixture) {
    assert_whole(cloud, fixture);
    let held = cloud.held();
    let names = &fixture.desired.names;
    let listed = &held.subscriptions.listed;
    assert_eq!(listed.len(), fixture.desired.subscriptions.len(), "{listed:#?}");
    for want in &fixture.desired.subscriptions {
        let found = held.subscriptions.find(want.id()).unwrap_or_else(|| panic!("no subscription {want}"));
        let expected = AttributesState {
            is_raw: want.is_raw,
            filter_policy: want.filter_policy.clone(),
            filters_bodies: false,
            role_arn: want.role_arn.clone(),
            dead_letters_arn: Some(names.queue_arn(QueueId::SubscriptionsDeadLetters)),
        };
        assert_eq!(found.attributes.as_ref(), Some(&expected), "{want}");
    }
    for (name, leave) in &held.subscriptions.functions {
        let is_wanted = fixture.desired.subscriptions.iter().any(|want| want.endpoint == name.arn(names.account()));
        match leave {
            Leave::Given(permission) if is_wanted => {
                assert_eq!(permission.source_arn, names.topic_arn(TopicId::Messages));
                assert_eq!(permission.principal, "sns.amazonaws.com");
            }
            leave => assert_eq!((leave, is_wanted), (&Leave::Absent, false), "{name}"),
        }
    }
    let policy = &held.queues[&QueueId::SubscriptionsDeadLetters].attributes["Policy"];
    assert!(policy.contains(&names.topic_arn(TopicId::Messages)) && policy.contains("sns.amazonaws.com"), "{policy}");
}

/// Asserts that nothing of subscriptions is left, not even the notes of them.
fn assert_gone(cloud: &MemoryCloud) {
    let held = cloud.held();
    assert_eq!(held.subscriptions.listed, [], "subscriptions");
    assert!(held.subscriptions.functions.values().all(|leave| *leave == Leave::Absent), "{:?}", held.subscriptions);
    assert!(!held.queues.contains_key(&QueueId::SubscriptionsDeadLetters), "the dead-letter queue is left");
    let tags = held.topics.values().flat_map(|topic| topic.tags.keys());
    let notes: Vec<&String> = tags.filter(|key| key.starts_with("sumu.live/subscriptions")).collect();
    assert!(notes.is_empty(), "left: {notes:?}");
}

/// Makes everything be confirmed that waits for it.
fn confirm(cloud: &MemoryCloud, fixture: &Fixture) {
    cloud.change(World::confirm_all);
    settle(cloud, &fixture.desired);
}

#[test]
fn subscriptions_of_every_protocol_are_made_and_taken_away_with_their_stack() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = with(&ALL);
        let cloud = settled_with(&fixture, pace);
        assert_subscribed(&cloud, &fixture);
        confirm(&cloud, &fixture);
        let calls = cloud.calls();
        for _ in 0..3 {
            assert_eq!(pass(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
        }
        assert_eq!(cloud.calls(), calls);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
    }
}

#[test]
fn no_call_fails_while_subscriptions_are_made_and_taken_away() {
    let fixture = with(&ALL);
    let cloud = cloud(&fixture, Pace { role: 0, ..Pace::SLOW });
    settle(&cloud, &fixture.desired);
    confirm(&cloud, &fixture);
    empty(&cloud, &fixture.nothing);
    let failed: Vec<String> = cloud.change(|world| {
        world.calls.iter().filter_map(|call| call.answer.as_ref().err().map(ToString::to_string)).collect()
    });
    assert!(failed.is_empty(), "a plan holds only calls that can succeed: {failed:#?}");
}

#[test]
fn subscriptions_are_made_and_taken_away_whichever_call_fails() {
    let (fixture, without) = (with(&ALL[..3]), stack(""));
    let whole = settled_with(&fixture, Pace::INSTANT);
    let made = whole.calls();
    let [gone, taken_out] = [&fixture.nothing, &without.desired].map(|desired| {
        let cloud = whole.copy();
        (0..20).for_each(|_| drop(pass(&cloud, desired)));
        cloud.calls()
    });
    for fault in [Fault::Throttled, Fault::AnswerLost, Fault::NotDone] {
        for at in 1..=made {
            let cloud = cloud(&fixture, Pace::INSTANT);
            cloud.change(|world| world.fault = Some((at, fault)));
            settle(&cloud, &fixture.desired);
            assert_subscribed(&cloud, &fixture);
        }
        for at in made + 1..=gone {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((at, fault)));
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
        }
        for at in made + 1..=taken_out {
            let cloud = whole.copy();
            cloud.change(|world| world.fault = Some((at, fault)));
            settle(&cloud, &without.desired);
            assert_gone(&cloud);
        }
    }
}

#[test]
fn subscriptions_are_taken_away_from_the_middle_of_their_creation() {
    let (fixture, without) = (with(&ALL), stack(""));
    for pace in [Pace::INSTANT, Pace::SLOW] {
        for passes in 0..16 {
            let cloud = cloud(&fixture, pace);
            (0..passes).for_each(|_| drop(pass(&cloud, &fixture.desired)));
            let kept = cloud.copy();
            empty(&cloud, &fixture.nothing);
            assert_gone(&cloud);
            settle(&kept, &without.desired);
            kept.change(World::expire_unconfirmed);
            settle(&kept, &without.desired);
            assert_gone(&kept);
            assert_whole(&kept, &without);
        }
    }
}

#[test]
fn reads_that_lag_behind_writes_subscribe_nothing_twice_and_leave_nothing() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let (fixture, without) = (with(&ALL), stack(""));
        let cloud = cloud(&fixture, pace);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &fixture.desired);
        settle(&cloud, &fixture.desired);
        cloud.change(|world| world.lags = false);
        assert_subscribed(&cloud, &fixture);
        confirm(&cloud, &fixture);
        cloud.change(|world| world.lags = true);
        settle(&cloud, &without.desired);
        settle(&cloud, &without.desired);
        cloud.change(|world| world.lags = false);
        settle(&cloud, &without.desired);
        assert_gone(&cloud);
    }
}

/// What somebody could change behind the operator's back, with the calls that put it right.
type Drift = (&'static str, fn(&mut World), &'static [&'static str]);

fn listed<'a>(world: &'a mut World, endpoint: &str) -> &'a mut ListedState {
    world.held.subscriptions.listed.iter_mut().find(|found| found.endpoint == endpoint).unwrap()
}

fn attributes<'a>(world: &'a mut World, endpoint: &str) -> &'a mut AttributesState {
    listed(world, endpoint).attributes.as_mut().unwrap()
}

fn leave(world: &mut World) -> &mut Leave {
    world.held.subscriptions.functions.get_mut(&FunctionName::parse("mailer").unwrap()).unwrap()
}

const DRIFTS: &[Drift] = &[
    (
        "a subscription is gone",
        |world| world.held.subscriptions.listed.retain(|found| found.endpoint != QUEUE),
        &["+ subscription sqs orders"],
    ),
    (
        "a function's subscription is gone",
        |world| world.held.subscriptions.listed.retain(|found| found.endpoint != FUNCTION),
        &[
            "+ subscription lambda function:mailer",
            "~ topic messages notes of subscriptions",
            "~ topic messages notes of subscriptions",
        ],
    ),
    (
        "messages come in an envelope",
        |world| attributes(world, QUEUE).is_raw = false,
        &["~ subscription sqs orders RawMessageDelivery"],
    ),
    (
        "everything comes",
        |world| attributes(world, QUEUE).filter_policy = None,
        &["~ subscription sqs orders FilterPolicy"],
    ),
    (
        "bodies are filtered",
        |world| attributes(world, QUEUE).filters_bodies = true,
        &["~ subscription sqs orders FilterPolicyScope"],
    ),
    (
        "what cannot be delivered is lost",
        |world| attributes(world, FUNCTION).dead_letters_arn = None,
        &["~ subscription lambda function:mailer RedrivePolicy"],
    ),
    (
        "the permission is gone",
        |world| *leave(world) = Leave::Absent,
        &["+ permission of function mailer for topic messages"],
    ),
    (
        "the permission is for another topic",
        |world| {
            let Leave::Given(permission) = leave(world) else { panic!("no permission") };
            permission.source_arn.push_str("-other");
        },
        &["+ permission of function mailer for topic messages", "- permission of function mailer for topic messages"],
    ),
    (
        "the dead-letter queue is gone",
        |world| drop(world.held.queues.remove(&QueueId::SubscriptionsDeadLetters)),
        &["+ queue subscriptions-dead-letters"],
    ),
];

#[test]
fn every_drift_of_subscriptions_is_repaired_by_exactly_the_calls_that_it_takes() {
    let fixture = with(&ALL);
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let whole = settled_with(&fixture, pace);
        for (name, change, repair) in DRIFTS {
            let cloud = whole.copy();
            let (before, calls) = (cloud.held(), cloud.calls());
            cloud.change(change);
            assert_ne!(cloud.held(), before, "{name}: nothing was changed");
            settle(&cloud, &fixture.desired);
            let lines: Vec<String> =
                cloud.lines_since(calls).iter().map(|line| line.split(" (P").next().unwrap().to_owned()).collect();
            assert_eq!(lines, *repair, "{name}");
            assert_subscribed(&cloud, &fixture);
        }
    }
}

#[test]
fn a_stack_with_subscriptions_is_deleted_after_any_single_drift() {
    let fixture = with(&ALL);
    let whole = settled_with(&fixture, Pace::SLOW);
    for (name, change, _) in DRIFTS {
        // Nothing else tells of the permission.
        if name.contains("function's subscription") {
            continue;
        }
        let cloud = whole.copy();
        cloud.change(change);
        empty(&cloud, &fixture.nothing);
        assert_gone(&cloud);
    }
}

#[test]
fn a_topic_that_somebody_has_deleted_is_made_again_with_its_subscriptions() {
    let fixture = with(&ALL);
    let cloud = settled_with(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        world.held.topics.remove(&TopicId::Messages);
        world.held.subscriptions.listed.clear();
    });
    settle(&cloud, &fixture.desired);
    assert_subscribed(&cloud, &fixture);
}

#[test]
fn a_stack_without_subscriptions_notes_nothing_and_looks_for_nothing() {
    let fixture = stack("");
    let cloud = settled(&fixture, Pace::INSTANT);
    assert_gone(&cloud);
    cloud.change(|world| world.subscribe_somebody("email", "ops@example.com"));
    let seen = pass(&cloud, &fixture.desired);
    assert_eq!(seen.plan.to_string(), "nothing to do\n");
    assert_eq!(seen.observed.subscriptions, Subscriptions::default());
}
