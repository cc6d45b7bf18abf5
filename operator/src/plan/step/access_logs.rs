//! The calls that access logs take.

use std::fmt;

use super::{Part, Step};
use crate::desired::access_logs::AccessLogs;
use crate::stack::name::LogGroupId;

/// A call to API Gateway about what a stage writes of each request.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum AccessLogStep {
    /// `UpdateStage` of the access logs.
    Set { api_id: String, stage: String, logs: AccessLogs },
    /// `DeleteAccessLogSettings`: an update leaves as it was what it does not name.
    Remove { api_id: String, stage: String },
}

impl From<AccessLogStep> for Step {
    fn from(step: AccessLogStep) -> Self {
        Self::AccessLogs(step)
    }
}

impl fmt::Display for AccessLogStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { stage, .. } => write!(f, "~ stage {stage} access logs on"),
            Self::Remove { stage, .. } => write!(f, "~ stage {stage} access logs off"),
        }
    }
}

/// The part that a log group is of.
pub(in crate::plan) const fn part_of_log_group(id: LogGroupId) -> Part {
    match id {
        LogGroupId::Function(_) => Part::Functions,
        LogGroupId::AccessLogs => Part::AccessLogs,
    }
}
