//! What carries tags. Each service has its own calls that set them and take them off.

use std::fmt;

use sumu_contract::Function;

use super::Part;
use super::step::{Lane, part_of_log_group, part_of_queue};
use crate::stack::consumers;
use crate::stack::name::{LogGroupId, OWNER_TAG, QueueId, STACK_TAG, TableId, TopicId};
use crate::stack::tags::NOTED_TAG;

/// The tags that are taken off what is let go: the operator's own, and nobody else's.
const OUR_TAGS: [&str; 3] = [OWNER_TAG, STACK_TAG, NOTED_TAG];

/// The same as the calls take them.
#[must_use]
pub fn our_tags() -> Vec<String> {
    OUR_TAGS.map(ToOwned::to_owned).to_vec()
}

/// Whether these are the tags by which a thing is ours.
pub(super) fn is_ours(keys: &[String]) -> bool {
    keys.iter().any(|key| key == OWNER_TAG)
}

/// Something that carries tags, as its service's calls name it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields say which thing it is, and what the call that the variant names wants")]
pub enum Tagged {
    /// DynamoDB: `TagResource`, `UntagResource`.
    Table { id: TableId, arn: String },
    /// SQS: `TagQueue`, `UntagQueue`.
    Queue { id: QueueId, url: String },
    /// SNS: `TagResource`, `UntagResource`.
    Topic { id: TopicId, arn: String },
    /// IAM: `TagRole`, `UntagRole`.
    Role { function: Function, name: String },
    /// CloudWatch Logs: `TagResource`, `UntagResource`.
    LogGroup { id: LogGroupId, arn: String },
    /// Lambda: `TagResource`, `UntagResource`.
    Function { function: Function, arn: String },
    /// The same of Lambda, for an event source.
    Source { function: Function, arn: String },
    /// The same of Lambda, for what feeds a function of the users'.
    Consumer { function_arn: String, arn: String },
    /// API Gateway: `TagResource`, `UntagResource`.
    Api { arn: String },
    /// The same of API Gateway, for a stage.
    Stage { name: String, arn: String },
    /// The same of API Gateway, for a domain name.
    Domain { name: String, arn: String },
}

impl Tagged {
    pub(super) const fn part(&self) -> Part {
        match self {
            Self::Table { .. } => Part::Connections,
            Self::Queue { id, .. } => part_of_queue(*id),
            Self::Topic { id: TopicId::Notifications, .. } => Part::Notifications,
            Self::Topic { id: TopicId::Messages, .. } => Part::Messages,
            Self::Role { .. } | Self::Function { .. } | Self::Source { .. } => Part::Functions,
            Self::LogGroup { id, .. } => part_of_log_group(*id),
            Self::Api { .. } | Self::Stage { .. } => Part::Gateway,
            Self::Domain { .. } => Part::CustomDomain,
            Self::Consumer { .. } => Part::Consumers,
        }
    }

    pub(super) const fn resource(&self) -> &'static str {
        match self {
            Self::Table { .. } => "table",
            Self::Queue { .. } => "queue",
            Self::Topic { .. } => "topic",
            Self::Role { .. } => "role",
            Self::LogGroup { .. } => "log_group",
            Self::Function { .. } => "function",
            Self::Source { .. } | Self::Consumer { .. } => "event_source",
            Self::Api { .. } | Self::Stage { .. } => "api",
            Self::Domain { .. } => "domain_name",
        }
    }

    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Table { id, .. } => Lane::Table(*id),
            Self::Queue { id, .. } => Lane::Queue(*id),
            Self::Topic { id, .. } => Lane::Topic(*id),
            Self::Role { function, .. } => Lane::Role(*function),
            Self::LogGroup { id, .. } => Lane::LogGroup(*id),
            Self::Function { function, .. } | Self::Source { function, .. } => Lane::Function(*function),
            Self::Api { .. } | Self::Stage { .. } => Lane::Gateway,
            Self::Domain { .. } => Lane::Domain,
            Self::Consumer { function_arn, .. } => Lane::Consumer(function_arn.clone()),
        }
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { id, .. } => write!(f, "table {id}"),
            Self::Queue { id, .. } => write!(f, "queue {id}"),
            Self::Topic { id, .. } => write!(f, "topic {id}"),
            Self::Role { function, .. } => write!(f, "role {function}"),
            Self::LogGroup { id, .. } => write!(f, "log group {id}"),
            Self::Function { function, .. } => write!(f, "function {function}"),
            Self::Source { function, .. } => write!(f, "event source of {function}"),
            Self::Consumer { function_arn, .. } => write!(f, "consumer {}", consumers::name(function_arn)),
            Self::Api { .. } => write!(f, "api"),
            Self::Stage { name, .. } => write!(f, "stage {name}"),
            Self::Domain { name, .. } => write!(f, "domain name {name}"),
        }
    }
}
