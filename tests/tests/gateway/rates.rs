//! How many calls an account makes of services that have a rate for some of them.

use sumu_tests::gateway::Pace;
use sumu_tests::{Context, Result};

use crate::bench::{AT_ONCE, Bench, bench};

/// So slowly that none comes back while the test runs.
async fn slow() -> Result<Bench> {
    bench(Pace { rate: Some(0.001), ..AT_ONCE }).await
}

#[tokio::test]
async fn tags_of_tables_queues_and_topics_are_asked_for_so_many_times() -> Result<()> {
    let bench = slow().await?;
    let tables = aws_sdk_dynamodb::Client::new(&bench.sdk);
    let topics = aws_sdk_sns::Client::new(&bench.sdk);
    let queues = aws_sdk_sqs::Client::new(&bench.sdk);
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/none";
    let topic = topics.create_topic().name("rates").send().await?.topic_arn.context("no ARN")?;
    let queue = queues.create_queue().queue_name("rates").send().await?.queue_url.context("no URL")?;
    for _ in 0..10 {
        // There is no such table, which costs a call all the same.
        let _ = tables.list_tags_of_resource().resource_arn(arn).send().await;
        topics.list_tags_for_resource().resource_arn(&topic).send().await?;
    }
    for _ in 0..30 {
        queues.list_queue_tags().queue_url(&queue).send().await?;
    }
    let answer = tables.list_tags_of_resource().resource_arn(arn).send().await;
    let says = "Rate of requests exceeds the allowed throughput.";
    bench.refused("table-rate", answer, (400, "ThrottlingException", says))?;
    let answer = topics.list_tags_for_resource().resource_arn(&topic).send().await;
    bench.refused("topic-rate", answer, (400, "Throttling", "Rate exceeded"))?;
    let answer = queues.list_queue_tags().queue_url(&queue).send().await;
    bench.refused("queue-rate", answer, (403, "RequestThrottled", "Request is throttled."))
}

#[tokio::test]
async fn tables_are_tagged_and_their_backups_looked_at_so_many_times() -> Result<()> {
    let bench = slow().await?;
    let tables = aws_sdk_dynamodb::Client::new(&bench.sdk);
    let untag =
        || tables.untag_resource().resource_arn("arn:aws:dynamodb:us-east-1:000000000000:table/none").tag_keys("a");
    let look = || tables.describe_continuous_backups().table_name("none");
    for _ in 0..5 {
        let _ = untag().send().await;
    }
    for _ in 0..10 {
        let _ = look().send().await;
    }
    let expected = || (400, "ThrottlingException", "Rate of requests exceeds the allowed throughput.");
    bench.refused("table-rate", untag().send().await, expected())?;
    bench.refused("table-rate", look().send().await, expected())
}

#[tokio::test]
async fn topics_and_zones_have_a_rate_for_all_that_is_asked() -> Result<()> {
    let bench = slow().await?;
    let topics = aws_sdk_sns::Client::new(&bench.sdk);
    for _ in 0..30 {
        topics.create_topic().name("rates").send().await?;
    }
    let answer = topics.create_topic().name("rates").send().await;
    bench.refused("topic-rate", answer, (400, "Throttling", "Rate exceeded"))?;
    let zones = aws_sdk_route53::Client::new(&bench.sdk);
    let look = || zones.list_resource_record_sets().hosted_zone_id("Z1");
    for _ in 0..5 {
        let _ = look().send().await;
    }
    bench.refused("zone-rate", look().send().await, (400, "Throttling", "Rate exceeded"))
}
