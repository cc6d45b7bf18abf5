//! Queues that feed functions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_lambda::operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder;
use aws_sdk_lambda::types::{FunctionResponseType, ScalingConfig};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::{Value, json};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{Bench, Does, Stub, bench};

const VISIBLE: (QueueAttributeName, &str) = (QueueAttributeName::VisibilityTimeout, "10");

fn feeds(bench: &Bench, arn: &str, stub: &Stub) -> CreateEventSourceMappingFluentBuilder {
    bench.lambda().create_event_source_mapping().function_name(&stub.name).event_source_arn(arn)
}

async fn send(bench: &Bench, url: &str, bodies: &[&str]) -> Result<()> {
    let mut call = bench.sqs().send_message_batch().queue_url(url);
    for (place, body) in bodies.iter().enumerate() {
        let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(*body);
        call = call.entries(entry.build()?);
    }
    call.send().await?;
    Ok(())
}

/// Makes messages visible again at once that a function has failed with.
async fn hasten(bench: &Bench, url: &str) -> Result<()> {
    let call = bench.sqs().set_queue_attributes().queue_url(url);
    call.attributes(QueueAttributeName::VisibilityTimeout, "1").send().await?;
    Ok(())
}

fn failed(event: &Value, body: &str) -> Value {
    let records = event["Records"].as_array().into_iter().flatten().filter(|record| record["body"] == body);
    let failed = records.map(|record| json!({"itemIdentifier": record["messageId"]}));
    json!({"batchItemFailures": failed.collect::<Vec<_>>()})
}

#[tokio::test]
async fn what_a_function_reports_comes_again_alone_and_ends_in_the_dead_letter_queue() -> Result<()> {
    let bench = bench().await?;
    let (letters_url, letters) = bench.queue("some-letters", &[]).await?;
    let redrive = json!({"deadLetterTargetArn": letters, "maxReceiveCount": 2}).to_string();
    let (url, arn) = bench.queue("some", &[VISIBLE, (QueueAttributeName::RedrivePolicy, &redrive)]).await?;
    let stub = bench.function("some", |event| Does::Answer(failed(event, "bad"))).await?;
    let call = feeds(&bench, &arn, &stub).function_response_types(FunctionResponseType::ReportBatchItemFailures);
    call.send().await?;
    hasten(&bench, &url).await?;
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("kept").build()?;
    let call = bench.sqs().send_message().queue_url(&url).message_body("bad");
    call.message_attributes("own", attribute).send().await?;
    send(&bench, &url, &["good", "fine"]).await?;
    let letter = bench.message(&letters_url).await?;
    ensure_eq!(letter.body(), Some("bad"), "the dead letter");
    let bad: Vec<_> = stub.told("/body").into_iter().flatten().filter(|body| body == "bad").collect();
    ensure_eq!(bad.len(), 2, "times that it came");
    let events = stub.events();
    let record = events.iter().flat_map(|event| event["Records"].as_array().into_iter().flatten());
    let record = record.into_iter().find(|record| record["body"] == "bad").context("it never came")?;
    let own = json!({"dataType": "String", "stringValue": "kept", "stringListValues": [], "binaryListValues": []});
    ensure_eq!(record["messageAttributes"]["own"], own, "its attribute");
    ensure_eq!(record["attributes"]["ApproximateReceiveCount"], json!("1"), "how often it was handed out, in {record}");
    ensure_eq!(bench.messages(&url).await?, ("0".to_owned(), "0".to_owned()), "what is left of the others");
    Ok(())
}

#[tokio::test]
async fn a_report_of_what_was_not_in_the_batch_fails_all_of_it() -> Result<()> {
    let bench = bench().await?;
    for (name, item) in [("unknown", json!({"itemIdentifier": "unknown"})), ("empty", json!({"itemIdentifier": ""}))] {
        let (letters_url, letters) = bench.queue(&format!("{name}-letters"), &[]).await?;
        let redrive = json!({"deadLetterTargetArn": letters, "maxReceiveCount": 1}).to_string();
        let (url, arn) = bench.queue(name, &[VISIBLE, (QueueAttributeName::RedrivePolicy, &redrive)]).await?;
        let stub = bench.function(name, move |_| Does::Answer(json!({"batchItemFailures": [item]}))).await?;
        let call = feeds(&bench, &arn, &stub).function_response_types(FunctionResponseType::ReportBatchItemFailures);
        call.send().await?;
        hasten(&bench, &url).await?;
        send(&bench, &url, &["message"]).await?;
        stub.after(1).await?;
        ensure_eq!(bench.message(&letters_url).await?.body(), Some("message"), "the dead letter, {name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_fails_or_dies_gets_its_messages_again() -> Result<()> {
    let bench = bench().await?;
    for (name, first) in [("fails", Does::Fail), ("dies", Does::Die)] {
        let (url, arn) = bench.queue(name, &[VISIBLE]).await?;
        let calls = AtomicUsize::new(0);
        let once = move |_: &Value| {
            if calls.fetch_add(1, Ordering::SeqCst) == 0 { first.clone() } else { Does::Answer(json!(null)) }
        };
        let stub = bench.function(name, once).await?;
        feeds(&bench, &arn, &stub).send().await?;
        hasten(&bench, &url).await?;
        send(&bench, &url, &["message"]).await?;
        stub.after(2).await?;
        eventually(PATIENCE, "the message to be done", async || {
            ensure_eq!(bench.messages(&url).await?, ("0".to_owned(), "0".to_owned()), "what is left");
            Ok(())
        })
        .await?;
        ensure_eq!(stub.told("/body"), [["message"], ["message"]], "what came, {name}");
    }
    Ok(())
}

#[tokio::test]
async fn no_more_copies_work_at_once_than_the_source_allows() -> Result<()> {
    let bench = bench().await?;
    let (url, arn) = bench.queue("copies", &[VISIBLE]).await?;
    let answers = Box::new(|_: &Value| Does::Answer(json!(null)));
    let stub = bench.function_with("copies", None, Duration::from_millis(400), answers).await?;
    let scaling = ScalingConfig::builder().maximum_concurrency(2).build();
    feeds(&bench, &arn, &stub).batch_size(1).scaling_config(scaling).send().await?;
    send(&bench, &url, &["1", "2", "3", "4", "5", "6"]).await?;
    stub.after(6).await?;
    ensure_eq!(stub.most_at_once(), 2, "copies at once");
    Ok(())
}

#[tokio::test]
async fn a_batch_waits_for_more_within_its_window() -> Result<()> {
    let bench = bench().await?;
    let (url, arn) = bench.queue("gathers", &[VISIBLE]).await?;
    let stub = bench.function("gathers", |_| Does::Answer(json!(null))).await?;
    feeds(&bench, &arn, &stub).batch_size(100).maximum_batching_window_in_seconds(2).send().await?;
    for batch in [["1", "2", "3", "4", "5", "6", "7", "8"], ["9", "10", "11", "12", "13", "14", "15", "16"]] {
        send(&bench, &url, &batch).await?;
    }
    eventually(PATIENCE, "all messages", async || {
        ensure_eq!(stub.told("/body").concat().len(), 16, "messages");
        Ok(())
    })
    .await?;
    ensure!(stub.events().len() <= 2, "{} batches", stub.events().len());
    Ok(())
}
