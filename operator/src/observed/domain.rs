//! What AWS holds of custom domains. Data only.
//!
//! A domain name that is not ours is here too when our API is, or is to be, mapped under it: it is somebody else's, and
//! our mapping under it is ours. An API mapping carries no tags; it is ours when it leads to our API.

use std::collections::BTreeMap;

use crate::stack::name::Tags;

/// Custom domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    /// The domain names that are ours, or that our API notes.
    pub names: BTreeMap<String, DomainState>,
    /// What the hosted zones that our API notes have under a domain name, by domain name and hosted zone.
    pub zones: BTreeMap<(String, String), ZoneState>,
    /// Why domain names could not be looked at, when that was denied. Nothing is known of them then.
    pub denied: Option<String>,
}

/// A domain name in API Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainState {
    /// Its tags.
    pub tags: Tags,
    /// Whether they are its owner's.
    pub is_ours: bool,
    /// `AVAILABLE`, or what it is going through.
    pub status: String,
    /// API Gateway's words about that.
    pub status_message: Option<String>,
    /// The ARN of its certificate.
    pub certificate_arn: Option<String>,
    /// The name in AWS that it must lead to.
    pub target: String,
    /// The hosted zone of that name.
    pub target_zone_id: String,
    /// What is mapped under it, whoever's it is.
    pub mappings: Vec<MappingState>,
}

impl DomainState {
    /// Whether it takes changes and connections.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status == "AVAILABLE"
    }
}

/// An API mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingState {
    /// Its id.
    pub id: String,
    /// Its key; empty for the root.
    pub key: String,
    /// The API that it leads to.
    pub api_id: String,
    /// Whether that API is ours.
    pub is_ours: bool,
    /// The stage that it leads to.
    pub stage: String,
}

/// What a hosted zone has under one domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneState {
    /// Its records of the types `A`, `AAAA` and `CNAME`.
    Records(Vec<RecordState>),
    /// There is no such hosted zone.
    Absent,
    /// It may not be looked at, for this reason.
    Denied(String),
}

/// A record, as far as we must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordState {
    /// `A`, `AAAA` or `CNAME`.
    pub kind: String,
    /// What it points to when it is a plain alias, as ours are: one without a set identifier that asks for no health.
    pub alias: Option<Alias>,
}

/// Where an alias record points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// A name, without the dot at its end.
    pub target: String,
    /// The hosted zone of that name.
    pub zone_id: String,
}

impl Domains {
    /// Whether nothing of the stack is left. What our API notes is told by the API.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.denied.is_none() && self.names.values().all(|domain| !domain.is_ours)
    }
}
