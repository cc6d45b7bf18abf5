//! What the operator reports about a stack.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What exists in AWS for this stack and how far the operator has got.
// The default is what tools that know kstatus need to see of an object that nobody has looked at yet: without it they
// would take it for done.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = json!({"observedGeneration": -1})))]
pub struct SumuStackStatus {
    /// The generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The value of the annotation `sumu.live/reconcile-requested-at` that the last look has heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The beginning of the message of `Ready`, short enough for a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// `Ready` and one condition for each part of the stack.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The AWS account and region that the stack lives in. Written before anything is made there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsStatus>,
    /// Where clients connect: under the custom domain once that is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// API Gateway's id of the WebSocket API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_id: Option<String>,
    /// Name of the API's stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_name: Option<String>,
    /// Base address of API Gateway's management API (`@connections`) for this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_endpoint: Option<String>,
    /// The custom domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_domain: Option<CustomDomainStatus>,
    /// The connections table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_table: Option<TableStatus>,
    /// The presence table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_table: Option<TableStatus>,
    /// Where backends ask for a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<MessagingStatus>,
    /// Where backends receive what clients send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<MessagingStatus>,
    /// The four functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<FunctionsStatus>,
    /// What somebody had changed in AWS when that last happened. Stays until it happens again; absent before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,
}

/// What differed in AWS although nobody had changed the spec.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// When it was seen.
    #[schemars(extend("format" = "date-time"))]
    pub observed_at: ApiServerTime,
    /// The generation of the spec that had been in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What the operator began with to put it right, ten things at most. What comes after them is not counted: of an API that
    /// was deleted, for example, its routes.
    #[schemars(length(max = 10))]
    pub changes: Vec<String>,
    /// How many things that were, named here or not.
    pub count: u32,
}

/// An AWS account and region.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwsStatus {
    /// Twelve digits.
    pub account_id: String,
    /// For example `us-east-1`.
    pub region: String,
}

/// A time as the API server writes it: RFC 3339 in UTC with whole seconds.
pub type ApiServerTime = String;

/// One observation about the stack.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed, for example `Ready`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// A word for programs.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// A sentence for people.
    #[schemars(length(max = 32_768))]
    pub message: String,
    /// When `status` last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: ApiServerTime,
    /// The generation of the spec that was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Whether a condition holds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
}

impl ConditionStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A DynamoDB table.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TableStatus {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The ARN of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_arn: Option<String>,
}

/// A topic and a queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MessagingStatus {
    /// The topic's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_arn: Option<String>,
    /// The queue's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// The queue's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_arn: Option<String>,
    /// The URL of the queue's dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_url: Option<String>,
    /// The URL of the queue with what SNS could not deliver to `spec.messages.subscriptions`; only for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions_dead_letter_queue_url: Option<String>,
    /// The IAM policy that the role of a consumer's function needs, as JSON. Only of the messages queue, and only with
    /// consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_policy: Option<String>,
}

/// The four functions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FunctionsStatus {
    /// Decides who may connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorizer: Option<FunctionStatus>,
    /// Answers the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<FunctionStatus>,
    /// Sends notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<FunctionStatus>,
    /// Announces who comes and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<FunctionStatus>,
}

/// A Lambda function.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// Its ARN.
    pub arn: String,
    /// Base64 of the SHA-256 of its package, as Lambda reports it.
    pub code_sha256: String,
}

/// A custom domain as the domain's owner needs it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CustomDomainStatus {
    /// The domain name.
    pub domain_name: String,
    /// Where the domain's CNAME or alias record must point.
    pub target: String,
    /// The Route 53 hosted zone of the target.
    pub hosted_zone_id: String,
}
