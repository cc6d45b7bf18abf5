//! The emulator behind the front: its control plane and its functions, never its own sockets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_apigatewayv2::types::RouteSettings;
use aws_sdk_lambda::primitives::Blob;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::upstream::{Api, Authorizer, Integration, Invoked, Route, Stage, Throttle, Upstream};
use crate::aws::Aws;
use crate::delivery::invoke::is_let;
use crate::delivery::permission::API_GATEWAY;
use crate::gateway::{Deployments, Roles};
use crate::{Context, Error, Result};

/// What API Gateway waits for an integration that names no time.
const TIMEOUT_MS: i32 = 29_000;
/// How long what a policy has said is believed. AWS does not say how long it takes there.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// The emulator's two services that a WebSocket API is made of.
#[derive(Debug)]
pub struct Emulator {
    gateway: Client,
    functions: aws_sdk_lambda::Client,
    deployments: Arc<Deployments>,
    roles: Roles,
    /// Whom functions let in, each for a moment.
    leave: Mutex<HashMap<(String, String), (Instant, bool)>>,
}

impl Emulator {
    /// Clients for an emulator. They belong to the runtime that the front runs in.
    pub async fn of(aws: &Aws) -> Self {
        let sdk = aws.sdk().await;
        // A repeated invocation would be a second event for one frame.
        let functions = aws_sdk_lambda::config::Builder::from(&sdk)
            .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
            .build();
        Self {
            gateway: Client::new(&sdk),
            functions: aws_sdk_lambda::Client::from_conf(functions),
            deployments: aws.gateway().deployments(),
            roles: aws.gateway().roles(),
            leave: Mutex::default(),
        }
    }

    async fn stage_now(&self, api: &str, stage: &str) -> Result<Option<Stage>> {
        let Some(found) = found(self.gateway.get_stage().api_id(api).stage_name(stage).send().await)? else {
            return Ok(None);
        };
        let variables = found.stage_variables().map(|all| all.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        Ok(Some(Stage {
            deployment: found.deployment_id().map(ToOwned::to_owned),
            deploys_itself: found.auto_deploy().unwrap_or(false),
            variables: variables.unwrap_or_default(),
            throttle: found.default_route_settings().and_then(throttle),
        }))
    }

    async fn mapping_now(&self, domain: &str, key: &str) -> Result<Option<(String, String)>> {
        let Some(all) = found(self.gateway.get_api_mappings().domain_name(domain).send().await)? else {
            return Ok(None);
        };
        let mapping = all.items().iter().find(|mapping| mapping.api_mapping_key().unwrap_or_default() == key);
        Ok(mapping.and_then(|mapping| Some((mapping.api_id()?.to_owned(), mapping.stage()?.to_owned()))))
    }

    /// Whether the function's policy lets the gateway invoke it for this route or as this authorizer.
    async fn is_let(&self, function: &str, source_arn: &str) -> bool {
        let key = (function.to_owned(), source_arn.to_owned());
        let known = self.leave.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some((_, is_let)) = known.filter(|(since, _)| since.elapsed() < KNOWN_FOR) {
            return is_let;
        }
        let is_let = is_let(&self.functions, function, API_GATEWAY, source_arn).await;
        self.leave.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (Instant::now(), is_let));
        is_let
    }

    async fn invoke_now(&self, function: &str, event: &Value) -> Invoked {
        let call = self.functions.invoke().function_name(function).payload(Blob::new(event.to_string()));
        let Ok(answer) = call.send().await else { return Invoked::Unreachable };
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        let payload = serde_json::from_slice(payload).unwrap_or(Value::Null);
        if answer.function_error().is_some() { Invoked::Error(payload) } else { Invoked::Answer(payload) }
    }
}

impl Upstream for Emulator {
    fn stage<'a>(&'a self, api: &'a str, stage: &'a str) -> BoxFuture<'a, Result<Option<Stage>>> {
        self.stage_now(api, stage).boxed()
    }

    fn deployed<'a>(&'a self, api: &'a str, deployment: &'a str) -> BoxFuture<'a, Result<Option<Arc<Api>>>> {
        async move { Ok(self.deployments.of(api, deployment)) }.boxed()
    }

    fn current<'a>(&'a self, api: &'a str) -> BoxFuture<'a, Result<Api>> {
        api_now(&self.gateway, api).boxed()
    }

    fn mapping<'a>(&'a self, domain: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<(String, String)>>> {
        self.mapping_now(domain, key).boxed()
    }

    fn refused<'a>(
        &'a self,
        key: &'a str,
        action: &'a str,
        resource: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        self.roles.refused(key, action, resource).boxed()
    }

    fn invoke<'a>(&'a self, function: &'a str, source_arn: &'a str, event: &'a Value) -> BoxFuture<'a, Invoked> {
        async move {
            if self.is_let(function, source_arn).await {
                self.invoke_now(function, event).await
            } else {
                Invoked::Unreachable
            }
        }
        .boxed()
    }
}

/// An API as it is now, by a client of the emulator's control plane.
pub(crate) async fn api_now(client: &Client, api: &str) -> Result<Api> {
    let described = client.get_api().api_id(api).send().await?;
    let integrations = client.get_integrations().api_id(api).send().await?;
    let integrations: BTreeMap<String, Integration> = integrations
        .items()
        .iter()
        .filter_map(|found| {
            let function = function_of(found.integration_uri()?)?;
            let timeout_ms = u64::try_from(found.timeout_in_millis().unwrap_or(TIMEOUT_MS)).ok()?;
            Some((found.integration_id()?.to_owned(), Integration { function, timeout_ms }))
        })
        .collect();
    let mut routes = BTreeMap::new();
    let mut authorizer = None;
    for route in client.get_routes().api_id(api).send().await?.items() {
        let key = route.route_key().context("a route without a key")?;
        let target = route.target().and_then(|target| target.strip_prefix("integrations/"));
        let replies = match (route.route_response_selection_expression(), route.route_id()) {
            (Some("$default"), Some(id)) => has_response(client, api, id).await?,
            _ => false,
        };
        if let Some(id) = route.authorizer_id().filter(|_| key == "$connect") {
            authorizer = Some(authorizer_now(client, api, id).await?);
        }
        let integration = target.and_then(|id| integrations.get(id).cloned());
        routes.insert(key.to_owned(), Route { integration, replies });
    }
    let selection = described.route_selection_expression().unwrap_or_default().to_owned();
    Ok(Api { selection, routes, authorizer })
}

async fn has_response(client: &Client, api: &str, route: &str) -> Result<bool> {
    let responses = client.get_route_responses().api_id(api).route_id(route).send().await?;
    Ok(responses.items().iter().any(|response| response.route_response_key() == Some("$default")))
}

async fn authorizer_now(client: &Client, api: &str, id: &str) -> Result<Authorizer> {
    let found = client.get_authorizer().api_id(api).authorizer_id(id).send().await?;
    let function = found.authorizer_uri().and_then(function_of).context("an authorizer without a function")?;
    Ok(Authorizer { id: id.to_owned(), function, identity_sources: found.identity_source().to_vec() })
}

/// What was found; nothing is an answer here, every other error one of the testbed.
fn found<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some("NotFoundException") => Ok(None),
        Err(error) => Err(Error::from(error)),
    }
}

/// The function in `arn:aws:apigateway:…:lambda:path/2015-03-31/functions/<ARN>/invocations`.
fn function_of(uri: &str) -> Option<String> {
    Some(uri.split_once("/functions/")?.1.strip_suffix("/invocations")?.to_owned())
}

fn throttle(settings: &RouteSettings) -> Option<Throttle> {
    let rate = settings.throttling_rate_limit()?;
    let burst = settings.throttling_burst_limit().map_or(rate, f64::from);
    Some(Throttle { rate, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_in_the_address_of_its_invocation() {
        let uri = "arn:aws:apigateway:r:lambda:path/2015-03-31/functions/arn:aws:lambda:r:1:function:f/invocations";
        assert_eq!(function_of(uri).as_deref(), Some("arn:aws:lambda:r:1:function:f"));
        assert_eq!(function_of("arn:aws:lambda:r:1:function:f"), None);
    }
}
