//! AWS in memory, behind the operator's own port.
//!
//! It is as strict as AWS is documented to be: what AWS refuses is refused here, with the class of error that the
//! adapters would find. What AWS *accepts* and what then does harm (a write to somebody else's resource, a function
//! deleted before its event source) is no answer but a panic: no plan may ever lead there.
//!
//! | module | services |
//! |---|---|
//! | [`tables`] | DynamoDB |
//! | [`messaging`] | SQS and SNS |
//! | [`identity`] | IAM and CloudWatch Logs |
//! | [`compute`] | Lambda |
//! | [`gateway`] | API Gateway |
//! | [`domain`] | its domain names, and Route 53 |
//! | [`subscriptions`] | who is subscribed to the messages topic, and their functions |
//! | [`consumers`] | what feeds the users' own functions |
//! | [`tags`] | tags, and what is looked at only when they are taken off |

mod compute;
mod consumers;
pub mod domain;
mod gateway;
mod identity;
mod messaging;
mod subscriptions;
mod tables;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard};

use sumu_contract::Function;
use sumu_operator::cloud::{Cloud, CloudError, Kind};
use sumu_operator::desired::end::Closer;
use sumu_operator::observed::{ApiState, Closely, Count, Observed, Readiness, ResourceId};
use sumu_operator::plan::Step;
use sumu_operator::stack::name::{Names, Owner, QueueId, TableId, Tags, TopicId};
use sumu_operator::stack::subscription::SubscriptionId;

use crate::fixtures::Fixture;

/// The answer to a call.
type Answer = Result<(), CloudError>;

/// How many looks see a thing at work before it is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub table: u32,
    pub function: u32,
    pub source: u32,
    pub deployment: u32,
    /// Until the change of a function is an old one.
    pub change: u32,
    /// Until Lambda can assume a new role.
    pub role: u32,
    /// Until the name of a deleted queue can be used again.
    pub queue_name: u32,
    /// Until a domain name is available.
    pub domain: u32,
}

impl Pace {
    /// Everything is done at once.
    pub const INSTANT: Self =
        Self { table: 0, function: 0, source: 0, deployment: 0, change: 0, role: 0, queue_name: 0, domain: 0 };
    /// No two things take equally long, and a role takes longer than a plan needs to get to its function.
    pub const SLOW: Self =
        Self { table: 3, function: 2, source: 4, deployment: 1, change: 6, role: 7, queue_name: 5, domain: 4 };
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is refused.
    Throttled,
    /// The call takes effect, and its answer is lost.
    AnswerLost,
    /// The call is answered well and has no effect.
    NotDone,
}

/// One call that was made.
#[derive(Clone, Debug)]
pub struct Call {
    /// The step as people read it.
    pub line: String,
    pub answer: Answer,
}

/// AWS in memory.
pub struct MemoryCloud(Mutex<World>);

/// What AWS holds, whoever's it is, and what it is at work on.
#[derive(Clone)]
pub struct World {
    /// All things under the stack's names. `foreign` is not used: whose a thing is follows from its tags.
    pub held: Observed,
    pub pace: Pace,
    pub calls: Vec<Call>,
    /// What goes wrong with the call of this number, the first being 1.
    pub fault: Option<(usize, Fault)>,
    /// Calls whose line begins like this are not allowed.
    pub denied: Option<&'static str>,
    /// The hosted zones of the account.
    pub zones: BTreeSet<String>,
    /// The users' functions that Lambda feeds nothing to, by their ARNs, with its reason.
    pub refused: BTreeMap<String, (Kind, &'static str)>,
    /// Why a look at domain names, or at hosted zones, is denied.
    pub denied_domains: Option<String>,
    pub denied_zones: Option<String>,
    /// Whether the account has no role with which API Gateway writes logs.
    pub lacks_log_role: bool,
    /// Why a look at the policies of users' functions is denied.
    pub denied_functions: Option<String>,
    /// The endpoint that SNS does not take.
    pub refused_endpoint: Option<String>,
    /// Whether the stack is let go, so that nothing need be found again.
    pub is_let_go: bool,
    /// What the operator has subscribed.
    subscribed: BTreeSet<SubscriptionId>,
    /// Whether a look shows what the look before it should have shown.
    pub lags: bool,
    shown: Observed,
    owner: Owner,
    names: Names,
    at_work: Vec<(Work, u32)>,
    /// What each deployment captured.
    captured: BTreeMap<String, ApiState>,
    ids: u32,
    /// The tags of event sources by their ids, and of stages by their ARNs.
    pub child_tags: BTreeMap<String, Tags>,
    /// How many connections are live.
    pub connections: Count,
}

/// What AWS is at work on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    Table(TableId),
    Function(Function),
    Change(Function),
    Source(String),
    Deployment(String),
    Role(Function),
    QueueName(QueueId),
    Domain(String),
}

impl Cloud for MemoryCloud {
    async fn observe(&self, names: &Names, owner: &Owner) -> Result<Observed, CloudError> {
        let mut world = self.lock();
        assert_eq!((names, owner), (&world.names, &world.owner), "there is one stack here");
        let mut seen = world.visible();
        if world.lags {
            seen = std::mem::replace(&mut world.shown, seen);
        }
        world.tick();
        Ok(seen)
    }

    async fn look_closer(&self, closer: Closer, names: &Names, observed: &Observed) -> Result<Closely, CloudError> {
        Ok(self.lock().closely(closer, names, observed))
    }

    async fn apply(&self, step: &Step) -> Result<(), CloudError> {
        self.lock().call(step)
    }
}

impl MemoryCloud {
    /// AWS with nothing in it.
    pub fn new(fixture: &Fixture, pace: Pace) -> Self {
        Self(Mutex::new(World {
            held: Observed::default(),
            pace,
            calls: Vec::new(),
            fault: None,
            denied: None,
            zones: BTreeSet::from(["ZONE1".into(), "ZONE2".into()]),
            refused: BTreeMap::new(),
            denied_domains: None,
            denied_zones: None,
            lacks_log_role: false,
            denied_functions: None,
            refused_endpoint: None,
            is_let_go: false,
            subscribed: BTreeSet::new(),
            lags: false,
            shown: Observed::default(),
            owner: fixture.owner.clone(),
            names: fixture.desired.names.clone(),
            at_work: Vec::new(),
            captured: BTreeMap::new(),
            ids: 0,
            child_tags: BTreeMap::new(),
            connections: Count::default(),
        }))
    }

    /// Another AWS that is just like this one.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }

    /// Does something behind the operator's back.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.lock())
    }

    /// What AWS holds, whoever's it is.
    pub fn held(&self) -> Observed {
        self.lock().held.clone()
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.lock().calls.len()
    }

    /// The calls since then that took effect, in alphabetical order: lanes may run in any order. What differs from
    /// stack to stack is left out.
    pub fn lines_since(&self, calls: usize) -> Vec<String> {
        let world = self.lock();
        let prefix = world.names.prefix();
        let done = world.calls[calls..].iter().filter(|call| call.answer.is_ok());
        let mut lines: Vec<String> = done.map(|call| plain(&call.line, prefix)).collect();
        lines.sort_unstable();
        lines
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

/// A line without names and ids.
pub fn plain(line: &str, prefix: &str) -> String {
    let line = line.replace(prefix, "P");
    if line.starts_with("- api mapping ") {
        return line;
    }
    for what in ["- api ", "- authorizer ", "- integration ", "+ deployment ", "- deployment "] {
        if line.starts_with(what) {
            return what.trim_end().to_owned();
        }
    }
    line.split(" (arn:").next().unwrap().to_owned()
}

impl World {
    fn call(&mut self, step: &Step) -> Answer {
        let number = self.calls.len() + 1;
        let line = step.to_string();
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        let answer = if self.denied.is_some_and(|denied| line.starts_with(denied)) {
            refuse("Call", &line, Kind::Denied, "the operator lacks the right")
        } else if fault == Some(Fault::Throttled) {
            refuse("Call", &line, Kind::Throttled, "Rate exceeded")
        } else if fault == Some(Fault::NotDone) {
            Ok(())
        } else {
            let answer = self.perform(step);
            let lost = || refuse("Call", &line, Kind::Unreachable, "no answer in time");
            if fault == Some(Fault::AnswerLost) { answer.and_then(|()| lost()) } else { answer }
        };
        self.calls.push(Call { line, answer: answer.clone() });
        answer
    }

    fn perform(&mut self, step: &Step) -> Answer {
        match step {
            Step::Table(id, step) => self.table_call(*id, step),
            Step::Queue(id, step) => self.queue_call(*id, step),
            Step::Topic(id, step) => self.topic_call(*id, step),
            Step::Role(function, step) => self.role_call(*function, step),
            Step::LogGroup(id, step) => self.log_group_call(*id, step),
            Step::Function(function, step) => self.function_call(*function, step),
            Step::Source(function, step) => self.source_call(*function, step),
            Step::Gateway(step) => self.gateway_call(step),
            Step::Domain(step) => self.domain_call(step),
            Step::AccessLogs(step) => self.access_log_call(step),
            Step::Subscription(step) => self.subscription_call(step),
            Step::Consumer(step) => self.consumer_call(step),
            Step::Tag(tagged, tags) => self.tag_call(tagged, tags),
            Step::Untag(tagged, keys) => self.untag_call(tagged, keys),
        }
    }

    /// What a look shows to the owner: the contract of the port, as the adapters keep it.
    fn visible(&self) -> Observed {
        let mut seen = self.held.clone();
        for table in seen.tables.values_mut().filter(|table| !table.is_active()) {
            // DynamoDB tells neither the tags nor the time to live of a table that is coming or going.
            (table.tags, table.ttl_attribute, table.has_recovery) = (self.owner.tags(), None, None);
        }
        let foreign = &mut seen.foreign;
        self.hide(&mut seen.tables, |table| &table.tags, ResourceId::Table, foreign);
        self.hide(&mut seen.topics, |topic| &topic.tags, ResourceId::Topic, foreign);
        let (subscriptions, looks_for_queue) = self.visible_subscriptions(seen.topics.get(&TopicId::Messages));
        seen.subscriptions = subscriptions;
        seen.queues.retain(|id, _| looks_for_queue || *id != QueueId::SubscriptionsDeadLetters);
        self.hide(&mut seen.queues, |queue| &queue.tags, ResourceId::Queue, foreign);
        self.hide(&mut seen.log_groups, |group| &group.tags, ResourceId::LogGroup, foreign);
        self.hide(&mut seen.roles, |role| &role.tags, ResourceId::Role, foreign);
        self.hide(&mut seen.functions, |function| &function.tags, ResourceId::Function, foreign);
        seen.sources.retain(|source| !foreign.contains(&ResourceId::Function(source.function)));
        seen.sources.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        seen.apis.retain(|api| self.owner.owns(&api.tags));
        seen.domains = self.visible_domains(&seen.apis);
        seen.consumers = self.visible_consumers();
        for api in seen.apis.iter_mut().skip(1) {
            let ApiState { id, tags, name, route_selection, .. } = std::mem::take(api);
            *api = ApiState { id, tags, name, route_selection, ..ApiState::default() };
        }
        for api in &mut seen.apis {
            // API Gateway's own order is by ids, which say nothing about age.
            api.authorizers.sort_by(|a, b| a.id.cmp(&b.id));
            api.integrations.sort_by(|a, b| a.id.cmp(&b.id));
        }
        seen
    }

    fn hide<K: Ord + Copy, S>(
        &self,
        all: &mut BTreeMap<K, S>,
        tags: impl Fn(&S) -> &Tags,
        id: impl Fn(K) -> ResourceId,
        foreign: &mut BTreeSet<ResourceId>,
    ) {
        all.retain(|key, state| {
            let is_ours = self.owner.owns(tags(state));
            if !is_ours {
                foreign.insert(id(*key));
            }
            is_ours
        });
    }

    /// Begins something that takes a while.
    fn begin(&mut self, work: Work, looks: u32) {
        self.at_work.retain(|(other, _)| *other != work);
        if looks == 0 { self.finish(&work) } else { self.at_work.push((work, looks)) }
    }

    /// Time passes: one look is over.
    fn tick(&mut self) {
        let mut done = Vec::new();
        self.at_work.retain_mut(|(work, looks)| {
            *looks -= 1;
            if *looks == 0 {
                done.push(work.clone());
            }
            *looks > 0
        });
        for work in done {
            self.finish(&work);
        }
    }

    fn finish(&mut self, work: &Work) {
        let held = &mut self.held;
        match work {
            Work::Table(id) if held.tables.get(id).is_some_and(|table| table.status == "DELETING") => {
                held.tables.remove(id);
            }
            Work::Table(id) => {
                if let Some(table) = held.tables.get_mut(id) {
                    table.status = "ACTIVE".into();
                }
            }
            Work::Function(function) => match held.functions.get_mut(function) {
                Some(found) if found.readiness == Readiness::Busy("Deleting".into()) => {
                    held.functions.remove(function);
                }
                Some(found) => found.readiness = Readiness::Ready,
                None => {}
            },
            Work::Change(function) => {
                if let Some(found) = held.functions.get_mut(function) {
                    found.changed_lately = false;
                }
            }
            Work::Source(uuid) => {
                held.sources.retain(|source| source.uuid != *uuid || source.state != "Deleting");
                for source in held.sources.iter_mut().filter(|source| source.uuid == *uuid) {
                    source.state = "Enabled".into();
                }
                held.consumers.retain(|consumer| consumer.uuid != *uuid || consumer.state != "Deleting");
                for consumer in held.consumers.iter_mut().filter(|consumer| consumer.uuid == *uuid) {
                    consumer.state = "Enabled".into();
                }
            }
            Work::Deployment(id) => {
                for found in held.apis.iter_mut().flat_map(|api| &mut api.deployments).filter(|found| found.id == *id) {
                    found.status = "DEPLOYED".into();
                }
            }
            Work::Domain(name) => {
                if let Some(found) = held.domains.names.get_mut(name) {
                    found.status = "AVAILABLE".into();
                }
            }
            Work::Role(_) | Work::QueueName(_) => {}
        }
    }

    fn is_at_work(&self, work: &Work) -> bool {
        self.at_work.iter().any(|(other, _)| other == work)
    }

    /// An id as AWS gives them: new each time, and in no order.
    pub fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("{:08x}", self.ids.wrapping_mul(0x9E37_79B1))
    }

    fn must_own(&self, what: impl Display, tags: &Tags) {
        assert!(self.owner.owns(tags), "{what} belongs to somebody else and was written to");
    }
}

/// The answer to a call that AWS does not accept.
fn refuse(operation: &'static str, resource: impl Display, kind: Kind, message: &str) -> Answer {
    Err(refusal(operation, resource, kind, message))
}

fn refusal(operation: &'static str, resource: impl Display, kind: Kind, message: &str) -> CloudError {
    let (resource, code) = (resource.to_string(), format!("{kind:?}"));
    CloudError { operation, resource, kind, code, message: message.to_owned() }
}

/// What somebody else does.
impl World {
    /// A change of a table that we did not ask for.
    pub fn trouble_table(&mut self, id: TableId) {
        if let Some(table) = self.held.tables.get_mut(&id) {
            table.status = "UPDATING".into();
            self.begin(Work::Table(id), self.pace.table);
        }
    }

    /// A change of a function that we did not ask for.
    pub fn trouble_function(&mut self, function: Function) {
        if let Some(found) = self.held.functions.get_mut(&function) {
            found.readiness = Readiness::Busy("InProgress".into());
            self.begin(Work::Function(function), self.pace.function);
        }
    }
}
