//! What a stack should be in AWS: [`StackSpec`] → [`Desired`]. Pure.
//!
//! Nothing here knows an identifier that AWS assigns. Where one is needed (a queue's URL, the API's id) the
//! planner asks with what has been observed, and waits while the answer is missing.
//!
//! | module | part of the stack |
//! |---|---|
//! | [`tables`] | connections and presence |
//! | [`queues`] | queues in and out with their dead-letter queues |
//! | [`roles`] | one least-privilege role a function |
//! | [`functions`] | the four functions, who may invoke them and what feeds them |
//! | [`gateway`] | the WebSocket API |
//! | [`access_logs`] | what it writes of each request |
//! | [`domain`] | the custom domain |
//! | [`consumers`] | the users' functions that the messages queue feeds |
//! | [`end`] | what becomes of it when its object is deleted |
//! | [`policy`] | IAM policy documents and when two are the same |

pub mod access_logs;
pub mod consumers;
pub mod domain;
pub mod end;
pub mod functions;
pub mod gateway;
pub mod policy;
pub mod queues;
pub mod roles;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};

use sumu_contract::Function;

use crate::packages::{Package, Packages};
use crate::stack::name::{LogGroupId, Names, Owner, QueueId, SourceId, TableId, Tags, TopicId};
use crate::stack::subscription::Subscription;
use crate::stack::{Invalid, StackSpec};
use consumers::Consumer;
use domain::Domain;
use end::End;
use functions::{FunctionConfig, Source};
use gateway::Gateway;
use queues::Queue;
use roles::Role;
use tables::Table;

/// What should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Whose it is.
    pub owner: Owner,
    /// What it is called.
    pub names: Names,
    /// The tags on every resource.
    pub tags: Tags,
    /// The tables.
    pub tables: BTreeMap<TableId, Table>,
    /// The queues.
    pub queues: BTreeMap<QueueId, Queue>,
    /// The topics.
    pub topics: BTreeSet<TopicId>,
    /// Subscriptions to the messages topic.
    pub subscriptions: Vec<Subscription>,
    /// Log groups, with the days that they keep.
    pub log_groups: BTreeMap<LogGroupId, i32>,
    /// The functions' roles.
    pub roles: BTreeMap<Function, Role>,
    /// The functions.
    pub functions: BTreeMap<Function, FunctionConfig>,
    /// What feeds the functions.
    pub sources: BTreeMap<SourceId, Source>,
    /// The WebSocket API.
    pub gateway: Option<Gateway>,
    /// The custom domain.
    pub domain: Option<Domain>,
    /// How the messages queue feeds the users' functions, by the ARNs of these.
    pub consumers: BTreeMap<String, Consumer>,
    /// Whether a table that is protected from deletion may be unprotected to delete it.
    pub may_unprotect_tables: bool,
    /// What becomes of it.
    pub end: End,
}

/// What the operator brings along for every stack.
#[derive(Clone, Debug)]
pub struct Provision {
    /// The functions' code.
    pub packages: Packages,
    /// Where API Gateway is reached.
    pub endpoints: Endpoints,
}

/// Templates of the addresses that API Gateway gives a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where clients connect.
    pub websocket: String,
    /// Where `@connections` is.
    pub management: String,
}

impl Endpoints {
    /// A template with an API's id, region and stage put in.
    #[must_use]
    pub fn fill(template: &str, names: &Names, api_id: &str, stage: &str) -> String {
        let account = names.account();
        let dns_suffix = if account.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        template
            .replace("{apiId}", api_id)
            .replace("{region}", &account.region)
            .replace("{dnsSuffix}", dns_suffix)
            .replace("{stage}", stage)
    }
}

impl Desired {
    /// The complete stack.
    ///
    /// # Errors
    /// When the operator has no code for the functions' architecture, or AWS is certain to refuse something.
    pub fn of(spec: &StackSpec, names: Names, provision: &Provision) -> Result<Self, Invalid> {
        let mut packages: BTreeMap<Function, Package> = BTreeMap::new();
        for function in Function::ALL {
            let package = match &spec.code {
                Some(code) => Package::in_bucket(code, function),
                None => provision.packages.find(spec.architecture, function)?,
            };
            packages.insert(function, package);
        }
        Ok(Self {
            owner: spec.owner.clone(),
            tags: spec.tags.clone(),
            tables: tables::of(spec),
            queues: queues::of(&names, spec),
            topics: TopicId::ALL.iter().copied().collect(),
            subscriptions: spec.subscriptions.clone(),
            log_groups: log_groups(spec),
            roles: Function::ALL.into_iter().map(|function| (function, roles::of(function, &names, spec))).collect(),
            functions: functions::of(spec, &packages, &provision.endpoints),
            sources: functions::sources(spec, &names),
            gateway: Some(gateway::of(spec, &names)),
            domain: domain::of(spec, &names)?,
            consumers: consumers::of(spec, &names)?,
            may_unprotect_tables: spec.deletion_protection == Some(false),
            end: End::Never,
            names,
        })
    }

    /// Nothing at all: what a deleted stack should be.
    #[must_use]
    pub fn nothing(owner: Owner, names: Names, may_unprotect_tables: bool) -> Self {
        Self {
            tags: owner.tags(),
            owner,
            names,
            tables: BTreeMap::new(),
            queues: BTreeMap::new(),
            topics: BTreeSet::new(),
            subscriptions: Vec::new(),
            log_groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            functions: BTreeMap::new(),
            sources: BTreeMap::new(),
            gateway: None,
            domain: None,
            consumers: BTreeMap::new(),
            may_unprotect_tables,
            end: End::Deleted,
        }
    }
}

fn log_groups(spec: &StackSpec) -> BTreeMap<LogGroupId, i32> {
    // The CRD allows at most 3653.
    let days = |days: u32| i32::try_from(days).unwrap_or(i32::MAX);
    let functions =
        Function::ALL.into_iter().map(|function| (LogGroupId::Function(function), days(spec.log_retention_days)));
    let access_logs = spec.access_log_retention_days.map(|kept| (LogGroupId::AccessLogs, days(kept)));
    functions.chain(access_logs).collect()
}
