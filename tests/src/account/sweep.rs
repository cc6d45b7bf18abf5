//! Removes what a run has left in an account: after a failed story, whose operator is gone.
//!
//! It goes by names alone, because a run's name is in every name of its resources and in nothing else's. Whatever AWS
//! refuses for now (an event source that is on its way, a table that is busy) is tried again.

use std::time::Duration;

use aws_config::SdkConfig;

use crate::aws::{Inventory, inventory};
use crate::poll::eventually;
use crate::{Result, ensure};

/// Deletions in AWS take up to a minute each, and some wait for others.
const SWEPT_WITHIN: Duration = Duration::from_mins(5);

/// Removes everything whose name begins with a prefix, and returns what there was.
pub async fn sweep(sdk: &SdkConfig, prefix: &str) -> Result<Inventory> {
    ensure!(prefix.starts_with("sumu-") && prefix.len() > "sumu-".len(), "{prefix:?} is no prefix of a test");
    let found = inventory::take(sdk, prefix).await?;
    eventually(SWEPT_WITHIN, &format!("nothing to be left of {prefix}"), async || {
        let swept = Broom { sdk, prefix }.everything().await;
        let left = inventory::take(sdk, prefix).await?;
        ensure!(left.is_empty(), "{}left:\n{left}", swept.err().map(|e| format!("{e}; ")).unwrap_or_default());
        Ok(())
    })
    .await?;
    Ok(found)
}

struct Broom<'a> {
    sdk: &'a SdkConfig,
    prefix: &'a str,
}

impl Broom<'_> {
    /// In an order in which what is removed is not in use. The first refusal ends a turn.
    async fn everything(&self) -> Result<()> {
        self.apis().await?;
        self.event_sources().await?;
        self.topics().await?;
        self.functions().await?;
        self.queues().await?;
        self.tables().await?;
        self.roles().await?;
        self.log_groups().await
    }

    /// Whether a name, or the last member of an ARN or URL, is one of the run's.
    fn is_ours(&self, name: &str) -> bool {
        name.rsplit(['/', ':']).next().is_some_and(|name| name.starts_with(self.prefix))
    }

    async fn apis(&self) -> Result<()> {
        let client = aws_sdk_apigatewayv2::Client::new(self.sdk);
        let mut token = None;
        loop {
            let page = client.get_apis().set_next_token(token).send().await?;
            for api in page.items().iter().filter(|api| self.is_ours(api.name().unwrap_or_default())) {
                client.delete_api().api_id(api.api_id().unwrap_or_default()).send().await?;
            }
            token = page.next_token().map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(());
            }
        }
    }

    async fn event_sources(&self) -> Result<()> {
        let client = aws_sdk_lambda::Client::new(self.sdk);
        let mut pages = client.list_event_source_mappings().into_paginator().items().send();
        while let Some(source) = pages.next().await.transpose()? {
            let ends = [source.function_arn(), source.event_source_arn()];
            let is_ours = ends.into_iter().flatten().any(|end| self.is_ours(end));
            if is_ours && source.state() != Some("Deleting") {
                client.delete_event_source_mapping().uuid(source.uuid().unwrap_or_default()).send().await?;
            }
        }
        Ok(())
    }

    async fn topics(&self) -> Result<()> {
        let client = aws_sdk_sns::Client::new(self.sdk);
        let mut pages = client.list_subscriptions().into_paginator().items().send();
        while let Some(subscription) = pages.next().await.transpose()? {
            let arn = subscription.subscription_arn().unwrap_or_default();
            // A subscription that was never confirmed has a word in the place of its ARN, and cannot be removed.
            if self.is_ours(subscription.topic_arn().unwrap_or_default()) && arn.starts_with("arn:") {
                client.unsubscribe().subscription_arn(arn).send().await?;
            }
        }
        let mut pages = client.list_topics().into_paginator().items().send();
        while let Some(topic) = pages.next().await.transpose()? {
            let arn = topic.topic_arn().unwrap_or_default();
            if self.is_ours(arn) {
                client.delete_topic().topic_arn(arn).send().await?;
            }
        }
        Ok(())
    }

    async fn functions(&self) -> Result<()> {
        let client = aws_sdk_lambda::Client::new(self.sdk);
        let mut pages = client.list_functions().into_paginator().items().send();
        while let Some(function) = pages.next().await.transpose()? {
            let name = function.function_name().unwrap_or_default();
            if self.is_ours(name) {
                client.delete_function().function_name(name).send().await?;
            }
        }
        Ok(())
    }

    async fn queues(&self) -> Result<()> {
        let client = aws_sdk_sqs::Client::new(self.sdk);
        let listed = client.list_queues().queue_name_prefix(self.prefix).max_results(1000);
        let mut pages = listed.into_paginator().items().send();
        while let Some(url) = pages.next().await.transpose()? {
            client.delete_queue().queue_url(url).send().await?;
        }
        Ok(())
    }

    async fn tables(&self) -> Result<()> {
        let client = aws_sdk_dynamodb::Client::new(self.sdk);
        let mut pages = client.list_tables().into_paginator().items().send();
        while let Some(table) = pages.next().await.transpose()? {
            if !self.is_ours(&table) {
                continue;
            }
            let described = client.describe_table().table_name(&table).send().await?;
            let described = described.table();
            if described.and_then(aws_sdk_dynamodb::types::TableDescription::deletion_protection_enabled) == Some(true)
            {
                client.update_table().table_name(&table).deletion_protection_enabled(false).send().await?;
            }
            client.delete_table().table_name(table).send().await?;
        }
        Ok(())
    }

    async fn roles(&self) -> Result<()> {
        let client = aws_sdk_iam::Client::new(self.sdk);
        let mut pages = client.list_roles().into_paginator().items().send();
        while let Some(role) = pages.next().await.transpose()? {
            let name = role.role_name();
            if !self.is_ours(name) {
                continue;
            }
            for policy in client.list_role_policies().role_name(name).send().await?.policy_names() {
                client.delete_role_policy().role_name(name).policy_name(policy).send().await?;
            }
            client.delete_role().role_name(name).send().await?;
        }
        Ok(())
    }

    async fn log_groups(&self) -> Result<()> {
        let client = aws_sdk_cloudwatchlogs::Client::new(self.sdk);
        let mut pages = client.describe_log_groups().into_paginator().items().send();
        // What is deleted meanwhile would move the pages to come.
        let mut ours = Vec::new();
        while let Some(group) = pages.next().await.transpose()? {
            ours.extend(group.log_group_name.filter(|name| self.is_ours(name)));
        }
        for name in ours {
            client.delete_log_group().log_group_name(name).send().await?;
        }
        Ok(())
    }
}
