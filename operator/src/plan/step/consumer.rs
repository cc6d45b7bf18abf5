//! The calls that a consumer takes.

use std::fmt;

use super::{Lane, Step};
use crate::desired::consumers::Consumer;
use crate::stack::consumers::name;
use crate::stack::name::Tags;

/// A call to Lambda about what feeds one of the users' functions.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum ConsumerStep {
    /// `CreateEventSourceMapping`.
    Create { function_arn: String, queue_arn: String, consumer: Consumer, tags: Tags },
    /// `UpdateEventSourceMapping`.
    Update { function_arn: String, queue_arn: String, uuid: String, consumer: Consumer },
    /// `DeleteEventSourceMapping`.
    Delete { function_arn: String, uuid: String },
}

impl From<ConsumerStep> for Step {
    fn from(step: ConsumerStep) -> Self {
        Self::Consumer(step)
    }
}

impl ConsumerStep {
    /// The function that is fed.
    #[must_use]
    pub fn function_arn(&self) -> &str {
        match self {
            Self::Create { function_arn, .. }
            | Self::Update { function_arn, .. }
            | Self::Delete { function_arn, .. } => function_arn,
        }
    }

    /// One function that is refused holds up no other.
    pub(super) fn lane(&self) -> Lane {
        Lane::Consumer(self.function_arn().to_owned())
    }
}

impl fmt::Display for ConsumerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = name(self.function_arn());
        match self {
            Self::Create { .. } => write!(f, "+ consumer {name}"),
            Self::Update { .. } => write!(f, "~ consumer {name}"),
            Self::Delete { .. } => write!(f, "- consumer {name}"),
        }
    }
}
