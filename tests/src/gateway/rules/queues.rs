//! SQS queues.

use futures::FutureExt;
use serde_json::Value;

use super::{Found, asked, refuse};
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "queue-deleted-recently",
        says: "The name of a deleted queue is free again only after 60 seconds.",
        source: "SQS API Reference, CreateQueue: QueueDeletedRecently",
        service: Service::Sqs,
        operations: &["CreateQueue"],
        act: Act::Refuse(|call, facts| async move { deleted_recently(call, facts) }.boxed()),
    },
    Rule {
        name: "queue-empty-attribute",
        says: "A queue cannot be made with an empty attribute.",
        source: "SQS API Reference, CreateQueue: InvalidAttributeValue",
        service: Service::Sqs,
        operations: &["CreateQueue"],
        act: Act::Refuse(|call, _| async move { empty_attribute(call) }.boxed()),
    },
    Rule {
        name: "queue-policy-principals",
        says: "A queue's policy names no user or role by the id that IAM shows when it is gone.",
        source: "IAM User Guide, policy elements: Principal; recorded: \"Invalid value for the parameter Policy.\"",
        service: Service::Sqs,
        operations: &["CreateQueue", "SetQueueAttributes"],
        act: Act::Refuse(|call, _| async move { lost_principal(call) }.boxed()),
    },
    Rule {
        name: "queue-dead-letters-exist",
        says: "The queue of a redrive policy must exist.",
        source: "SQS Developer Guide, dead-letter queues; recorded: \"Dead letter target does not exist.\"",
        service: Service::Sqs,
        operations: &["CreateQueue", "SetQueueAttributes"],
        act: Act::Refuse(|call, facts| dead_letters_exist(call, facts).boxed()),
    },
];

fn deleted_recently(call: &Call, facts: &Facts) -> Found {
    let deleted = facts.memory().queues_deleted.get(call.text("QueueName")).copied();
    if deleted.is_none_or(|deleted| deleted.elapsed() >= facts.pace.queue_name) {
        return Ok(None);
    }
    let message = "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
    refuse(400, "QueueDeletedRecently", message)
}

fn empty_attribute(call: &Call) -> Found {
    let attributes = call.input()["Attributes"].as_object();
    let empty = attributes.and_then(|attributes| attributes.iter().find(|(_, value)| value.as_str() == Some("")));
    match empty {
        None => Ok(None),
        Some((name, _)) => refuse(400, "InvalidAttributeValue", format!("Invalid value for the parameter {name}.")),
    }
}

fn lost_principal(call: &Call) -> Found {
    let policy: Value =
        serde_json::from_str(call.input()["Attributes"]["Policy"].as_str().unwrap_or_default()).unwrap_or_default();
    let is_id = |who: &Value| who.as_str().is_some_and(|who| who.starts_with("AROA") || who.starts_with("AIDA"));
    let names_an_id = |statement: &Value| match &statement["Principal"]["AWS"] {
        Value::Array(several) => several.iter().any(is_id),
        single => is_id(single),
    };
    let is_lost = match &policy["Statement"] {
        Value::Array(statements) => statements.iter().any(names_an_id),
        single => names_an_id(single),
    };
    if !is_lost {
        return Ok(None);
    }
    refuse(400, "InvalidAttributeValue", "Invalid value for the parameter Policy.")
}

async fn dead_letters_exist(call: &Call, facts: &Facts) -> Found {
    let policy = call.input()["Attributes"]["RedrivePolicy"].as_str().unwrap_or_default();
    let target = serde_json::from_str::<Value>(policy).unwrap_or_default();
    let Some(target) = target["deadLetterTargetArn"].as_str() else { return Ok(None) };
    if asked(facts.sqs.get_queue_url().queue_name(last(target)).send().await)?.is_some() {
        return Ok(None);
    }
    let message =
        format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.");
    refuse(400, "InvalidParameterValue", message)
}
