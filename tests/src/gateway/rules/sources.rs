//! Event source mappings of Lambda.

use aws_sdk_lambda::types::FunctionConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::FutureExt;
use serde_json::Value;

use super::rights::may;
use super::{Found, asked, refuse};
use crate::Result;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Answer;

const INVALID: &str = "InvalidParameterValueException";
const CREATE: &[&str] = &["CreateEventSourceMapping"];

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "source-function-exists",
        says: "An event source needs a function that exists.",
        source: "Recorded: CreateEventSourceMapping, \"Function does not exist\"",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, facts| function_exists(call, facts).boxed()),
    },
    Rule {
        name: "source-exists",
        says: "An event source needs a queue or a stream that exists.",
        source: "Recorded: CreateEventSourceMapping of a missing queue and a missing stream",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, facts| source_exists(call, facts).boxed()),
    },
    Rule {
        name: "source-readable",
        says: "The function's role must be allowed to read the queue or the stream, and the right must have spread.",
        source: "Lambda Developer Guide, execution role permissions for SQS and DynamoDB; recorded messages",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, facts| readable(call, facts).boxed()),
    },
    Rule {
        name: "source-visibility",
        says: "A queue's visibility timeout must not be shorter than the function's timeout.",
        source: "Lambda Developer Guide, SQS event sources; recorded: \"Queue visibility timeout: …\"",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, facts| visibility(call, facts).boxed()),
    },
    Rule {
        name: "source-batch-window",
        says: "A queue's batches of more than ten messages need a batching window.",
        source: "Lambda API Reference, CreateEventSourceMapping: BatchSize",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, _| async move { batch_window(call) }.boxed()),
    },
    Rule {
        name: "source-once",
        says: "A queue or a stream feeds a function once.",
        source: "Recorded: CreateEventSourceMapping twice, ResourceConflictException",
        service: Service::Lambda,
        operations: CREATE,
        act: Act::Refuse(|call, facts| once(call, facts).boxed()),
    },
    Rule {
        name: "source-busy",
        says: "An event source that is on its way to a state takes no change.",
        source: "Lambda API Reference, UpdateEventSourceMapping and DeleteEventSourceMapping: ResourceInUseException",
        service: Service::Lambda,
        operations: &["UpdateEventSourceMapping", "DeleteEventSourceMapping"],
        act: Act::Refuse(|call, facts| async move { busy(call, facts) }.boxed()),
    },
    Rule {
        name: "source-states",
        says: "An event source is Creating, Updating and Deleting for a while, and stays listed until it is gone.",
        source: "Lambda API Reference, CreateEventSourceMapping: State; recorded answers",
        service: Service::Lambda,
        operations: &[
            "CreateEventSourceMapping",
            "GetEventSourceMapping",
            "UpdateEventSourceMapping",
            "DeleteEventSourceMapping",
            "ListEventSourceMappings",
        ],
        act: Act::Mend(|call, facts, answer| async move { Ok(states(call, facts, answer)) }.boxed()),
    },
];

async fn function(call: &Call, facts: &Facts) -> Result<Option<FunctionConfiguration>> {
    let answer = facts.lambda.get_function().function_name(call.text("FunctionName")).send().await;
    Ok(asked(answer)?.and_then(|answer| answer.configuration))
}

async fn function_exists(call: &Call, facts: &Facts) -> Found {
    match function(call, facts).await? {
        Some(_) => Ok(None),
        None => refuse(400, INVALID, "Function does not exist"),
    }
}

fn is_queue(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("sqs")
}

fn is_stream(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("dynamodb")
}

/// An attribute of a queue; nothing when there is no such queue.
async fn queue_attribute(facts: &Facts, arn: &str, attribute: QueueAttributeName) -> Result<Option<String>> {
    let Some(queue) = asked(facts.sqs.get_queue_url().queue_name(last(arn)).send().await)? else { return Ok(None) };
    let call = facts.sqs.get_queue_attributes().queue_url(queue.queue_url.unwrap_or_default());
    let answer = asked(call.attribute_names(attribute.clone()).send().await)?;
    Ok(answer.and_then(|answer| answer.attributes).and_then(|mut attributes| attributes.remove(&attribute)))
}

async fn source_exists(call: &Call, facts: &Facts) -> Found {
    let arn = call.text("EventSourceArn");
    if is_queue(arn) && queue_attribute(facts, arn, QueueAttributeName::QueueArn).await?.is_none() {
        let message = "Error occurred while ReceiveMessage. SQS Error Code: \
                       AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.";
        return refuse(400, INVALID, message);
    }
    if is_stream(arn) {
        let table = arn.split('/').nth(1).unwrap_or_default();
        let answer = asked(facts.dynamodb.describe_table().table_name(table).send().await)?;
        let stream = answer.and_then(|answer| answer.table).and_then(|table| table.latest_stream_arn);
        if stream.as_deref() != Some(arn) {
            return refuse(400, INVALID, format!("Stream not found: {arn}"));
        }
    }
    Ok(None)
}

async fn readable(call: &Call, facts: &Facts) -> Found {
    let arn = call.text("EventSourceArn");
    let Some(role) = function(call, facts).await?.and_then(|function| function.role) else { return Ok(None) };
    if is_queue(arn) {
        for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
            if !may(facts, &role, &format!("sqs:{action}"), arn).await? {
                let message = format!("The function execution role does not have permissions to call {action} on SQS");
                return refuse(400, INVALID, message);
            }
        }
    }
    if is_stream(arn) {
        // ListStreams is of no single stream, so its resource tells nothing.
        for action in ["GetRecords", "GetShardIterator", "DescribeStream"] {
            if !may(facts, &role, &format!("dynamodb:{action}"), arn).await? {
                let message = format!(
                    "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator, \
                     DescribeStream, and ListStreams Actions on your stream in IAM."
                );
                return refuse(400, INVALID, message);
            }
        }
    }
    Ok(None)
}

async fn visibility(call: &Call, facts: &Facts) -> Found {
    let arn = call.text("EventSourceArn");
    if !is_queue(arn) {
        return Ok(None);
    }
    let visible = queue_attribute(facts, arn, QueueAttributeName::VisibilityTimeout).await?;
    let visible = visible.and_then(|seconds| seconds.parse::<i32>().ok());
    let timeout = function(call, facts).await?.and_then(|function| function.timeout);
    let (Some(visible), Some(timeout)) = (visible, timeout) else { return Ok(None) };
    if visible >= timeout {
        return Ok(None);
    }
    let message =
        format!("Queue visibility timeout: {visible} seconds is less than Function timeout: {timeout} seconds");
    refuse(400, INVALID, message)
}

fn batch_window(call: &Call) -> Found {
    let (input, arn) = (call.input(), call.text("EventSourceArn"));
    let size = input["BatchSize"].as_i64().unwrap_or(10);
    let window = input["MaximumBatchingWindowInSeconds"].as_i64().unwrap_or(0);
    if !is_queue(arn) || size <= 10 || window > 0 {
        return Ok(None);
    }
    let message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    refuse(400, INVALID, message)
}

async fn once(call: &Call, facts: &Facts) -> Found {
    let (arn, function) = (call.text("EventSourceArn"), call.text("FunctionName"));
    let mappings = facts.lambda.list_event_source_mappings().function_name(function).event_source_arn(arn);
    let found = asked(mappings.send().await)?.and_then(|answer| answer.event_source_mappings).unwrap_or_default();
    // The emulator lists those of all versions and aliases.
    let is_same = |other: &str| unplaced(other) == unplaced(function);
    let found = found.into_iter().find(|mapping| mapping.function_arn().is_some_and(is_same));
    let found = found.and_then(|mapping| mapping.uuid);
    let leaving = leaving(facts)
        .into_iter()
        .find(|source| source["EventSourceArn"] == arn && source["FunctionArn"].as_str().is_some_and(is_same));
    let leaving = leaving.and_then(|source| source["UUID"].as_str().map(ToOwned::to_owned));
    let Some(uuid) = found.or(leaving) else { return Ok(None) };
    let message = if is_queue(arn) {
        format!(
            "An event source mapping with SQS arn (\" {arn} \") and function (\" {} \") already exists. Please update or \
             delete the existing mapping with UUID {uuid}",
            last(function)
        )
    } else {
        format!(
            "The event source arn (\" {arn} \") and function (\" {} \") provided mapping already exists. Please update or \
             delete the existing mapping with UUID {uuid}",
            last(function)
        )
    };
    refuse(409, "ResourceConflictException", message)
}

/// A function's name with its version or alias, whether it is named by that or by its ARN.
fn unplaced(function: &str) -> &str {
    function.rsplit_once(":function:").map_or(function, |(_, name)| name)
}

fn busy(call: &Call, facts: &Facts) -> Found {
    if facts.source(call.id(0)).is_none() {
        return Ok(None);
    }
    let verb = if call.operation.starts_with("Update") { "update" } else { "delete" };
    let message = format!("Cannot {verb} the event source mapping because it is in use.");
    refuse(400, "ResourceInUseException", message)
}

/// The event sources that are being deleted, as they were described last.
fn leaving(facts: &Facts) -> Vec<Value> {
    let uuids: Vec<String> = facts.memory().sources.keys().cloned().collect();
    let passages = uuids.iter().filter_map(|uuid| facts.source(uuid));
    let leaving = passages.filter(|passage| passage.state == "Deleting");
    leaving.map(|passage| with_state(passage.last, "Deleting")).collect()
}

fn with_state(mut source: Value, state: &str) -> Value {
    source["State"] = state.into();
    source
}

fn states(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    if call.operation == "ListEventSourceMappings" {
        return listed(call, facts, answer);
    }
    let mut body = answer.json();
    let uuid = body["UUID"].as_str().unwrap_or(call.id(0)).to_owned();
    match facts.source(&uuid) {
        // The emulator has no more of it.
        Some(passage) if passage.state == "Deleting" && !answer.is_good() => {
            Answer::new(200, "application/json", with_state(passage.last, "Deleting").to_string())
        }
        Some(passage) if answer.is_good() => {
            body["State"] = passage.state.into();
            Answer { status: if call.is_read() { 200 } else { 202 }, ..answer }.with_json(&body)
        }
        _ => answer,
    }
}

fn listed(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    let mut body = answer.json();
    let Some(items) = body["EventSourceMappings"].as_array_mut().filter(|_| answer.is_good()) else { return answer };
    let mut is_changed = false;
    for item in items.iter_mut() {
        if let Some(passage) = facts.source(item["UUID"].as_str().unwrap_or_default()) {
            item["State"] = passage.state.into();
            is_changed = true;
        }
    }
    // They are on the first page, which is where nobody overlooks them.
    if call.query("Marker").is_none() {
        let (function, arn) = (call.query("FunctionName"), call.query("EventSourceArn"));
        for source in leaving(facts) {
            let of = |member: &str| source[member].as_str().unwrap_or_default();
            let is_asked_for = function.as_deref().is_none_or(|name| last(name) == last(of("FunctionArn")))
                && arn.as_deref().is_none_or(|arn| arn == of("EventSourceArn"))
                && items.iter().all(|item| item["UUID"] != source["UUID"]);
            if is_asked_for {
                items.push(source);
                is_changed = true;
            }
        }
    }
    if is_changed { answer.with_json(&body) } else { answer }
}
