//! One AWS call with nothing left to decide.
//!
//! [`Step`] groups the calls by service, because that is how they are carried out; each says which part of the
//! stack it belongs to, which lane it runs in and how a person reads it.

mod access_logs;
mod consumer;
mod domain;
mod subscription;

use std::collections::BTreeMap;
use std::fmt;

use sumu_contract::Function;

use super::Part;
use super::tagged::{self, Tagged};
use crate::desired::functions::{Permission, Source};
use crate::desired::policy::Document;
use crate::desired::tables::Table;
use crate::packages::Package;
use crate::stack::name::{LogGroupId, QueueId, SourceId, TableId, Tags, TopicId};
use crate::stack::subscription::SubscriptionId;
use crate::sumu_stack::Architecture;
pub use access_logs::AccessLogStep;
pub(super) use access_logs::part_of_log_group;
pub use consumer::ConsumerStep;
pub use domain::{DomainStep, Record};
pub use subscription::SubscriptionStep;

/// One AWS call.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// DynamoDB.
    Table(TableId, TableStep),
    /// SQS.
    Queue(QueueId, QueueStep),
    /// SNS.
    Topic(TopicId, TopicStep),
    /// IAM.
    Role(Function, RoleStep),
    /// CloudWatch Logs.
    LogGroup(LogGroupId, LogGroupStep),
    /// Lambda.
    Function(Function, FunctionStep),
    /// Lambda's event source mappings.
    Source(Function, SourceStep),
    /// API Gateway.
    Gateway(GatewayStep),
    /// API Gateway and Route 53, about a custom domain.
    Domain(DomainStep),
    /// API Gateway, about access logs.
    AccessLogs(AccessLogStep),
    /// Lambda, about what feeds the users' own functions.
    Consumer(ConsumerStep),
    /// Tags are set on something.
    Tag(Tagged, Tags),
    /// Tags are taken off something, by their keys.
    Untag(Tagged, Vec<String>),
    /// SNS and Lambda, about a subscription to the messages topic.
    Subscription(SubscriptionStep),
}

/// A call to DynamoDB about one table.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum TableStep {
    /// `CreateTable`.
    Create { name: String, table: Table, tags: Tags },
    /// `UpdateTable` of the stream.
    SetStream { name: String, on: bool },
    /// `UpdateTimeToLive`.
    SetTtl { name: String, attribute: String, on: bool },
    /// `UpdateTable` of the deletion protection.
    SetProtection { name: String, on: bool },
    /// `UpdateContinuousBackups` of the point-in-time recovery.
    SetRecovery { name: String, on: bool },
    /// `DeleteTable`.
    Delete { name: String },
}

/// A call to SQS about one queue.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum QueueStep {
    /// `CreateQueue`.
    Create { name: String, attributes: BTreeMap<String, String>, tags: Tags },
    /// `SetQueueAttributes` of the ones that differ.
    Set { url: String, attributes: BTreeMap<String, String> },
    /// `DeleteQueue`.
    Delete { url: String },
}

/// A call to SNS about one topic.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum TopicStep {
    /// `CreateTopic`.
    Create { name: String, tags: Tags },
    /// `Subscribe` a function, with a queue for what cannot be delivered.
    Subscribe { topic_arn: String, function_arn: String, dead_letters_arn: String },
    /// `SetSubscriptionAttributes` of that queue.
    SetDeadLetters { subscription_arn: String, dead_letters_arn: String },
    /// `Unsubscribe`.
    Unsubscribe { subscription_arn: String },
    /// `DeleteTopic`.
    Delete { arn: String },
}

/// A call to IAM about one role.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum RoleStep {
    /// `CreateRole`.
    Create { name: String, trust: Document, tags: Tags },
    /// `UpdateAssumeRolePolicy`.
    SetTrust { name: String, trust: Document },
    /// `PutRolePolicy`.
    PutPolicy { name: String, policy: Document },
    /// `DeleteRolePolicy`.
    DeletePolicy { name: String },
    /// `DeleteRole`.
    Delete { name: String },
}

/// A call to CloudWatch Logs about one log group.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum LogGroupStep {
    /// `CreateLogGroup`.
    Create { name: String, tags: Tags },
    /// `PutRetentionPolicy`.
    SetRetention { name: String, days: i32 },
    /// `DeleteLogGroup`.
    Delete { name: String },
}

/// A call to Lambda about one function.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum FunctionStep {
    /// `CreateFunction`.
    Create { package: Package, architecture: Architecture, configuration: Configuration, tags: Tags },
    /// `UpdateFunctionCode`; the architecture can change only together with the code.
    UpdateCode { name: String, package: Package, architecture: Architecture },
    /// `UpdateFunctionConfiguration`, always the whole of it, because what is absent stays as it was.
    UpdateConfiguration { configuration: Configuration },
    /// `AddPermission`.
    AddPermission { name: String, permission: Permission },
    /// `RemovePermission`.
    RemovePermission { name: String, sid: String },
    /// `DeleteFunction`.
    Delete { name: String },
}

/// A function's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its name.
    pub name: String,
    /// The ARN of its role.
    pub role_arn: String,
    /// Its memory in MiB.
    pub memory_mib: i32,
    /// Its timeout.
    pub timeout_seconds: i32,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// The queue for events that failed for good.
    pub dead_letters_arn: Option<String>,
}

/// A call to Lambda about one event source mapping.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum SourceStep {
    /// `CreateEventSourceMapping`.
    Create { id: SourceId, function_name: String, source_arn: String, source: Source, tags: Tags },
    /// `UpdateEventSourceMapping`.
    Update { id: SourceId, uuid: String, source: Source },
    /// `DeleteEventSourceMapping`.
    Delete { uuid: String, source_arn: String },
}

/// A call to API Gateway. All of them run one after the other, because it refuses parallel writes to one API.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are parameters of the AWS call that the variant names")]
pub enum GatewayStep {
    /// `CreateApi`.
    CreateApi { name: String, tags: Tags },
    /// `UpdateApi`.
    UpdateApi { api_id: String, name: String },
    /// `DeleteApi`, with everything in it.
    DeleteApi { api_id: String },
    /// `CreateAuthorizer`.
    CreateAuthorizer { api_id: String, uri: String, identity_sources: Vec<String> },
    /// `UpdateAuthorizer`.
    UpdateAuthorizer { api_id: String, id: String, uri: String, identity_sources: Vec<String> },
    /// `DeleteAuthorizer`.
    DeleteAuthorizer { api_id: String, id: String },
    /// `CreateIntegration`.
    CreateIntegration { api_id: String, uri: String, timeout_ms: i32 },
    /// `UpdateIntegration`.
    UpdateIntegration { api_id: String, id: String, uri: String, timeout_ms: i32 },
    /// `DeleteIntegration`.
    DeleteIntegration { api_id: String, id: String },
    /// `CreateRoute`.
    CreateRoute { api_id: String, route: RouteInput },
    /// `UpdateRoute`.
    UpdateRoute { api_id: String, id: String, route: RouteInput },
    /// `DeleteRoute`.
    DeleteRoute { api_id: String, id: String, key: String },
    /// `CreateRouteResponse`.
    CreateRouteResponse { api_id: String, route_id: String, route_key: String },
    /// `CreateDeployment`.
    CreateDeployment { api_id: String, description: String },
    /// `DeleteDeployment`.
    DeleteDeployment { api_id: String, id: String },
    /// `CreateStage`.
    CreateStage { api_id: String, stage: StageInput, tags: Tags },
    /// `UpdateStage`.
    UpdateStage { api_id: String, stage: StageInput },
    /// `UpdateStage` that ends deployments by themselves. API Gateway does not take it together with a deployment.
    StopAutoDeploy { api_id: String, name: String },
    /// `DeleteStage`.
    DeleteStage { api_id: String, name: String },
}

/// A route as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteInput {
    /// Its key.
    pub key: String,
    /// The integration behind it.
    pub integration_id: String,
    /// The authorizer before it.
    pub authorizer_id: Option<String>,
    /// Whether answers go back.
    pub replies: bool,
}

/// A stage as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct StageInput {
    /// Its name.
    pub name: String,
    /// The deployment that it serves.
    pub deployment_id: String,
    /// Steady requests per second.
    pub rate_limit: f64,
    /// Requests at once.
    pub burst_limit: i32,
}

impl From<GatewayStep> for Step {
    fn from(step: GatewayStep) -> Self {
        Self::Gateway(step)
    }
}

impl Step {
    /// The part of the stack that the call is about.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self {
            Self::Table(..) => Part::Connections,
            Self::Queue(id, _) => part_of_queue(*id),
            Self::Topic(TopicId::Notifications, _) => Part::Notifications,
            Self::Topic(TopicId::Messages, _) => Part::Messages,
            Self::Role(..) | Self::Function(..) | Self::Source(..) => Part::Functions,
            Self::LogGroup(id, _) => part_of_log_group(*id),
            Self::Gateway(_) => Part::Gateway,
            Self::Domain(_) => Part::CustomDomain,
            Self::AccessLogs(_) => Part::AccessLogs,
            Self::Consumer(_) => Part::Consumers,
            Self::Tag(tagged, _) | Self::Untag(tagged, _) => tagged.part(),
            Self::Subscription(_) => Part::Subscriptions,
        }
    }

    /// What kind of thing the call is about, in one word.
    #[must_use]
    pub const fn resource(&self) -> &'static str {
        match self {
            Self::Table(..) => "table",
            Self::Queue(..) => "queue",
            Self::Topic(..) => "topic",
            Self::Role(..) => "role",
            Self::LogGroup(..) => "log_group",
            Self::Function(..) => "function",
            Self::Source(..) | Self::Consumer(_) => "event_source",
            Self::Gateway(_) | Self::AccessLogs(_) => "api",
            Self::Domain(step) => step.resource(),
            Self::Tag(tagged, _) | Self::Untag(tagged, _) => tagged.resource(),
            Self::Subscription(step) => step.resource(),
        }
    }

    /// Whether the call makes, changes or deletes something, as its text says.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self.to_string().chars().next() {
            Some('+') => "create",
            Some('-') => "delete",
            _ => "change",
        }
    }

    /// Steps of one lane are carried out one after the other.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Table(id, _) => Lane::Table(*id),
            Self::Queue(id, _) => Lane::Queue(*id),
            Self::Topic(id, _) => Lane::Topic(*id),
            Self::Role(function, _) => Lane::Role(*function),
            Self::LogGroup(id, _) => Lane::LogGroup(*id),
            Self::Function(function, _) | Self::Source(function, _) => Lane::Function(*function),
            Self::Gateway(_) | Self::AccessLogs(_) => Lane::Gateway,
            Self::Domain(step) => step.lane(),
            Self::Consumer(step) => step.lane(),
            Self::Tag(tagged, _) | Self::Untag(tagged, _) => tagged.lane(),
            Self::Subscription(step) => step.lane(),
        }
    }

    /// Whether it needs nothing that its lane has before it, so that it is carried out also when something there fails.
    #[must_use]
    pub const fn stands_alone(&self) -> bool {
        matches!(self, Self::AccessLogs(_))
    }
}

/// The part that a queue is of.
pub(super) const fn part_of_queue(id: QueueId) -> Part {
    match id {
        QueueId::Notifications | QueueId::NotificationsDeadLetters | QueueId::Pushes | QueueId::PushesDeadLetters => {
            Part::Notifications
        }
        QueueId::Messages | QueueId::MessagesDeadLetters => Part::Messages,
        QueueId::SubscriptionsDeadLetters => Part::Subscriptions,
        QueueId::Departures | QueueId::PresenceDeadLetters => Part::Functions,
    }
}

/// What AWS wants to be changed by one call at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// One table: a second change while the first is at work is refused.
    Table(TableId),
    /// One queue.
    Queue(QueueId),
    /// One topic.
    Topic(TopicId),
    /// One role.
    Role(Function),
    /// One log group.
    LogGroup(LogGroupId),
    /// One function with its permissions and sources: parallel changes of a function lose permissions.
    Function(Function),
    /// The API: parallel writes are refused.
    Gateway,
    /// The domain name: one call in 30 s is accepted.
    Domain,
    /// Its records.
    Records,
    /// One subscription to the messages topic, or one function that such are about.
    Subscription(SubscriptionId),
    /// What feeds one of the users' functions, by the function's ARN.
    Consumer(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(id, step) => match step {
                TableStep::Create { name, .. } => write!(f, "+ table {id} ({name})"),
                TableStep::SetStream { on, .. } => write!(f, "~ table {id} stream {}", on_off(*on)),
                TableStep::SetTtl { attribute, on, .. } => {
                    write!(f, "~ table {id} time to live by {attribute} {}", on_off(*on))
                }
                TableStep::SetProtection { on, .. } => write!(f, "~ table {id} deletion protection {}", on_off(*on)),
                TableStep::SetRecovery { on, .. } => write!(f, "~ table {id} point-in-time recovery {}", on_off(*on)),
                TableStep::Delete { .. } => write!(f, "- table {id}"),
            },
            Self::Queue(id, step) => match step {
                QueueStep::Create { name, .. } => write!(f, "+ queue {id} ({name})"),
                QueueStep::Set { attributes, .. } => write!(f, "~ queue {id} {}", keys("attributes", attributes)),
                QueueStep::Delete { .. } => write!(f, "- queue {id}"),
            },
            Self::Topic(id, step) => match step {
                TopicStep::Create { name, .. } => write!(f, "+ topic {id} ({name})"),
                TopicStep::Subscribe { .. } => write!(f, "+ subscription of the pusher to topic {id}"),
                TopicStep::SetDeadLetters { .. } => write!(f, "~ subscription of topic {id} dead-letter queue"),
                TopicStep::Unsubscribe { .. } => write!(f, "- subscription of topic {id}"),
                TopicStep::Delete { .. } => write!(f, "- topic {id}"),
            },
            Self::Role(function, step) => match step {
                RoleStep::Create { name, .. } => write!(f, "+ role {function} ({name})"),
                RoleStep::SetTrust { .. } => write!(f, "~ role {function} trust"),
                RoleStep::PutPolicy { .. } => write!(f, "~ role {function} policy"),
                RoleStep::DeletePolicy { .. } => write!(f, "- role {function} policy"),
                RoleStep::Delete { .. } => write!(f, "- role {function}"),
            },
            Self::LogGroup(id, step) => match step {
                LogGroupStep::Create { name, .. } => write!(f, "+ log group {id} ({name})"),
                LogGroupStep::SetRetention { days, .. } => write!(f, "~ log group {id} retention {days} days"),
                LogGroupStep::Delete { .. } => write!(f, "- log group {id}"),
            },
            Self::Function(function, step) => step.describe(*function, f),
            Self::Source(function, step) => match step {
                SourceStep::Create { id, .. } => write!(f, "+ event source {id}"),
                SourceStep::Update { id, .. } => write!(f, "~ event source {id}"),
                SourceStep::Delete { source_arn, .. } => write!(f, "- event source of {function} ({source_arn})"),
            },
            Self::Gateway(step) => step.fmt(f),
            Self::Domain(step) => step.fmt(f),
            Self::AccessLogs(step) => step.fmt(f),
            Self::Consumer(step) => step.fmt(f),
            Self::Tag(tagged, tags) => write!(f, "~ {tagged} {}", keys("tags", tags)),
            Self::Untag(tagged, keys) if tagged::is_ours(keys) => write!(f, "~ {tagged} our tags off"),
            Self::Untag(tagged, keys) => write!(f, "~ {tagged} tags off: {}", keys.join(", ")),
            Self::Subscription(step) => step.fmt(f),
        }
    }
}

impl FunctionStep {
    fn describe(&self, function: Function, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { configuration, .. } => write!(f, "+ function {function} ({})", configuration.name),
            Self::UpdateCode { .. } => write!(f, "~ function {function} code"),
            Self::UpdateConfiguration { .. } => write!(f, "~ function {function} configuration"),
            Self::AddPermission { permission, .. } => {
                write!(f, "+ permission of function {function} for {}", permission.principal)
            }
            Self::RemovePermission { sid, .. } => write!(f, "- permission {sid} of function {function}"),
            Self::Delete { .. } => write!(f, "- function {function}"),
        }
    }
}

impl fmt::Display for GatewayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateApi { name, .. } => write!(f, "+ api ({name})"),
            Self::UpdateApi { .. } => write!(f, "~ api"),
            Self::DeleteApi { api_id } => write!(f, "- api {api_id}"),
            Self::CreateAuthorizer { .. } => write!(f, "+ authorizer"),
            Self::UpdateAuthorizer { .. } => write!(f, "~ authorizer"),
            Self::DeleteAuthorizer { id, .. } => write!(f, "- authorizer {id}"),
            Self::CreateIntegration { .. } => write!(f, "+ integration"),
            Self::UpdateIntegration { .. } => write!(f, "~ integration"),
            Self::DeleteIntegration { id, .. } => write!(f, "- integration {id}"),
            Self::CreateRoute { route, .. } => write!(f, "+ route {}", route.key),
            Self::UpdateRoute { route, .. } => write!(f, "~ route {}", route.key),
            Self::DeleteRoute { key, .. } => write!(f, "- route {key}"),
            Self::CreateRouteResponse { route_key, .. } => write!(f, "+ response of route {route_key}"),
            Self::CreateDeployment { description, .. } => write!(f, "+ deployment ({description})"),
            Self::DeleteDeployment { id, .. } => write!(f, "- deployment {id}"),
            Self::CreateStage { stage, .. } => write!(f, "+ stage {}", stage.name),
            Self::UpdateStage { stage, .. } => write!(f, "~ stage {}", stage.name),
            Self::StopAutoDeploy { name, .. } => write!(f, "~ stage {name} automatic deployment off"),
            Self::DeleteStage { name, .. } => write!(f, "- stage {name}"),
        }
    }
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Names only: values of tags and attributes are the user's and may be long.
fn keys(what: &str, values: &BTreeMap<String, String>) -> String {
    format!("{what} {}", values.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
}
