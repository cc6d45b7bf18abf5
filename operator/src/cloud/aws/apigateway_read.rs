//! WebSocket APIs in Amazon API Gateway v2: looking.
//!
//! A list always has its items, also when there are none: an answer without them is no list.

use std::time::{Duration, Instant};

use aws_sdk_apigatewayv2::types::{AuthorizationType, Deployment, DeploymentStatus};
use futures::future::try_join_all;

use super::answers::Pages;
use super::apigateway::Gateway;
use super::calls::remembered;
use super::{absent, access_logs, failed, unexpected};
use crate::cloud::CloudError;
use crate::desired;
use crate::observed::{ApiState, AuthorizerState, DeploymentState, IntegrationState, RouteState, StageState};
use crate::stack::name::{Names, Owner, Tags};

/// How long a deployment that has failed is left standing before another is made.
const FAILED_LATELY: Duration = Duration::from_mins(1);

/// All items of a list.
macro_rules! all_items {
    ($call:expr, $operation:literal, $resource:expr) => {{
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        let mut pages = Pages::of($operation, $resource);
        loop {
            let answer = $call.set_next_token(token.clone()).send().await.map_err(failed($operation, $resource))?;
            items.extend(answer.items.ok_or_else(|| unexpected($operation, $resource, "the answer has no items"))?);
            token = pages.after(answer.next_token)?;
            if token.is_none() {
                break items;
            }
        }
    }};
}

pub(super) use all_items;

/// An API with the second at which it was made. `GetApi` and `GetApis` answer with types of their own.
macro_rules! state {
    ($api:expr) => {{
        let api = $api;
        let state = ApiState {
            tags: tags(api.tags.as_ref()),
            id: api.api_id.unwrap_or_default(),
            name: api.name.unwrap_or_default(),
            route_selection: api.route_selection_expression.unwrap_or_default(),
            ..ApiState::default()
        };
        (api.created_date.map_or(0, |date| date.secs()), state)
    }};
}

impl Gateway {
    /// The owner's APIs, the oldest first and with everything in it.
    pub(super) async fn read(&self, names: &Names, owner: &Owner) -> Result<Vec<ApiState>, CloudError> {
        let found = all_items!(self.client.get_apis().max_results("100"), "GetApis", names.prefix());
        // API Gateway names an API itself and allows a name twice, so only the tag tells whose it is.
        let mut found: Vec<(i64, ApiState)> =
            found.into_iter().map(|api| state!(api)).filter(|(_, api)| owner.owns(&api.tags)).collect();
        if let Some(unlisted) = self.unlisted(names.prefix(), &found).await? {
            found.push(unlisted);
        }
        found.sort_by(|(a_made, a), (b_made, b)| (a_made, &a.id).cmp(&(b_made, &b.id)));
        let mut apis: Vec<ApiState> = found.into_iter().map(|(_, api)| api).collect();
        if let Some(oldest) = apis.first_mut() {
            self.read_inside(oldest, names).await?;
        }
        Ok(apis)
    }

    /// The API that we have just made, when the list does not show it yet.
    async fn unlisted(&self, name: &str, listed: &[(i64, ApiState)]) -> Result<Option<(i64, ApiState)>, CloudError> {
        let Some(id) = self.made.get(name).filter(|id| listed.iter().all(|(_, api)| api.id != *id)) else {
            return Ok(None);
        };
        let answer = absent(self.client.get_api().api_id(&id).send().await.map_err(failed("GetApi", &id)))?;
        Ok(answer.map(|api| state!(api)))
    }

    async fn read_inside(&self, api: &mut ApiState, names: &Names) -> Result<(), CloudError> {
        let id = api.id.clone();
        let seldom = async {
            let arn = names.api_arn(&id);
            let answer = self.client.get_tags().resource_arn(&arn).send().await.map_err(failed("GetTags", &id))?;
            let (authorizers, integrations) = tokio::try_join!(self.authorizers(&id), self.integrations(&id))?;
            Ok((tags(answer.tags.as_ref()), authorizers, integrations))
        };
        ((api.tags, api.authorizers, api.integrations), api.routes, api.deployments, api.stages) = tokio::try_join!(
            remembered(&self.known, &id, seldom),
            self.routes(&id),
            self.deployments(&id),
            self.stages(&id),
        )?;
        Ok(())
    }

    async fn authorizers(&self, api_id: &str) -> Result<Vec<AuthorizerState>, CloudError> {
        let found = all_items!(self.client.get_authorizers().api_id(api_id), "GetAuthorizers", api_id);
        let mut found: Vec<AuthorizerState> = found
            .into_iter()
            .map(|found| AuthorizerState {
                id: found.authorizer_id.unwrap_or_default(),
                name: found.name.unwrap_or_default(),
                uri: found.authorizer_uri.unwrap_or_default(),
                identity_sources: found.identity_source.unwrap_or_default(),
            })
            .collect();
        // Any fixed order: the first of two of one name is the one that is kept.
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    async fn integrations(&self, api_id: &str) -> Result<Vec<IntegrationState>, CloudError> {
        let found = all_items!(self.client.get_integrations().api_id(api_id), "GetIntegrations", api_id);
        let mut found: Vec<IntegrationState> = found
            .into_iter()
            .map(|found| IntegrationState {
                id: found.integration_id.unwrap_or_default(),
                description: found.description.unwrap_or_default(),
                uri: found.integration_uri.unwrap_or_default(),
                timeout_ms: found.timeout_in_millis.unwrap_or_default(),
            })
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    async fn routes(&self, api_id: &str) -> Result<Vec<RouteState>, CloudError> {
        let found = all_items!(self.client.get_routes().api_id(api_id), "GetRoutes", api_id);
        let mut found: Vec<RouteState> = found
            .into_iter()
            .map(|found| RouteState {
                id: found.route_id.unwrap_or_default(),
                key: found.route_key.unwrap_or_default(),
                target: found.target,
                // An authorizer that is named but not asked is none.
                authorizer_id: found
                    .authorizer_id
                    .filter(|_| found.authorization_type == Some(AuthorizationType::Custom)),
                response_selection: found.route_response_selection_expression.filter(|text| !text.is_empty()),
                responses: Vec::new(),
            })
            .collect();
        found.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        let replying = found
            .iter_mut()
            .filter(|route| desired::gateway::Gateway::routes().any(|ours| ours.key == route.key && ours.replies));
        try_join_all(replying.map(|route| async {
            let read = self.responses(api_id, &route.id, &route.key);
            let name = format!("{api_id}/{}", route.id);
            route.responses = remembered(&self.known_responses, &name, read).await?;
            Ok::<_, CloudError>(())
        }))
        .await?;
        Ok(found)
    }

    async fn responses(&self, api_id: &str, route_id: &str, route_key: &str) -> Result<Vec<String>, CloudError> {
        let call = self.client.get_route_responses().api_id(api_id).route_id(route_id);
        let found = all_items!(call.clone(), "GetRouteResponses", route_key);
        Ok(found.into_iter().filter_map(|response| response.route_response_key).collect())
    }

    async fn deployments(&self, api_id: &str) -> Result<Vec<DeploymentState>, CloudError> {
        let found = all_items!(self.client.get_deployments().api_id(api_id), "GetDeployments", api_id);
        let mut found: Vec<_> =
            found.into_iter().map(|found| (found.created_date.map_or(0, |date| date.secs()), found)).collect();
        found.sort_by(|(a_date, a), (b_date, b)| (a_date, &a.deployment_id).cmp(&(b_date, &b.deployment_id)));
        Ok(found
            .into_iter()
            .map(|(_, found)| DeploymentState {
                failed_lately: self.failed_lately(&found),
                id: found.deployment_id.unwrap_or_default(),
                description: found.description.unwrap_or_default(),
                status: found.deployment_status.map_or_else(String::new, |status| status.as_str().to_owned()),
                status_message: found.deployment_status_message,
            })
            .collect())
    }

    fn failed_lately(&self, found: &Deployment) -> bool {
        let Some(id) = found.deployment_id().filter(|_| found.deployment_status() == Some(&DeploymentStatus::Failed))
        else {
            return false;
        };
        let first_seen = self.failures.get(id).unwrap_or_else(|| {
            self.failures.put(id, Instant::now());
            Instant::now()
        });
        first_seen.elapsed() < FAILED_LATELY
    }

    async fn stages(&self, api_id: &str) -> Result<Vec<StageState>, CloudError> {
        let found = all_items!(self.client.get_stages().api_id(api_id), "GetStages", api_id);
        Ok(found
            .into_iter()
            .map(|found| {
                let settings = found.default_route_settings;
                StageState {
                    name: found.stage_name.unwrap_or_default(),
                    deployment_id: found.deployment_id,
                    deploys_itself: found.auto_deploy.unwrap_or(false),
                    rate_limit: settings.as_ref().and_then(|settings| settings.throttling_rate_limit),
                    burst_limit: settings.as_ref().and_then(|settings| settings.throttling_burst_limit),
                    access_logs: found.access_log_settings.and_then(access_logs::state),
                }
            })
            .collect())
    }
}

pub(super) fn tags(tags: Option<&std::collections::HashMap<String, String>>) -> Tags {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}
