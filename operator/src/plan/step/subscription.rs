//! The calls that subscriptions to the messages topic take.

use std::collections::BTreeMap;
use std::fmt;

use super::{Lane, Step};
use crate::desired::functions::Permission;
use crate::stack::name::{Tags, TopicId};
use crate::stack::subscription::{FunctionName, SubscriptionId, shown};
use crate::sumu_stack::Protocol;

/// A call to SNS or Lambda about a subscription to the messages topic.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum SubscriptionStep {
    /// `TagResource` of the topic: what will be made is noted there first, and no longer when it is gone.
    Note { topic_arn: String, tags: Tags },
    /// `UntagResource` of the topic, for tags that note nothing any more.
    Forget { topic_arn: String, keys: Vec<String> },
    /// `AddPermission` of a user's function.
    Permit { function: FunctionName, permission: Permission },
    /// `RemovePermission` of a user's function.
    Forbid { function: FunctionName, sid: String },
    /// `Subscribe`.
    Subscribe { topic_arn: String, protocol: Protocol, endpoint: String, attributes: BTreeMap<&'static str, String> },
    /// `SetSubscriptionAttributes` of one that differs.
    Set { id: SubscriptionId, shown: String, subscription_arn: String, attribute: &'static str, value: String },
    /// `Unsubscribe`.
    Unsubscribe { id: SubscriptionId, shown: String, subscription_arn: String },
}

impl From<SubscriptionStep> for Step {
    fn from(step: SubscriptionStep) -> Self {
        Self::Subscription(step)
    }
}

impl SubscriptionStep {
    /// One that fails holds up no other.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Note { .. } | Self::Forget { .. } => Lane::Topic(TopicId::Messages),
            // Parallel changes of a policy lose permissions; an alias has a policy of its own.
            Self::Permit { function, .. } | Self::Forbid { function, .. } => {
                Lane::Subscription(SubscriptionId::of("", &function.to_string()))
            }
            Self::Subscribe { protocol, endpoint, .. } => {
                Lane::Subscription(SubscriptionId::of(protocol.as_str(), endpoint))
            }
            Self::Set { id, .. } | Self::Unsubscribe { id, .. } => Lane::Subscription(*id),
        }
    }

    /// What kind of thing the call is about, in one word.
    pub(super) const fn resource(&self) -> &'static str {
        match self {
            Self::Note { .. } | Self::Forget { .. } => "topic",
            Self::Permit { .. } | Self::Forbid { .. } => "permission",
            Self::Subscribe { .. } | Self::Set { .. } | Self::Unsubscribe { .. } => "subscription",
        }
    }
}

impl fmt::Display for SubscriptionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note { .. } => write!(f, "~ topic messages notes of subscriptions"),
            Self::Forget { .. } => write!(f, "~ topic messages notes of what is gone"),
            Self::Permit { function, .. } => write!(f, "+ permission of function {function} for topic messages"),
            Self::Forbid { function, .. } => write!(f, "- permission of function {function} for topic messages"),
            Self::Subscribe { protocol, endpoint, .. } => {
                write!(f, "+ subscription {}", shown(protocol.as_str(), endpoint))
            }
            Self::Set { shown, attribute, .. } => write!(f, "~ subscription {shown} {attribute}"),
            Self::Unsubscribe { shown, .. } => write!(f, "- subscription {shown}"),
        }
    }
}
