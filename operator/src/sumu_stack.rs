//! The `SumuStack` custom resource: what a platform team writes and what it reads back.
//!
//! The types here are the wire form. Ranges, exclusions and immutability stand beside the fields as OpenAPI
//! and CEL rules, so that the API server refuses a wrong object with a sentence that tells the remedy.
//! What no rule can say is checked again in [`crate::stack`].

mod adoption;
mod messages;
mod package;
mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use adoption::Adoption;
pub use messages::{Consumer, Messages, Protocol, Subscription};
pub use package::{CodeSha256, Embedded, Package, S3Package};
pub use status::{
    ApiServerTime, AwsStatus, Condition, ConditionStatus, CustomDomainStatus, DriftStatus, FunctionStatus,
    FunctionsStatus, MessagingStatus, SumuStackStatus, TableStatus,
};

/// Live WebSockets on AWS without servers: one API Gateway WebSocket API with everything behind it.
///
/// The operator makes and keeps a connections and a presence table, topics and queues in and out, and four
/// functions in one AWS account and region, and reports the endpoint and the ARNs in the status.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "sumu.live",
    version = "v1alpha1",
    kind = "SumuStack",
    namespaced,
    shortname = "sumu",
    category = "all",
    status = "SumuStackStatus",
    derive = "PartialEq",
    doc = "Live WebSockets on AWS without servers: one API Gateway WebSocket API with everything behind it.",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.summary"}"#,
    printcolumn = r#"{"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "priority": 1, "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name": "Drift", "type": "date", "priority": 1, "jsonPath": ".status.drift.observedAt"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.aws.region) == has(oldSelf.aws.region) && (!has(self.aws.region) || self.aws.region == oldSelf.aws.region)")
    .message("spec.aws.region cannot change: make a second SumuStack in the other region, move the clients, then delete this one"))]
#[x_kube(validation = Rule::new("has(self.aws.roleArn) == has(oldSelf.aws.roleArn) && (!has(self.aws.roleArn) || self.aws.roleArn.split(':')[4] == oldSelf.aws.roleArn.split(':')[4])")
    .message("spec.aws.roleArn cannot move the stack to another account: make a second SumuStack there, move the clients, then delete this one"))]
#[x_kube(validation = Rule::new("self.stageName == oldSelf.stageName")
    .message("spec.stageName cannot change, because it is part of the clients' URL: make a second SumuStack"))]
#[x_kube(validation = Rule::new("has(self.adoption) == has(oldSelf.adoption) && (!has(self.adoption) || self.adoption == oldSelf.adoption)")
    .message("spec.adoption is settled when the object is made and can be neither added, changed nor taken away: names and ownership in AWS follow from it, and what is there now would be nobody's"))]
pub struct SumuStackSpec {
    /// Where in AWS the stack lives.
    #[serde(default)]
    pub aws: Aws,
    /// Name of the API's stage, the last part of the clients' URL. Cannot change.
    #[serde(default = "default_stage_name")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub stage_name: String,
    /// Tags for every AWS resource of the stack, beside the operator's own `sumu.live/...` tags. One that leaves the spec
    /// leaves the resources; tags of others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 40), schema_with = "tags_schema")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('aws:') && !key.startsWith('sumu.live/') && size(key) >= 1 && size(key) <= 128)")
        .message("a tag key has 1 to 128 characters and must not start with 'aws:' (reserved by AWS) or 'sumu.live/' (the operator's own)"))]
    pub tags: BTreeMap<String, String>,
    /// Who may connect.
    pub authorizer: Authorizer,
    /// How connections are kept.
    #[serde(default)]
    pub connections: Connections,
    /// The WebSocket API.
    #[serde(default)]
    pub gateway: Gateway,
    /// How the coming and going of users is announced.
    #[serde(default)]
    pub presence: Presence,
    /// How notifications are sent.
    #[serde(default)]
    pub pusher: Pusher,
    /// Who receives what clients send.
    #[serde(default)]
    pub messages: Messages,
    /// The four Lambda functions.
    #[serde(default)]
    pub functions: Functions,
    /// Where the stack's addresses are written for applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// What happens to the AWS resources when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How a deletion goes with `deletionPolicy: Delete`.
    #[serde(default)]
    pub deletion: Deletion,
    /// While true the operator makes no change in AWS. Deleting the object still works.
    #[serde(default)]
    pub suspend: bool,
    /// How many seconds pass between two looks at this stack once it is in place, give or take a tenth. As the operator's
    /// `--resync-seconds` says for all stacks, 600 by default, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 86_400))]
    pub resync_seconds: Option<u32>,
    /// Takes over the stack of an object that is gone, as from a cluster that was restored or made anew: the same resources
    /// in AWS, the same address for clients. The stack must be there, and no other object may have it. Only when the object
    /// is made; cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
}

/// Where in AWS a stack lives.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.externalId) || has(self.roleArn)")
    .message("spec.aws.externalId needs spec.aws.roleArn: an external id is used only when a role is assumed"))]
pub struct Aws {
    /// The region, for example `us-east-1`. Defaults to the operator's own. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^[a-z]{2,}(-[a-z]+)+-[0-9]+$"))]
    pub region: Option<String>,
    /// A role that the operator assumes for this stack, usually in another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    pub external_id: Option<String>,
}

/// Who may connect: whoever has a JSON Web Token of one of the issuers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Authorizer {
    /// Whose tokens are accepted.
    #[schemars(length(min = 1, max = 10))]
    pub issuers: Vec<Issuer>,
    /// Whether an expired token is refused.
    #[serde(default = "default_true")]
    pub verify_expiration: bool,
    /// Allowed difference in seconds between the issuer's clock and AWS's.
    #[serde(default = "default_leeway_seconds")]
    #[schemars(range(min = 0, max = 600))]
    pub leeway_seconds: u32,
    /// The claim that names the user.
    #[serde(default = "default_principal_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub principal_claim: String,
    /// Where a client may put its token: the query parameter `authorization`, the header
    /// `Authorization: Bearer`, or the WebSocket subprotocols `sumu, <token>`.
    #[serde(default = "default_token_sources")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub token_sources: Vec<TokenSource>,
}

/// One issuer of tokens.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.jwksUri.startsWith('https://') || self.jwksUri.matches('^http://(localhost|127[.]0[.]0[.]1)[:/]')")
    .message("jwksUri must begin with https:// (http:// is allowed for localhost alone): keys fetched in the clear can be replaced on the way"))]
pub struct Issuer {
    /// Where its public keys are: a JWK set, or Firebase's map from key id to X.509 certificate.
    #[schemars(length(max = 1024), regex(pattern = "^https?://[^ ]+$"))]
    pub jwks_uri: String,
    /// The `iss` that its tokens must carry. Any when absent: then every tenant of a shared key set is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: Option<String>,
    /// A token's `aud` must have one of these; in a token without `aud`, as Amazon Cognito's access tokens are, its
    /// `client_id`. Any when empty: leave it so only if this issuer makes tokens for nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 512)))]
    pub audiences: Vec<String>,
}

/// A place where a client may put its token.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenSource {
    /// The query parameter `authorization`.
    QueryString,
    /// The header `Authorization: Bearer <token>`.
    Header,
    /// The header `Sec-WebSocket-Protocol: sumu, <token>`.
    Subprotocol,
}

/// How connections are kept.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Connections {
    /// How long a connection counts as open when its end was never seen. API Gateway closes every connection
    /// after 2 hours, so less would lose connections that are open.
    #[schemars(range(min = 7200, max = 86_400))]
    pub ttl_seconds: u32,
    /// Whether the connections table can be restored to any second of the last 35 days (point-in-time recovery). When
    /// absent, a new table has none, and what somebody has switched on or off is left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery: Option<bool>,
    /// Whether DynamoDB refuses to delete the connections table. Protects this table alone: deleting the object still
    /// deletes everything else. To keep everything use `deletionPolicy: Retain`. When absent, a new table is not protected,
    /// and a protection that somebody else has given holds the deletion up until this is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
}

/// The WebSocket API.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// Limits of the stage over all its routes.
    pub throttling: Throttling,
    /// One line a request in CloudWatch Logs, in a log group of the stack's own. The account needs a role with which API
    /// Gateway writes logs; without it the stack is ready without them and says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<AccessLogs>,
    /// A domain name of your own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_domain: Option<CustomDomain>,
}

/// Limits of a stage. The account's own limit, 10,000 requests a second by default, is shared by all its APIs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Throttling {
    /// Steady requests per second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rate_limit: u32,
    /// Requests that may come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst_limit: u32,
}

/// Access logs of the stage.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessLogs {
    /// Whether they are written.
    pub enabled: bool,
    /// How many days they are kept.
    #[schemars(schema_with = "retention_schema")]
    pub retention_days: u32,
}

/// A domain name for the WebSocket API.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.hostedZoneId) || has(self.certificateArn)")
    .message("spec.gateway.customDomain.hostedZoneId needs certificateArn: alias records are made only for a domain name that this stack owns"))]
#[x_kube(validation = Rule::new("!has(self.path) || !self.path.contains('/')")
    .message("spec.gateway.customDomain.path has one level, without '/': API Gateway allows letters, digits and $-_.+!*'() in the path of a WebSocket API; join the words with '-'"))]
pub struct CustomDomain {
    /// The domain name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    )]
    pub domain_name: String,
    /// The certificate in AWS Certificate Manager, same region. With it the stack owns the domain name in API
    /// Gateway; without it the domain name exists already and only the mapping is the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$"))]
    pub certificate_arn: Option<String>,
    /// The path under the domain name at which clients connect, one level. The root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 300), regex(pattern = "^[A-Za-z0-9$_.+!*'()/-]+$"))]
    pub path: Option<String>,
    /// The Route 53 hosted zone in which alias records, A and AAAA, are made. A record of the same name that is
    /// something else is left alone and told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^Z[A-Z0-9]+$"))]
    pub hosted_zone_id: Option<String>,
}

/// How the coming and going of users is announced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Presence {
    /// Where presence events go.
    pub source: PresenceSource,
    /// How long a user who has lost the last connection still counts as online.
    #[schemars(range(min = 0, max = 900))]
    pub grace_period_seconds: u32,
}

/// Where presence events go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresenceSource {
    /// The messages queue.
    #[default]
    Queue,
    /// The messages topic.
    Topic,
    /// The messages queue and topic.
    Both,
    /// Neither: read the stream of the connections table.
    Stream,
}

/// How notifications are sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Pusher {
    /// What an empty or missing `users` in a push request means. With `Broadcast`, the default, a forgotten `users` goes
    /// to everyone; with `Reject` such a request goes to the dead-letter queue.
    pub empty_users: EmptyUsers,
    /// How many copies of the pusher may work at once on requests, and as many again on broadcasts and retries.
    #[schemars(range(min = 2, max = 1000))]
    pub max_concurrency: u32,
    /// Posts per second over all copies of the pusher that work at once on requests, or on broadcasts and retries.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_rate: u32,
    /// How often a post is tried before its notification goes to the dead-letter queue.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: u32,
}

/// What an empty or missing `users` in a push request means.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyUsers {
    /// Everyone.
    #[default]
    Broadcast,
    /// An error: the request goes to the dead-letter queue.
    Reject,
}

/// The four Lambda functions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Functions {
    /// The processor that the functions run on.
    pub architecture: Architecture,
    /// Memory of each function in MiB; CPU grows with it.
    #[serde(rename = "memoryMiB")]
    #[schemars(range(min = 128, max = 10_240))]
    pub memory_mib: u32,
    /// How many days each function's log is kept.
    #[schemars(schema_with = "retention_schema")]
    pub log_retention_days: u32,
    /// Where the functions' code comes from.
    pub package: Package,
}

/// The processor that functions run on.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM (Graviton).
    #[serde(rename = "arm64")]
    Arm64,
}

/// Where the stack's addresses are written for applications.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// A `ConfigMap` in the same namespace that the operator makes once all addresses are known, keeps and owns. One that
    /// exists already and is not this stack's is never touched.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub config_map_name: String,
}

/// What happens to the AWS resources when the object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They are deleted.
    #[default]
    Delete,
    /// They stay and go on working, without the operator's own `sumu.live/...` tags: no `SumuStack` owns them any more.
    Retain,
}

/// How a deletion goes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Deletion {
    /// What happens while clients are connected or a queue of the stack holds messages. May be changed while the object
    /// is being deleted.
    pub when_in_use: WhenInUse,
}

/// What happens to a stack that is deleted while it is in use.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenInUse {
    /// It is deleted: connections are closed, and messages are lost.
    #[default]
    Delete,
    /// Nothing is deleted before every client has gone and every queue, dead letters too, is empty. `Ready` says what
    /// is still there.
    Wait,
}

impl Default for Connections {
    fn default() -> Self {
        Self { ttl_seconds: 7200, point_in_time_recovery: None, deletion_protection: None }
    }
}

impl Default for Throttling {
    fn default() -> Self {
        Self { rate_limit: 10_000, burst_limit: 5000 }
    }
}

impl Default for AccessLogs {
    fn default() -> Self {
        Self { enabled: true, retention_days: 3 }
    }
}

impl Default for Pusher {
    fn default() -> Self {
        Self { empty_users: EmptyUsers::default(), max_concurrency: 10, max_rate: 7000, max_attempts: 5 }
    }
}

impl Default for Functions {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            memory_mib: 256,
            log_retention_days: 14,
            package: Package::default(),
        }
    }
}

fn default_stage_name() -> String {
    "live".into()
}

fn default_true() -> bool {
    true
}

fn default_leeway_seconds() -> u32 {
    30
}

fn default_principal_claim() -> String {
    "sub".into()
}

fn default_token_sources() -> Vec<TokenSource> {
    vec![TokenSource::QueryString]
}

/// The numbers of days that CloudWatch Logs knows (API `PutRetentionPolicy`, `retentionInDays`).
fn retention_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "integer",
        "enum": [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
    })
}

fn tags_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 256 }
    })
}
