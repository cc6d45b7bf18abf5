//! The part of the spec that says who receives what clients send.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who receives what clients send, beside whoever polls the messages queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Messages {
    /// How long a message that was received stays hidden from other receivers. Lambda takes no consumer whose timeout is
    /// longer, and AWS advises six times the timeout.
    #[schemars(range(min = 1, max = 43_200))]
    pub visibility_timeout_seconds: u32,
    /// Subscriptions to the messages topic, which has what clients `publish`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub subscriptions: Vec<Subscription>,
    /// Lambda functions of yours that are fed from the messages queue, each with a share of its messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub consumers: Vec<Consumer>,
}

/// One subscription to the messages topic.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.protocol != 'firehose' || has(self.subscriptionRoleArn)")
    .message("a firehose subscription needs subscriptionRoleArn, the role with which SNS writes to the delivery stream"))]
#[x_kube(validation = Rule::new("!self.rawMessageDelivery || self.protocol in ['sqs', 'http', 'https', 'firehose']")
    .message("rawMessageDelivery works only with the protocols sqs, http, https and firehose"))]
pub struct Subscription {
    /// How SNS delivers.
    pub protocol: Protocol,
    /// Where SNS delivers: an ARN, a URL, an e-mail address or a telephone number. A function of the stack's account and
    /// region is given the permission that SNS needs; a queue, and a function elsewhere, must allow it themselves.
    #[schemars(length(min = 1, max = 2048))]
    pub endpoint: String,
    /// Whether the message is delivered without SNS's envelope.
    #[serde(default)]
    pub raw_message_delivery: bool,
    /// Which messages are delivered, by their attributes: an SNS filter policy. All when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "filter_policy_schema")]
    pub filter_policy: BTreeMap<String, serde_json::Value>,
    /// The role with which SNS writes to a Firehose delivery stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub subscription_role_arn: Option<String>,
}

/// How SNS delivers to a subscriber.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A Lambda function.
    Lambda,
    /// A queue.
    Sqs,
    /// A web server, not encrypted.
    Http,
    /// A web server.
    Https,
    /// An e-mail address, which must confirm.
    Email,
    /// A telephone.
    Sms,
    /// A Firehose delivery stream.
    Firehose,
}

impl Protocol {
    /// SNS's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Sqs => "sqs",
            Self::Http => "http",
            Self::Https => "https",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Firehose => "firehose",
        }
    }
}

/// A Lambda function of yours that is fed from the messages queue.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.batchSize <= 10 || self.maximumBatchingWindowSeconds >= 1")
    .message("a batchSize over 10 needs maximumBatchingWindowSeconds of at least 1"))]
pub struct Consumer {
    /// The function, in the stack's account and region; a version or an alias may be named after it. Its role must be
    /// allowed to receive from the messages queue: `status.messages.consumerPolicy` is a policy that does.
    #[schemars(
        length(max = 256),
        regex(
            pattern = "^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:([$]LATEST|[A-Za-z0-9_-]+))?$"
        )
    )]
    pub function_arn: String,
    /// The most messages in one invocation.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch_size: u32,
    /// How long Lambda gathers messages before it invokes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 300))]
    pub maximum_batching_window_seconds: u32,
    /// The most copies of the function that work on this queue at once. No limit of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1000))]
    pub maximum_concurrency: Option<u32>,
}

impl Default for Messages {
    fn default() -> Self {
        Self { visibility_timeout_seconds: 180, subscriptions: Vec::new(), consumers: Vec::new() }
    }
}

fn default_batch_size() -> u32 {
    10
}

fn filter_policy_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
