//! SQS, SNS and log groups.

use aws_sdk_sns::types::Tag;
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::types::QueueAttributeName;
use sumu_tests::gateway::{Pace, Settings};
use sumu_tests::{Context, Result, ensure_eq};

use crate::bench::{AT_ONCE, NEVER, bench, strict};

#[tokio::test]
async fn the_name_of_a_deleted_queue_is_not_free_at_once() -> Result<()> {
    let bench = bench(NEVER).await?;
    let sqs = aws_sdk_sqs::Client::new(&bench.sdk);
    let create = || sqs.create_queue().queue_name("again").send();
    let url = create().await?.queue_url.context("no URL")?;
    sqs.delete_queue().queue_url(url).send().await?;
    let expected =
        (400, "AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds after deleting a queue");
    let refused = create().await;
    let is_known = refused.as_ref().err().and_then(|error| error.as_service_error());
    ensure_eq!(is_known.map(CreateQueueError::is_queue_deleted_recently), Some(true), "the SDK knows the error");
    bench.refused("queue-deleted-recently", refused, expected)?;

    let off = vec!["queue-deleted-recently".to_owned()];
    let lax = strict(Settings { pace: NEVER, off, ..Settings::default() }).await?;
    let sqs = aws_sdk_sqs::Client::new(&lax.sdk);
    let create = || sqs.create_queue().queue_name("again").send();
    let url = create().await?.queue_url.context("no URL")?;
    sqs.delete_queue().queue_url(url).send().await?;
    create().await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_has_no_empty_attribute_no_lost_principal_and_no_missing_dead_letter_queue() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let sqs = aws_sdk_sqs::Client::new(&bench.sdk);
    let create = || sqs.create_queue().queue_name("attributes");
    let empty = create().attributes(QueueAttributeName::Policy, "").send().await;
    bench.refused("queue-empty-attribute", empty, (400, "InvalidAttributeValue", "parameter Policy"))?;
    let lost = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"AROAEXAMPLEID12345678"},"Action":"sqs:*"}]}"#;
    let lost = create().attributes(QueueAttributeName::Policy, lost).send().await;
    bench.refused("queue-policy-principals", lost, (400, "InvalidAttributeValue", "parameter Policy"))?;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:missing","maxReceiveCount":2}"#;
    let missing = create().attributes(QueueAttributeName::RedrivePolicy, policy).send().await;
    let expected = (400, "InvalidParameterValue", "Dead letter target does not exist.");
    bench.refused("queue-dead-letters-exist", missing, expected)?;
    sqs.create_queue().queue_name("missing").send().await?;
    create().attributes(QueueAttributeName::RedrivePolicy, policy).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_topic_and_a_subscription_are_made_again_only_as_they_are() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let sns = aws_sdk_sns::Client::new(&bench.sdk);
    let tag = |value: &str| Tag::builder().key("team").value(value).build();
    let (chat, mail) = (tag("chat")?, tag("mail")?);
    let create = |tag: Tag| sns.create_topic().name("tagged").tags(tag).send();
    let arn = create(chat.clone()).await?.topic_arn.context("no ARN")?;
    ensure_eq!(create(chat).await?.topic_arn.as_deref(), Some(arn.as_str()), "the same topic");
    let expected = (400, "InvalidParameter", "Topic already exists with different tags");
    bench.refused("topic-other-tags", create(mail).await, expected)?;

    let queue = "arn:aws:sqs:us-east-1:000000000000:subscribed";
    aws_sdk_sqs::Client::new(&bench.sdk).create_queue().queue_name("subscribed").send().await?;
    let subscribe = |raw: &str| {
        let call = sns.subscribe().topic_arn(&arn).protocol("sqs").endpoint(queue).return_subscription_arn(true);
        call.attributes("RawMessageDelivery", raw).send()
    };
    let first = subscribe("true").await?;
    ensure_eq!(subscribe("true").await?.subscription_arn, first.subscription_arn, "the same subscription");
    let expected = (400, "InvalidParameter", "Subscription already exists with different attributes");
    bench.refused("subscription-other-attributes", subscribe("false").await, expected)
}

#[tokio::test]
async fn an_account_makes_so_many_calls_about_log_groups_each_kind_by_itself() -> Result<()> {
    let bench = bench(Pace { rate: Some(0.001), ..AT_ONCE }).await?;
    let client = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk);
    for _ in 0..10 {
        client.describe_log_groups().send().await?;
    }
    let more = client.describe_log_groups().send().await;
    bench.refused("log-rate", more, (400, "ThrottlingException", "Rate exceeded"))?;
    client.create_log_group().log_group_name("/rated").send().await?;
    Ok(())
}
