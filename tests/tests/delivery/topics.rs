//! Topics that notify functions.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::bench::{Bench, Does, Stub, bench};

/// A topic with a function that is subscribed to it; the topic's ARN and the subscription's.
async fn notifies(bench: &Bench, stub: &Stub, is_let: bool) -> Result<(String, String)> {
    let sns = aws_sdk_sns::Client::new(&bench.sdk);
    let topic = sns.create_topic().name(&stub.name).send().await?.topic_arn.context("no topic")?;
    if is_let {
        let call = bench.lambda().add_permission().function_name(&stub.name).statement_id("topic");
        call.action("lambda:InvokeFunction").principal("sns.amazonaws.com").source_arn(&topic).send().await?;
    }
    let call = sns.subscribe().topic_arn(&topic).protocol("lambda").endpoint(&stub.arn);
    let subscription = call.return_subscription_arn(true).send().await?.subscription_arn.context("no subscription")?;
    Ok((topic, subscription))
}

async fn publish(bench: &Bench, topic: &str, message: &str) -> Result<()> {
    aws_sdk_sns::Client::new(&bench.sdk).publish().topic_arn(topic).message(message).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_function_is_subscribed_as_it_was_asked_for_and_gets_the_notification() -> Result<()> {
    let bench = bench().await?;
    let stub = bench.function("notified", |_| Does::Answer(json!(null))).await?;
    let (topic, subscription) = notifies(&bench, &stub, true).await?;
    let sns = aws_sdk_sns::Client::new(&bench.sdk);
    let listed = sns.list_subscriptions_by_topic().topic_arn(&topic).send().await?.subscriptions.unwrap_or_default();
    let shown: Vec<_> = listed.iter().map(|one| (one.protocol(), one.endpoint())).collect();
    ensure_eq!(shown, [(Some("lambda"), Some(stub.arn.as_str()))], "the subscriptions");
    let found = sns.get_subscription_attributes().subscription_arn(&subscription).send().await?;
    let found = found.attributes.unwrap_or_default();
    ensure_eq!(found.get("Endpoint"), Some(&stub.arn), "the endpoint");
    ensure_eq!(found.get("Protocol").map(String::as_str), Some("lambda"), "the protocol");
    publish(&bench, &topic, "hello").await?;
    let event = stub.after(1).await?.remove(0);
    let record = &event["Records"][0];
    ensure_eq!(record["EventSource"], json!("aws:sns"), "the source");
    ensure_eq!(record["EventSubscriptionArn"], json!(subscription), "the subscription");
    ensure_eq!(record["Sns"]["Message"], json!("hello"), "the message");
    ensure_eq!(record["Sns"]["TopicArn"], json!(topic), "the topic");
    let queues = bench.sqs().list_queues().queue_name_prefix("notified").send().await?;
    ensure!(queues.queue_urls().is_empty(), "what stands for the function is found by its name: {queues:?}");
    Ok(())
}

#[tokio::test]
async fn an_event_that_fails_three_times_is_a_dead_letter_with_its_reason() -> Result<()> {
    let bench = bench().await?;
    let (url, letters) = bench.queue("thrice-letters", &[]).await?;
    let stub =
        bench.function_with("thrice", Some(&letters), std::time::Duration::ZERO, Box::new(|_| Does::Fail)).await?;
    let (topic, _) = notifies(&bench, &stub, true).await?;
    publish(&bench, &topic, "hello").await?;
    let letter = bench.message(&url).await?;
    ensure_eq!(stub.events().len(), 3, "invocations");
    let event: Value = serde_json::from_str(letter.body().unwrap_or_default())?;
    ensure_eq!(event, stub.events()[0], "the body is the event");
    let attributes = letter.message_attributes().context("no attributes")?;
    let of = |name: &str| attributes.get(name).map(|it| (it.data_type(), it.string_value().unwrap_or_default()));
    ensure_eq!(of("ErrorCode"), Some(("Number", "200")), "the code");
    ensure_eq!(of("ErrorMessage"), Some(("String", "no way")), "the message");
    ensure!(of("RequestID").is_some_and(|(_, id)| id.len() > 10), "the id: {attributes:?}");
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_is_lost_without_the_right_of_the_functions_role() -> Result<()> {
    let bench = bench().await?;
    let queue = bench.queue("mute-letters", &[]).await?;
    let fails = Box::new(|_: &Value| Does::Fail);
    let stub = bench.function_with("mute", Some(&queue.1), std::time::Duration::ZERO, fails).await?;
    let (topic, _) = notifies(&bench, &stub, true).await?;
    bench.disarm(&stub).await?;
    publish(&bench, &topic, "hello").await?;
    bench.lacks_the_right_to_send(&stub, &queue).await
}

#[tokio::test]
async fn an_event_that_fails_once_or_meets_a_throttle_arrives() -> Result<()> {
    let bench = bench().await?;
    let calls = AtomicUsize::new(0);
    let dies_once = move |_: &Value| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 { Does::Die } else { Does::Answer(json!(null)) }
    };
    let stub = bench.function("once", dies_once).await?;
    let (topic, _) = notifies(&bench, &stub, true).await?;
    let refused = Act::refuse(429, "TooManyRequestsException", "Rate Exceeded.");
    let invoke = Calls::Operation(Service::Lambda, "Invoke");
    let fault = bench.aws.gateway().inject(Fault::of(invoke, refused).about(":once").by("lambda"));
    publish(&bench, &topic, "hello").await?;
    sumu_tests::eventually(sumu_tests::poll::PATIENCE, "a throttle", async || {
        ensure!(fault.hits() >= 2, "there was none");
        Ok(())
    })
    .await?;
    ensure!(stub.events().is_empty(), "it was not reached");
    fault.end();
    stub.after(2).await?;
    Ok(())
}

#[tokio::test]
async fn a_function_that_does_not_let_the_topic_in_is_never_asked_and_the_subscription_has_the_dead_letter()
-> Result<()> {
    let bench = bench().await?;
    let (url, letters) = bench.queue("barred-letters", &[]).await?;
    let stub = bench.function("barred", |_| Does::Answer(json!(null))).await?;
    let (topic, subscription) = notifies(&bench, &stub, false).await?;
    let sns = aws_sdk_sns::Client::new(&bench.sdk);
    let redrive = json!({"deadLetterTargetArn": letters}).to_string();
    let call = sns.set_subscription_attributes().subscription_arn(&subscription);
    call.attribute_name("RedrivePolicy").attribute_value(redrive).send().await?;
    publish(&bench, &topic, "hello").await?;
    let letter: Value = serde_json::from_str(bench.message(&url).await?.body().unwrap_or_default())?;
    ensure_eq!(letter["Message"], json!("hello"), "the notification, in {letter}");
    ensure!(stub.events().is_empty(), "it was asked");
    Ok(())
}
