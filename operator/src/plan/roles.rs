//! Roles and log groups: both come before who uses them and go after it.

use sumu_contract::Function;

use super::step::{LogGroupStep, RoleStep, part_of_log_group};
use super::tagged::Tagged;
use super::{Part, Plan, Step, access_logs};
use crate::desired::Desired;
use crate::desired::policy::Document;
use crate::desired::roles::Role;
use crate::observed::{Observed, ResourceId, RoleState};
use crate::stack::name::LogGroupId;

const PART: Part = Part::Functions;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (function, role) in &desired.roles {
        let name = desired.names.function(*function);
        if plan.is_foreign(PART, ResourceId::Role(*function), &name, observed) {
            continue;
        }
        match observed.roles.get(function) {
            None => {
                let create = RoleStep::Create { name, trust: Document::lambda_trust(), tags: desired.tags.clone() };
                plan.step(Step::Role(*function, create));
            }
            Some(found) => keep_role(desired, *function, role, found, observed, plan),
        }
    }
    for (id, days) in &desired.log_groups {
        keep_log_group(desired, *id, *days, observed, plan);
    }
    delete_roles(desired, observed, plan);
    delete_log_groups(desired, observed, plan);
}

fn keep_role(
    desired: &Desired,
    function: Function,
    role: &Role,
    found: &RoleState,
    observed: &Observed,
    plan: &mut Plan,
) {
    let name = desired.names.function(function);
    if found.trust != Document::lambda_trust() {
        plan.step(Step::Role(function, RoleStep::SetTrust { name: name.clone(), trust: Document::lambda_trust() }));
    }
    match role.policy(&desired.names, observed) {
        None => plan.wait_for(PART, format!("policy of role {function}"), "the api"),
        Some(policy) if found.policy.as_ref() == Some(&policy) => {}
        Some(policy) => plan.step(Step::Role(function, RoleStep::PutPolicy { name: name.clone(), policy })),
    }
    plan.keep_tags(Tagged::Role { function, name }, &desired.tags, &found.tags);
}

fn keep_log_group(desired: &Desired, id: LogGroupId, days: i32, observed: &Observed, plan: &mut Plan) {
    let name = desired.names.log_group(id);
    if plan.is_foreign(part_of_log_group(id), ResourceId::LogGroup(id), &name, observed) {
        return;
    }
    let Some(found) = observed.log_groups.get(&id) else {
        plan.step(Step::LogGroup(id, LogGroupStep::Create { name: name.clone(), tags: desired.tags.clone() }));
        plan.step(Step::LogGroup(id, LogGroupStep::SetRetention { name, days }));
        return;
    };
    if found.retention_days != Some(days) {
        plan.step(Step::LogGroup(id, LogGroupStep::SetRetention { name, days }));
    }
    plan.keep_tags(Tagged::LogGroup { id, arn: desired.names.log_group_arn(id) }, &desired.tags, &found.tags);
}

/// A role that goes while Lambda still uses it leaves event sources that can never be deleted.
fn delete_roles(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (function, found) in &observed.roles {
        if desired.roles.contains_key(function) {
            continue;
        }
        let name = desired.names.function(*function);
        if observed.functions.contains_key(function) {
            plan.wait_gone(PART, ResourceId::Role(*function), ResourceId::Function(*function));
            continue;
        }
        if observed.sources.iter().any(|source| source.function == *function) {
            // Somebody has deleted the function alone.
            plan.wait_gone(PART, ResourceId::Role(*function), "its event source");
            continue;
        }
        if found.policy.is_some() {
            plan.step(Step::Role(*function, RoleStep::DeletePolicy { name: name.clone() }));
        }
        plan.step(Step::Role(*function, RoleStep::Delete { name }));
    }
}

fn delete_log_groups(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for id in observed.log_groups.keys().filter(|id| !desired.log_groups.contains_key(id)) {
        let writer = match id {
            LogGroupId::Function(function) if observed.functions.contains_key(function) => {
                Some(ResourceId::Function(*function).to_string())
            }
            LogGroupId::Function(_) => None,
            LogGroupId::AccessLogs => access_logs::writer(desired, observed),
        };
        match writer {
            Some(writer) => plan.wait_gone(part_of_log_group(*id), ResourceId::LogGroup(*id), writer),
            None => plan.step(Step::LogGroup(*id, LogGroupStep::Delete { name: desired.names.log_group(*id) })),
        }
    }
}
