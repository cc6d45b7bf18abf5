//! The four functions, who may invoke them and what feeds them.

use std::collections::BTreeMap;

use sumu_contract::Function;
use sumu_contract::settings::{
    AuthorizerSettings, DepartureSettings, EmptyUsers, PresenceSource, PusherSettings, RoutesSettings, Settings as _,
    WatchdogSettings,
};

use super::Endpoints;
use crate::observed::Observed;
use crate::packages::Package;
use crate::stack::StackSpec;
use crate::stack::name::{Names, QueueId, SourceId, TableId, TopicId};
use crate::sumu_stack::Architecture;

/// A Lambda function on `provided.al2023`.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionConfig {
    /// Its code.
    pub package: Package,
    /// The processor it is built for.
    pub architecture: Architecture,
    /// Its memory in MiB.
    pub memory_mib: i32,
    /// Its timeout.
    pub timeout_seconds: i32,
    /// Where Lambda puts events of asynchronous invocations that failed for good.
    pub dead_letters: Option<QueueId>,
    settings: FunctionSettings,
}

/// What a function is told, as far as it is known before AWS has named anything.
#[derive(Clone, Debug, PartialEq)]
enum FunctionSettings {
    Authorizer(AuthorizerSettings),
    Routes {
        connection_ttl_seconds: u64,
    },
    Pusher {
        empty_users: EmptyUsers,
        max_attempts: u32,
        max_rate: u32,
        max_concurrency: u32,
        management_template: String,
        stage: String,
    },
    Watchdog {
        presence_source: PresenceSource,
        grace_period_seconds: u32,
    },
}

/// A thing that AWS has not named yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A queue's URL.
    Queue(QueueId),
    /// The API's id.
    Api,
}

impl FunctionConfig {
    /// The function's environment.
    ///
    /// # Errors
    /// While AWS has not named something that the environment speaks of.
    pub fn environment(&self, names: &Names, observed: &Observed) -> Result<BTreeMap<String, String>, Missing> {
        let queue_url = |id| observed.queue_url(id).map(ToOwned::to_owned).ok_or(Missing::Queue(id));
        Ok(match &self.settings {
            FunctionSettings::Authorizer(settings) => settings.environment(),
            FunctionSettings::Routes { connection_ttl_seconds } => RoutesSettings {
                connections_table: names.table(TableId::Connections),
                connection_ttl_seconds: *connection_ttl_seconds,
                messages_queue_url: queue_url(QueueId::Messages)?,
                messages_topic_arn: names.topic_arn(TopicId::Messages),
            }
            .environment(),
            FunctionSettings::Pusher {
                empty_users,
                max_attempts,
                max_rate,
                max_concurrency,
                management_template,
                stage,
            } => PusherSettings {
                connections_table: names.table(TableId::Connections),
                management_endpoint: Endpoints::fill(
                    management_template,
                    names,
                    observed.api_id().ok_or(Missing::Api)?,
                    stage,
                ),
                pushes_queue_url: queue_url(QueueId::Pushes)?,
                pushes_dead_letter_queue_url: queue_url(QueueId::PushesDeadLetters)?,
                dead_letter_queue_url: queue_url(QueueId::NotificationsDeadLetters)?,
                empty_users: *empty_users,
                max_attempts: *max_attempts,
                max_rate: *max_rate,
                max_concurrency: *max_concurrency,
            }
            .environment(),
            FunctionSettings::Watchdog { presence_source, grace_period_seconds } => WatchdogSettings {
                connections_table: names.table(TableId::Connections),
                presence_table: names.table(TableId::Presence),
                presence_source: *presence_source,
                messages_queue_url: queue_url(QueueId::Messages)?,
                messages_topic_arn: names.topic_arn(TopicId::Messages),
                departures: match *grace_period_seconds {
                    0 => None,
                    grace_period_seconds => {
                        let queue_url = queue_url(QueueId::Departures)?;
                        Some(DepartureSettings { queue_url, grace_period_seconds })
                    }
                },
            }
            .environment(),
        })
    }
}

/// The functions of a stack.
pub(super) fn of(
    spec: &StackSpec,
    packages: &BTreeMap<Function, Package>,
    endpoints: &Endpoints,
) -> BTreeMap<Function, FunctionConfig> {
    packages
        .iter()
        .map(|(function, package)| {
            let settings = match function {
                Function::Authorizer => FunctionSettings::Authorizer(spec.authorizer.clone()),
                Function::Routes => {
                    FunctionSettings::Routes { connection_ttl_seconds: spec.connection_ttl_seconds.into() }
                }
                Function::Pusher => FunctionSettings::Pusher {
                    empty_users: spec.empty_users,
                    max_attempts: spec.push_attempts_max,
                    max_rate: spec.push_rate_max,
                    max_concurrency: spec.pusher_concurrency_max,
                    management_template: endpoints.management.clone(),
                    stage: spec.stage_name.clone(),
                },
                Function::Watchdog => FunctionSettings::Watchdog {
                    presence_source: spec.presence_source,
                    grace_period_seconds: spec.grace_period_seconds,
                },
            };
            let config = FunctionConfig {
                package: package.clone(),
                architecture: spec.architecture,
                // The CRD allows at most 10,240.
                memory_mib: i32::try_from(spec.memory_mib).unwrap_or(i32::MAX),
                timeout_seconds: function.timeout_seconds(),
                // Only the pusher is invoked asynchronously: by SNS.
                dead_letters: (*function == Function::Pusher).then_some(QueueId::NotificationsDeadLetters),
                settings,
            };
            (*function, config)
        })
        .collect()
}

/// Lambda's leave for a service to invoke a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its statement id; ours begin with `sumu-`.
    pub sid: String,
    /// The service.
    pub principal: String,
    /// On whose behalf the service calls.
    pub source_arn: String,
}

/// The service that may invoke a function, once the API exists. Queues and streams need no leave: Lambda reads
/// them as the function's own role.
///
/// # Errors
/// While the API does not exist.
pub fn permission(
    function: Function,
    names: &Names,
    stage: &str,
    observed: &Observed,
) -> Result<Option<Permission>, Missing> {
    let of_api = |path: &str| -> Result<Option<Permission>, Missing> {
        Ok(Some(Permission {
            sid: "sumu-gateway".into(),
            principal: "apigateway.amazonaws.com".into(),
            source_arn: names.execute_api_arn(observed.api_id().ok_or(Missing::Api)?, path),
        }))
    };
    match function {
        Function::Authorizer => of_api("authorizers/*"),
        Function::Routes => of_api(&format!("{stage}/*")),
        Function::Pusher => Ok(Some(Permission {
            sid: "sumu-notifications".into(),
            principal: "sns.amazonaws.com".into(),
            source_arn: names.topic_arn(TopicId::Notifications),
        })),
        Function::Watchdog => Ok(None),
    }
}

/// How a queue or a stream feeds a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The most records in one invocation.
    pub batch_size: i32,
    /// The most copies of the function at once; only for queues.
    pub concurrency_max: Option<i32>,
    /// Whether a failed batch is halved before it is tried again; only for streams.
    pub bisects: bool,
    /// When a failed batch is given up; only for streams. A queue has its redrive policy for that.
    pub giving_up: Option<GivingUp>,
}

/// When a stream's batch that fails is given up, so that those behind it get their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivingUp {
    /// How often it is tried again; -1 is without end.
    pub retries_max: i32,
    /// The oldest that a record may grow; -1 is as old as the stream keeps it.
    pub age_seconds_max: i32,
    /// The ARN of the queue where Lambda notes which records were given up.
    pub dead_letters_arn: String,
}

/// One user whose events cannot be sent holds up a shard's other users for minutes, not for the day that a stream
/// keeps its records; an outage of minutes loses nothing.
const STREAM_RETRIES_MAX: i32 = 100;
/// As old as the stream keeps it: a record that is only late must not be given up.
const STREAM_AGE_SECONDS_MAX: i32 = -1;
/// A restart of everybody's router sends many departures at once, and they may take their time.
const DEPARTURE_WORKERS_MAX: i32 = 10;

/// How departures come back.
#[must_use]
pub fn departures() -> Source {
    queue(10, DEPARTURE_WORKERS_MAX)
}

fn queue(batch_size: i32, workers_max: i32) -> Source {
    Source { batch_size, concurrency_max: Some(workers_max), bisects: false, giving_up: None }
}

/// The event sources of a stack.
pub(super) fn sources(spec: &StackSpec, names: &Names) -> BTreeMap<SourceId, Source> {
    // The CRD allows at most 1000.
    let pushers_max = i32::try_from(spec.pusher_concurrency_max).unwrap_or(i32::MAX);
    let giving_up = GivingUp {
        retries_max: STREAM_RETRIES_MAX,
        age_seconds_max: STREAM_AGE_SECONDS_MAX,
        dead_letters_arn: names.queue_arn(QueueId::PresenceDeadLetters),
    };
    let stream = Source { batch_size: 100, concurrency_max: None, bisects: true, giving_up: Some(giving_up) };
    let mut sources = BTreeMap::from([
        (SourceId::Notifications, queue(10, pushers_max)),
        // One at a time: a worker that is killed repeats what it was at, and that is one page.
        (SourceId::Pushes, queue(1, pushers_max)),
        (SourceId::Connections, stream),
    ]);
    if spec.grace_period_seconds > 0 {
        sources.insert(SourceId::Departures, departures());
    }
    sources
}
