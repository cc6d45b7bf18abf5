//! The calls that a custom domain takes.

use std::fmt;

use super::{Lane, Step};
use crate::observed::domain::Alias;
use crate::stack::name::Tags;

/// A call to API Gateway or Route 53 about a custom domain.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum DomainStep {
    /// `TagResource` of our API: what will be made is noted there first.
    Note { api_arn: String, tags: Tags },
    /// `UntagResource` of our API, once what was noted is gone.
    Forget { api_arn: String, keys: Vec<String> },
    /// `CreateDomainName`.
    Create { name: String, certificate_arn: String, tags: Tags },
    /// `UpdateDomainName` of the certificate.
    SetCertificate { name: String, certificate_arn: String },
    /// `DeleteDomainName`.
    Delete { name: String },
    /// `CreateApiMapping`.
    Map { name: String, key: String, api_id: String, stage: String },
    /// `UpdateApiMapping` of the stage.
    SetStage { name: String, id: String, key: String, api_id: String, stage: String },
    /// `DeleteApiMapping`.
    Unmap { name: String, id: String, key: String },
    /// `ChangeResourceRecordSets`: all of it happens, or nothing. What is removed must be there exactly so, and what is
    /// added must not be there, so that no record of somebody else's is ever overwritten.
    ChangeRecords { name: String, zone_id: String, remove: Vec<Record>, add: Vec<Record> },
}

/// An alias record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `A` or `AAAA`.
    pub kind: String,
    /// Where it points to.
    pub alias: Alias,
}

impl From<DomainStep> for Step {
    fn from(step: DomainStep) -> Self {
        Self::Domain(step)
    }
}

impl DomainStep {
    /// What is about our API too waits for its turn among the writes to it.
    pub(super) const fn lane(&self) -> Lane {
        match self {
            Self::Note { .. } | Self::Forget { .. } | Self::Map { .. } | Self::SetStage { .. } | Self::Unmap { .. } => {
                Lane::Gateway
            }
            Self::Create { .. } | Self::SetCertificate { .. } | Self::Delete { .. } => Lane::Domain,
            Self::ChangeRecords { .. } => Lane::Records,
        }
    }

    /// What kind of thing the call is about, in one word.
    pub(super) const fn resource(&self) -> &'static str {
        match self {
            Self::Note { .. } | Self::Forget { .. } => "api",
            Self::Create { .. } | Self::SetCertificate { .. } | Self::Delete { .. } => "domain_name",
            Self::Map { .. } | Self::SetStage { .. } | Self::Unmap { .. } => "api_mapping",
            Self::ChangeRecords { .. } => "record",
        }
    }
}

impl fmt::Display for DomainStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note { tags, .. } => write!(f, "~ api note of {}", values(tags)),
            Self::Forget { .. } => write!(f, "~ api notes of what is gone"),
            Self::Create { name, .. } => write!(f, "+ domain name {name}"),
            Self::SetCertificate { name, .. } => write!(f, "~ domain name {name} certificate"),
            Self::Delete { name } => write!(f, "- domain name {name}"),
            Self::Map { name, key, stage, .. } => write!(f, "+ api mapping {name}/{key} to stage {stage}"),
            Self::SetStage { name, key, stage, .. } => write!(f, "~ api mapping {name}/{key} to stage {stage}"),
            Self::Unmap { name, key, .. } => write!(f, "- api mapping {name}/{key}"),
            Self::ChangeRecords { name, zone_id, remove, add } => {
                let (sign, records) = match (remove.is_empty(), add.is_empty()) {
                    (true, _) => ("+", add),
                    (false, true) => ("-", remove),
                    (false, false) => ("~", add),
                };
                write!(f, "{sign} records {} of {name} in hosted zone {zone_id}", kinds(records))
            }
        }
    }
}

fn kinds(records: &[Record]) -> String {
    records.iter().map(|record| record.kind.as_str()).collect::<Vec<_>>().join(", ")
}

fn values(tags: &Tags) -> String {
    tags.values().map(String::as_str).collect::<Vec<_>>().join(", ")
}
