//! Queues that feed functions.
//!
//! A batch is deleted as far as the function has worked it off. What has failed stays where it is: it comes again when
//! its visibility timeout is over, and goes to the dead-letter queue when SQS has handed it out often enough.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::Tools;
use super::answer::{Said, read};
use super::invoke::Invoked;
use super::source::Source;
use crate::Result;
use crate::aws::REGION;
use crate::poll::{PAUSE, pass};

/// The most that SQS hands out at once.
const RECEIVED_MAX: usize = 10;
/// Short, so that a source that is disabled soon takes nothing any more.
const WAIT_SECONDS: u32 = 1;

/// Works until the source is gone.
pub(super) async fn work(tools: Tools, uuid: String) {
    let mut invocations = JoinSet::new();
    while let Some(source) = tools.held.at_work(&uuid).await {
        while invocations.try_join_next().is_some() {}
        if invocations.len() >= source.concurrency() {
            invocations.join_next().await;
            continue;
        }
        match receive(&tools, &source).await {
            Ok(messages) if messages.is_empty() => {}
            Ok(messages) => {
                let tools = tools.clone();
                invocations.spawn(async move { handle(&tools, &source, messages).await });
            }
            // The queue is gone, or on its way.
            Err(_) => pass(PAUSE).await,
        }
    }
    // What was taken is worked off.
    while invocations.join_next().await.is_some() {}
}

/// The next batch: full, or as much as came within the window.
async fn receive(tools: &Tools, source: &Source) -> Result<Vec<Value>> {
    let url = tools.wire.queue_url(source.arn()).await?;
    let mut messages: Vec<Value> = Vec::new();
    let mut until = None;
    while messages.len() < source.batch_size() {
        let left = until.map(|until: Instant| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        let wanted = RECEIVED_MAX.min(source.batch_size() - messages.len());
        let seconds = if left.is_some() { 0 } else { WAIT_SECONDS };
        let input = json!({
            "QueueUrl": url, "MaxNumberOfMessages": wanted, "WaitTimeSeconds": seconds,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        let answer = tools.wire.sqs("ReceiveMessage", &input).await;
        // What was taken before is not lost over an error now.
        let answer = if messages.is_empty() { answer? } else { answer.unwrap_or_default() };
        let came = answer["Messages"].as_array().cloned().unwrap_or_default();
        if came.is_empty() && messages.is_empty() {
            break;
        }
        if came.is_empty() {
            pass(PAUSE).await;
        }
        messages.extend(came);
        until.get_or_insert_with(|| Instant::now() + source.window());
    }
    Ok(messages)
}

async fn handle(tools: &Tools, source: &Source, messages: Vec<Value>) {
    let records: Vec<Value> = messages.iter().map(|message| record(source, message)).collect();
    let identifiers: Vec<String> =
        messages.iter().map(|message| message["MessageId"].as_str().unwrap_or_default().to_owned()).collect();
    let Invoked::Answered(answer) = tools.invoker.invoke(source.function(), &json!({ "Records": records })).await
    else {
        return;
    };
    let said = if source.reports() { read(&answer, &identifiers) } else { Said::Done };
    let is_done = |id: &String| match &said {
        Said::Done => true,
        Said::Failed(named) => !named.contains(id),
        Said::Nonsense => false,
    };
    let done = messages.iter().zip(&identifiers).filter(|(_, id)| is_done(id)).map(|(message, _)| message);
    let _ = delete(tools, source, done.collect()).await;
}

async fn delete(tools: &Tools, source: &Source, messages: Vec<&Value>) -> Result<()> {
    let url = tools.wire.queue_url(source.arn()).await?;
    for messages in messages.chunks(RECEIVED_MAX) {
        let entry = |(place, message): (usize, &&Value)| json!({"Id": place.to_string(), "ReceiptHandle": message["ReceiptHandle"]});
        let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
        tools.wire.sqs("DeleteMessageBatch", &json!({"QueueUrl": url, "Entries": entries})).await?;
    }
    Ok(())
}

/// A message as functions get it.
fn record(source: &Source, message: &Value) -> Value {
    let attributes = message["MessageAttributes"].as_object().into_iter().flatten();
    let attributes: Map<String, Value> = attributes.map(|(name, value)| (name.clone(), attribute(value))).collect();
    json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source.arn(),
        "awsRegion": REGION,
    })
}

fn attribute(value: &Value) -> Value {
    let mut attribute = json!({"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []});
    for (there, here) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
        if let Some(text) = value.get(there) {
            attribute[here] = text.clone();
        }
    }
    attribute
}
