//! What AWS holds of subscriptions to the messages topic. Data only.
//!
//! Everybody may subscribe to the topic, and a subscription carries no tags: it is ours when the topic notes it. All of
//! this is looked at only while the topic has notes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::desired::functions::Permission;
use crate::stack::subscription::{FunctionName, SubscriptionId, shown};

/// Subscriptions to the messages topic, with the functions that they are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscriptions {
    /// The subscriptions, whoever's they are.
    pub listed: Vec<ListedState>,
    /// Whether SNS may invoke the functions that the topic notes, or a subscription that it notes.
    pub functions: BTreeMap<FunctionName, Leave>,
}

/// A subscription as SNS lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedState {
    /// Its ARN; nothing while SNS waits for whoever the endpoint belongs to.
    pub arn: Option<String>,
    /// SNS's word for the protocol.
    pub protocol: String,
    /// Where it delivers.
    pub endpoint: String,
    /// The rest of it. Looked at when it is confirmed and noted.
    pub attributes: Option<AttributesState>,
}

impl ListedState {
    /// What tells it from the others.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        SubscriptionId::of(&self.protocol, &self.endpoint)
    }

    /// As it may stand in logs.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.protocol, &self.endpoint)
    }
}

/// What can be changed of a subscription.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributesState {
    /// Whether a message comes without SNS's envelope.
    pub is_raw: bool,
    /// Its filter policy, if it has one that is not empty.
    pub filter_policy: Option<Value>,
    /// Whether that is one on the body. Ours are on the attributes.
    pub filters_bodies: bool,
    /// The role for Firehose.
    pub role_arn: Option<String>,
    /// The ARN of the queue for what cannot be delivered.
    pub dead_letters_arn: Option<String>,
}

/// Whether SNS may invoke a function because we have said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// There is no statement with our id, or no such function.
    Absent,
    /// There is one.
    Given(Permission),
    /// The function's policy may not be looked at, for this reason.
    Denied(String),
}

impl Subscriptions {
    /// The subscription with an id.
    #[must_use]
    pub fn find(&self, id: SubscriptionId) -> Option<&ListedState> {
        self.listed.iter().find(|listed| listed.id() == id)
    }
}
