//! Subscriptions to the messages topic in Amazon SNS, and the permissions that they need in AWS Lambda.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sns::types::Subscription;
use serde_json::Value;

use super::calls::remembered;
use super::lambda::permission;
use super::recent::{KNOWN_FOR, Recent};
use super::sns::{dead_letters_arn, listed, sdk_tags};
use super::{absent, deleted, failed};
use crate::cloud::{CloudError, Kind};
use crate::desired::functions::Permission;
use crate::desired::policy::Document;
use crate::observed::TopicState;
use crate::observed::subscriptions::{AttributesState, Leave, ListedState, Subscriptions as Observed};
use crate::plan::step::SubscriptionStep;
use crate::stack::name::{Account, Names, TopicId};
use crate::stack::subscription::notes::Notes;
use crate::stack::subscription::{FunctionName, shown};

pub(super) struct Subscriptions {
    topics: aws_sdk_sns::Client,
    functions: aws_sdk_lambda::Client,
    account: Account,
    /// Attributes by the subscription's ARN, for glances.
    attributes: Recent<Option<AttributesState>>,
    /// Our statements by stack and function, for glances.
    leaves: Recent<Leave>,
}

impl Subscriptions {
    /// The clients are those for topics and for functions.
    pub(super) fn new(topics: aws_sdk_sns::Client, functions: aws_sdk_lambda::Client, account: Account) -> Self {
        let (attributes, leaves) = (Recent::lasting(KNOWN_FOR), Recent::lasting(KNOWN_FOR));
        Self { topics, functions, account, attributes, leaves }
    }

    /// What a topic of ours has, if it notes that there may be something.
    pub(super) async fn read(&self, topic: &TopicState, names: &Names) -> Result<Observed, CloudError> {
        let notes = Notes::of(&topic.tags);
        if !notes.is_open() {
            return Ok(Observed::default());
        }
        let rows = Box::pin(listed(&self.topics, &names.topic(TopicId::Messages), &topic.arn)).await?;
        let mut found: Vec<ListedState> = rows.into_iter().filter_map(state).collect();
        // SNS may list one that was never confirmed beside its successor.
        found.sort_by_key(|listed| listed.arn.is_none());
        let mut functions: BTreeSet<FunctionName> = notes.functions().cloned().collect();
        for listed in found.iter_mut().filter(|listed| notes.has_subscription(listed.id())) {
            if let Some(arn) = &listed.arn {
                let read = Box::pin(self.attributes(arn));
                listed.attributes = remembered(&self.attributes, arn, read).await?;
            }
            functions.extend(FunctionName::of(&listed.protocol, &listed.endpoint, &self.account));
        }
        let mut leaves = BTreeMap::new();
        for name in functions {
            let leave = Box::pin(self.leave(&name, &names.statement_id(TopicId::Messages))).await?;
            leaves.insert(name, leave);
        }
        Ok(Observed { listed: found, functions: leaves })
    }

    /// The attributes of a subscription; nothing when it is gone.
    async fn attributes(&self, arn: &str) -> Result<Option<AttributesState>, CloudError> {
        let answer = self.topics.get_subscription_attributes().subscription_arn(arn).send().await;
        let answer = absent(answer.map_err(failed("GetSubscriptionAttributes", arn)))?;
        Ok(answer.map(|answer| attributes(&answer.attributes.unwrap_or_default().into_iter().collect())))
    }

    /// Whether a function's policy has our statement. One function that may not be looked at holds up no other.
    async fn leave(&self, name: &FunctionName, sid: &str) -> Result<Leave, CloudError> {
        let key = format!("{sid} {name}");
        match remembered(&self.leaves, &key, Box::pin(self.read_leave(name, sid))).await {
            Err(error) if error.kind == Kind::Denied => Ok(Leave::Denied(error.to_string())),
            leave => leave,
        }
    }

    async fn read_leave(&self, name: &FunctionName, sid: &str) -> Result<Leave, CloudError> {
        let call = self.functions.get_policy().function_name(&name.name).set_qualifier(name.qualifier.clone());
        let answer = absent(call.send().await.map_err(failed("GetPolicy", name.to_string())))?;
        let document = Document::parse(answer.and_then(|answer| answer.policy).as_deref().unwrap_or("{}"));
        let ours = document.statements().map(permission).find(|permission| permission.sid == sid);
        Ok(ours.map_or(Leave::Absent, Leave::Given))
    }

    pub(super) async fn apply(&self, step: &SubscriptionStep) -> Result<(), CloudError> {
        match step {
            SubscriptionStep::Note { topic_arn, tags } => {
                let call = self.topics.tag_resource().resource_arn(topic_arn);
                let call = call.set_tags(Some(sdk_tags(topic_arn, tags)?));
                call.send().await.map(drop).map_err(failed("TagResource", topic_arn))
            }
            SubscriptionStep::Forget { topic_arn, keys } => {
                let call = self.topics.untag_resource().resource_arn(topic_arn).set_tag_keys(Some(keys.clone()));
                call.send().await.map(drop).map_err(failed("UntagResource", topic_arn))
            }
            SubscriptionStep::Permit { function, permission } => Box::pin(self.permit(function, permission)).await,
            SubscriptionStep::Forbid { function, sid } => Box::pin(self.forbid(function, sid)).await,
            SubscriptionStep::Subscribe { topic_arn, protocol, endpoint, attributes } => {
                let mut call = self.topics.subscribe().topic_arn(topic_arn).protocol(protocol.as_str());
                call = call.endpoint(endpoint).return_subscription_arn(true);
                for (name, value) in attributes {
                    call = call.attributes(*name, value);
                }
                let shown = shown(protocol.as_str(), endpoint);
                let answer = call.send().await.map(drop).map_err(failed("Subscribe", &shown));
                answer.map_err(|error| without(endpoint, &shown, error))
            }
            SubscriptionStep::Set { id: _, shown, subscription_arn, attribute, value } => {
                let call = self.topics.set_subscription_attributes().subscription_arn(subscription_arn);
                let call = call.attribute_name(*attribute).attribute_value(value);
                call.send().await.map(drop).map_err(failed("SetSubscriptionAttributes", shown))
            }
            SubscriptionStep::Unsubscribe { id: _, shown, subscription_arn } => {
                let answer = self.topics.unsubscribe().subscription_arn(subscription_arn).send().await;
                deleted(answer.map_err(failed("Unsubscribe", shown)))
            }
        }
    }

    async fn permit(&self, function: &FunctionName, permission: &Permission) -> Result<(), CloudError> {
        let call = self
            .functions
            .add_permission()
            .function_name(&function.name)
            .set_qualifier(function.qualifier.clone())
            .statement_id(&permission.sid)
            .action("lambda:InvokeFunction")
            .principal(&permission.principal)
            .source_arn(&permission.source_arn);
        let answer = call.send().await.map(drop).map_err(failed("AddPermission", function.to_string()));
        answer.map_err(|mut error| {
            // It is not ours to make, so that it will not be there by itself.
            if error.kind == Kind::NotFound {
                error.kind = Kind::Rejected;
                error.message.push_str(". Make the function, or take it out of spec.messages.subscriptions");
            }
            error
        })
    }

    async fn forbid(&self, function: &FunctionName, sid: &str) -> Result<(), CloudError> {
        let call = self.functions.remove_permission().function_name(&function.name);
        let call = call.set_qualifier(function.qualifier.clone()).statement_id(sid);
        deleted(call.send().await.map_err(failed("RemovePermission", function.to_string())))
    }
}

/// An endpoint may be a person's address, or hold a secret: SNS's words may have it, ours may not.
fn without(endpoint: &str, shown: &str, mut error: CloudError) -> CloudError {
    error.message = error.message.replace(endpoint, shown);
    error
}

/// A subscription as it is listed; nothing for one that is deleted, which SNS goes on to list for a while.
fn state(listed: Subscription) -> Option<ListedState> {
    let arn = match listed.subscription_arn.as_deref() {
        Some(arn) if arn.starts_with("arn:") => Some(arn.to_owned()),
        Some("PendingConfirmation") => None,
        _ => return None,
    };
    let (protocol, endpoint) = (listed.protocol.unwrap_or_default(), listed.endpoint.unwrap_or_default());
    Some(ListedState { arn, protocol, endpoint, attributes: None })
}

fn attributes(found: &BTreeMap<String, String>) -> AttributesState {
    let text = |name: &str| found.get(name).filter(|text| !text.is_empty());
    let filter_policy = text("FilterPolicy").map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    AttributesState {
        is_raw: text("RawMessageDelivery").is_some_and(|text| text.eq_ignore_ascii_case("true")),
        filter_policy: filter_policy.filter(|policy| policy.as_object().is_none_or(|keys| !keys.is_empty())),
        filters_bodies: text("FilterPolicyScope").is_some_and(|text| text == "MessageBody"),
        role_arn: text("SubscriptionRoleArn").cloned(),
        dead_letters_arn: dead_letters_arn(text("RedrivePolicy").map_or("", String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_for_a_confirmation_has_no_arn_and_what_is_deleted_is_not_there() {
        let of = |arn: &str| state(Subscription::builder().subscription_arn(arn).protocol("email").build());
        assert_eq!(of("arn:aws:sns:r:1:t:id").unwrap().arn.as_deref(), Some("arn:aws:sns:r:1:t:id"));
        assert_eq!(of("PendingConfirmation").unwrap().arn, None);
        assert_eq!(of("Deleted"), None);
    }

    #[test]
    fn attributes_are_read_in_the_forms_that_sns_has_for_them() {
        let of = |pairs: &[(&str, &str)]| {
            attributes(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[]), AttributesState::default());
        let empty = [("FilterPolicy", "{}"), ("RawMessageDelivery", "false"), ("RedrivePolicy", "{}")];
        assert_eq!(of(&empty), AttributesState::default());
        let whole = of(&[
            ("FilterPolicy", r#"{"source": ["a"]}"#),
            ("FilterPolicyScope", "MessageBody"),
            ("RawMessageDelivery", "true"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn": "arn:d"}"#),
            ("SubscriptionRoleArn", "arn:r"),
        ]);
        let expected = AttributesState {
            is_raw: true,
            filter_policy: Some(json!({"source": ["a"]})),
            filters_bodies: true,
            role_arn: Some("arn:r".into()),
            dead_letters_arn: Some("arn:d".into()),
        };
        assert_eq!(whole, expected);
        assert_eq!(of(&[("FilterPolicy", "no JSON")]).filter_policy, Some(Value::Null), "it equals no other");
    }

    #[test]
    fn an_endpoint_that_sns_repeats_is_not_told() {
        let error = CloudError {
            operation: "Subscribe",
            resource: "https a.example".into(),
            kind: Kind::Rejected,
            code: "InvalidParameter".into(),
            message: "Invalid parameter: https://a.example/secret is unreachable".into(),
        };
        let told = without("https://a.example/secret", "https a.example", error).to_string();
        assert!(told.ends_with("Invalid parameter: https a.example is unreachable"), "{told}");
    }
}
