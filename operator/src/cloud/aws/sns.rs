//! Topics in Amazon SNS.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::{Subscription, Tag};
use serde_json::json;
use sumu_contract::Function;

use super::answers::{NoEmptyAnswers, Pages};
use super::calls::{CallCounter, remembered};
use super::denials::in_order;
use super::recent::{KNOWN_FOR, Recent};
use super::{absent, deleted, failed, unexpected};
use crate::cloud::CloudError;
use crate::observed::{SubscriptionState, TopicState};
use crate::plan::step::TopicStep;
use crate::stack::name::{Names, Tags, TopicId};

const REDRIVE: &str = "RedrivePolicy";

pub(super) struct Topics {
    pub(super) client: Client,
    /// Dead-letter queues by the subscription's ARN, for glances.
    known: Recent<Option<String>>,
}

impl Topics {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config =
            aws_sdk_sns::config::Builder::from(config).interceptor(CallCounter).interceptor(NoEmptyAnswers).build();
        Self { client: Client::from_conf(config), known: Recent::lasting(KNOWN_FOR) }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<TopicId, TopicState>, CloudError> {
        let found = in_order(TopicId::ALL.iter().map(|id| self.read_one(*id, names))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn read_one(&self, id: TopicId, names: &Names) -> Result<Option<(TopicId, TopicState)>, CloudError> {
        let (name, arn) = (names.topic(id), names.topic_arn(id));
        // No attribute of a topic is ours to set, so its tags tell all: whether it exists and whose it is.
        let tags = self.client.list_tags_for_resource().resource_arn(&arn).send().await;
        let Some(tags) = absent(tags.map_err(failed("ListTagsForResource", &name)))? else { return Ok(None) };
        let tags = tags.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let subscriptions = match id {
            TopicId::Notifications => self.subscriptions(&name, &arn, &names.function_arn(Function::Pusher)).await?,
            TopicId::Messages => Vec::new(),
        };
        Ok(Some((id, TopicState { tags, arn, subscriptions })))
    }

    async fn subscriptions(
        &self,
        name: &str,
        topic_arn: &str,
        pusher_arn: &str,
    ) -> Result<Vec<SubscriptionState>, CloudError> {
        let rows = listed(&self.client, name, topic_arn).await?.into_iter();
        let mut found: Vec<SubscriptionState> = rows
            .map(|row| SubscriptionState {
                arn: row.subscription_arn.unwrap_or_default(),
                protocol: row.protocol.unwrap_or_default(),
                endpoint: row.endpoint.unwrap_or_default(),
                dead_letters_arn: None,
            })
            .collect();
        // Only the pusher is subscribed by us; what others subscribe is theirs, and may not even have an ARN yet.
        for subscription in found.iter_mut().filter(|subscription| subscription.endpoint == pusher_arn) {
            let read = self.dead_letters_arn(&subscription.arn);
            subscription.dead_letters_arn = remembered(&self.known, &subscription.arn, read).await?;
        }
        Ok(found)
    }

    async fn dead_letters_arn(&self, subscription_arn: &str) -> Result<Option<String>, CloudError> {
        let answer = self.client.get_subscription_attributes().subscription_arn(subscription_arn).send().await;
        let answer = absent(answer.map_err(failed("GetSubscriptionAttributes", subscription_arn)))?;
        let policy = answer.and_then(|answer| answer.attributes?.remove(REDRIVE)).unwrap_or_default();
        Ok(dead_letters_arn(&policy))
    }

    pub(super) async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(arn, tags)?));
        call.send().await.map(drop).map_err(failed("TagResource", arn))
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        call.send().await.map(drop).map_err(failed("UntagResource", arn))
    }

    pub(super) async fn apply(&self, step: &TopicStep) -> Result<(), CloudError> {
        match step {
            TopicStep::Create { name, tags } => {
                let call = self.client.create_topic().name(name).set_tags(Some(sdk_tags(name, tags)?));
                call.send().await.map(drop).map_err(failed("CreateTopic", name))
            }
            TopicStep::Subscribe { topic_arn, function_arn, dead_letters_arn } => {
                let call = self
                    .client
                    .subscribe()
                    .topic_arn(topic_arn)
                    .protocol("lambda")
                    .endpoint(function_arn)
                    .return_subscription_arn(true)
                    .attributes(REDRIVE, redrive(dead_letters_arn));
                call.send().await.map(drop).map_err(failed("Subscribe", topic_arn))
            }
            TopicStep::SetDeadLetters { subscription_arn, dead_letters_arn } => {
                let call = self
                    .client
                    .set_subscription_attributes()
                    .subscription_arn(subscription_arn)
                    .attribute_name(REDRIVE)
                    .attribute_value(redrive(dead_letters_arn));
                call.send().await.map(drop).map_err(failed("SetSubscriptionAttributes", subscription_arn))
            }
            TopicStep::Unsubscribe { subscription_arn } => {
                let answer = self.client.unsubscribe().subscription_arn(subscription_arn).send().await;
                deleted(answer.map_err(failed("Unsubscribe", subscription_arn)))
            }
            TopicStep::Delete { arn } => {
                deleted(self.client.delete_topic().topic_arn(arn).send().await.map_err(failed("DeleteTopic", arn)))
            }
        }
    }
}

/// All subscriptions to a topic, whoever's they are.
pub(super) async fn listed(client: &Client, name: &str, topic_arn: &str) -> Result<Vec<Subscription>, CloudError> {
    const OPERATION: &str = "ListSubscriptionsByTopic";
    let mut found = Vec::new();
    let mut token = None;
    let mut pages = Pages::of(OPERATION, name);
    loop {
        let call = client.list_subscriptions_by_topic().topic_arn(topic_arn).set_next_token(token);
        let answer = call.send().await.map_err(failed(OPERATION, name))?;
        found.extend(answer.subscriptions.unwrap_or_default());
        token = pages.after(answer.next_token)?;
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// The queue that a redrive policy names.
pub(super) fn dead_letters_arn(policy: &str) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
    policy["deadLetterTargetArn"].as_str().map(ToOwned::to_owned)
}

fn redrive(dead_letters_arn: &str) -> String {
    json!({ "deadLetterTargetArn": dead_letters_arn }).to_string()
}

pub(super) fn sdk_tags(resource: &str, tags: &Tags) -> Result<Vec<Tag>, CloudError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| unexpected("TagResource", resource, error.to_string()))
}
