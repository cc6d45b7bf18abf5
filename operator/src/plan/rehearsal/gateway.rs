//! What calls to API Gateway lead to.

use super::{NEW, Supposed};
use crate::desired::gateway::{AUTHORIZER_NAME, INTEGRATION_NAME, RESPONSE_KEY, ROUTE_SELECTION};
use crate::observed::{ApiState, AuthorizerState, DeploymentState, IntegrationState, RouteState, StageState};
use crate::plan::step::{AccessLogStep, GatewayStep, RouteInput, StageInput};

impl Supposed {
    pub(super) fn gateway(&mut self, step: &GatewayStep) {
        match step {
            GatewayStep::CreateApi { name, tags } => {
                let (name, route_selection) = (name.clone(), ROUTE_SELECTION.into());
                let api = ApiState { id: NEW.into(), tags: tags.clone(), name, route_selection, ..ApiState::default() };
                self.world.apis.push(api);
                self.noted(tags);
            }
            GatewayStep::DeleteApi { api_id } => self.world.apis.retain(|api| api.id != *api_id),
            GatewayStep::UpdateApi { api_id, .. }
            | GatewayStep::CreateAuthorizer { api_id, .. }
            | GatewayStep::UpdateAuthorizer { api_id, .. }
            | GatewayStep::DeleteAuthorizer { api_id, .. }
            | GatewayStep::CreateIntegration { api_id, .. }
            | GatewayStep::UpdateIntegration { api_id, .. }
            | GatewayStep::DeleteIntegration { api_id, .. }
            | GatewayStep::CreateRoute { api_id, .. }
            | GatewayStep::UpdateRoute { api_id, .. }
            | GatewayStep::DeleteRoute { api_id, .. }
            | GatewayStep::CreateRouteResponse { api_id, .. }
            | GatewayStep::CreateDeployment { api_id, .. }
            | GatewayStep::DeleteDeployment { api_id, .. }
            | GatewayStep::CreateStage { api_id, .. }
            | GatewayStep::UpdateStage { api_id, .. }
            | GatewayStep::StopAutoDeploy { api_id, .. }
            | GatewayStep::DeleteStage { api_id, .. } => {
                if let Some(api) = self.world.apis.iter_mut().find(|api| api.id == *api_id) {
                    change(api, step);
                }
            }
        }
    }

    /// The API that an ARN names.
    pub(super) fn api_of(&mut self, arn: &str) -> Option<&mut ApiState> {
        let names = &self.desired.names;
        self.world.apis.iter_mut().find(|api| names.api_arn(&api.id) == arn)
    }
}

fn change(api: &mut ApiState, step: &GatewayStep) {
    match step {
        GatewayStep::UpdateApi { name, .. } => {
            (api.name, api.route_selection) = (name.clone(), ROUTE_SELECTION.into());
        }
        GatewayStep::CreateAuthorizer { uri, identity_sources, .. } => {
            let (uri, identity_sources) = (uri.clone(), identity_sources.clone());
            let (id, name) = (NEW.into(), AUTHORIZER_NAME.into());
            api.authorizers.push(AuthorizerState { id, name, uri, identity_sources });
        }
        GatewayStep::UpdateAuthorizer { id, uri, identity_sources, .. } => {
            for found in api.authorizers.iter_mut().filter(|found| found.id == *id) {
                (found.uri, found.identity_sources) = (uri.clone(), identity_sources.clone());
            }
        }
        GatewayStep::DeleteAuthorizer { id, .. } => api.authorizers.retain(|found| found.id != *id),
        GatewayStep::CreateIntegration { uri, timeout_ms, .. } => {
            let (id, description) = (NEW.into(), INTEGRATION_NAME.into());
            api.integrations.push(IntegrationState { id, description, uri: uri.clone(), timeout_ms: *timeout_ms });
        }
        GatewayStep::UpdateIntegration { id, uri, timeout_ms, .. } => {
            for found in api.integrations.iter_mut().filter(|found| found.id == *id) {
                (found.uri, found.timeout_ms) = (uri.clone(), *timeout_ms);
            }
        }
        GatewayStep::DeleteIntegration { id, .. } => api.integrations.retain(|found| found.id != *id),
        other => change_what_is_served(api, other),
    }
}

/// Routes, deployments and stages.
fn change_what_is_served(api: &mut ApiState, step: &GatewayStep) {
    match step {
        // Each needs an id of its own.
        GatewayStep::CreateRoute { route, .. } => api.routes.push(route_of(format!("{NEW} {}", route.key), route)),
        GatewayStep::UpdateRoute { id, route, .. } => {
            for found in api.routes.iter_mut().filter(|found| found.id == *id) {
                *found = RouteState { responses: found.responses.clone(), ..route_of(id.clone(), route) };
            }
        }
        GatewayStep::DeleteRoute { id, .. } => api.routes.retain(|found| found.id != *id),
        GatewayStep::CreateRouteResponse { route_id, .. } => {
            for found in api.routes.iter_mut().filter(|found| found.id == *route_id) {
                found.responses.push(RESPONSE_KEY.into());
            }
        }
        GatewayStep::CreateDeployment { description, .. } => api.deployments.push(DeploymentState {
            id: NEW.into(),
            description: description.clone(),
            status: "DEPLOYED".into(),
            status_message: None,
            failed_lately: false,
        }),
        GatewayStep::DeleteDeployment { id, .. } => api.deployments.retain(|found| found.id != *id),
        GatewayStep::CreateStage { stage, .. } => api.stages.push(stage_of(stage)),
        GatewayStep::UpdateStage { stage, .. } => {
            for found in api.stages.iter_mut().filter(|found| found.name == stage.name) {
                *found = StageState { access_logs: found.access_logs.take(), ..stage_of(stage) };
            }
        }
        GatewayStep::StopAutoDeploy { name, .. } => {
            for found in api.stages.iter_mut().filter(|found| found.name == *name) {
                found.deploys_itself = false;
            }
        }
        GatewayStep::DeleteStage { name, .. } => api.stages.retain(|found| found.name != *name),
        // Of the API itself, or done above.
        _ => {}
    }
}

impl Supposed {
    pub(super) fn access_logs(&mut self, step: &AccessLogStep) {
        let (AccessLogStep::Set { api_id, stage, .. } | AccessLogStep::Remove { api_id, stage }) = step;
        let logs = match step {
            AccessLogStep::Set { logs, .. } => Some(logs.clone()),
            AccessLogStep::Remove { .. } => None,
        };
        let apis = self.world.apis.iter_mut().filter(|api| api.id == *api_id);
        for found in apis.flat_map(|api| &mut api.stages).filter(|found| found.name == *stage) {
            found.access_logs.clone_from(&logs);
        }
    }
}

fn route_of(id: String, route: &RouteInput) -> RouteState {
    let RouteInput { key, integration_id, authorizer_id, replies } = route;
    RouteState {
        id,
        key: key.clone(),
        target: Some(format!("integrations/{integration_id}")),
        authorizer_id: authorizer_id.clone(),
        response_selection: replies.then(|| RESPONSE_KEY.into()),
        responses: vec![],
    }
}

fn stage_of(stage: &StageInput) -> StageState {
    let StageInput { name, deployment_id, rate_limit, burst_limit } = stage;
    StageState {
        name: name.clone(),
        deployment_id: Some(deployment_id.clone()),
        deploys_itself: false,
        rate_limit: Some(*rate_limit),
        burst_limit: Some(*burst_limit),
        access_logs: None,
    }
}
