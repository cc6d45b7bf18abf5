//! Notifications for functions: SNS hands them over, Lambda invokes and tries again.
//!
//! What SNS may not hand over, or to nobody, goes to the subscription's dead-letter queue at once. What the function
//! cannot handle, in three invocations, goes to the function's.
//!
//! Sources: SNS's developer guide, "Message delivery retries" and "dead-letter queues"; Lambda's, "How Lambda handles
//! errors and retries with asynchronous invocation" and "Dead-letter queues".

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Tools;
use super::held::queue_of;
use super::invoke::Invoked;
use super::permission::SNS;
use crate::poll::{PAUSE, pass};
use crate::{Context, Result};

/// Before the second and the third invocation; AWS waits for one and for two minutes.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// How long an event is kept whose function is not reached; AWS keeps it for six hours.
const THROTTLED_MAX: Duration = Duration::from_secs(10);
/// The most of an error's message that a dead letter tells.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Works until the function is gone.
pub(super) async fn work(tools: Tools, function: String) {
    let Some(queue) = queue_of(&function) else { return };
    let mut changes = tools.held.changes();
    let gone = changes.wait_for(|state| !state.functions.contains(&function));
    tokio::select! {
        _ = gone => {}
        () = receive(&tools, &function, &queue) => {}
    }
    if let Ok(url) = tools.wire.queue_url(&queue).await {
        let _ = tools.wire.sqs("DeleteQueue", &json!({"QueueUrl": url})).await;
    }
}

async fn receive(tools: &Tools, function: &str, queue: &str) {
    loop {
        if receive_some(tools, function, queue).await.is_err() {
            pass(PAUSE).await;
        }
    }
}

async fn receive_some(tools: &Tools, function: &str, queue: &str) -> Result<()> {
    let url = tools.wire.queue_url(queue).await?;
    let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20});
    let answer = tools.wire.sqs("ReceiveMessage", &input).await?;
    for message in answer["Messages"].as_array().into_iter().flatten() {
        let delete = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
        tools.wire.sqs("DeleteMessage", &delete).await?;
        let (tools, function) = (tools.clone(), function.to_owned());
        let body = message["Body"].as_str().unwrap_or_default().to_owned();
        // Of its own, as one notification never waits for another.
        tokio::spawn(async move { hand_over(&tools, &function, &body).await });
    }
    Ok(())
}

async fn hand_over(tools: &Tools, function: &str, body: &str) -> Result<()> {
    let notification: Value = serde_json::from_str(body)?;
    let topic = notification["TopicArn"].as_str().context("a notification of no topic")?.to_owned();
    let subscription = subscription(tools, &topic, function).await?;
    if !tools.invoker.is_let(function, SNS, &topic).await {
        return match redrive(tools, &subscription).await? {
            Some(queue) => tools.wire.send(&queue, body, &json!({})).await,
            None => Ok(()),
        };
    }
    let event = event(&subscription, notification);
    let Some(letter) = invoke(tools, function, &event).await else { return Ok(()) };
    if let Some(queue) = tools.invoker.dead_letters(function).await? {
        tools.tell(function, &queue, &event, &letter).await;
    }
    Ok(())
}

/// Invokes a function until it has handled an event; otherwise the attributes of the dead letter.
async fn invoke(tools: &Tools, function: &str, event: &Value) -> Option<Value> {
    let mut pauses = PAUSES.iter();
    let until = Instant::now() + THROTTLED_MAX;
    loop {
        let letter = match tools.invoker.invoke(function, event).await {
            Invoked::Answered(_) => return None,
            Invoked::Failed { request_id, error, .. } => {
                let Some(time) = pauses.next() else {
                    let message = error["errorMessage"].as_str().unwrap_or_default();
                    return Some(attributes(&request_id, 200, message));
                };
                pass(*time).await;
                continue;
            }
            Invoked::Refused { status, message } => attributes("unknown", status, &message),
        };
        if Instant::now() > until {
            return Some(letter);
        }
        pass(PAUSES[0]).await;
    }
}

fn attributes(request_id: &str, status: u16, message: &str) -> Value {
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    let message = &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)];
    json!({
        "RequestID": text(request_id),
        "ErrorCode": {"DataType": "Number", "StringValue": status.to_string()},
        // SQS takes no empty value.
        "ErrorMessage": text(if message.is_empty() { "no message" } else { message }),
    })
}

/// A notification as functions get it.
fn event(subscription: &str, mut notification: Value) -> Value {
    for (member, absent) in [("Subject", Value::Null), ("MessageAttributes", json!({}))] {
        if notification.get(member).is_none() {
            notification[member] = absent;
        }
    }
    json!({"Records": [{
        "EventVersion": "1.0", "EventSubscriptionArn": subscription, "EventSource": "aws:sns", "Sns": notification,
    }]})
}

async fn subscription(tools: &Tools, topic: &str, function: &str) -> Result<String> {
    let held = queue_of(function);
    let pages = tools.invoker.topics().list_subscriptions_by_topic().topic_arn(topic);
    let mut pages = pages.into_paginator().items().send();
    while let Some(found) = pages.next().await.transpose()? {
        if found.endpoint == held {
            return found.subscription_arn.context("a subscription without an ARN");
        }
    }
    Err(crate::Error::new(format!("{function} has no subscription to {topic} any more")))
}

/// The subscription's dead-letter queue.
async fn redrive(tools: &Tools, subscription: &str) -> Result<Option<String>> {
    let topics = tools.invoker.topics();
    let found = topics.get_subscription_attributes().subscription_arn(subscription).send().await?;
    let policy = found.attributes().and_then(|attributes| attributes.get("RedrivePolicy"));
    let policy: Value = policy.and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or_default();
    Ok(policy["deadLetterTargetArn"].as_str().map(ToOwned::to_owned))
}
