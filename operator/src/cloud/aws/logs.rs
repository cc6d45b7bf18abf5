//! Log groups in Amazon CloudWatch Logs.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;

use super::answers::{NoEmptyAnswers, Pages};
use super::calls::{CallCounter, remembered};
use super::denials::in_order;
use super::recent::{KNOWN_FOR, Recent, TAGS_READ_EVERY};
use super::{absent, deleted, failed};
use crate::cloud::CloudError;
use crate::observed::LogGroupState;
use crate::plan::step::LogGroupStep;
use crate::stack::name::{LogGroupId, Names, Tags};

pub(super) struct LogGroups {
    client: Client,
    /// Tags of log groups by ARN, with the time at which the group was made: another one of the same name is another.
    tags: Recent<(Option<i64>, Tags)>,
    /// A stack's log groups by what its names begin with, for glances.
    known: Recent<BTreeMap<LogGroupId, LogGroupState>>,
}

/// What the list tells of a log group.
struct Listed {
    made_at: Option<i64>,
    retention_days: Option<i32>,
}

impl LogGroups {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(config)
            .interceptor(CallCounter)
            .interceptor(NoEmptyAnswers)
            .build();
        Self {
            client: Client::from_conf(config),
            tags: Recent::lasting(TAGS_READ_EVERY),
            known: Recent::lasting(KNOWN_FOR),
        }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<LogGroupId, LogGroupState>, CloudError> {
        remembered(&self.known, names.prefix(), self.read_all(names)).await
    }

    async fn read_all(&self, names: &Names) -> Result<BTreeMap<LogGroupId, LogGroupState>, CloudError> {
        let prefixes = names.log_group_prefixes();
        let lists = in_order(prefixes.iter().map(|prefix| self.list(prefix))).await?;
        let listed: BTreeMap<String, Listed> = lists.into_iter().flatten().collect();
        let ours = LogGroupId::all().filter_map(|id| Some((id, listed.get(&names.log_group(id))?)));
        let found = in_order(ours.map(|(id, listed)| async move {
            let tags = self.tags_of(&names.log_group(id), &names.log_group_arn(id), listed.made_at).await?;
            let retention_days = listed.retention_days;
            Ok::<_, CloudError>(tags.map(|tags| (id, LogGroupState { tags, retention_days })))
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    pub(super) fn forget_tags(&self, names: &Names) {
        for id in LogGroupId::all() {
            self.tags.forget(&names.log_group_arn(id));
        }
    }

    async fn list(&self, prefix: &str) -> Result<BTreeMap<String, Listed>, CloudError> {
        const OPERATION: &str = "DescribeLogGroups";
        let mut found = BTreeMap::new();
        let mut token = None;
        let mut pages = Pages::of(OPERATION, prefix);
        loop {
            let call = self.client.describe_log_groups().log_group_name_prefix(prefix).set_next_token(token);
            let answer = call.send().await.map_err(failed(OPERATION, prefix))?;
            for group in answer.log_groups.unwrap_or_default() {
                let listed = Listed { made_at: group.creation_time, retention_days: group.retention_in_days };
                found.extend(group.log_group_name.map(|name| (name, listed)));
            }
            token = pages.after(answer.next_token)?;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn tags_of(&self, name: &str, arn: &str, made_at: Option<i64>) -> Result<Option<Tags>, CloudError> {
        if let Some((_, tags)) = self.tags.get(arn).filter(|(known, _)| made_at.is_some() && *known == made_at) {
            return Ok(Some(tags));
        }
        let answer = self.client.list_tags_for_resource().resource_arn(arn).send().await;
        let Some(answer) = absent(answer.map_err(failed("ListTagsForResource", name)))? else { return Ok(None) };
        let tags: Tags = answer.tags.unwrap_or_default().into_iter().collect();
        // Tags that are not there yet would make somebody else's of what we have just made, for an hour.
        if !tags.is_empty() {
            self.tags.put(arn, (made_at, tags.clone()));
        }
        Ok(Some(tags))
    }

    pub(super) async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags.clone().into_iter().collect()));
        call.send().await.map_err(failed("TagResource", arn))?;
        self.tags.forget(arn);
        Ok(())
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        call.send().await.map_err(failed("UntagResource", arn))?;
        self.tags.forget(arn);
        Ok(())
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
            LogGroupStep::Delete { name } => {
                let answer = self.client.delete_log_group().log_group_name(name).send().await;
                deleted(answer.map_err(failed("DeleteLogGroup", name)))
            }
        }
    }
}
