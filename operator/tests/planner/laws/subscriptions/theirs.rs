//! What is somebody else's, and what may not be looked at: told, never touched, and nothing else waits for it.

use sumu_operator::desired::Desired;
use sumu_operator::observed::subscriptions::Leave;
use sumu_operator::plan::{Part, WaitReason};
use sumu_operator::stack::name::{OWNER_TAG, QueueId, TopicId};
use sumu_operator::sumu_stack::DeletionPolicy;

use super::{ALL, QUEUE, assert_gone, assert_subscribed, cloud, settled_with, with};
use crate::cloud::{MemoryCloud, Pace};
use crate::fixtures::{Fixture, names, stack};
use crate::laws::assert_whole;
use crate::passes::{empty, look_at, pass, settle};

fn passes(cloud: &MemoryCloud, fixture: &Fixture) -> String {
    (0..15).for_each(|_| drop(pass(cloud, &fixture.desired)));
    look_at(cloud, &fixture.desired).plan.to_string()
}

#[test]
fn a_subscription_of_somebody_else_stays_until_the_topic_goes() {
    let (fixture, without) = (with(&ALL[..3]), stack(""));
    let cloud = settled_with(&fixture, Pace::INSTANT);
    cloud.change(|world| world.subscribe_somebody("sqs", "arn:aws:sqs:eu-west-3:210987654321:theirs"));
    assert_eq!(look_at(&cloud, &fixture.desired).plan.to_string(), "nothing to do\n");
    settle(&cloud, &without.desired);
    assert_eq!(cloud.held().subscriptions.listed.len(), 1, "somebody else's is left");
    settle(&cloud, &fixture.desired);
    empty(&cloud, &fixture.nothing);
    assert_gone(&cloud);
}

#[test]
fn a_subscription_of_somebody_else_that_the_spec_asks_for_is_told_and_the_others_are_made() {
    let fixture = with(&ALL[..3]);
    let cloud = cloud(&fixture, Pace::INSTANT);
    cloud.change(|world| world.subscribe_somebody("sqs", QUEUE));
    let told = passes(&cloud, &fixture);
    let expected = "… a subscription sqs orders is there already and the topic does not note it as this stack's: delete it \
                    and the stack makes its own, or take it out of spec.messages.subscriptions\n";
    assert_eq!(told, expected);
    assert_eq!(cloud.held().subscriptions.listed.len(), 3, "theirs and both functions'");
    cloud.change(|world| world.held.subscriptions.listed.retain(|found| found.endpoint != QUEUE));
    settle(&cloud, &fixture.desired);
    assert_subscribed(&cloud, &fixture);
}

#[test]
fn a_subscription_whose_note_somebody_has_taken_away_is_somebody_elses() {
    let (fixture, without) = (with(&ALL[..1]), stack(""));
    let cloud = settled_with(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        let topic = world.held.topics.get_mut(&TopicId::Messages).unwrap();
        topic.tags.retain(|key, _| !key.starts_with("sumu.live/subscriptions"));
    });
    assert!(passes(&cloud, &fixture).contains("is there already"));
    settle(&cloud, &without.desired);
    assert_eq!(cloud.held().subscriptions.listed.len(), 1);
}

#[test]
fn a_function_that_does_not_exist_and_an_endpoint_that_sns_refuses_hold_up_no_other() {
    let fixture = with(&ALL[..3]);
    let cloud = MemoryCloud::new(&fixture, Pace::INSTANT);
    cloud.change(|world| {
        world.make_function("mailer:live");
        world.refused_endpoint = Some(QUEUE.to_owned());
    });
    passes(&cloud, &fixture);
    let last = pass(&cloud, &fixture.desired);
    let mut failed: Vec<&str> = last.failures.iter().map(|failure| failure.error.operation).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["AddPermission", "Subscribe"]);
    assert!(last.failures.iter().all(|failure| failure.part == Part::Subscriptions));
    let held = cloud.held();
    let [found] = &held.subscriptions.listed[..] else { panic!("{:?}", held.subscriptions.listed) };
    assert!(found.endpoint.ends_with("mailer:live"));
    cloud.change(|world| {
        world.make_function("mailer");
        world.refused_endpoint = None;
    });
    settle(&cloud, &fixture.desired);
    assert_subscribed(&cloud, &fixture);
}

#[test]
fn a_function_whose_policy_may_not_be_looked_at_is_told_and_not_taken_for_one_without_a_permission() {
    let (fixture, without) = (with(&ALL[..2]), stack(""));
    let denied = "GetPolicy mailer: AccessDeniedException: not authorized";
    let fresh = cloud(&fixture, Pace::INSTANT);
    fresh.change(|world| world.denied_functions = Some(denied.to_owned()));
    assert!(passes(&fresh, &fixture).starts_with(&format!("… {denied}\n")));
    assert_eq!(fresh.held().subscriptions.listed.len(), 1, "the other is made");

    for (nothing, is_deleted) in [(&without.desired, false), (&fixture.nothing, true)] {
        let cloud = settled_with(&fixture, Pace::INSTANT);
        cloud.change(|world| world.denied_functions = Some(denied.to_owned()));
        (0..20).for_each(|_| drop(pass(&cloud, nothing)));
        let look = look_at(&cloud, nothing);
        assert!(look.plan.waits.iter().any(|wait| wait.reason == WaitReason::Denied(denied.into())), "{}", look.plan);
        assert!(cloud.held().topics.contains_key(&TopicId::Messages), "it alone tells of the permission");
        cloud.change(|world| world.denied_functions = None);
        let end = if is_deleted { empty } else { settle };
        end(&cloud, nothing);
        assert_gone(&cloud);
    }
}

#[test]
fn a_dead_letter_queue_of_somebody_else_is_told_and_never_touched() {
    let fixture = with(&ALL[..1]);
    let cloud = cloud(&fixture, Pace::INSTANT);
    let theirs = settled_with(&fixture, Pace::INSTANT).held().queues[&QueueId::SubscriptionsDeadLetters].clone();
    cloud.change(|world| {
        let mut queue = theirs.clone();
        queue.tags.insert(OWNER_TAG.into(), "another".into());
        world.held.queues.insert(QueueId::SubscriptionsDeadLetters, queue);
    });
    let told = passes(&cloud, &fixture);
    assert!(told.contains("queue subscriptions-dead-letters") && told.contains("delete or rename it"), "{told}");
    assert_eq!(cloud.held().subscriptions.listed, []);
    empty(&cloud, &fixture.nothing);
    assert!(cloud.change(|world| world.has_subscriptions_queue()));
}

#[test]
fn retained_subscriptions_and_permissions_stay_as_they_are_and_nothing_notes_them() {
    for pace in [Pace::INSTANT, Pace::SLOW] {
        let fixture = with(&ALL);
        let cloud = settled_with(&fixture, pace);
        let before = cloud.held();
        let mut object = fixture.stack.clone();
        object.spec.deletion_policy = DeletionPolicy::Retain;
        let retained = Desired::of_deleted(&object, fixture.owner.clone(), names(&fixture.owner));
        cloud.change(|world| world.is_let_go = true);
        empty(&cloud, &retained);
        let held = cloud.held();
        assert_eq!(held.subscriptions, before.subscriptions);
        assert!(held.subscriptions.functions.values().all(|leave| matches!(leave, Leave::Given(_))));
        let ours = held.topics[&TopicId::Messages].tags.keys().filter(|key| key.starts_with("sumu.live/")).count();
        assert_eq!((ours, cloud.change(|world| world.tagged())), (0, vec![]));
    }
}

#[test]
fn stacks_with_and_without_subscriptions_are_whole() {
    let fixture = with(&ALL[..1]);
    let cloud = settled_with(&fixture, Pace::INSTANT);
    assert_whole(&cloud, &fixture);
    assert_eq!(cloud.held().queues.len(), 8);
}
