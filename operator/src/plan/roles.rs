//! Roles and log groups: both come before their function and go after it.

use sumu_contract::Function;

use super::step::{LogGroupStep, RoleStep};
use super::tagged::Tagged;
use super::{Part, Plan, Step};
use crate::desired::Desired;
use crate::desired::policy::Document;
use crate::desired::roles::Role;
use crate::observed::{Observed, ResourceId, RoleState};

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
    for (function, days) in &desired.log_groups {
        keep_log_group(desired, *function, *days, observed, plan);
    }
    delete(desired, observed, plan);
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

fn keep_log_group(desired: &Desired, function: Function, days: i32, observed: &Observed, plan: &mut Plan) {
    let name = desired.names.log_group(function);
    if plan.is_foreign(PART, ResourceId::LogGroup(function), &name, observed) {
        return;
    }
    let Some(found) = observed.log_groups.get(&function) else {
        plan.step(Step::LogGroup(function, LogGroupStep::Create { name: name.clone(), tags: desired.tags.clone() }));
        plan.step(Step::LogGroup(function, LogGroupStep::SetRetention { name, days }));
        return;
    };
    if found.retention_days != Some(days) {
        plan.step(Step::LogGroup(function, LogGroupStep::SetRetention { name, days }));
    }
    let tagged = Tagged::LogGroup { function, arn: desired.names.log_group_arn(function) };
    plan.keep_tags(tagged, &desired.tags, &found.tags);
}

/// A role that goes while Lambda still uses it leaves event sources that can never be deleted.
fn delete(desired: &Desired, observed: &Observed, plan: &mut Plan) {
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
    for function in observed.log_groups.keys() {
        if desired.log_groups.contains_key(function) {
            continue;
        }
        if observed.functions.contains_key(function) {
            plan.wait_gone(PART, ResourceId::LogGroup(*function), ResourceId::Function(*function));
            continue;
        }
        let name = desired.names.log_group(*function);
        plan.step(Step::LogGroup(*function, LogGroupStep::Delete { name }));
    }
}
