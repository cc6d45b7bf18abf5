//! The call that takes our tags off one thing. Each service has its own.

use std::fmt;

use sumu_contract::Function;

use super::Part;
use super::step::{Lane, part_of_queue};
use crate::stack::name::{OWNER_TAG, QueueId, STACK_TAG, TableId, TopicId};

/// The tags that are taken off: ours, and nobody else's.
pub const OUR_TAGS: [&str; 2] = [OWNER_TAG, STACK_TAG];

/// The same as the calls take them.
#[must_use]
pub fn our_tags() -> Vec<String> {
    OUR_TAGS.map(ToOwned::to_owned).to_vec()
}

/// Something that carries our tags, as its service's call names it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields say which thing it is, and what the call that the variant names wants")]
pub enum Tagged {
    /// `UntagResource` of DynamoDB.
    Table { id: TableId, arn: String },
    /// `UntagQueue`.
    Queue { id: QueueId, url: String },
    /// `UntagResource` of SNS.
    Topic { id: TopicId, arn: String },
    /// `UntagRole`.
    Role { function: Function, name: String },
    /// `UntagResource` of CloudWatch Logs.
    LogGroup { function: Function, arn: String },
    /// `UntagResource` of Lambda.
    Function { function: Function, arn: String },
    /// `UntagResource` of Lambda, for an event source.
    Source { function: Function, arn: String },
    /// `UntagResource` of API Gateway.
    Api { arn: String },
    /// `UntagResource` of API Gateway, for a stage.
    Stage { name: String, arn: String },
    /// `UntagResource` of API Gateway, for a domain name.
    Domain { name: String, arn: String },
}

impl Tagged {
    pub(super) const fn part(&self) -> Part {
        match self {
            Self::Table { .. } => Part::Connections,
            Self::Queue { id, .. } => part_of_queue(*id),
            Self::Topic { id: TopicId::Notifications, .. } => Part::Notifications,
            Self::Topic { id: TopicId::Messages, .. } => Part::Messages,
            Self::Role { .. } | Self::LogGroup { .. } | Self::Function { .. } | Self::Source { .. } => Part::Functions,
            Self::Api { .. } | Self::Stage { .. } => Part::Gateway,
            Self::Domain { .. } => Part::CustomDomain,
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
            Self::Source { .. } => "event_source",
            Self::Api { .. } | Self::Stage { .. } => "api",
            Self::Domain { .. } => "domain_name",
        }
    }

    pub(super) const fn lane(&self) -> Lane {
        match self {
            Self::Table { id, .. } => Lane::Table(*id),
            Self::Queue { id, .. } => Lane::Queue(*id),
            Self::Topic { id, .. } => Lane::Topic(*id),
            Self::Role { function, .. } => Lane::Role(*function),
            Self::LogGroup { function, .. } => Lane::LogGroup(*function),
            Self::Function { function, .. } | Self::Source { function, .. } => Lane::Function(*function),
            Self::Api { .. } | Self::Stage { .. } => Lane::Gateway,
            Self::Domain { .. } => Lane::Domain,
        }
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { id, .. } => write!(f, "~ table {id} our tags off"),
            Self::Queue { id, .. } => write!(f, "~ queue {id} our tags off"),
            Self::Topic { id, .. } => write!(f, "~ topic {id} our tags off"),
            Self::Role { function, .. } => write!(f, "~ role {function} our tags off"),
            Self::LogGroup { function, .. } => write!(f, "~ log group {function} our tags off"),
            Self::Function { function, .. } => write!(f, "~ function {function} our tags off"),
            Self::Source { function, .. } => write!(f, "~ event source of {function} our tags off"),
            Self::Api { .. } => write!(f, "~ api our tags off"),
            Self::Stage { name, .. } => write!(f, "~ stage {name} our tags off"),
            Self::Domain { name, .. } => write!(f, "~ domain name {name} our tags off"),
        }
    }
}
