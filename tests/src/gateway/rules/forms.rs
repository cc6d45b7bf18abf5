//! What has to have a form in Lambda, SQS and SNS, and is stored by the emulator whatever it is.

use futures::FutureExt;
use serde_json::Value;

use super::{Found, refuse};
use crate::gateway::call::{Call, Service};
use crate::gateway::rule::{Act, Rule};

/// The longest policy of a queue, in bytes as sent.
const QUEUE_POLICY_BYTES_MAX: usize = 8_192;
/// The most keys of a filter policy.
const FILTER_KEYS_MAX: usize = 5;

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "source-starting-position",
        says: "A stream is read from a starting position that was named.",
        source: "Lambda API Reference, CreateEventSourceMapping: StartingPosition is required for stream event sources",
        service: Service::Lambda,
        operations: &["CreateEventSourceMapping"],
        act: Act::Refuse(|call, _| async move { starting_position(call) }.boxed()),
    },
    Rule {
        name: "queue-attributes-valid",
        says: "A queue's numbers are within their ranges, and its policy is JSON that fits.",
        source: "SQS API Reference, SetQueueAttributes: attributes; InvalidAttributeValue",
        service: Service::Sqs,
        operations: &["CreateQueue", "SetQueueAttributes"],
        act: Act::Refuse(|call, _| async move { queue_attributes(call) }.boxed()),
    },
    Rule {
        name: "subscription-filter-policy",
        says: "A filter policy is a JSON object of at most five keys, whose values are lists or objects.",
        source: "SNS Developer Guide, filter policy constraints",
        service: Service::Sns,
        operations: &["Subscribe", "SetSubscriptionAttributes"],
        act: Act::Refuse(|call, _| async move { filter_policy(call) }.boxed()),
    },
];

fn starting_position(call: &Call) -> Found {
    let is_stream = call.text("EventSourceArn").split(':').nth(2) == Some("dynamodb");
    if !is_stream || !call.text("StartingPosition").is_empty() {
        return Ok(None);
    }
    let message = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: \
                   Member must not be null.";
    refuse(400, "InvalidParameterValueException", message)
}

fn queue_attributes(call: &Call) -> Found {
    const RANGES: [(&str, u64, u64); 5] = [
        ("VisibilityTimeout", 0, 43_200),
        ("MessageRetentionPeriod", 60, 1_209_600),
        ("DelaySeconds", 0, 900),
        ("ReceiveMessageWaitTimeSeconds", 0, 20),
        ("MaximumMessageSize", 1_024, 1_048_576),
    ];
    let attribute = |name: &str| call.input()["Attributes"][name].as_str();
    for (name, least, most) in RANGES {
        let is_good = |text: &str| text.parse().is_ok_and(|number: u64| (least..=most).contains(&number));
        if attribute(name).is_some_and(|text| !is_good(text)) {
            return invalid_attribute(name);
        }
    }
    let is_policy = |text: &str| {
        // An empty text takes the policy away.
        text.is_empty()
            || text.len() <= QUEUE_POLICY_BYTES_MAX
                && serde_json::from_str::<Value>(text).is_ok_and(|policy| !policy["Statement"].is_null())
    };
    if attribute("Policy").is_some_and(|text| !is_policy(text)) {
        return invalid_attribute("Policy");
    }
    Ok(None)
}

fn invalid_attribute(name: &str) -> Found {
    refuse(400, "InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

fn filter_policy(call: &Call) -> Found {
    // `Attributes.entry.1.key` of Subscribe, `AttributeName` of SetSubscriptionAttributes.
    let field = |name: String| call.input()[name].as_str();
    let policy = (1..)
        .map_while(|at| Some((field(format!("Attributes.entry.{at}.key"))?, at)))
        .find(|(key, _)| *key == "FilterPolicy")
        .and_then(|(_, at)| field(format!("Attributes.entry.{at}.value")))
        .or_else(|| (call.text("AttributeName") == "FilterPolicy").then(|| call.text("AttributeValue")));
    let Some(policy) = policy.filter(|policy| !policy.is_empty()) else { return Ok(None) };
    let reason = match serde_json::from_str::<Value>(policy) {
        Ok(Value::Object(keys)) if keys.len() > FILTER_KEYS_MAX => "Filter policy can not have more than 5 keys",
        Ok(Value::Object(keys)) if keys.values().all(|value| value.is_array() || value.is_object()) => {
            return Ok(None);
        }
        Ok(Value::Object(_)) => "must be an object or an array",
        Ok(_) => "Filter policy must be a JSON object",
        Err(_) => "failed to parse JSON",
    };
    refuse(400, "InvalidParameter", format!("Invalid parameter: FilterPolicy: {reason}"))
}
