//! Event source mappings.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder;
use aws_sdk_lambda::types::EventSourcePosition;
use aws_sdk_sqs::types::QueueAttributeName;
use std::time::Duration;
use sumu_tests::gateway::Pace;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, Bench, NEVER, bench, strict};
use crate::functions::function;

const INVALID: &str = "InvalidParameterValueException";

/// A queue with a visibility timeout in seconds; its ARN.
pub async fn queue(bench: &Bench, name: &str, visible: &str) -> Result<String> {
    let sqs = aws_sdk_sqs::Client::new(&bench.sdk);
    let made = sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, visible);
    made.send().await?;
    Ok(format!("arn:aws:sqs:us-east-1:000000000000:{name}"))
}

pub fn create(client: &Client, function: &str, arn: &str) -> CreateEventSourceMappingFluentBuilder {
    client.create_event_source_mapping().function_name(function).event_source_arn(arn)
}

#[tokio::test]
async fn a_source_needs_its_ends_and_a_fitting_queue() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "ends").await?;
    let arn = queue(&bench, "ends", "29").await?;
    let nobody = create(&client, "nobody", &arn).send().await;
    bench.refused("source-function-exists", nobody, (400, INVALID, "Function does not exist"))?;
    let missing = create(&client, "ends", &format!("{arn}-missing")).send().await;
    bench.refused("source-exists", missing, (400, INVALID, "NonExistentQueue"))?;
    let stream = "arn:aws:dynamodb:us-east-1:000000000000:table/missing/stream/1";
    let stream = create(&client, "ends", stream).starting_position(EventSourcePosition::Latest).send().await;
    bench.refused("source-exists", stream, (400, INVALID, "Stream not found"))?;
    let short = create(&client, "ends", &arn).send().await;
    let expected = (400, INVALID, "Queue visibility timeout: 29 seconds is less than Function timeout: 30 seconds");
    bench.refused("source-visibility", short, expected)?;
    let many = create(&client, "ends", &queue(&bench, "many", "30").await?).batch_size(11).send().await;
    bench.refused("source-batch-window", many, (400, INVALID, "Maximum batch window"))
}

#[tokio::test]
async fn a_role_must_be_allowed_to_read_the_queue() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "reader").await?;
    let arn = queue(&bench, "reader", "30").await?;
    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let policy = async |resource: &str| {
        let text = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"sqs:*","Resource":"{resource}"}}]}}"#);
        iam.put_role_policy().role_name("reader").policy_name("own").policy_document(text).send().await
    };
    policy(&format!("{arn}-other")).await?;
    let expected =
        (400, INVALID, "The function execution role does not have permissions to call ReceiveMessage on SQS");
    bench.refused("source-readable", create(&client, "reader", &arn).send().await, expected)?;
    policy("arn:aws:sqs:*:reader").await?;
    create(&client, "reader", &arn).send().await?;

    let late = strict(sumu_tests::gateway::Settings { pace: NEVER, ..Default::default() }).await?;
    let iam = aws_sdk_iam::Client::new(&late.sdk);
    let text = r#"{"Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}"#;
    iam.put_role_policy().role_name("reader").policy_name("own").policy_document(text).send().await?;
    let other = queue(&late, "reader-late", "30").await?;
    late.refused("source-readable", create(&Client::new(&late.sdk), "reader", &other).send().await, expected)
}

#[tokio::test]
async fn a_queue_feeds_a_function_and_its_alias_each_once() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "aliased").await?;
    let arn = queue(&bench, "aliased", "30").await?;
    let version = client.publish_version().function_name("aliased").send().await?.version.context("no version")?;
    let alias = client.create_alias().function_name("aliased").name("live").function_version(version).send().await?;
    let alias = alias.alias_arn.context("no ARN")?;
    create(&client, "aliased", &arn).send().await?;
    let uuid = create(&client, &alias, &arn).send().await?.uuid.context("no UUID")?;
    let expected = (409, "ResourceConflictException", uuid.as_str());
    bench.refused("source-once", create(&client, &alias, &arn).send().await, expected)
}

#[tokio::test]
async fn a_queue_feeds_a_function_once_and_comes_and_goes_in_its_own_time() -> Result<()> {
    let bench = bench(Pace { source: Duration::from_secs(4), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "once").await?;
    let arn = queue(&bench, "once", "30").await?;
    let made = create(&client, "once", &arn).send().await?;
    ensure_eq!(made.state.as_deref(), Some("Creating"), "a new source");
    let uuid = made.uuid.context("no UUID")?;
    let twice = create(&client, "once", &arn).send().await;
    bench.refused("source-once", twice, (409, "ResourceConflictException", &uuid))?;
    let delete = || client.delete_event_source_mapping().uuid(&uuid).send();
    let expected = (400, "ResourceInUseException", "Cannot delete the event source mapping because it is in use.");
    bench.refused("source-busy", delete().await, expected)?;

    eventually(PATIENCE, "the source to be deletable", async || Ok(delete().await?)).await?;
    let left = client.get_event_source_mapping().uuid(&uuid).send().await?;
    ensure_eq!(left.state.as_deref(), Some("Deleting"), "a source that goes");
    let listed = client.list_event_source_mappings().function_name("once").send().await?;
    ensure_eq!(listed.event_source_mappings().len(), 1, "it is listed until it is gone");
    ensure!(bench.gateway.count("source-states") >= 3, "the emulator has told it by itself");
    let twice = create(&client, "once", &arn).send().await;
    bench.refused("source-once", twice, (409, "ResourceConflictException", &uuid))?;
    eventually(PATIENCE, "the source to be gone", async || {
        let listed = client.list_event_source_mappings().function_name("once").send().await?;
        ensure!(listed.event_source_mappings().is_empty(), "{listed:?}");
        Ok(())
    })
    .await
}
