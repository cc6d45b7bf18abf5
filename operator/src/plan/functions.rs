//! Functions with their permissions, and what feeds them.

use std::collections::BTreeMap;

use sumu_contract::Function;

use super::step::{Configuration, FunctionStep, SourceStep};
use super::tagged::Tagged;
use super::{Part, Plan, Step, WaitReason, departures};
use crate::desired::Desired;
use crate::desired::functions::{self, FunctionConfig, Missing, Source};
use crate::observed::{FunctionState, Observed, Readiness, ResourceId, SourceState, TableState};
use crate::stack::name::{LogGroupId, QueueId, SourceId, TableId};

const PART: Part = Part::Functions;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (function, config) in &desired.functions {
        let (function, name) = (*function, desired.names.function(*function));
        if plan.is_foreign(PART, ResourceId::Function(function), &name, observed) {
            continue;
        }
        match observed.functions.get(&function) {
            None => create(desired, function, config, observed, plan),
            Some(found) => match &found.readiness {
                Readiness::Ready => keep(desired, function, config, found, observed, plan),
                Readiness::Busy(state) => plan.wait_ready(PART, ResourceId::Function(function), state),
                Readiness::Failed(reason) => plan.wait(
                    PART,
                    WaitReason::Failed { what: ResourceId::Function(function).to_string(), reason: reason.clone() },
                ),
            },
        }
    }
    for (function, found) in &observed.functions {
        if !desired.functions.contains_key(function) {
            delete(desired, *function, found, observed, plan);
        }
    }
}

fn create(desired: &Desired, function: Function, config: &FunctionConfig, observed: &Observed, plan: &mut Plan) {
    let what = ResourceId::Function(function);
    let log_group = LogGroupId::Function(function);
    if !observed.log_groups.contains_key(&log_group) {
        // Otherwise Lambda makes the log group itself, without tags and for ever.
        return plan.wait_for(PART, what, ResourceId::LogGroup(log_group));
    }
    if !role_is_complete(desired, function, observed) {
        return plan.wait_for(PART, what, ResourceId::Role(function));
    }
    if let Some(queue) = config.dead_letters.filter(|queue| !observed.queues.contains_key(queue)) {
        return plan.wait_for(PART, what, ResourceId::Queue(queue));
    }
    match configuration(desired, function, config, observed) {
        Err(missing) => plan.wait_for(PART, what, needs(&missing)),
        Ok(configuration) => plan.step(Step::Function(
            function,
            FunctionStep::Create {
                package: config.package.clone(),
                architecture: config.architecture,
                configuration,
                tags: desired.tags.clone(),
            },
        )),
    }
}

/// Whether the role exists with its policy. Lambda checks some of the rights when it makes a function or a source.
fn role_is_complete(desired: &Desired, function: Function, observed: &Observed) -> bool {
    let want = desired.roles.get(&function).and_then(|role| role.policy(&desired.names, observed));
    observed.roles.get(&function).is_some_and(|role| want.is_some() && role.policy == want)
}

fn configuration(
    desired: &Desired,
    function: Function,
    config: &FunctionConfig,
    observed: &Observed,
) -> Result<Configuration, Missing> {
    Ok(Configuration {
        name: desired.names.function(function),
        role_arn: desired.names.role_arn(function),
        memory_mib: config.memory_mib,
        timeout_seconds: config.timeout_seconds,
        environment: config.environment(&desired.names, observed)?,
        dead_letters_arn: config.dead_letters.map(|queue| desired.names.queue_arn(queue)),
    })
}

fn needs(missing: &Missing) -> String {
    match missing {
        Missing::Queue(id) => ResourceId::Queue(*id).to_string(),
        Missing::Api => "the api".into(),
    }
}

fn keep(
    desired: &Desired,
    function: Function,
    config: &FunctionConfig,
    found: &FunctionState,
    observed: &Observed,
    plan: &mut Plan,
) {
    let what = ResourceId::Function(function);
    if let Some(failed) = &found.failed_update {
        let (what, reason) = (format!("the last update of {what}"), failed.reason.clone());
        plan.wait(PART, WaitReason::Failed { what, reason });
    }
    match update(desired, function, config, found, observed) {
        Err(missing) => return plan.wait_for(PART, what, needs(&missing)),
        // Another would fail like one that has just failed.
        Ok(Some(_)) if found.failed_update.as_ref().is_some_and(|failed| failed.is_young) => {}
        Ok(Some(step)) => return plan.step(Step::Function(function, step)),
        Ok(None) => {}
    }
    permit(desired, function, found, observed, plan);
    keep_tags(desired, function, found, observed, plan);
}

/// Code first, then configuration: Lambda takes one change and is busy until it is done.
fn update(
    desired: &Desired,
    function: Function,
    config: &FunctionConfig,
    found: &FunctionState,
    observed: &Observed,
) -> Result<Option<FunctionStep>, Missing> {
    if found.code_sha256 != config.package.code_sha256 || found.architecture != Some(config.architecture) {
        let (name, package) = (desired.names.function(function), config.package.clone());
        return Ok(Some(FunctionStep::UpdateCode { name, package, architecture: config.architecture }));
    }
    let configuration = configuration(desired, function, config, observed)?;
    // After an update that failed, nobody knows what of it is at work, whatever is shown. The next one is of the function as
    // a whole, and this kind needs no upload.
    let is_needed = found.failed_update.is_some() || !is_configured(&configuration, found);
    Ok(is_needed.then_some(FunctionStep::UpdateConfiguration { configuration }))
}

/// The tags of event sources are not looked at, because each would be a read: they follow their function's, which go last.
fn keep_tags(desired: &Desired, function: Function, found: &FunctionState, observed: &Observed, plan: &mut Plan) {
    let sources = observed.sources.iter().filter(|source| source.function == function && is_of_stack(desired, source));
    for source in sources {
        let tagged = Tagged::Source { function, arn: desired.names.source_arn(&source.uuid) };
        plan.keep_tags(tagged, &desired.tags, &found.tags);
    }
    plan.keep_tags(Tagged::Function { function, arn: found.arn.clone() }, &desired.tags, &found.tags);
}

fn is_configured(want: &Configuration, found: &FunctionState) -> bool {
    // Without `..`, so that a new setting cannot be written and never compared.
    let Configuration { name: _, role_arn, memory_mib, timeout_seconds, environment, dead_letters_arn } = want;
    *role_arn == found.role_arn
        && *memory_mib == found.memory_mib
        && *timeout_seconds == found.timeout_seconds
        && *environment == found.environment
        && *dead_letters_arn == found.dead_letters_arn
}

fn permit(desired: &Desired, function: Function, found: &FunctionState, observed: &Observed, plan: &mut Plan) {
    let Some(gateway) = &desired.gateway else { return };
    let want = match functions::permission(function, &desired.names, &gateway.stage_name, observed) {
        Err(missing) => return plan.wait_for(PART, format!("permission of function {function}"), needs(&missing)),
        Ok(None) => return,
        Ok(Some(want)) => want,
    };
    let name = desired.names.function(function);
    match found.permissions.iter().find(|permission| permission.sid == want.sid) {
        Some(have) if *have == want => return,
        // A statement cannot be changed, and its id cannot be used twice.
        Some(have) => plan.step(Step::Function(
            function,
            FunctionStep::RemovePermission { name: name.clone(), sid: have.sid.clone() },
        )),
        None => {}
    }
    plan.step(Step::Function(function, FunctionStep::AddPermission { name, permission: want }));
}

fn delete(desired: &Desired, function: Function, found: &FunctionState, observed: &Observed, plan: &mut Plan) {
    let what = ResourceId::Function(function);
    if observed.sources.iter().any(|source| source.function == function) {
        return plan.wait_gone(PART, what, "its event source");
    }
    if matches!(function, Function::Authorizer | Function::Routes) && !observed.apis.is_empty() {
        return plan.wait_gone(PART, what, "the api");
    }
    let is_subscribed = observed
        .topics
        .values()
        .flat_map(|topic| &topic.subscriptions)
        .any(|subscription| subscription.endpoint == found.arn);
    if is_subscribed {
        return plan.wait_gone(PART, what, "its subscription");
    }
    match &found.readiness {
        Readiness::Busy(state) => plan.wait_ready(PART, what, state),
        Readiness::Ready | Readiness::Failed(_) => {
            plan.step(Step::Function(function, FunctionStep::Delete { name: desired.names.function(function) }));
        }
    }
}

/// Event sources. A stream that was switched off and on has another ARN, and a source's ARN cannot change.
pub(super) fn plan_sources(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let mut wanted = desired.sources.clone();
    if departures::are_under_way(desired, observed) {
        wanted.insert(SourceId::Departures, functions::departures());
        plan.wait_gone(PART, format!("event source {}", SourceId::Departures), "the last departure");
    }
    let mut kept: BTreeMap<SourceId, &SourceState> = BTreeMap::new();
    for found in &observed.sources {
        let id = SourceId::ALL.iter().copied().find(|id| {
            id.function() == found.function && source_arn(desired, *id, observed).as_deref() == Some(&*found.source_arn)
        });
        match id.filter(|id| wanted.contains_key(id) && !kept.contains_key(id)) {
            Some(id) => drop(kept.insert(id, found)),
            // Somebody feeds our function with something of their own. It stands in the way only of a deletion, also
            // when the function is gone already.
            None if !is_of_stack(desired, found) => {
                if !desired.functions.contains_key(&found.function) {
                    let (source, function) = (&found.source_arn, ResourceId::Function(found.function));
                    plan.wait(PART, WaitReason::Foreign(format!("event source {source} of {function}")));
                }
            }
            None if found.state == "Deleting" => plan.wait_ready(PART, source_name(found), "Deleting"),
            None => {
                let (uuid, source_arn) = (found.uuid.clone(), found.source_arn.clone());
                plan.step(Step::Source(found.function, SourceStep::Delete { uuid, source_arn }));
            }
        }
    }
    for (id, source) in &wanted {
        match kept.get(id) {
            Some(found) => keep_source(*id, source, found, plan),
            None => create_source(desired, *id, source, observed, plan),
        }
    }
}

/// Whether a source reads from something of this stack: only such sources are ours to delete. A stream that was
/// switched off and on has another ARN, but belongs to the same table.
fn is_of_stack(desired: &Desired, found: &SourceState) -> bool {
    let names = &desired.names;
    let is_stream = found.source_arn.starts_with(&format!("{}/stream/", names.table_arn(TableId::Connections)));
    is_stream || QueueId::ALL.iter().any(|queue| names.queue_arn(*queue) == found.source_arn)
}

fn source_name(found: &SourceState) -> String {
    format!("event source of {}", found.function)
}

fn source_arn(desired: &Desired, id: SourceId, observed: &Observed) -> Option<String> {
    match id.queue() {
        Some(queue) => Some(desired.names.queue_arn(queue)),
        None => observed.tables.get(&TableId::Connections)?.stream_arn.clone(),
    }
}

fn keep_source(id: SourceId, source: &Source, found: &SourceState, plan: &mut Plan) {
    let Source { batch_size, concurrency_max, bisects, giving_up } = source;
    let is_same = *batch_size == found.batch_size
        && *concurrency_max == found.concurrency_max
        && *bisects == found.bisects
        && *giving_up == found.giving_up
        && found.reports_item_failures;
    match found.state.as_str() {
        "Enabled" if is_same => {}
        // Somebody has switched it off: an update switches it on again.
        "Enabled" | "Disabled" => {
            let update = SourceStep::Update { id, uuid: found.uuid.clone(), source: source.clone() };
            plan.step(Step::Source(found.function, update));
        }
        state => plan.wait_ready(PART, format!("event source {id}"), state),
    }
}

fn create_source(desired: &Desired, id: SourceId, source: &Source, observed: &Observed, plan: &mut Plan) {
    let what = format!("event source {id}");
    let function = id.function();
    let input = id.queue().map_or(ResourceId::Table(TableId::Connections), ResourceId::Queue);
    let exists = match id.queue() {
        Some(queue) => observed.queues.contains_key(&queue),
        None => observed.tables.get(&TableId::Connections).is_some_and(TableState::is_active),
    };
    let Some(source_arn) = source_arn(desired, id, observed).filter(|_| exists) else {
        return plan.wait_for(PART, what, input);
    };
    if source.giving_up.is_some() && !observed.queues.contains_key(&QueueId::PresenceDeadLetters) {
        return plan.wait_for(PART, what, ResourceId::Queue(QueueId::PresenceDeadLetters));
    }
    let is_ready = observed.functions.get(&function).is_some_and(|found| found.readiness == Readiness::Ready);
    if !is_ready || !role_is_complete(desired, function, observed) {
        return plan.wait_for(PART, what, ResourceId::Function(function));
    }
    plan.step(Step::Source(
        function,
        SourceStep::Create {
            id,
            function_name: desired.names.function(function),
            source_arn,
            source: source.clone(),
            tags: desired.tags.clone(),
        },
    ));
}
