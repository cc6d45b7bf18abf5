//! The testbed's own tests.

use std::time::Duration;
use sumu_tests::aws::{Aws, Inventory};
use sumu_tests::folder::Folder;
use sumu_tests::kubernetes::Kubernetes;
use sumu_tests::{Context, Result, ensure, ensure_eq, story};

#[test]
fn the_api_server_and_kubectl_are_of_one_version() -> Result<()> {
    story(async |testbed| {
        let version = testbed.kubernetes().kubectl_ok(&["version", "--output=json"], "").await?;
        let version: serde_json::Value = serde_json::from_str(&version)?;
        ensure_eq!(version["serverVersion"]["gitVersion"], version["clientVersion"]["gitVersion"], "the versions");
        let info = testbed.kubernetes().client().await?.apiserver_version().await?;
        ensure!(!info.minor.is_empty(), "no version");
        Ok(())
    })
}

#[test]
fn namespaces_of_one_prefix_differ() -> Result<()> {
    story(async |testbed| {
        let (one, other) =
            (testbed.kubernetes().namespace("same").await?, testbed.kubernetes().namespace("same").await?);
        ensure!(one != other, "both are {one}");
        Ok(())
    })
}

#[test]
fn a_backend_gets_what_it_publishes_and_leaves_nothing() -> Result<()> {
    story(async |testbed| {
        let sns = aws_sdk_sns::Client::new(&testbed.aws().sdk().await);
        let topic = sns.create_topic().name("sumutest-topic").send().await?;
        let topic = topic.topic_arn().context("no ARN")?;
        let backend = testbed.backend()?;
        let queue = backend.subscribe(topic, "sumutest-queue").await?;
        ensure!(queue.starts_with(&testbed.aws().endpoint()), "the queue is elsewhere: {queue}");

        let text = "🦀 مرحبا";
        backend.publish(topic, text).await?;
        let received = backend.receive(&queue, 1, Duration::from_secs(20)).await?;
        ensure_eq!(received[0].body, text, "the message");
        backend.send(&queue, "directly").await?;
        ensure_eq!(backend.drain(&queue).await?.len(), 1, "messages in the queue");

        let inventory = testbed.aws().inventory("sumutest-").await?;
        ensure_eq!(inventory.names("queue"), ["sumutest-queue"], "queues");
        ensure_eq!(inventory.names("subscription"), ["sumutest-topic to sumutest-queue"], "subscriptions");
        backend.unsubscribe(topic, &queue).await?;
        sns.delete_topic().topic_arn(topic).send().await?;
        ensure_eq!(testbed.aws().inventory("sumutest-").await?, Inventory::default(), "nothing is left");
        Ok(())
    })
}

#[test]
fn a_second_testbed_beside_the_first_is_another() -> Result<()> {
    story(async |testbed| {
        let folder = Folder::new()?;
        let (kubernetes, aws) = tokio::try_join!(Kubernetes::start(&folder), Aws::start(&folder))?;
        ensure!(kubernetes.url() != testbed.kubernetes().url(), "the same API server");
        ensure!(aws.endpoint() != testbed.aws().endpoint(), "the same AWS");
        Ok(())
    })
}
