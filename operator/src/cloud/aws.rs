//! AWS itself behind the [`Cloud`] port: one file a service, each with the calls that it makes and nothing else.
//!
//! These files are also the list of the rights that the operator needs.

mod access_logs;
mod answers;
mod apigateway;
mod apigateway_read;
mod base;
mod calls;
mod closely;
mod code;
mod consumers;
mod credentials;
mod denials;
mod domains;
mod dynamodb;
mod iam;
mod lambda;
mod logs;
mod pace;
mod paced;
mod rates;
mod recent;
mod route53;
mod simulator;
mod sns;
mod sqs;
mod subscriptions;
mod tags;
mod updates;

use std::collections::{BTreeMap, BTreeSet};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use super::error::Failure;
use super::{Cloud, CloudError, Kind};
use crate::arguments::Pacing;
use crate::desired::end::Closer;
use crate::observed::subscriptions::Subscriptions;
use crate::observed::{Closely, Observed, QueueState, ResourceId, TopicState};
use crate::permissions::principal::Principal;
use crate::permissions::simulation::{Question, Verdict};
use crate::plan::Step;
use crate::stack::Location;
use crate::stack::name::{Account, Names, Owner, QueueId, Tags, TopicId};
use crate::stack::subscription::notes::Notes;
pub use base::Base;
#[cfg(test)]
pub(crate) use calls::tests;
pub use calls::{Attempt, Calls, Purpose, attempts, counted};
use denials::{Denials, sparing};
pub(super) use pace::HeldBack;
pub use pace::{Held, held};
use paced::PacedClient;
pub use simulator::OPERATION as SIMULATION;

/// The newest behaviour whose changes we have read.
const BEHAVIOR: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

/// What SNS holds, with the queue that is there only for subscriptions.
type Messaging = (BTreeMap<TopicId, TopicState>, Subscriptions, Option<(QueueId, QueueState)>);

/// AWS in one account and region, as one identity.
pub struct Aws {
    account: Account,
    tables: dynamodb::Tables,
    queues: sqs::Queues,
    topics: sns::Topics,
    roles: iam::Roles,
    functions: lambda::Functions,
    log_groups: logs::LogGroups,
    gateway: apigateway::Gateway,
    domains: domains::Domains,
    subscriptions: subscriptions::Subscriptions,
    simulator: simulator::Simulator,
}

impl Aws {
    /// Connects, and asks AWS whose account this is. Calls are held below AWS's rates as `pacing` says.
    ///
    /// # Errors
    /// When AWS cannot be reached or does not accept the credentials.
    pub async fn connect(base: &Base, location: &Location, pacing: Pacing) -> Result<Self, CloudError> {
        let config = base.at(location);
        let (account, caller) = identity(&config, &location.region).await?;
        let role = location.role.as_ref().and_then(|role| Principal::parse(&role.arn));
        let config = match pacing {
            Pacing::Times(factor) => paced(config, &account, factor),
            Pacing::Off => config,
        };
        let gateway = apigateway::Gateway::new(&config);
        let topics = sns::Topics::new(&config);
        let functions = lambda::Functions::new(&config);
        let roles = iam::Roles::new(&config);
        let (sns, lambda) = (topics.client.clone(), functions.client.clone());
        Ok(Self {
            subscriptions: subscriptions::Subscriptions::new(sns, lambda, account.clone()),
            account,
            domains: domains::Domains::new(&config, gateway.client.clone()),
            tables: dynamodb::Tables::new(&config),
            queues: sqs::Queues::new(&config),
            topics,
            simulator: simulator::Simulator::new(roles.client.clone(), role.or(caller)),
            roles,
            functions,
            log_groups: logs::LogGroups::new(&config),
            gateway,
        })
    }

    /// The topics, and what there can be only when the one for messages has notes: subscriptions, and their dead-letter
    /// queue, which is looked for also when there is no topic of ours that could tell.
    async fn messaging(&self, names: &Names, owner: &Owner) -> Result<Messaging, CloudError> {
        let topics = Box::pin(self.topics.read(names)).await?;
        let topic = topics.get(&TopicId::Messages).filter(|topic| owner.owns(&topic.tags));
        let subscriptions = match topic {
            Some(topic) => Box::pin(self.subscriptions.read(topic, names)).await?,
            None => Subscriptions::default(),
        };
        let queue = if topic.is_none_or(|topic| Notes::of(&topic.tags).is_open()) {
            Box::pin(self.queues.read_one(QueueId::SubscriptionsDeadLetters, names)).await?
        } else {
            None
        };
        Ok((topics, subscriptions, queue))
    }

    /// Lets the next look read the tags that are otherwise read once an hour.
    pub fn forget_tags(&self, names: &Names) {
        self.queues.forget_tags(names);
        self.log_groups.forget_tags(names);
    }

    /// Whose the credentials are; nothing when IAM's policy simulator could say nothing of them.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        self.simulator.principal()
    }

    /// What IAM's policy simulator says of somebody.
    ///
    /// # Errors
    /// When it does not answer, or not to these credentials.
    pub async fn judge(&self, principal: &Principal, questions: &[Question]) -> Result<Verdict, CloudError> {
        self.simulator.ask(principal, questions).await
    }

    /// The same of these credentials, at most once a minute; nothing when they have no principal.
    ///
    /// # Errors
    /// As with [`judge`](Self::judge).
    pub async fn judge_us(&self, questions: &[Question]) -> Result<Option<Verdict>, CloudError> {
        self.simulator.ask_of_us(questions).await
    }

    /// The account and region.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Cloud for Aws {
    async fn observe(&self, names: &Names, owner: &Owner) -> Result<Observed, CloudError> {
        let gateway = async {
            let apis = Box::pin(self.gateway.read(names, owner)).await?;
            let domains = Box::pin(self.domains.read(&apis, names, owner)).await?;
            Ok((apis, domains))
        };
        let queues = async {
            let queues = Box::pin(self.queues.read(names)).await?;
            let consumers = Box::pin(self.functions.read_consumers(&queues, names, owner)).await?;
            Ok((queues, consumers))
        };
        // Each in a box of its own: the SDK's futures are so large that all of them together are more than a stack.
        let lanes = tokio::try_join!(
            sparing(Box::pin(self.tables.read(names, owner))),
            sparing(Box::pin(queues)),
            sparing(Box::pin(self.messaging(names, owner))),
            sparing(Box::pin(self.roles.read(names))),
            sparing(Box::pin(self.log_groups.read(names))),
            sparing(Box::pin(self.functions.read(names))),
            sparing(Box::pin(self.functions.read_sources(names))),
            sparing(Box::pin(gateway)),
        )?;
        let mut denials = Denials::default();
        let found = denials.sift(lanes.0).zip(denials.sift(lanes.1)).zip(denials.sift(lanes.2));
        let more = denials.sift(lanes.3).zip(denials.sift(lanes.4)).zip(denials.sift(lanes.5));
        let rest = denials.sift(lanes.6).zip(denials.sift(lanes.7));
        let (
            Some(((tables, (mut queues, consumers)), (topics, subscriptions, queue))),
            Some(((roles, log_groups), functions)),
            Some((sources, (apis, domains))),
        ) = (found, more, rest)
        else {
            return Err(denials.together());
        };
        queues.extend(queue);
        let mut foreign = BTreeSet::new();
        let functions = ours(functions, |f| &f.tags, ResourceId::Function, owner, &mut foreign);
        Ok(Observed {
            tables: ours(tables, |table| &table.tags, ResourceId::Table, owner, &mut foreign),
            queues: ours(queues, |queue| &queue.tags, ResourceId::Queue, owner, &mut foreign),
            topics: ours(topics, |topic| &topic.tags, ResourceId::Topic, owner, &mut foreign),
            subscriptions,
            roles: ours(roles, |role| &role.tags, ResourceId::Role, owner, &mut foreign),
            log_groups: ours(log_groups, |group| &group.tags, ResourceId::LogGroup, owner, &mut foreign),
            sources: sources
                .into_iter()
                .filter(|source| !foreign.contains(&ResourceId::Function(source.function)))
                .collect(),
            functions,
            apis,
            domains,
            consumers,
            foreign,
            closely: Closely::default(),
        })
    }

    async fn look_closer(&self, closer: Closer, names: &Names, observed: &Observed) -> Result<Closely, CloudError> {
        self.closely(closer, names, observed).await
    }

    async fn apply(&self, step: &Step) -> Result<(), CloudError> {
        match step {
            Step::Table(_, step) => Box::pin(self.tables.apply(step)).await,
            Step::Queue(_, step) => Box::pin(self.queues.apply(step)).await,
            Step::Topic(_, step) => Box::pin(self.topics.apply(step)).await,
            Step::Role(_, step) => Box::pin(self.roles.apply(step)).await,
            Step::LogGroup(_, step) => Box::pin(self.log_groups.apply(step)).await,
            Step::Function(_, step) => Box::pin(self.functions.apply(step)).await,
            Step::Source(_, step) => Box::pin(self.functions.apply_source(step)).await,
            Step::Gateway(step) => Box::pin(self.gateway.apply(step)).await,
            Step::Domain(step) => Box::pin(self.domains.apply(step)).await,
            Step::AccessLogs(step) => Box::pin(self.gateway.apply_access_logs(step)).await,
            Step::Consumer(step) => Box::pin(self.functions.apply_consumer(step)).await,
            Step::Tag(tagged, tags) => Box::pin(self.tag(tagged, tags)).await,
            Step::Untag(tagged, keys) => Box::pin(self.untag(tagged, keys)).await,
            Step::Subscription(step) => Box::pin(self.subscriptions.apply(step)).await,
        }
    }
}

/// Keeps what carries the owner's tag and notes what does not.
fn ours<K: Ord + Copy, S>(
    found: BTreeMap<K, S>,
    tags: impl Fn(&S) -> &Tags,
    id: impl Fn(K) -> ResourceId,
    owner: &Owner,
    foreign: &mut BTreeSet<ResourceId>,
) -> BTreeMap<K, S> {
    let (ours, others): (BTreeMap<K, S>, BTreeMap<K, S>) =
        found.into_iter().partition(|(_, state)| owner.owns(tags(state)));
    foreign.extend(others.into_keys().map(id));
    ours
}

/// The same, with calls held below AWS's rates.
fn paced(config: SdkConfig, account: &Account, factor: f64) -> SdkConfig {
    let Some(client) = config.http_client() else { return config };
    config.into_builder().http_client(PacedClient::new(client, account, factor)).build()
}

/// Whose account this is, and who calls.
async fn identity(config: &SdkConfig, region: &str) -> Result<(Account, Option<Principal>), CloudError> {
    const OPERATION: &str = "GetCallerIdentity";
    // Whoever asks comes again, and is told how this has ended until it is time for another.
    let once = RetryConfig::disabled();
    let config = aws_sdk_sts::config::Builder::from(config).retry_config(once).interceptor(calls::CallCounter);
    let client = aws_sdk_sts::Client::from_conf(config.build());
    let identity = client.get_caller_identity().send().await.map_err(failed(OPERATION, ""))?;
    let partition = identity.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
    let id = identity.account().ok_or_else(|| unexpected(OPERATION, "", "the answer names no account"))?;
    let account = Account { partition: partition.to_owned(), region: region.to_owned(), id: id.to_owned() };
    Ok((account, identity.arn().and_then(Principal::of_caller)))
}

/// Turns the SDK's error into ours.
fn failed<F: Failure>(operation: &'static str, resource: impl Into<String>) -> impl FnOnce(F) -> CloudError {
    let resource = resource.into();
    move |failure| {
        let (kind, code, message) = failure.classify();
        CloudError { operation, resource, kind, code, message }
    }
}

/// An answer that lacks what AWS documents, or a request that the SDK cannot build.
fn unexpected(operation: &'static str, resource: &str, message: impl Into<String>) -> CloudError {
    CloudError {
        operation,
        resource: resource.to_owned(),
        kind: Kind::Internal,
        code: String::new(),
        message: message.into(),
    }
}

/// Nothing where AWS says that it does not exist. Every other failure stays one.
fn absent<T>(result: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deleting what does not exist is success.
fn deleted<T>(result: Result<T, CloudError>) -> Result<(), CloudError> {
    absent(result).map(drop)
}
