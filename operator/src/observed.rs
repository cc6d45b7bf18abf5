//! What AWS holds of a stack, with the identifiers that AWS gave. Data only.
//!
//! Only resources that carry the owner's tag are here; whatever else sits under one of our names is listed in
//! [`Observed::foreign`] and is never touched.

mod closely;
mod consumers;
pub mod domain;
pub mod subscriptions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sumu_contract::Function;

use crate::desired::access_logs::AccessLogs;
use crate::desired::functions::{GivingUp, Permission};
use crate::desired::policy::Document;
use crate::stack::name::{LogGroupId, QueueId, TableId, Tags, TopicId};
use crate::sumu_stack::Architecture;
pub use closely::{Closely, Count};
pub use consumers::ConsumerState;
use domain::Domains;
use subscriptions::Subscriptions;

/// What exists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The tables.
    pub tables: BTreeMap<TableId, TableState>,
    /// The queues.
    pub queues: BTreeMap<QueueId, QueueState>,
    /// The topics.
    pub topics: BTreeMap<TopicId, TopicState>,
    /// Subscriptions to the messages topic.
    pub subscriptions: Subscriptions,
    /// The log groups.
    pub log_groups: BTreeMap<LogGroupId, LogGroupState>,
    /// The roles.
    pub roles: BTreeMap<Function, RoleState>,
    /// The functions.
    pub functions: BTreeMap<Function, FunctionState>,
    /// Everything that feeds one of the functions.
    pub sources: Vec<SourceState>,
    /// The APIs with the owner's tag, the oldest first. More than one only after a create whose answer was lost.
    pub apis: Vec<ApiState>,
    /// Custom domains.
    pub domains: Domains,
    /// Everything that the messages queue feeds, whoever's it is; looked at only while there may be something of ours.
    pub consumers: Vec<ConsumerState>,
    /// Resources under our names that are not ours.
    pub foreign: BTreeSet<ResourceId>,
    /// What only a closer look shows.
    pub closely: Closely,
}

/// A resource whose name follows from the stack's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceId {
    /// A DynamoDB table.
    Table(TableId),
    /// An SQS queue.
    Queue(QueueId),
    /// An SNS topic.
    Topic(TopicId),
    /// A CloudWatch log group.
    LogGroup(LogGroupId),
    /// An IAM role.
    Role(Function),
    /// A Lambda function.
    Function(Function),
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(id) => write!(f, "table {id}"),
            Self::Queue(id) => write!(f, "queue {id}"),
            Self::Topic(id) => write!(f, "topic {id}"),
            Self::LogGroup(id) => write!(f, "log group {id}"),
            Self::Role(function) => write!(f, "role {function}"),
            Self::Function(function) => write!(f, "function {function}"),
        }
    }
}

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableState {
    /// Its tags.
    pub tags: Tags,
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE`, or what it is going through.
    pub status: String,
    /// The ARN of its stream with new and old images, when that is on.
    pub stream_arn: Option<String>,
    /// Whether a stream is on whose records lack something. DynamoDB cannot change that in place.
    pub has_other_stream: bool,
    /// The attribute with the time to live, when that is on or coming on.
    pub ttl_attribute: Option<String>,
    /// Whether DynamoDB refuses to delete it.
    pub is_protected: bool,
    /// Whether it can be restored to a moment of the past; nothing while DynamoDB does not tell.
    pub has_recovery: Option<bool>,
}

impl TableState {
    /// Whether it takes changes.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }
}

/// An SQS queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueState {
    /// Its tags.
    pub tags: Tags,
    /// Its URL.
    pub url: String,
    /// Its attributes as SQS returns them.
    pub attributes: BTreeMap<String, String>,
}

impl QueueState {
    /// Whether a message waits in it, delayed or not, or is being worked off. SQS counts them only nearly.
    #[must_use]
    pub fn holds_messages(&self) -> bool {
        self.messages() > 0
    }

    /// How many messages wait in it, delayed or not, or are being worked off. SQS counts them only nearly. What is no
    /// number counts as one.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let counts = ["", "Delayed", "NotVisible"].iter().filter_map(|kind| {
            let count = self.attributes.get(&format!("ApproximateNumberOfMessages{kind}"))?;
            Some(count.parse::<u64>().unwrap_or(1))
        });
        counts.fold(0, u64::saturating_add)
    }
}

/// An SNS topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicState {
    /// Its tags.
    pub tags: Tags,
    /// Its ARN.
    pub arn: String,
    /// Its subscriptions; looked at for the notifications topic only. Those of the other are in
    /// [`Observed::subscriptions`].
    pub subscriptions: Vec<SubscriptionState>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionState {
    /// Its ARN.
    pub arn: String,
    /// For example `lambda`.
    pub protocol: String,
    /// Where it delivers.
    pub endpoint: String,
    /// The ARN of the queue for what cannot be delivered.
    pub dead_letters_arn: Option<String>,
}

/// A CloudWatch log group.
#[derive(Clone, Debug, PartialEq)]
pub struct LogGroupState {
    /// Its tags.
    pub tags: Tags,
    /// How many days it keeps; for ever when absent.
    pub retention_days: Option<i32>,
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleState {
    /// Its tags.
    pub tags: Tags,
    /// Who may assume it.
    pub trust: Document,
    /// Our inline policy.
    pub policy: Option<Document>,
}

/// A Lambda function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionState {
    /// Its tags.
    pub tags: Tags,
    /// Its ARN.
    pub arn: String,
    /// Base64 of the SHA-256 of its package.
    pub code_sha256: String,
    /// The processor it runs on; nothing when it is one that we do not know.
    pub architecture: Option<Architecture>,
    /// Its memory in MiB.
    pub memory_mib: i32,
    /// Its timeout.
    pub timeout_seconds: i32,
    /// The ARN of its role.
    pub role_arn: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// The ARN of the queue for events that failed for good.
    pub dead_letters_arn: Option<String>,
    /// Whether it can be invoked and changed.
    pub readiness: Readiness,
    /// Its last update, when Lambda has given that up: what is shown need not be what is at work.
    pub failed_update: Option<FailedUpdate>,
    /// Whether its last change is so young that a copy from before may be at work, or its doings not be seen yet.
    pub changed_lately: bool,
    /// Who may invoke it.
    pub permissions: Vec<Permission>,
}

/// Whether a function can be invoked and changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Both.
    Ready,
    /// Lambda is at work on it: the word that Lambda has for that.
    Busy(String),
    /// Lambda has given up: its reason.
    Failed(String),
}

/// An update of a function that Lambda has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedUpdate {
    /// Lambda's reason.
    pub reason: String,
    /// Whether it is too early to try again, as far as we know.
    pub is_young: bool,
}

/// An event source mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceState {
    /// Its id.
    pub uuid: String,
    /// The function that is fed.
    pub function: Function,
    /// The queue or stream.
    pub source_arn: String,
    /// `Enabled`, or what it is going through.
    pub state: String,
    /// The most records in one invocation.
    pub batch_size: i32,
    /// The most copies of the function at once.
    pub concurrency_max: Option<i32>,
    /// Whether a failed batch is halved.
    pub bisects: bool,
    /// When a stream's failed batch is given up, if that is noted somewhere.
    pub giving_up: Option<GivingUp>,
    /// Whether the function may name the records that failed.
    pub reports_item_failures: bool,
}

/// A WebSocket API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiState {
    /// Its id.
    pub id: String,
    /// Its tags.
    pub tags: Tags,
    /// Its name.
    pub name: String,
    /// How a frame's route is chosen.
    pub route_selection: String,
    /// What it has. Looked at for the oldest of ours only.
    pub authorizers: Vec<AuthorizerState>,
    /// What it has. Looked at for the oldest of ours only.
    pub integrations: Vec<IntegrationState>,
    /// What it has. Looked at for the oldest of ours only.
    pub routes: Vec<RouteState>,
    /// What it has. Looked at for the oldest of ours only.
    pub deployments: Vec<DeploymentState>,
    /// What it has. Looked at for the oldest of ours only.
    pub stages: Vec<StageState>,
}

/// An authorizer.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizerState {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it is invoked.
    pub uri: String,
    /// What a client must send.
    pub identity_sources: Vec<String>,
}

/// An integration.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegrationState {
    /// Its id.
    pub id: String,
    /// Its description, which is our name for it.
    pub description: String,
    /// How it is invoked.
    pub uri: String,
    /// How long API Gateway waits.
    pub timeout_ms: i32,
}

/// A route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteState {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: String,
    /// `integrations/<id>`.
    pub target: Option<String>,
    /// The authorizer that decides about it.
    pub authorizer_id: Option<String>,
    /// Which response goes back; none when absent.
    pub response_selection: Option<String>,
    /// The keys of its responses.
    pub responses: Vec<String>,
}

/// A deployment: what the API was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentState {
    /// Its id.
    pub id: String,
    /// Its description, which holds what it captured as one word.
    pub description: String,
    /// `DEPLOYED`, or what it is going through.
    pub status: String,
    /// Why it failed.
    pub status_message: Option<String>,
    /// Whether it has failed within the last minute, as far as we know.
    pub failed_lately: bool,
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageState {
    /// Its name.
    pub name: String,
    /// The deployment that it serves.
    pub deployment_id: Option<String>,
    /// Whether API Gateway deploys every change by itself. Then it refuses to be told a deployment.
    pub deploys_itself: bool,
    /// Steady requests per second.
    pub rate_limit: Option<f64>,
    /// Requests at once.
    pub burst_limit: Option<i32>,
    /// What it writes of each request, to whatever log group.
    pub access_logs: Option<AccessLogs>,
}

impl Observed {
    /// A queue's URL.
    #[must_use]
    pub fn queue_url(&self, id: QueueId) -> Option<&str> {
        self.queues.get(&id).map(|queue| queue.url.as_str())
    }

    /// The API that is kept: the oldest.
    #[must_use]
    pub fn api(&self) -> Option<&ApiState> {
        self.apis.first()
    }

    /// The API's id.
    #[must_use]
    pub fn api_id(&self) -> Option<&str> {
        self.api().map(|api| api.id.as_str())
    }

    /// Whether nothing of the stack is left. What is not ours does not count.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        // Without `..`, so that a new kind of resource cannot be forgotten here.
        let Self {
            tables,
            queues,
            topics,
            // They are there as long as their topic is.
            subscriptions: _,
            log_groups,
            roles,
            functions,
            sources,
            apis,
            domains,
            consumers,
            foreign: _,
            closely: _,
        } = self;
        tables.is_empty()
            && queues.is_empty()
            && topics.is_empty()
            && log_groups.is_empty()
            && roles.is_empty()
            && functions.is_empty()
            && sources.is_empty()
            && apis.is_empty()
            && domains.is_nothing()
            && consumers.iter().all(|consumer| !consumer.is_ours)
    }
}
