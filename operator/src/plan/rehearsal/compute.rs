//! What calls to IAM and Lambda lead to.

use std::collections::BTreeMap;

use sumu_contract::Function;

use super::{NEW, Supposed};
use crate::desired::functions::Source;
use crate::observed::{FunctionState, Readiness, RoleState, SourceState};
use crate::plan::step::{Configuration, FunctionStep, RoleStep, SourceStep};

impl Supposed {
    pub(super) fn role(&mut self, function: Function, step: &RoleStep) {
        let roles = &mut self.world.roles;
        match (step, roles.get_mut(&function)) {
            (RoleStep::Create { name: _, trust, tags }, _) => {
                roles.insert(function, RoleState { tags: tags.clone(), trust: trust.clone(), policy: None });
            }
            (RoleStep::Delete { .. }, _) => drop(roles.remove(&function)),
            (RoleStep::SetTrust { trust, .. }, Some(role)) => role.trust = trust.clone(),
            (RoleStep::PutPolicy { policy, .. }, Some(role)) => role.policy = Some(policy.clone()),
            (RoleStep::DeletePolicy { .. }, Some(role)) => role.policy = None,
            (_, None) => {}
        }
    }

    pub(super) fn function(&mut self, function: Function, step: &FunctionStep) {
        let arn = self.desired.names.function_arn(function);
        let functions = &mut self.world.functions;
        match (step, functions.get_mut(&function)) {
            (FunctionStep::Create { package, architecture, configuration, tags }, _) => {
                let mut state = FunctionState {
                    tags: tags.clone(),
                    arn,
                    code_sha256: package.code_sha256.clone(),
                    architecture: Some(*architecture),
                    memory_mib: 0,
                    timeout_seconds: 0,
                    role_arn: String::new(),
                    environment: BTreeMap::new(),
                    dead_letters_arn: None,
                    readiness: Readiness::Ready,
                    failed_update: None,
                    changed_lately: false,
                    permissions: vec![],
                };
                configure(&mut state, configuration);
                functions.insert(function, state);
            }
            (FunctionStep::Delete { .. }, _) => drop(functions.remove(&function)),
            (FunctionStep::UpdateCode { name: _, package, architecture }, Some(found)) => {
                found.code_sha256.clone_from(&package.code_sha256);
                found.architecture = Some(*architecture);
                found.failed_update = None;
            }
            (FunctionStep::UpdateConfiguration { configuration }, Some(found)) => {
                configure(found, configuration);
                found.failed_update = None;
            }
            (FunctionStep::AddPermission { permission, .. }, Some(found)) => found.permissions.push(permission.clone()),
            (FunctionStep::RemovePermission { sid, .. }, Some(found)) => {
                found.permissions.retain(|permission| permission.sid != *sid);
            }
            (_, None) => {}
        }
    }

    pub(super) fn source(&mut self, function: Function, step: &SourceStep) {
        let sources = &mut self.world.sources;
        match step {
            SourceStep::Create { id, function_name: _, source_arn, source, tags: _ } => {
                let mut state = SourceState {
                    uuid: format!("{NEW} {id}"),
                    function,
                    source_arn: source_arn.clone(),
                    state: "Enabled".into(),
                    batch_size: 0,
                    concurrency_max: None,
                    bisects: false,
                    giving_up: None,
                    reports_item_failures: true,
                };
                feed(&mut state, source);
                sources.push(state);
            }
            SourceStep::Update { id: _, uuid, source } => {
                for found in sources.iter_mut().filter(|found| found.uuid == *uuid) {
                    feed(found, source);
                    found.state = "Enabled".into();
                    found.reports_item_failures = true;
                }
            }
            SourceStep::Delete { uuid, .. } => sources.retain(|found| found.uuid != *uuid),
        }
    }
}

/// Without `..`: a new setting must not be lost here.
fn configure(function: &mut FunctionState, configuration: &Configuration) {
    let Configuration { name: _, role_arn, memory_mib, timeout_seconds, environment, dead_letters_arn } = configuration;
    function.role_arn.clone_from(role_arn);
    function.environment.clone_from(environment);
    function.dead_letters_arn.clone_from(dead_letters_arn);
    (function.memory_mib, function.timeout_seconds) = (*memory_mib, *timeout_seconds);
}

/// Without `..`, for the same reason.
fn feed(state: &mut SourceState, source: &Source) {
    let Source { batch_size, concurrency_max, bisects, giving_up } = source;
    (state.batch_size, state.concurrency_max, state.bisects) = (*batch_size, *concurrency_max, *bisects);
    state.giving_up.clone_from(giving_up);
}
