//! WebSocket APIs in Amazon API Gateway v2: the calls that change something.
//!
//! The creates of an API, an integration, an authorizer and a deployment are not idempotent and have no token,
//! so the SDK must not repeat them by itself: after a lost answer we look before we create again.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::types::{AuthorizationType, AuthorizerType, IntegrationType, ProtocolType, RouteSettings};

use super::answers::NoEmptyAnswers;
use super::calls::CallCounter;
use super::recent::{KNOWN_FOR, Recent};
use super::{deleted, failed, unexpected};
use crate::cloud::CloudError;
use crate::desired::gateway::{AUTHORIZER_NAME, INTEGRATION_NAME, RESPONSE_KEY, ROUTE_SELECTION};
use crate::observed::{AuthorizerState, IntegrationState};
use crate::plan::step::{GatewayStep, RouteInput, StageInput};
use crate::stack::name::Tags;

/// Much longer than a failed deployment is left standing.
const FAILURES_KNOWN_FOR: Duration = Duration::from_hours(1);

pub(super) struct Gateway {
    pub(super) client: Client,
    /// The APIs that we made lately, by name. A list may lag behind a create, and a create that is repeated makes a
    /// second API.
    pub(super) made: Recent<String>,
    /// When deployments were first seen to have failed, by id. Neither clock but ours is asked.
    pub(super) failures: Recent<Instant>,
    /// What seldom changes, by the API's id or with the route's, for glances.
    pub(super) known: Recent<(Tags, Vec<AuthorizerState>, Vec<IntegrationState>)>,
    pub(super) known_responses: Recent<Vec<String>>,
}

impl Gateway {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_apigatewayv2::config::Builder::from(config)
            .interceptor(CallCounter)
            .interceptor(NoEmptyAnswers)
            .build();
        Self {
            client: Client::from_conf(config),
            made: Recent::default(),
            failures: Recent::lasting(FAILURES_KNOWN_FOR),
            known: Recent::lasting(KNOWN_FOR),
            known_responses: Recent::lasting(KNOWN_FOR),
        }
    }

    pub(super) async fn apply(&self, step: &GatewayStep) -> Result<(), CloudError> {
        match step {
            GatewayStep::CreateApi { name, tags } => self.create_api(name, tags).await,
            GatewayStep::UpdateApi { api_id, name } => self.update_api(api_id, name).await,
            GatewayStep::DeleteApi { api_id } => self.delete_api(api_id).await,
            GatewayStep::CreateAuthorizer { api_id, uri, identity_sources } => {
                self.create_authorizer(api_id, uri, identity_sources).await
            }
            GatewayStep::UpdateAuthorizer { api_id, id, uri, identity_sources } => {
                self.update_authorizer(api_id, id, uri, identity_sources).await
            }
            GatewayStep::DeleteAuthorizer { api_id, id } => self.delete_authorizer(api_id, id).await,
            GatewayStep::CreateIntegration { api_id, uri, timeout_ms } => {
                self.create_integration(api_id, uri, *timeout_ms).await
            }
            GatewayStep::UpdateIntegration { api_id, id, uri, timeout_ms } => {
                self.update_integration(api_id, id, uri, *timeout_ms).await
            }
            GatewayStep::DeleteIntegration { api_id, id } => self.delete_integration(api_id, id).await,
            GatewayStep::CreateRoute { api_id, route } => self.create_route(api_id, route).await,
            GatewayStep::UpdateRoute { api_id, id, route } => self.update_route(api_id, id, route).await,
            GatewayStep::DeleteRoute { api_id, id, key } => self.delete_route(api_id, id, key).await,
            GatewayStep::CreateRouteResponse { api_id, route_id, route_key } => {
                self.create_route_response(api_id, route_id, route_key).await
            }
            GatewayStep::CreateDeployment { api_id, description } => self.create_deployment(api_id, description).await,
            GatewayStep::DeleteDeployment { api_id, id } => self.delete_deployment(api_id, id).await,
            GatewayStep::CreateStage { api_id, stage, tags } => self.create_stage(api_id, stage, tags).await,
            GatewayStep::UpdateStage { api_id, stage } => self.update_stage(api_id, stage).await,
            GatewayStep::StopAutoDeploy { api_id, name } => self.stop_auto_deploy(api_id, name).await,
            GatewayStep::DeleteStage { api_id, name } => self.delete_stage(api_id, name).await,
        }
    }

    async fn create_api(&self, name: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self
            .client
            .create_api()
            .name(name)
            .protocol_type(ProtocolType::Websocket)
            .route_selection_expression(ROUTE_SELECTION)
            .set_tags(Some(sdk_tags(tags)))
            .customize()
            .config_override(never_repeated());
        let answer = call.send().await.map_err(failed("CreateApi", name))?;
        let id = answer.api_id.ok_or_else(|| unexpected("CreateApi", name, "the answer has no id"))?;
        self.made.put(name, id);
        Ok(())
    }

    async fn update_api(&self, api_id: &str, name: &str) -> Result<(), CloudError> {
        let call = self.client.update_api().api_id(api_id).name(name).route_selection_expression(ROUTE_SELECTION);
        call.send().await.map(drop).map_err(failed("UpdateApi", api_id))
    }

    async fn delete_api(&self, api_id: &str) -> Result<(), CloudError> {
        // API Gateway deletes one API in 30 s for the whole account: to ask again at once only costs calls.
        let call = self.client.delete_api().api_id(api_id).customize().config_override(never_repeated());
        deleted(call.send().await.map_err(failed("DeleteApi", api_id)))
    }

    pub(super) async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(tags)));
        call.send().await.map(drop).map_err(failed("TagResource", arn))
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        deleted(call.send().await.map_err(failed("UntagResource", arn)))?;
        // Otherwise it would be looked up by its id and be taken for ours.
        self.made.forget_where(|id| arn.ends_with(&format!("/apis/{id}")));
        Ok(())
    }

    async fn create_authorizer(&self, api_id: &str, uri: &str, identity_sources: &[String]) -> Result<(), CloudError> {
        let call = self
            .client
            .create_authorizer()
            .api_id(api_id)
            .name(AUTHORIZER_NAME)
            .authorizer_type(AuthorizerType::Request)
            .authorizer_uri(uri)
            .set_identity_source(Some(identity_sources.to_vec()))
            .customize()
            .config_override(never_repeated());
        call.send().await.map(drop).map_err(failed("CreateAuthorizer", api_id))
    }

    async fn update_authorizer(
        &self,
        api_id: &str,
        id: &str,
        uri: &str,
        identity_sources: &[String],
    ) -> Result<(), CloudError> {
        let call = self
            .client
            .update_authorizer()
            .api_id(api_id)
            .authorizer_id(id)
            .authorizer_type(AuthorizerType::Request)
            .authorizer_uri(uri)
            .set_identity_source(Some(identity_sources.to_vec()));
        call.send().await.map(drop).map_err(failed("UpdateAuthorizer", id))
    }

    async fn delete_authorizer(&self, api_id: &str, id: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_authorizer().api_id(api_id).authorizer_id(id).send().await;
        deleted(answer.map_err(failed("DeleteAuthorizer", id)))
    }

    async fn create_integration(&self, api_id: &str, uri: &str, timeout_ms: i32) -> Result<(), CloudError> {
        let call = self
            .client
            .create_integration()
            .api_id(api_id)
            .description(INTEGRATION_NAME)
            .integration_type(IntegrationType::AwsProxy)
            .integration_method(INTEGRATION_METHOD)
            .integration_uri(uri)
            .timeout_in_millis(timeout_ms)
            .customize()
            .config_override(never_repeated());
        call.send().await.map(drop).map_err(failed("CreateIntegration", api_id))
    }

    async fn update_integration(&self, api_id: &str, id: &str, uri: &str, timeout_ms: i32) -> Result<(), CloudError> {
        let call = self
            .client
            .update_integration()
            .api_id(api_id)
            .integration_id(id)
            // Without the type API Gateway takes the update for one of another kind.
            .integration_type(IntegrationType::AwsProxy)
            .integration_method(INTEGRATION_METHOD)
            .integration_uri(uri)
            .timeout_in_millis(timeout_ms);
        call.send().await.map(drop).map_err(failed("UpdateIntegration", id))
    }

    async fn delete_integration(&self, api_id: &str, id: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_integration().api_id(api_id).integration_id(id).send().await;
        deleted(answer.map_err(failed("DeleteIntegration", id)))
    }

    async fn delete_route(&self, api_id: &str, id: &str, key: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_route().api_id(api_id).route_id(id).send().await;
        deleted(answer.map_err(failed("DeleteRoute", key)))
    }

    async fn create_route_response(&self, api_id: &str, route_id: &str, route_key: &str) -> Result<(), CloudError> {
        let call = self.client.create_route_response().api_id(api_id).route_id(route_id);
        let call = call.route_response_key(RESPONSE_KEY);
        call.send().await.map(drop).map_err(failed("CreateRouteResponse", route_key))
    }

    async fn create_deployment(&self, api_id: &str, description: &str) -> Result<(), CloudError> {
        let call = self.client.create_deployment().api_id(api_id).description(description).customize();
        let call = call.config_override(never_repeated());
        call.send().await.map(drop).map_err(failed("CreateDeployment", api_id))
    }

    async fn delete_deployment(&self, api_id: &str, id: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_deployment().api_id(api_id).deployment_id(id).send().await;
        deleted(answer.map_err(failed("DeleteDeployment", id)))
    }

    async fn stop_auto_deploy(&self, api_id: &str, name: &str) -> Result<(), CloudError> {
        let call = self.client.update_stage().api_id(api_id).stage_name(name).auto_deploy(false);
        call.send().await.map(drop).map_err(failed("UpdateStage", name))
    }

    async fn delete_stage(&self, api_id: &str, name: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_stage().api_id(api_id).stage_name(name).send().await;
        deleted(answer.map_err(failed("DeleteStage", name)))
    }

    async fn create_route(&self, api_id: &str, route: &RouteInput) -> Result<(), CloudError> {
        let call = self
            .client
            .create_route()
            .api_id(api_id)
            .route_key(&route.key)
            .target(target(route))
            .authorization_type(authorization(route))
            .set_authorizer_id(route.authorizer_id.clone())
            .set_route_response_selection_expression(route.replies.then(|| RESPONSE_KEY.to_owned()));
        call.send().await.map(drop).map_err(failed("CreateRoute", &route.key))
    }

    async fn update_route(&self, api_id: &str, id: &str, route: &RouteInput) -> Result<(), CloudError> {
        // What is absent stays; an empty text clears it.
        let selection = if route.replies { RESPONSE_KEY } else { "" };
        let call = self
            .client
            .update_route()
            .api_id(api_id)
            .route_id(id)
            .route_key(&route.key)
            .target(target(route))
            .authorization_type(authorization(route))
            .set_authorizer_id(route.authorizer_id.clone())
            .route_response_selection_expression(selection);
        call.send().await.map(drop).map_err(failed("UpdateRoute", &route.key))
    }

    async fn create_stage(&self, api_id: &str, stage: &StageInput, tags: &Tags) -> Result<(), CloudError> {
        let call = self
            .client
            .create_stage()
            .api_id(api_id)
            .stage_name(&stage.name)
            .deployment_id(&stage.deployment_id)
            .default_route_settings(settings(stage))
            .set_tags(Some(sdk_tags(tags)));
        call.send().await.map(drop).map_err(failed("CreateStage", &stage.name))
    }

    async fn update_stage(&self, api_id: &str, stage: &StageInput) -> Result<(), CloudError> {
        let call = self
            .client
            .update_stage()
            .api_id(api_id)
            .stage_name(&stage.name)
            .deployment_id(&stage.deployment_id)
            .default_route_settings(settings(stage));
        call.send().await.map(drop).map_err(failed("UpdateStage", &stage.name))
    }
}

/// The method with which Lambda is invoked, whatever a frame does.
const INTEGRATION_METHOD: &str = "POST";

pub(super) fn sdk_tags(tags: &Tags) -> std::collections::HashMap<String, String> {
    tags.clone().into_iter().collect()
}

pub(super) fn never_repeated() -> aws_sdk_apigatewayv2::config::Builder {
    aws_sdk_apigatewayv2::config::Builder::new().retry_config(RetryConfig::disabled())
}

fn target(route: &RouteInput) -> String {
    format!("integrations/{}", route.integration_id)
}

fn authorization(route: &RouteInput) -> AuthorizationType {
    if route.authorizer_id.is_some() { AuthorizationType::Custom } else { AuthorizationType::None }
}

fn settings(stage: &StageInput) -> RouteSettings {
    RouteSettings::builder()
        .throttling_rate_limit(stage.rate_limit)
        .throttling_burst_limit(stage.burst_limit)
        // Traces hold what users write.
        .data_trace_enabled(false)
        .build()
}
