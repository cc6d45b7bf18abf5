//! Log groups in Amazon CloudWatch Logs.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use futures::future::try_join_all;
use sumu_contract::Function;

use super::calls::CallCounter;
use super::{absent, deleted, failed};
use crate::cloud::CloudError;
use crate::observed::LogGroupState;
use crate::plan::step::LogGroupStep;
use crate::stack::name::Names;

pub(super) struct LogGroups {
    client: Client,
}

impl LogGroups {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(config).interceptor(CallCounter).build();
        Self { client: Client::from_conf(config) }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<Function, LogGroupState>, CloudError> {
        let retention = self.retention_by_name(&names.log_group_prefix()).await?;
        let ours = Function::ALL
            .into_iter()
            .filter_map(|function| Some((function, *retention.get(&names.log_group(function))?)));
        let found = try_join_all(ours.map(|(function, retention_days)| async move {
            let arn = names.log_group_arn(function);
            let tags = self.client.list_tags_for_resource().resource_arn(&arn).send().await;
            let tags = absent(tags.map_err(failed("ListTagsForResource", names.log_group(function))))?;
            let tags = tags.map(|tags| tags.tags.unwrap_or_default().into_iter().collect());
            Ok::<_, CloudError>(tags.map(|tags| (function, LogGroupState { tags, retention_days })))
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    async fn retention_by_name(&self, prefix: &str) -> Result<BTreeMap<String, Option<i32>>, CloudError> {
        let mut found = BTreeMap::new();
        let mut pages = self.client.describe_log_groups().log_group_name_prefix(prefix).into_paginator().items().send();
        while let Some(group) = pages.next().await {
            let group = group.map_err(failed("DescribeLogGroups", prefix))?;
            found.extend(group.log_group_name.map(|name| (name, group.retention_in_days)));
        }
        Ok(found)
    }

    pub(super) async fn apply(&self, step: &LogGroupStep) -> Result<(), CloudError> {
        match step {
            LogGroupStep::Create { name, tags } => {
                let tags = tags.clone().into_iter().collect();
                let call = self.client.create_log_group().log_group_name(name).set_tags(Some(tags));
                call.send().await.map(drop).map_err(failed("CreateLogGroup", name))
            }
            LogGroupStep::SetRetention { name, days } => {
                let call = self.client.put_retention_policy().log_group_name(name).retention_in_days(*days);
                call.send().await.map(drop).map_err(failed("PutRetentionPolicy", name))
            }
            LogGroupStep::Tag { arn, tags } => {
                let tags = tags.clone().into_iter().collect();
                let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags));
                call.send().await.map(drop).map_err(failed("TagResource", arn))
            }
            LogGroupStep::Delete { name } => {
                let answer = self.client.delete_log_group().log_group_name(name).send().await;
                deleted(answer.map_err(failed("DeleteLogGroup", name)))
            }
        }
    }
}
