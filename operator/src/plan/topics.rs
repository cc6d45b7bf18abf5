//! Topics, and the pusher's subscription to the notifications topic.

use sumu_contract::Function;

use super::step::TopicStep;
use super::tagged::Tagged;
use super::{Part, Plan, Step, subscriptions};
use crate::desired::Desired;
use crate::observed::{Observed, Readiness, ResourceId, TopicState};
use crate::stack::name::{QueueId, TopicId};

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for id in &desired.topics {
        let (id, name) = (*id, desired.names.topic(*id));
        if plan.is_foreign(part(id), ResourceId::Topic(id), &name, observed) {
            continue;
        }
        let Some(found) = observed.topics.get(&id) else {
            let tags = desired.tags.clone().into_iter().chain(subscriptions::note(desired, id)).collect();
            plan.step(Step::Topic(id, TopicStep::Create { name, tags }));
            continue;
        };
        plan.keep_tags(Tagged::Topic { id, arn: found.arn.clone() }, &desired.tags, &found.tags);
        if id == TopicId::Notifications {
            subscribe(desired, found, observed, plan);
        }
    }
    for (id, found) in &observed.topics {
        if !desired.topics.contains(id) {
            delete(desired, *id, found, observed, plan);
        }
    }
}

fn part(id: TopicId) -> Part {
    match id {
        TopicId::Notifications => Part::Notifications,
        TopicId::Messages => Part::Messages,
    }
}

/// SNS does not check that it may invoke the function, so the subscription comes after the permission: what is
/// published in between would be lost.
fn subscribe(desired: &Desired, topic: &TopicState, observed: &Observed, plan: &mut Plan) {
    const ID: TopicId = TopicId::Notifications;
    let function_arn = desired.names.function_arn(Function::Pusher);
    let dead_letters_arn = desired.names.queue_arn(QueueId::NotificationsDeadLetters);
    let ours = topic
        .subscriptions
        .iter()
        .find(|subscription| subscription.protocol == "lambda" && subscription.endpoint == function_arn);
    match ours {
        Some(found) if found.dead_letters_arn.as_ref() == Some(&dead_letters_arn) => {}
        Some(found) => {
            let subscription_arn = found.arn.clone();
            plan.step(Step::Topic(ID, TopicStep::SetDeadLetters { subscription_arn, dead_letters_arn }));
        }
        None if !observed.queues.contains_key(&QueueId::NotificationsDeadLetters) => {
            plan.wait_for(part(ID), "subscription of the pusher", ResourceId::Queue(QueueId::NotificationsDeadLetters));
        }
        None if !may_invoke(topic, Function::Pusher, observed) => {
            plan.wait_for(part(ID), "subscription of the pusher", "the pusher's permission for sns.amazonaws.com");
        }
        None => {
            let topic_arn = topic.arn.clone();
            plan.step(Step::Topic(ID, TopicStep::Subscribe { topic_arn, function_arn, dead_letters_arn }));
        }
    }
}

/// Whether a topic may invoke a function, and the function is ready for it.
fn may_invoke(topic: &TopicState, function: Function, observed: &Observed) -> bool {
    observed.functions.get(&function).is_some_and(|function| {
        function.readiness == Readiness::Ready
            && function.permissions.iter().any(|permission| permission.source_arn == topic.arn)
    })
}

fn delete(desired: &Desired, id: TopicId, found: &TopicState, observed: &Observed, plan: &mut Plan) {
    // What others have subscribed goes with the topic: SNS refuses to unsubscribe what was never confirmed.
    let function_arn = desired.names.function_arn(Function::Pusher);
    if let Some(subscription) = found.subscriptions.iter().find(|found| found.endpoint == function_arn) {
        let subscription_arn = subscription.arn.clone();
        plan.step(Step::Topic(id, TopicStep::Unsubscribe { subscription_arn }));
    } else if let Some(function) = observed.functions.keys().find(|function| !desired.functions.contains_key(function))
    {
        plan.wait_gone(part(id), ResourceId::Topic(id), ResourceId::Function(*function));
    } else if let Some(before) = subscriptions::holds(observed).filter(|_| id == TopicId::Messages) {
        plan.wait_gone(part(id), ResourceId::Topic(id), before);
    } else {
        plan.step(Step::Topic(id, TopicStep::Delete { arn: found.arn.clone() }));
    }
}
