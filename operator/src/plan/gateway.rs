//! The WebSocket API: inside out, and a deployment exactly when what it captures changes.

use super::step::{GatewayStep, RouteInput, StageInput};
use super::tagged::Tagged;
use super::{Part, Plan, WaitReason, domain};
use crate::desired::Desired;
use crate::desired::functions::permission;
use crate::desired::gateway::{AUTHORIZER_NAME, Gateway, INTEGRATION_NAME, RESPONSE_KEY, ROUTE_SELECTION};
use crate::observed::{
    ApiState, AuthorizerState, DeploymentState, IntegrationState, Observed, Readiness, ResourceId, RouteState,
    StageState, TableState,
};
use crate::stack::name::{TableId, TopicId};
use sumu_contract::Function;

const PART: Part = Part::Gateway;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let kept = desired.gateway.as_ref().map_or(0, |_| 1);
    // A create whose answer was lost may have made a second one: the oldest stays.
    for api in observed.apis.iter().skip(kept) {
        match domain::holds(api, observed) {
            Some(before) => plan.wait_gone(PART, format!("api {}", api.id), before),
            None => plan.step(GatewayStep::DeleteApi { api_id: api.id.clone() }),
        }
    }
    let Some(gateway) = &desired.gateway else { return };
    let name = desired.names.prefix().to_owned();
    let Some(api) = observed.api() else {
        let tags = desired.tags.clone().into_iter().chain(domain::note(desired)).collect();
        return plan.step(GatewayStep::CreateApi { name, tags });
    };
    if api.name != name || api.route_selection != ROUTE_SELECTION {
        plan.step(GatewayStep::UpdateApi { api_id: api.id.clone(), name });
    }
    keep_tags(desired, gateway, api, plan);
    let steps_before = plan.steps.len();
    let authorizer = keep_authorizer(gateway, api, plan);
    let integration = keep_integration(gateway, api, plan);
    let (Some(authorizer), Some(integration)) = (authorizer, integration) else {
        return plan.wait_for(PART, "routes", "authorizer and integration");
    };
    keep_routes(api, authorizer, integration, plan);
    clear_unused(api, authorizer, integration, plan);
    if plan.steps.len() > steps_before {
        return plan.wait_for(PART, "deployment", "the routes to be as they should");
    }
    deploy(desired, gateway, observed, api, &gateway.content_hash(&authorizer.id, &integration.id), plan);
}

/// The tags of the stage are not looked at, because that would be a read: they follow the API's, which go last.
fn keep_tags(desired: &Desired, gateway: &Gateway, api: &ApiState, plan: &mut Plan) {
    for stage in api.stages.iter().filter(|stage| stage.name == gateway.stage_name) {
        let (name, arn) = (stage.name.clone(), desired.names.stage_arn(&api.id, &stage.name));
        plan.keep_tags(Tagged::Stage { name, arn }, &desired.tags, &api.tags);
    }
    plan.keep_tags(Tagged::Api { arn: desired.names.api_arn(&api.id) }, &desired.tags, &api.tags);
}

/// The authorizer to keep, if there is one.
fn keep_authorizer<'a>(gateway: &Gateway, api: &'a ApiState, plan: &mut Plan) -> Option<&'a AuthorizerState> {
    let api_id = api.id.clone();
    let (uri, identity_sources) = (gateway.authorizer_uri.clone(), gateway.identity_sources.clone());
    let named = api.authorizers.iter().filter(|authorizer| authorizer.name == AUTHORIZER_NAME);
    let found = in_use_or_first(named, |found| is_authorizing(api, found));
    match found {
        None => plan.step(GatewayStep::CreateAuthorizer { api_id, uri, identity_sources }),
        Some(found) if found.uri == uri && found.identity_sources == identity_sources => {}
        Some(found) => plan.step(GatewayStep::UpdateAuthorizer { api_id, id: found.id.clone(), uri, identity_sources }),
    }
    found
}

/// The integration to keep, if there is one.
fn keep_integration<'a>(gateway: &Gateway, api: &'a ApiState, plan: &mut Plan) -> Option<&'a IntegrationState> {
    let api_id = api.id.clone();
    let (uri, timeout_ms) = (gateway.integration_uri.clone(), gateway.integration_timeout_ms);
    let named = api.integrations.iter().filter(|integration| integration.description == INTEGRATION_NAME);
    let found = in_use_or_first(named, |found| is_target(api, found));
    match found {
        None => plan.step(GatewayStep::CreateIntegration { api_id, uri, timeout_ms }),
        Some(found) if found.uri == uri && found.timeout_ms == timeout_ms => {}
        Some(found) => plan.step(GatewayStep::UpdateIntegration { api_id, id: found.id.clone(), uri, timeout_ms }),
    }
    found
}

/// Of several that a lost answer has made, or a call that came late: the one that clients meet already, whatever order a
/// list has, so that none of them notices.
fn in_use_or_first<'a, T>(
    mut found: impl Iterator<Item = &'a T> + Clone,
    is_in_use: impl Fn(&T) -> bool,
) -> Option<&'a T> {
    found.clone().find(|found| is_in_use(found)).or_else(|| found.next())
}

fn is_authorizing(api: &ApiState, authorizer: &AuthorizerState) -> bool {
    api.routes.iter().any(|route| route.authorizer_id.as_ref() == Some(&authorizer.id))
}

fn is_target(api: &ApiState, integration: &IntegrationState) -> bool {
    let target = format!("integrations/{}", integration.id);
    api.routes.iter().any(|route| route.target.as_ref() == Some(&target))
}

fn is_served(api: &ApiState, deployment: &DeploymentState) -> bool {
    api.stages.iter().any(|stage| stage.deployment_id.as_ref() == Some(&deployment.id))
}

fn keep_routes(api: &ApiState, authorizer: &AuthorizerState, integration: &IntegrationState, plan: &mut Plan) {
    let mut kept: Vec<&str> = Vec::new();
    for route in Gateway::routes() {
        let want = RouteInput {
            key: route.key.into(),
            integration_id: integration.id.clone(),
            authorizer_id: route.is_authorized.then(|| authorizer.id.clone()),
            replies: route.replies,
        };
        let api_id = api.id.clone();
        let Some(found) = api.routes.iter().find(|found| found.key == route.key) else {
            plan.step(GatewayStep::CreateRoute { api_id, route: want });
            if route.replies {
                plan.wait_for(PART, format!("response of route {}", route.key), "the route");
            }
            continue;
        };
        kept.push(&found.id);
        if !is_route(&want, found) {
            plan.step(GatewayStep::UpdateRoute { api_id: api_id.clone(), id: found.id.clone(), route: want });
        }
        if route.replies && !found.responses.iter().any(|key| key == RESPONSE_KEY) {
            let (route_id, route_key) = (found.id.clone(), route.key.into());
            plan.step(GatewayStep::CreateRouteResponse { api_id, route_id, route_key });
        }
    }
    for extra in api.routes.iter().filter(|route| !kept.contains(&route.id.as_str())) {
        let (api_id, id, key) = (api.id.clone(), extra.id.clone(), extra.key.clone());
        plan.step(GatewayStep::DeleteRoute { api_id, id, key });
    }
}

fn is_route(want: &RouteInput, found: &RouteState) -> bool {
    found.target.as_deref() == Some(&*format!("integrations/{}", want.integration_id))
        && found.authorizer_id == want.authorizer_id
        && found.response_selection.as_deref() == want.replies.then_some(RESPONSE_KEY)
}

/// Second authorizers and integrations, once no route speaks of them.
fn clear_unused(api: &ApiState, authorizer: &AuthorizerState, integration: &IntegrationState, plan: &mut Plan) {
    for extra in api.authorizers.iter().filter(|extra| extra.id != authorizer.id) {
        if !is_authorizing(api, extra) {
            plan.step(GatewayStep::DeleteAuthorizer { api_id: api.id.clone(), id: extra.id.clone() });
        }
    }
    for extra in api.integrations.iter().filter(|extra| extra.id != integration.id) {
        if !is_target(api, extra) {
            plan.step(GatewayStep::DeleteIntegration { api_id: api.id.clone(), id: extra.id.clone() });
        }
    }
}

fn deploy(desired: &Desired, gateway: &Gateway, observed: &Observed, api: &ApiState, hash: &str, plan: &mut Plan) {
    let description = format!("sumu {hash}");
    let api_id = api.id.clone();
    let made: Vec<&DeploymentState> = api.deployments.iter().filter(|found| found.description == description).collect();
    let good = made.iter().copied().filter(|found| found.status != "FAILED");
    let Some(deployment) = in_use_or_first(good, |found| is_served(api, found)) else {
        // Another would fail like one that has just failed.
        if let Some(failed) = made.iter().rfind(|found| found.failed_lately) {
            let reason = failed.status_message.clone().unwrap_or_else(|| "no reason given".into());
            return plan.wait(PART, WaitReason::Failed { what: format!("deployment {}", failed.id), reason });
        }
        for failed in made.iter().filter(|failed| !is_served(api, failed)) {
            plan.step(GatewayStep::DeleteDeployment { api_id: api_id.clone(), id: failed.id.clone() });
        }
        return plan.step(GatewayStep::CreateDeployment { api_id, description });
    };
    if deployment.status != "DEPLOYED" {
        return plan.wait_ready(PART, "deployment", &deployment.status);
    }
    let stage = StageInput {
        name: gateway.stage_name.clone(),
        deployment_id: deployment.id.clone(),
        rate_limit: gateway.rate_limit,
        burst_limit: gateway.burst_limit,
    };
    match api.stages.iter().find(|found| found.name == stage.name) {
        Some(found) if found.deploys_itself => {
            plan.step(GatewayStep::StopAutoDeploy { api_id: api_id.clone(), name: stage.name });
        }
        Some(found) if is_stage(&stage, found) => clear_unserved(api, deployment, plan),
        Some(_) => plan.step(GatewayStep::UpdateStage { api_id: api_id.clone(), stage }),
        None => match unready(desired, gateway, observed) {
            // A stage is what clients reach: it opens when everything behind it answers.
            Some(needs) => plan.wait_for(PART, format!("stage {}", stage.name), needs),
            None => plan.step(GatewayStep::CreateStage { api_id: api_id.clone(), stage, tags: desired.tags.clone() }),
        },
    }
    for extra in api.stages.iter().filter(|found| found.name != gateway.stage_name) {
        plan.step(GatewayStep::DeleteStage { api_id: api_id.clone(), name: extra.name.clone() });
    }
}

/// Deployments that no stage serves, once the stage is right: those of before, and a second one of a create whose answer
/// was lost. One that came late may have captured something else than its description says, and must not be there when
/// that is wanted again.
fn clear_unserved(api: &ApiState, deployment: &DeploymentState, plan: &mut Plan) {
    for extra in api.deployments.iter().filter(|extra| extra.id != deployment.id) {
        if !is_served(api, extra) {
            plan.step(GatewayStep::DeleteDeployment { api_id: api.id.clone(), id: extra.id.clone() });
        }
    }
}

fn is_stage(want: &StageInput, found: &StageState) -> bool {
    let StageInput { name: _, deployment_id, rate_limit, burst_limit } = want;
    found.deployment_id.as_ref() == Some(deployment_id)
        && found.rate_limit == Some(*rate_limit)
        && found.burst_limit == Some(*burst_limit)
}

/// The first thing behind the gateway that cannot do its part yet. The queue is in the routes function's
/// environment, so that the function comes after it.
fn unready(desired: &Desired, gateway: &Gateway, observed: &Observed) -> Option<String> {
    if !observed.tables.get(&TableId::Connections).is_some_and(TableState::is_active) {
        return Some(ResourceId::Table(TableId::Connections).to_string());
    }
    if !observed.topics.contains_key(&TopicId::Messages) {
        return Some(ResourceId::Topic(TopicId::Messages).to_string());
    }
    [Function::Authorizer, Function::Routes].into_iter().find_map(|function| {
        let want = permission(function, &desired.names, &gateway.stage_name, observed).ok().flatten();
        let is_ready = observed.functions.get(&function).is_some_and(|found| {
            found.readiness == Readiness::Ready && want.is_some_and(|want| found.permissions.contains(&want))
        });
        (!is_ready).then(|| ResourceId::Function(function).to_string())
    })
}
