//! API Gateway v2: half of its creates make a second thing when they are repeated.

use std::collections::BTreeSet;

use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::desired::access_logs::AccessLogs;
use sumu_operator::desired::gateway::{AUTHORIZER_NAME, INTEGRATION_NAME, RESPONSE_KEY, ROUTE_SELECTION};
use sumu_operator::observed::{
    ApiState, AuthorizerState, DeploymentState, IntegrationState, LogGroupState, RouteState, StageState,
};
use sumu_operator::plan::step::{AccessLogStep, GatewayStep, RouteInput, StageInput};
use sumu_operator::stack::name::LogGroupId;

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn gateway_call(&mut self, step: &GatewayStep) -> Answer {
        match step {
            GatewayStep::CreateApi { name, tags } => {
                let id = self.next_id();
                let (name, route_selection) = (name.clone(), ROUTE_SELECTION.into());
                self.held.apis.push(ApiState { id, tags: tags.clone(), name, route_selection, ..ApiState::default() });
                Ok(())
            }
            GatewayStep::UpdateApi { api_id, name } => {
                let api = self.api("UpdateApi", api_id)?;
                (api.name, api.route_selection) = (name.clone(), ROUTE_SELECTION.into());
                Ok(())
            }
            GatewayStep::DeleteApi { api_id } => {
                if self.held.apis.iter().any(|api| api.id == *api_id) {
                    self.api("DeleteApi", api_id)?;
                    if self.is_mapped(api_id) {
                        let message = "Please remove all API mappings for the API from your custom domain names.";
                        return refuse("DeleteApi", api_id, Kind::Rejected, message);
                    }
                    self.held.apis.retain(|api| api.id != *api_id);
                }
                Ok(())
            }
            GatewayStep::CreateAuthorizer { .. }
            | GatewayStep::UpdateAuthorizer { .. }
            | GatewayStep::DeleteAuthorizer { .. } => self.authorizer_call(step),
            GatewayStep::CreateIntegration { .. }
            | GatewayStep::UpdateIntegration { .. }
            | GatewayStep::DeleteIntegration { .. } => self.integration_call(step),
            GatewayStep::CreateRoute { .. }
            | GatewayStep::UpdateRoute { .. }
            | GatewayStep::DeleteRoute { .. }
            | GatewayStep::CreateRouteResponse { .. } => self.route_call(step),
            GatewayStep::CreateDeployment { .. }
            | GatewayStep::DeleteDeployment { .. }
            | GatewayStep::CreateStage { .. }
            | GatewayStep::UpdateStage { .. }
            | GatewayStep::StopAutoDeploy { .. }
            | GatewayStep::DeleteStage { .. } => self.stage_call(step),
        }
    }

    fn api(&mut self, operation: &'static str, id: &str) -> Result<&mut ApiState, CloudError> {
        let Some(at) = self.held.apis.iter().position(|api| api.id == id) else {
            return Err(refusal(operation, id, Kind::NotFound, "Invalid API identifier specified"));
        };
        self.must_own(format!("api {id}"), &self.held.apis[at].tags);
        Ok(&mut self.held.apis[at])
    }

    fn authorizer_call(&mut self, step: &GatewayStep) -> Answer {
        match step {
            GatewayStep::CreateAuthorizer { api_id, uri, identity_sources } => {
                let (id, name) = (self.next_id(), AUTHORIZER_NAME.into());
                let (uri, identity_sources) = (uri.clone(), identity_sources.clone());
                let api = self.api("CreateAuthorizer", api_id)?;
                api.authorizers.push(AuthorizerState { id, name, uri, identity_sources });
            }
            GatewayStep::UpdateAuthorizer { api_id, id, uri, identity_sources } => {
                let api = self.api("UpdateAuthorizer", api_id)?;
                let found = api.authorizers.iter_mut().find(|found| found.id == *id);
                let found = found.ok_or_else(|| not_found("UpdateAuthorizer", id))?;
                (found.uri, found.identity_sources) = (uri.clone(), identity_sources.clone());
            }
            GatewayStep::DeleteAuthorizer { api_id, id } => {
                let api = self.api("DeleteAuthorizer", api_id)?;
                if api.routes.iter().any(|route| route.authorizer_id.as_ref() == Some(id)) {
                    return refuse("DeleteAuthorizer", id, Kind::Busy, "is referenced in route");
                }
                api.authorizers.retain(|found| found.id != *id);
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn integration_call(&mut self, step: &GatewayStep) -> Answer {
        match step {
            GatewayStep::CreateIntegration { api_id, uri, timeout_ms } => {
                let (id, description) = (self.next_id(), INTEGRATION_NAME.into());
                let (uri, timeout_ms) = (uri.clone(), *timeout_ms);
                let api = self.api("CreateIntegration", api_id)?;
                api.integrations.push(IntegrationState { id, description, uri, timeout_ms });
            }
            GatewayStep::UpdateIntegration { api_id, id, uri, timeout_ms } => {
                let api = self.api("UpdateIntegration", api_id)?;
                let found = api.integrations.iter_mut().find(|found| found.id == *id);
                let found = found.ok_or_else(|| not_found("UpdateIntegration", id))?;
                (found.uri, found.timeout_ms) = (uri.clone(), *timeout_ms);
            }
            GatewayStep::DeleteIntegration { api_id, id } => {
                let api = self.api("DeleteIntegration", api_id)?;
                let target = format!("integrations/{id}");
                if api.routes.iter().any(|route| route.target.as_ref() == Some(&target)) {
                    return refuse("DeleteIntegration", id, Kind::Busy, "is referenced in route");
                }
                api.integrations.retain(|found| found.id != *id);
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn route_call(&mut self, step: &GatewayStep) -> Answer {
        match step {
            GatewayStep::CreateRoute { api_id, route } => {
                let id = self.next_id();
                let api = self.api("CreateRoute", api_id)?;
                if api.routes.iter().any(|found| found.key == route.key) {
                    return refuse("CreateRoute", &route.key, Kind::AlreadyExists, "Route with key already exists");
                }
                check_route("CreateRoute", api, route)?;
                let mut state = RouteState {
                    id,
                    key: route.key.clone(),
                    target: None,
                    authorizer_id: None,
                    response_selection: None,
                    responses: vec![],
                };
                write_route(&mut state, route);
                api.routes.push(state);
            }
            GatewayStep::UpdateRoute { api_id, id, route } => {
                let api = self.api("UpdateRoute", api_id)?;
                check_route("UpdateRoute", api, route)?;
                let found = api.routes.iter_mut().find(|found| found.id == *id);
                let found = found.ok_or_else(|| not_found("UpdateRoute", id))?;
                assert_eq!(found.key, route.key, "another route");
                write_route(found, route);
            }
            GatewayStep::DeleteRoute { api_id, id, key } => {
                let api = self.api("DeleteRoute", api_id)?;
                api.routes.retain(|found| found.id != *id || found.key != *key);
            }
            GatewayStep::CreateRouteResponse { api_id, route_id, route_key } => {
                let api = self.api("CreateRouteResponse", api_id)?;
                let found = api.routes.iter_mut().find(|found| found.id == *route_id);
                let found = found.ok_or_else(|| not_found("CreateRouteResponse", route_id))?;
                assert_eq!(found.key, *route_key, "another route");
                if found.responses.iter().any(|key| key == RESPONSE_KEY) {
                    return refuse("CreateRouteResponse", route_key, Kind::AlreadyExists, "already exists");
                }
                found.responses.push(RESPONSE_KEY.into());
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    fn stage_call(&mut self, step: &GatewayStep) -> Answer {
        match step {
            GatewayStep::CreateDeployment { api_id, description } => {
                let id = self.next_id();
                let api = self.api("CreateDeployment", api_id)?;
                if api.routes.is_empty() {
                    let message = "At least one route is required before deploying the Api.";
                    return refuse("CreateDeployment", api_id, Kind::Rejected, message);
                }
                let captured = api.clone();
                let (description, status) = (description.clone(), "PENDING".into());
                api.deployments.push(deployment(&id, description, status));
                self.captured.insert(id.clone(), captured);
                self.begin(Work::Deployment(id), self.pace.deployment);
            }
            GatewayStep::DeleteDeployment { api_id, id } => {
                let api = self.api("DeleteDeployment", api_id)?;
                if api.stages.iter().any(|stage| stage.deployment_id.as_ref() == Some(id)) {
                    let message = "Active stages pointing to this deployment must be moved or deleted";
                    return refuse("DeleteDeployment", id, Kind::Rejected, message);
                }
                api.deployments.retain(|found| found.id != *id);
            }
            GatewayStep::CreateStage { api_id, stage, tags } => {
                assert!(self.owner.owns(tags), "a stage without the owner's tags");
                let api = self.api("CreateStage", api_id)?;
                if api.stages.iter().any(|found| found.name == stage.name) {
                    return refuse("CreateStage", &stage.name, Kind::AlreadyExists, "Stage already exists");
                }
                check_stage("CreateStage", api, stage)?;
                api.stages.push(stage_of(stage));
                self.child_tags.insert(self.names.stage_arn(api_id, &stage.name), tags.clone());
            }
            GatewayStep::UpdateStage { api_id, stage } => {
                let api = self.api("UpdateStage", api_id)?;
                check_stage("UpdateStage", api, stage)?;
                let found = api.stages.iter_mut().find(|found| found.name == stage.name);
                let found = found.ok_or_else(|| not_found("UpdateStage", &stage.name))?;
                if found.deploys_itself {
                    let message = "Deployment ID cannot be set because AutoDeploy is enabled";
                    return refuse("UpdateStage", &stage.name, Kind::Rejected, message);
                }
                // What an update does not name stays as it was.
                *found = StageState { access_logs: found.access_logs.take(), ..stage_of(stage) };
            }
            GatewayStep::StopAutoDeploy { api_id, name } => {
                let api = self.api("UpdateStage", api_id)?;
                let found = api.stages.iter_mut().find(|found| found.name == *name);
                found.ok_or_else(|| not_found("UpdateStage", name))?.deploys_itself = false;
            }
            GatewayStep::DeleteStage { api_id, name } => {
                self.api("DeleteStage", api_id)?.stages.retain(|found| found.name != *name);
            }
            other => unreachable!("{other}"),
        }
        Ok(())
    }

    pub(super) fn access_log_call(&mut self, step: &AccessLogStep) -> Answer {
        let has_group = self.held.log_groups.contains_key(&LogGroupId::AccessLogs);
        let lacks_role = self.lacks_log_role;
        let (operation, api_id, name, logs) = match step {
            AccessLogStep::Set { api_id, stage, logs } => ("UpdateStage", api_id, stage, Some(logs.clone())),
            AccessLogStep::Remove { api_id, stage } => ("DeleteAccessLogSettings", api_id, stage, None),
        };
        let api = self.api(operation, api_id)?;
        let found = api.stages.iter_mut().find(|found| found.name == *name);
        let found = match found {
            Some(found) => found,
            None if logs.is_none() => return Ok(()),
            None => return Err(not_found(operation, name)),
        };
        if logs.is_some() && lacks_role {
            let message = "CloudWatch Logs role ARN must be set in account settings to enable logging";
            return refuse(operation, name, Kind::Unprepared, message);
        }
        assert!(logs.is_none() || has_group, "a stage is to write to a log group that is not there");
        found.access_logs = logs;
        Ok(())
    }

    /// Lets the stage write access logs to the log group that would be ours for them.
    pub fn log_unasked(&mut self) {
        let (id, tags) = (LogGroupId::AccessLogs, self.owner.tags());
        self.held.log_groups.insert(id, LogGroupState { tags, retention_days: None });
        let logs = AccessLogs { destination_arn: self.names.log_group_arn(id), format: "$context.requestId".into() };
        for stage in self.held.apis.iter_mut().flat_map(|api| &mut api.stages) {
            stage.access_logs = Some(logs.clone());
        }
    }

    /// Notes what a deployment has captured.
    pub fn capture(&mut self, deployment: &str, api: ApiState) {
        self.captured.insert(deployment.to_owned(), api);
    }

    /// Makes the first deployment, if there is one, a second time, under an id that is listed before it. Once an id: no two
    /// have the same.
    pub fn deploy_twice(&mut self, id: &str) {
        let Some(api) = self.held.apis.first_mut() else { return };
        if api.deployments.iter().any(|found| found.id == id) {
            return;
        }
        let Some(first) = api.deployments.first().cloned() else { return };
        let captured = self.captured[&first.id].clone();
        api.deployments.insert(0, DeploymentState { id: id.to_owned(), ..first });
        self.capture(id, captured);
    }

    /// Deploys the API as it is, and lets the stage serve that.
    pub fn deploy_as_somebody_else(&mut self) {
        let id = self.next_id();
        let api = &mut self.held.apis[0];
        self.captured.insert(id.clone(), api.clone());
        let (description, status) = ("by hand".into(), "DEPLOYED".into());
        api.deployments.push(deployment(&id, description, status));
        api.stages.iter_mut().for_each(|stage| stage.deployment_id = Some(id.clone()));
    }

    /// Whether clients get what the API says: its stage serves a deployment, and that was made of what is there now.
    pub fn assert_served(&self) {
        let ours: Vec<&ApiState> = self.held.apis.iter().filter(|api| self.owner.owns(&api.tags)).collect();
        let [api] = ours[..] else { panic!("there is not exactly one api but {}", ours.len()) };
        let [stage] = &api.stages[..] else { panic!("there is not exactly one stage: {:?}", api.stages) };
        let captured = &self.captured[stage.deployment_id.as_ref().unwrap()];
        assert_eq!(served(captured), served(api), "the stage serves something that is no longer there");
    }
}

/// What a client meets: routes with what is behind them. A route's own id is nothing that a client could tell.
fn served(api: &ApiState) -> BTreeSet<String> {
    let routes = api.routes.iter().map(|route| {
        let RouteState { id: _, key, target, authorizer_id, response_selection, responses } = route;
        let authorizer = api.authorizers.iter().find(|found| Some(&found.id) == authorizer_id.as_ref());
        let is_target = |found: &&IntegrationState| target.as_deref() == Some(&*format!("integrations/{}", found.id));
        let integration = api.integrations.iter().find(is_target);
        format!("{key}: {authorizer:?} {integration:?} {response_selection:?} {responses:?}")
    });
    routes.chain([api.route_selection.clone()]).collect()
}

fn not_found(operation: &'static str, id: &str) -> CloudError {
    refusal(operation, id, Kind::NotFound, "Invalid identifier specified")
}

fn check_route(operation: &'static str, api: &ApiState, route: &RouteInput) -> Answer {
    let rejected = |message| refuse(operation, &route.key, Kind::Rejected, message);
    if api.integrations.iter().all(|found| found.id != route.integration_id) {
        return rejected("the target does not exist");
    }
    let Some(authorizer) = &route.authorizer_id else { return Ok(()) };
    if route.key != "$connect" {
        return rejected("Currently, authorization is restricted to the $connect route only");
    }
    if api.authorizers.iter().all(|found| found.id != *authorizer) {
        return rejected("the authorizer does not exist");
    }
    Ok(())
}

fn write_route(state: &mut RouteState, route: &RouteInput) {
    state.target = Some(format!("integrations/{}", route.integration_id));
    state.authorizer_id.clone_from(&route.authorizer_id);
    state.response_selection = route.replies.then(|| RESPONSE_KEY.into());
}

fn check_stage(operation: &'static str, api: &ApiState, stage: &StageInput) -> Answer {
    match api.deployments.iter().find(|found| found.id == stage.deployment_id) {
        Some(found) if found.status == "DEPLOYED" => Ok(()),
        Some(_) | None => refuse(operation, &stage.name, Kind::Rejected, "Invalid deployment identifier specified"),
    }
}

fn stage_of(stage: &StageInput) -> StageState {
    StageState {
        name: stage.name.clone(),
        deployment_id: Some(stage.deployment_id.clone()),
        rate_limit: Some(stage.rate_limit),
        burst_limit: Some(stage.burst_limit),
        deploys_itself: false,
        access_logs: None,
    }
}

fn deployment(id: &str, description: String, status: String) -> DeploymentState {
    DeploymentState { id: id.to_owned(), description, status, status_message: None, failed_lately: false }
}
