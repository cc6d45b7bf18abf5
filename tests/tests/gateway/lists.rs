//! Lists that come in pages.

use sumu_tests::gateway::Pace;
use sumu_tests::{Context, Result, ensure_eq};

use crate::bench::{AT_ONCE, bench};
use crate::functions::function;
use crate::sources::{create, queue};

/// One item a page.
const ONE: Pace = Pace { page: 1, ..AT_ONCE };

#[tokio::test]
async fn event_sources_come_in_pages() -> Result<()> {
    let bench = bench(ONE).await?;
    let client = aws_sdk_lambda::Client::new(&bench.sdk);
    function(&bench, "paged").await?;
    for name in ["paged-one", "paged-two"] {
        create(&client, "paged", &queue(&bench, name, "30").await?).send().await?;
    }
    let list = || client.list_event_source_mappings().function_name("paged");
    let first = list().send().await?;
    let second = list().marker(first.next_marker.clone().context("no marker")?).send().await?;
    ensure_eq!(second.next_marker, None, "the marker after the last");
    let both = [first, second].map(|page| page.event_source_mappings.unwrap_or_default());
    ensure_eq!(both.each_ref().map(Vec::len), [1, 1], "items");
    ensure_eq!(both[0][0].uuid == both[1][0].uuid, false, "the same twice");
    ensure_eq!(bench.gateway.count("source-list-in-pages"), 2, "pages");
    Ok(())
}

#[tokio::test]
async fn log_groups_come_in_pages() -> Result<()> {
    let bench = bench(ONE).await?;
    let client = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk);
    for name in ["/paged/one", "/paged/two"] {
        client.create_log_group().log_group_name(name).send().await?;
    }
    let list = || client.describe_log_groups().log_group_name_prefix("/paged/");
    let first = list().send().await?;
    let second = list().next_token(first.next_token.clone().context("no token")?).send().await?;
    ensure_eq!(second.next_token, None, "the token after the last");
    let both = [first, second].map(|page| page.log_groups.unwrap_or_default());
    let names = both.each_ref().map(|page| page.iter().filter_map(|group| group.log_group_name()).collect::<Vec<_>>());
    ensure_eq!(names, [vec!["/paged/one"], vec!["/paged/two"]], "the groups");
    ensure_eq!(bench.gateway.count("log-group-list-in-pages"), 2, "pages");
    Ok(())
}

#[tokio::test]
async fn subscriptions_come_in_pages() -> Result<()> {
    let bench = bench(ONE).await?;
    let client = aws_sdk_sns::Client::new(&bench.sdk);
    let topic = client.create_topic().name("paged").send().await?.topic_arn.context("no ARN")?;
    for name in ["paged-three", "paged-four"] {
        let queue = queue(&bench, name, "30").await?;
        client.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue).send().await?;
    }
    let list = || client.list_subscriptions_by_topic().topic_arn(&topic);
    let first = list().send().await?;
    let second = list().next_token(first.next_token.clone().context("no token")?).send().await?;
    ensure_eq!(second.next_token, None, "the token after the last");
    let both = [first, second].map(|page| page.subscriptions.unwrap_or_default());
    ensure_eq!(both.each_ref().map(Vec::len), [1, 1], "items");
    ensure_eq!(both[0][0].endpoint == both[1][0].endpoint, false, "the same twice");
    ensure_eq!(bench.gateway.count("subscription-list-in-pages"), 2, "pages");
    Ok(())
}
