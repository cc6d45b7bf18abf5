//! Queues: a dead-letter queue comes before the queue that points to it and goes after it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::step::{QueueStep, part_of_queue as part};
use super::subscriptions::{self, Use};
use super::tagged::Tagged;
use super::{Plan, Step, WaitReason, consumers, departures, in_use};
use crate::desired::Desired;
use crate::desired::end::End;
use crate::desired::policy::Document;
use crate::desired::queues::{Queue, RECEIVE_WAIT_SECONDS};
use crate::observed::{Observed, ResourceId};
use crate::stack::name::{Names, QueueId};

const REDRIVE: &str = "RedrivePolicy";
const POLICY: &str = "Policy";

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (id, queue) in &desired.queues {
        let (id, name) = (*id, desired.names.queue(*id));
        let part = part(id);
        if plan.is_foreign(part, ResourceId::Queue(id), &name, observed) {
            continue;
        }
        if id == QueueId::SubscriptionsDeadLetters && !subscriptions::is_noted(observed) {
            plan.wait_for(part, ResourceId::Queue(id), "the topic's note that there are subscriptions");
            continue;
        }
        if let Some(redrive) = &queue.redrive
            && !observed.queues.contains_key(&redrive.dead_letters)
        {
            plan.wait_for(part, ResourceId::Queue(id), ResourceId::Queue(redrive.dead_letters));
            continue;
        }
        let attributes = attributes(queue, &desired.names);
        let tags = consumers::queue_tags(desired, id);
        let Some(found) = observed.queues.get(&id) else {
            let policy = policy_to_set(queue, None).map(|policy| (POLICY.to_owned(), policy.text()));
            let attributes = attributes.into_iter().chain(policy).collect();
            plan.step(Step::Queue(id, QueueStep::Create { name, attributes, tags }));
            continue;
        };
        let url = found.url.clone();
        let mut different: BTreeMap<String, String> = attributes
            .into_iter()
            .filter(|(key, want)| !is_same(key, want, found.attributes.get(key).map(String::as_str)))
            .collect();
        if let Some(policy) = policy_to_set(queue, found.attributes.get(POLICY)) {
            match policy.lost_principal() {
                None => drop(different.insert(POLICY.to_owned(), policy.text())),
                Some(principal) => {
                    let what = ResourceId::Queue(id).to_string();
                    plan.wait(part, WaitReason::LostPrincipal { what, principal });
                }
            }
        }
        if !different.is_empty() {
            plan.step(Step::Queue(id, QueueStep::Set { url: url.clone(), attributes: different }));
        }
        plan.keep_tags(Tagged::Queue { id, url }, &tags, &found.tags);
    }
    for id in observed.queues.keys().filter(|id| !desired.queues.contains_key(id)) {
        delete(desired, *id, observed, plan);
    }
}

/// All attributes that we care for but the policy, as SQS writes them. An empty text clears one.
fn attributes(queue: &Queue, names: &Names) -> BTreeMap<String, String> {
    let redrive = queue.redrive.as_ref().map(|redrive| {
        json!({ "deadLetterTargetArn": names.queue_arn(redrive.dead_letters), "maxReceiveCount": redrive.receives_max })
            .to_string()
    });
    [
        ("VisibilityTimeout", queue.visibility_timeout_seconds.to_string()),
        ("MessageRetentionPeriod", queue.retention_seconds.to_string()),
        ("ReceiveMessageWaitTimeSeconds", RECEIVE_WAIT_SECONDS.to_string()),
        ("DelaySeconds", "0".into()),
        (REDRIVE, redrive.unwrap_or_default()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The policy to set, if ours is not in the one that is there. Users let their own topics send to a queue and their
/// own accounts receive from it: their statements stay.
fn policy_to_set(queue: &Queue, have: Option<&String>) -> Option<Document> {
    let ours = queue.policy.as_ref()?;
    let have = Document::parse(have.map_or("", String::as_str));
    have.completed_by(ours)
}

/// SQS writes documents in its own way and numbers in them as numbers or as texts.
fn is_same(key: &str, want: &str, have: Option<&str>) -> bool {
    let have = have.unwrap_or_default();
    if want.is_empty() || have.is_empty() {
        return want == have;
    }
    match key {
        REDRIVE => redrive_of(want) == redrive_of(have),
        _ => want == have,
    }
}

fn redrive_of(text: &str) -> Option<(String, i64)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let count = &value["maxReceiveCount"];
    let count = count.as_i64().or_else(|| count.as_str()?.parse().ok())?;
    Some((value["deadLetterTargetArn"].as_str()?.to_owned(), count))
}

fn delete(desired: &Desired, id: QueueId, observed: &Observed, plan: &mut Plan) {
    let what = ResourceId::Queue(id);
    let names = &desired.names;
    let held = observed.queues.get(&id).filter(|queue| desired.end == End::Never && queue.holds_messages());
    let url = observed.queue_url(id).unwrap_or_default().to_owned();
    let source_queue = match id {
        QueueId::NotificationsDeadLetters => Some(QueueId::Notifications),
        QueueId::MessagesDeadLetters => Some(QueueId::Messages),
        QueueId::PushesDeadLetters => Some(QueueId::Pushes),
        QueueId::PresenceDeadLetters => Some(QueueId::Departures),
        QueueId::Notifications
        | QueueId::Messages
        | QueueId::Pushes
        | QueueId::Departures
        | QueueId::SubscriptionsDeadLetters => None,
    };
    if id == QueueId::SubscriptionsDeadLetters {
        match subscriptions::use_of_queue(desired, observed) {
            Use::None => {}
            Use::Leaving => return plan.wait_gone(part(id), what, "its subscriptions"),
            Use::Unconfirmed => return,
        }
    }
    if let Some(function) = observed.functions.keys().find(|function| !desired.functions.contains_key(function)) {
        plan.wait_gone(part(id), what, ResourceId::Function(*function));
    } else if observed.sources.iter().any(|source| source.source_arn == names.queue_arn(id)) {
        plan.wait_gone(part(id), what, "its event source");
    } else if consumers::read_from(id, observed) {
        plan.wait_gone(part(id), what, "its consumers");
    } else if id == QueueId::Departures && departures::are_under_way(desired, observed) {
        plan.wait_gone(part(id), what, "the last departure");
    } else if let Some(source_queue) = source_queue.filter(|queue| observed.queues.contains_key(queue)) {
        plan.wait_gone(part(id), what, ResourceId::Queue(source_queue));
    } else if let Some(queue) = held {
        // Only who deletes the stack has said that what is in it may go.
        let (what, holds) = (what.to_string(), in_use::counted(queue.messages()));
        plan.wait(part(id), WaitReason::Holding { what, holds });
    } else {
        plan.step(Step::Queue(id, QueueStep::Delete { url }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_the_same_whatever_its_form() {
        let ours = r#"{"deadLetterTargetArn":"arn:d","maxReceiveCount":5}"#;
        assert!(is_same(REDRIVE, ours, Some(r#"{"maxReceiveCount":"5", "deadLetterTargetArn":"arn:d"}"#)));
        assert!(!is_same(REDRIVE, ours, Some(r#"{"maxReceiveCount":6,"deadLetterTargetArn":"arn:d"}"#)));
        assert!(!is_same(REDRIVE, ours, None));
        assert!(is_same(REDRIVE, "", None));
    }
}
