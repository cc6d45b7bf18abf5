//! Streams that feed functions.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use aws_sdk_lambda::operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder;
use aws_sdk_lambda::types::{DestinationConfig, EventSourcePosition, FunctionResponseType, OnFailure};
use serde_json::{Value, json};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{Bench, Does, Stub, bench};

const KEY: &str = "/dynamodb/Keys/id/S";

/// A table with a stream.
struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
    stream: String,
}

impl Table {
    async fn with(bench: &Bench, name: &str) -> Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&bench.sdk);
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build()?;
        let call = client.create_table().table_name(name).key_schema(key).attribute_definitions(id);
        let made = call.stream_specification(stream).billing_mode(BillingMode::PayPerRequest).send().await?;
        let stream = made.table_description.and_then(|table| table.latest_stream_arn).context("no stream")?;
        let table = Self { client, name: name.to_owned(), stream };
        eventually(PATIENCE, "the table to be active", async || table.put("first", None).await).await?;
        Ok(table)
    }

    async fn put(&self, id: &str, expires: Option<AttributeValue>) -> Result<()> {
        let call = self.client.put_item().table_name(&self.name).item("id", AttributeValue::S(id.to_owned()));
        let call = if let Some(expires) = expires { call.item("expires", expires) } else { call };
        call.send().await?;
        Ok(())
    }

    async fn put_all(&self, ids: &[&str]) -> Result<()> {
        for id in ids {
            self.put(id, None).await?;
        }
        Ok(())
    }

    fn feeds(&self, bench: &Bench, stub: &Stub) -> CreateEventSourceMappingFluentBuilder {
        let call = bench.lambda().create_event_source_mapping().function_name(&stub.name);
        call.event_source_arn(&self.stream).starting_position(EventSourcePosition::TrimHorizon).batch_size(100)
    }
}

fn destination(arn: &str) -> DestinationConfig {
    DestinationConfig::builder().on_failure(OnFailure::builder().destination(arn).build()).build()
}

fn keys(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().into_iter().flatten();
    records.map(|record| record.pointer(KEY).and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
}

fn has(event: &Value, key: &str) -> bool {
    keys(event).iter().any(|found| found == key)
}

fn from(event: &Value, key: &str) -> Value {
    let records = event["Records"].as_array().into_iter().flatten();
    let failed = records.filter(|record| record.pointer(KEY).and_then(Value::as_str) == Some(key));
    let failed = failed.map(|record| json!({"itemIdentifier": record["dynamodb"]["SequenceNumber"]}));
    json!({"batchItemFailures": failed.collect::<Vec<_>>()})
}

fn last(stub: &Stub) -> Vec<String> {
    stub.events().last().map(keys).unwrap_or_default()
}

/// Waits until a function got this batch.
async fn gets(stub: &Stub, expected: &[&str]) -> Result<()> {
    eventually(PATIENCE, &format!("a batch of {expected:?}"), async || {
        let told = stub.told(KEY);
        ensure!(told.iter().any(|batch| batch == expected), "there were {told:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_function_reports_comes_again_with_all_behind_it_until_it_is_given_up() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "reports").await?;
    table.put_all(&["second", "bad", "fourth"]).await?;
    let (url, letters) = bench.queue("reports-letters", &[]).await?;
    let stub = bench.function("reports", |event| Does::Answer(from(event, "bad"))).await?;
    let call = table.feeds(&bench, &stub).function_response_types(FunctionResponseType::ReportBatchItemFailures);
    call.maximum_retry_attempts(2).destination_config(destination(&letters)).send().await?;
    let note: Value = serde_json::from_str(bench.message(&url).await?.body().unwrap_or_default())?;
    let all = ["first", "second", "bad", "fourth"];
    let rest = &all[2..];
    // The first report moves the checkpoint; the rest has its two retries.
    ensure_eq!(stub.told(KEY), [&all[..], rest, rest, rest], "the batches");
    ensure_eq!(note["requestContext"]["condition"], json!("RetryAttemptsExhausted"), "why, in {note}");
    let info = &note["DDBStreamBatchInfo"];
    ensure_eq!(info["batchSize"], json!(2), "how many records, in {note}");
    let number = stub.events()[1].pointer("/Records/0/dynamodb/SequenceNumber").cloned();
    ensure_eq!(Some(&info["startSequenceNumber"]), number.as_ref(), "the first that was given up");
    ensure_eq!(info["streamArn"], json!(table.stream), "the stream");
    table.put("fifth", None).await?;
    gets(&stub, &["fifth"]).await
}

#[tokio::test]
async fn a_batch_that_fails_is_halved_until_the_bad_record_is_alone_and_the_rest_arrives() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "halves").await?;
    table.put_all(&["second", "bad", "fourth"]).await?;
    let (url, letters) = bench.queue("halves-letters", &[]).await?;
    let fails = |event: &Value| if has(event, "bad") { Does::Fail } else { Does::Answer(json!(null)) };
    let stub = bench.function("halves", fails).await?;
    let call = table.feeds(&bench, &stub).bisect_batch_on_function_error(true).maximum_retry_attempts(1);
    call.destination_config(destination(&letters)).send().await?;
    let note: Value = serde_json::from_str(bench.message(&url).await?.body().unwrap_or_default())?;
    ensure_eq!(note["DDBStreamBatchInfo"]["batchSize"], json!(1), "how many records, in {note}");
    ensure_eq!(note["responseContext"]["functionError"], json!("Unhandled"), "the error, in {note}");
    gets(&stub, &["fourth"]).await?;
    let expected: [&[&str]; 6] = [
        &["first", "second", "bad", "fourth"],
        &["first", "second"],
        &["bad", "fourth"],
        &["bad"],
        &["bad"],
        &["fourth"],
    ];
    ensure_eq!(stub.told(KEY), expected, "the batches");
    Ok(())
}

#[tokio::test]
async fn a_function_that_dies_gets_its_batch_again_and_others_wait_for_nothing() -> Result<()> {
    let bench = bench().await?;
    let (stuck, free) = (Table::with(&bench, "stuck").await?, Table::with(&bench, "free").await?);
    let dies = bench.function("stuck", |_| Does::Die).await?;
    let stub = bench.function("free", |_| Does::Answer(json!({}))).await?;
    let source = stuck.feeds(&bench, &dies).send().await?.uuid.context("no id")?;
    dies.after(1).await?;
    stuck.put("second", None).await?;
    free.feeds(&bench, &stub).send().await?;
    gets(&stub, &["first"]).await?;
    let told = dies.after(3).await?;
    ensure!(told.iter().all(|event| keys(event) == ["first"]), "the same batch, without retries' end: {told:?}");
    bench.lambda().delete_event_source_mapping().uuid(source).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_note_is_lost_without_the_right_of_the_functions_role() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "silenced").await?;
    let queue = bench.queue("silenced-letters", &[]).await?;
    let stub = bench.function("silenced", |_| Does::Fail).await?;
    let call = table.feeds(&bench, &stub).maximum_retry_attempts(1).destination_config(destination(&queue.1));
    call.send().await?;
    bench.disarm(&stub).await?;
    bench.lacks_the_right_to_send(&stub, &queue).await
}

#[tokio::test]
async fn a_record_that_grows_too_old_is_given_up() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "ages").await?;
    let (url, letters) = bench.queue("ages-letters", &[]).await?;
    let stub = bench.function("ages", |_| Does::Fail).await?;
    let call = table.feeds(&bench, &stub).maximum_record_age_in_seconds(60);
    let made = call.destination_config(destination(&letters)).send().await?;
    stub.after(1).await?;
    let uuid = made.uuid.context("no id")?;
    eventually(PATIENCE, "the limit to be lowered", async || {
        let call = bench.lambda().update_event_source_mapping().uuid(&uuid).maximum_record_age_in_seconds(1);
        Ok(call.send().await?)
    })
    .await?;
    let note: Value = serde_json::from_str(bench.message(&url).await?.body().unwrap_or_default())?;
    ensure_eq!(note["requestContext"]["condition"], json!("RecordAgeExpired"), "why, in {note}");
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_disabled_waits_and_goes_on_where_it_was() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "pauses").await?;
    let stub = bench.function("pauses", |_| Does::Answer(json!({}))).await?;
    let made = table.feeds(&bench, &stub).enabled(false).send().await?;
    let uuid = made.uuid.context("no id")?;
    let state = async |wanted: &str| {
        eventually(PATIENCE, wanted, async || {
            let found = bench.lambda().get_event_source_mapping().uuid(&uuid).send().await?;
            ensure_eq!(found.state.as_deref(), Some(wanted), "the state");
            Ok(())
        })
        .await
    };
    state("Disabled").await?;
    let enable = async |enabled| bench.lambda().update_event_source_mapping().uuid(&uuid).enabled(enabled).send().await;
    enable(true).await?;
    gets(&stub, &["first"]).await?;
    state("Enabled").await?;
    enable(false).await?;
    state("Disabled").await?;
    table.put("second", None).await?;
    // Somebody else's record arrives meanwhile.
    let other = Table::with(&bench, "pauses-not").await?;
    let fence = bench.function("pauses-not", |_| Does::Answer(json!({}))).await?;
    other.feeds(&bench, &fence).send().await?;
    gets(&fence, &["first"]).await?;
    ensure_eq!(stub.events().len(), 1, "batches of a source that is disabled");
    enable(true).await?;
    gets(&stub, &["second"]).await
}

#[tokio::test]
async fn a_batch_waits_for_more_within_its_window() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "window").await?;
    let stub = bench.function("window", |_| Does::Answer(json!({}))).await?;
    let hasty = bench.function("window-not", |_| Does::Answer(json!({}))).await?;
    table.feeds(&bench, &stub).maximum_batching_window_in_seconds(4).send().await?;
    table.feeds(&bench, &hasty).send().await?;
    gets(&stub, &["first"]).await?;
    table.put("a", None).await?;
    gets(&hasty, &["a"]).await?;
    table.put("b", None).await?;
    gets(&hasty, &["b"]).await?;
    gets(&stub, &["a", "b"]).await
}

#[tokio::test]
async fn what_time_to_live_removes_is_told_with_its_signature() -> Result<()> {
    let bench = bench().await?;
    let table = Table::with(&bench, "ttl").await?;
    let stub = bench.function("ttl", |_| Does::Answer(json!({}))).await?;
    table.feeds(&bench, &stub).send().await?;
    let on = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build()?;
    table.client.update_time_to_live().table_name("ttl").time_to_live_specification(on).send().await?;
    let found = table.client.describe_time_to_live().table_name("ttl").send().await?;
    let found = found.time_to_live_description.and_then(|found| found.attribute_name);
    ensure_eq!(found.as_deref(), Some("expires"), "the attribute, as it was asked for");
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let number = |seconds: u64| Some(AttributeValue::N(seconds.to_string()));
    table.put("past", number(seconds - 1)).await?;
    table.put("future", number(seconds + 1000)).await?;
    table.put("long past", number(1)).await?;
    table.put("text", Some(AttributeValue::S("1".to_owned()))).await?;
    table.put("deleted", number(seconds + 1000)).await?;
    ensure_eq!(bench.aws.delivery().expire("ttl").await?, 1, "removed items");
    let deleted = AttributeValue::S("deleted".to_owned());
    table.client.delete_item().table_name("ttl").key("id", deleted).send().await?;
    eventually(PATIENCE, "both removals", async || {
        ensure!(last(&stub).contains(&"deleted".to_owned()), "{:?}", stub.told(KEY));
        Ok(())
    })
    .await?;
    let events = stub.events();
    let removals = events.iter().flat_map(|event| event["Records"].as_array().into_iter().flatten());
    let removals: Vec<_> = removals.filter(|record| record["eventName"] == "REMOVE").collect();
    let signature = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    ensure_eq!(removals.len(), 2, "removals in {removals:?}");
    ensure_eq!(removals[0].pointer(KEY), Some(&json!("past")), "the first removal");
    ensure_eq!(removals[0]["userIdentity"], signature, "the signature of time to live");
    ensure_eq!(removals[1].get("userIdentity"), None, "the signature of a deletion");
    Ok(())
}
