//! Tables in Amazon DynamoDB.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription, Tag,
    TimeToLiveSpecification, TimeToLiveStatus,
};

use super::answers::{NoEmptyAnswers, Pages};
use super::calls::{CallCounter, remembered};
use super::denials::in_order;
use super::recent::{KNOWN_FOR, Recent};
use super::{absent, deleted, failed, unexpected};
use crate::cloud::{CloudError, Kind};
use crate::desired::tables::Table;
use crate::observed::TableState;
use crate::plan::step::TableStep;
use crate::stack::name::{Names, Owner, TableId, Tags};

pub(super) struct Tables {
    pub(super) client: Client,
    /// Tags of the tables that we made lately, by name.
    made: Recent<Tags>,
    /// For glances.
    known: Recent<Seldom>,
}

/// What seldom changes of a table: its tags, the attribute of its time to live, and whether it has point-in-time recovery.
type Seldom = (Tags, Option<String>, Option<bool>);

impl Tables {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .interceptor(CallCounter)
            .interceptor(NoEmptyAnswers)
            .build();
        Self { client: Client::from_conf(config), made: Recent::default(), known: Recent::lasting(KNOWN_FOR) }
    }

    pub(super) async fn read(&self, names: &Names, owner: &Owner) -> Result<BTreeMap<TableId, TableState>, CloudError> {
        let found = in_order(TableId::ALL.iter().map(|id| self.read_one(*id, names, owner))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn read_one(
        &self,
        id: TableId,
        names: &Names,
        owner: &Owner,
    ) -> Result<Option<(TableId, TableState)>, CloudError> {
        let name = names.table(id);
        let answer = self.client.describe_table().table_name(&name).send().await;
        let Some(answer) = absent(answer.map_err(failed("DescribeTable", &name)))? else { return Ok(None) };
        let table = answer.table.ok_or_else(|| unexpected("DescribeTable", &name, "the answer has no table"))?;
        let mut state = state(&table, names.table_arn(id));
        if state.is_active() {
            let rest = async {
                let (ttl, recovery) = match id {
                    TableId::Connections => (self.ttl_attribute(&name).await?, self.recovery(&name).await?),
                    TableId::Presence => (None, Some(false)),
                };
                Ok((self.tags(&name, &state.arn).await?, ttl, recovery))
            };
            let (tags, ttl_attribute, has_recovery) = remembered(&self.known, &name, rest).await?;
            (state.ttl_attribute, state.has_recovery) = (ttl_attribute, has_recovery);
            state.tags = if tags.is_empty() { self.made.get(&name).unwrap_or_default() } else { tags };
        } else {
            // DynamoDB does not tell the tags of a table that is coming or going. Until it does, the table is only
            // waited for, so that taking it for ours can do no harm.
            state.tags = owner.tags();
        }
        Ok(Some((id, state)))
    }

    async fn tags(&self, name: &str, arn: &str) -> Result<Tags, CloudError> {
        let mut tags = Tags::new();
        let mut token = None;
        let mut pages = Pages::of("ListTagsOfResource", name);
        loop {
            let answer = self.client.list_tags_of_resource().resource_arn(arn).set_next_token(token).send().await;
            let answer = answer.map_err(failed("ListTagsOfResource", name))?;
            tags.extend(answer.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())));
            token = pages.after(answer.next_token)?;
            if token.is_none() {
                return Ok(tags);
            }
        }
    }

    async fn ttl_attribute(&self, name: &str) -> Result<Option<String>, CloudError> {
        let answer = self.client.describe_time_to_live().table_name(name).send().await;
        let answer = answer.map_err(failed("DescribeTimeToLive", name))?;
        let Some(ttl) = answer.time_to_live_description else { return Ok(None) };
        // Coming on counts as on: it takes up to an hour.
        let is_on = matches!(ttl.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
        Ok(ttl.attribute_name.filter(|_| is_on))
    }

    /// Whether point-in-time recovery is on; nothing while DynamoDB does not tell, for seconds after a table was made.
    async fn recovery(&self, name: &str) -> Result<Option<bool>, CloudError> {
        let answer = self.client.describe_continuous_backups().table_name(name).send().await;
        let answer = match answer.map_err(failed("DescribeContinuousBackups", name)) {
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Busy) => return Ok(None),
            answer => answer?,
        };
        let recovery = answer.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
        let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(status.map(|status| status == PointInTimeRecoveryStatus::Enabled))
    }

    pub(super) async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(arn, tags)?));
        call.send().await.map(drop).map_err(failed("TagResource", arn))
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        call.send().await.map_err(failed("UntagResource", arn))?;
        self.made.forget(arn.rsplit('/').next().unwrap_or(arn));
        Ok(())
    }

    pub(super) async fn apply(&self, step: &TableStep) -> Result<(), CloudError> {
        match step {
            TableStep::Create { name, table, tags } => self.create(name, table, tags).await,
            TableStep::SetStream { name, on } => {
                let stream = stream(*on).map_err(|error| unexpected("UpdateTable", name, error.to_string()))?;
                let call = self.client.update_table().table_name(name).stream_specification(stream);
                call.send().await.map(drop).map_err(failed("UpdateTable", name))
            }
            TableStep::SetProtection { name, on } => {
                let call = self.client.update_table().table_name(name).deletion_protection_enabled(*on);
                call.send().await.map(drop).map_err(failed("UpdateTable", name))
            }
            TableStep::SetRecovery { name, on } => {
                const OPERATION: &str = "UpdateContinuousBackups";
                let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(*on).build();
                let recovery = recovery.map_err(|error| unexpected(OPERATION, name, error.to_string()))?;
                let call = self.client.update_continuous_backups().table_name(name);
                let call = call.point_in_time_recovery_specification(recovery);
                call.send().await.map(drop).map_err(failed(OPERATION, name))
            }
            TableStep::SetTtl { name, attribute, on } => {
                let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(*on).build();
                let ttl = ttl.map_err(|error| unexpected("UpdateTimeToLive", name, error.to_string()))?;
                let call = self.client.update_time_to_live().table_name(name).time_to_live_specification(ttl);
                call.send().await.map(drop).map_err(failed("UpdateTimeToLive", name))
            }
            TableStep::Delete { name } => {
                deleted(self.client.delete_table().table_name(name).send().await.map_err(failed("DeleteTable", name)))
            }
        }
    }

    async fn create(&self, name: &str, table: &Table, tags: &Tags) -> Result<(), CloudError> {
        const OPERATION: &str = "CreateTable";
        let keys = [(Some(table.partition_key), KeyType::Hash), (table.sort_key, KeyType::Range)];
        let mut call = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .deletion_protection_enabled(table.is_protected == Some(true))
            .set_tags(Some(sdk_tags(name, tags)?));
        for (key, key_type) in keys.into_iter().filter_map(|(key, key_type)| Some((key?, key_type))) {
            let attribute =
                AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S).build();
            let element = KeySchemaElement::builder().attribute_name(key).key_type(key_type).build();
            let (Ok(attribute), Ok(element)) = (attribute, element) else {
                return Err(unexpected(OPERATION, name, "the SDK could not build the key"));
            };
            call = call.attribute_definitions(attribute).key_schema(element);
        }
        if table.has_stream {
            let stream = stream(true).map_err(|error| unexpected(OPERATION, name, error.to_string()))?;
            call = call.stream_specification(stream);
        }
        call.send().await.map_err(failed(OPERATION, name))?;
        self.made.put(name, tags.clone());
        Ok(())
    }
}

fn state(table: &TableDescription, expected_arn: String) -> TableState {
    let stream = table.stream_specification.as_ref().filter(|stream| stream.stream_enabled);
    let is_whole = stream.is_some_and(|stream| stream.stream_view_type == Some(StreamViewType::NewAndOldImages));
    TableState {
        tags: Tags::new(),
        arn: table.table_arn.clone().unwrap_or(expected_arn),
        status: table.table_status.as_ref().map_or("UNKNOWN", |status| status.as_str()).to_owned(),
        stream_arn: table.latest_stream_arn.clone().filter(|_| is_whole),
        has_other_stream: stream.is_some() && !is_whole,
        ttl_attribute: None,
        is_protected: table.deletion_protection_enabled.unwrap_or(false),
        has_recovery: None,
    }
}

fn stream(on: bool) -> Result<StreamSpecification, aws_smithy_types::error::operation::BuildError> {
    // Switching it off must not name a view type.
    StreamSpecification::builder()
        .stream_enabled(on)
        .set_stream_view_type(on.then_some(StreamViewType::NewAndOldImages))
        .build()
}

fn sdk_tags(resource: &str, tags: &Tags) -> Result<Vec<Tag>, CloudError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| unexpected("TagResource", resource, error.to_string()))
}
