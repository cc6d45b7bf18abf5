//! DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
    TimeToLiveSpecification,
};
use std::time::Duration;
use sumu_tests::gateway::Pace;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, bench};

const IN_USE: &str = "ResourceInUseException";
const INVALID: &str = "ValidationException";

async fn create(client: &Client, name: &str) -> Result<TableStatus> {
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
    let call = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    let made = call.key_schema(key).attribute_definitions(id).send().await?;
    Ok(made.table_description.and_then(|table| table.table_status).unwrap_or(TableStatus::Active))
}

async fn is(client: &Client, name: &str, status: TableStatus) -> Result<()> {
    eventually(PATIENCE, &format!("table {name} to be {status}"), async || {
        let found = client.describe_table().table_name(name).send().await?;
        let found = found.table.and_then(|table| table.table_status);
        ensure!(found == Some(status.clone()), "it is {found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_table_takes_its_time_and_no_change_meanwhile() -> Result<()> {
    let bench = bench(Pace { table: Duration::from_secs(4), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    ensure_eq!(create(&client, "slow").await?, TableStatus::Creating, "a new table");
    let delete = || client.delete_table().table_name("slow").send();
    bench.refused("table-busy", delete().await, (400, IN_USE, "still in use: Table is being created: slow"))?;
    let tags = client.list_tags_of_resource().resource_arn("arn:aws:dynamodb:us-east-1:000000000000:table/slow");
    let expected = (400, "ResourceNotFoundException", "Requested resource not found: Table: slow not found");
    bench.refused("table-not-yet", tags.send().await, expected)?;
    let put = client.put_item().table_name("slow").item("id", AttributeValue::S("a".into())).send().await;
    bench.refused("table-not-yet", put, (400, "ResourceNotFoundException", "Requested resource not found"))?;

    is(&client, "slow", TableStatus::Active).await?;
    client.update_table().table_name("slow").deletion_protection_enabled(false).send().await?;
    is(&client, "slow", TableStatus::Updating).await?;
    bench.refused("table-busy", delete().await, (400, IN_USE, "Table is being updated"))?;
    is(&client, "slow", TableStatus::Active).await?;
    delete().await?;
    is(&client, "slow", TableStatus::Deleting).await?;
    bench.refused("table-busy", delete().await, (400, IN_USE, "Table is being deleted: slow"))?;
    ensure!(bench.gateway.count("table-states") >= 4, "the emulator has told it by itself");
    eventually(PATIENCE, "the table to be gone", async || {
        let found = client.describe_table().table_name("slow").send().await;
        ensure!(found.is_err(), "it is there");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn time_to_live_is_switched_once_and_not_moved() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    create(&client, "ttl").await?;
    let set = async |attribute: &str, on: bool| {
        let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(on).build();
        let ttl = ttl.unwrap_or_else(|error| unreachable!("{error}"));
        client.update_time_to_live().table_name("ttl").time_to_live_specification(ttl).send().await
    };
    let rule = "table-ttl-once";
    bench.refused(rule, set("end", false).await, (400, INVALID, "TimeToLive is already disabled"))?;
    set("end", true).await?;
    bench.refused(rule, set("end", true).await, (400, INVALID, "TimeToLive is already enabled"))?;
    bench.refused(
        rule,
        set("other", true).await,
        (400, INVALID, "TimeToLive is active on a different AttributeName"),
    )?;
    set("end", false).await?;
    Ok(())
}

#[tokio::test]
async fn time_to_live_that_was_changed_is_left_alone_for_a_while() -> Result<()> {
    let bench = bench(Pace { time_to_live: Duration::from_hours(1), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    create(&client, "cool").await?;
    let set = async |on: bool| {
        let ttl = TimeToLiveSpecification::builder().attribute_name("end").enabled(on).build();
        let ttl = ttl.unwrap_or_else(|error| unreachable!("{error}"));
        client.update_time_to_live().table_name("cool").time_to_live_specification(ttl).send().await
    };
    set(true).await?;
    let message = "Time to live has been modified multiple times within a fixed interval";
    bench.refused("table-ttl-cool-down", set(false).await, (400, INVALID, message))?;
    client.delete_table().table_name("cool").send().await?;
    create(&client, "cool").await?;
    set(true).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_is_switched_once_and_not_changed() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    create(&client, "stream").await?;
    let set = async |view: Option<StreamViewType>| {
        let stream = StreamSpecification::builder().stream_enabled(view.is_some()).set_stream_view_type(view).build();
        let stream = stream.unwrap_or_else(|error| unreachable!("{error}"));
        client.update_table().table_name("stream").stream_specification(stream).send().await
    };
    let rule = "table-stream-once";
    bench.refused(rule, set(None).await, (400, INVALID, "Table has no stream to disable"))?;
    set(Some(StreamViewType::KeysOnly)).await?;
    let other = set(Some(StreamViewType::NewAndOldImages)).await;
    bench.refused(rule, other, (400, INVALID, "Table already has an enabled stream: arn:aws:dynamodb"))?;
    set(None).await?;
    Ok(())
}

#[tokio::test]
async fn a_new_table_has_no_point_in_time_recovery_for_a_while() -> Result<()> {
    let bench = bench(Pace { table: Duration::from_secs(3), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    create(&client, "young").await?;
    let describe = || client.describe_continuous_backups().table_name("young").send();
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build()?;
    let update = || {
        client.update_continuous_backups().table_name("young").point_in_time_recovery_specification(on.clone()).send()
    };
    is(&client, "young", TableStatus::Active).await?;
    let rule = "table-recovery-not-yet";
    bench.refused(rule, describe().await, (400, "TableNotFoundException", "Table not found: young"))?;
    let told = "Backups are being enabled for the table: young";
    bench.refused(rule, update().await, (400, "ContinuousBackupsUnavailableException", told))?;
    eventually(PATIENCE, "the table to take it", async || update().await.map(drop).map_err(Into::into)).await?;
    let found = describe().await?.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
    let status = found.and_then(|found| found.point_in_time_recovery_status);
    ensure_eq!(status, Some(PointInTimeRecoveryStatus::Enabled), "point-in-time recovery");
    Ok(())
}
