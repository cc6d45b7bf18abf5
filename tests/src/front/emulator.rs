//! The emulator behind the front: its control plane and its functions, never its own sockets.

use std::collections::BTreeMap;

use aws_sdk_apigatewayv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_apigatewayv2::types::RouteSettings;
use aws_sdk_lambda::primitives::Blob;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::upstream::{Api, Authorizer, Integration, Invoked, Route, Stage, Throttle, Upstream};
use crate::aws::Aws;
use crate::{Context, Error, Result};

/// What API Gateway waits for an integration that names no time.
const TIMEOUT_MS: i32 = 29_000;

/// The emulator's two services that a WebSocket API is made of.
#[derive(Debug)]
pub struct Emulator {
    gateway: aws_sdk_apigatewayv2::Client,
    functions: aws_sdk_lambda::Client,
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
            gateway: aws_sdk_apigatewayv2::Client::new(&sdk),
            functions: aws_sdk_lambda::Client::from_conf(functions),
        }
    }

    async fn stage_now(&self, api: &str, stage: &str) -> Result<Option<Stage>> {
        let Some(found) = found(self.gateway.get_stage().api_id(api).stage_name(stage).send().await)? else {
            return Ok(None);
        };
        let variables = found.stage_variables().map(|all| all.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
        Ok(Some(Stage {
            deployment: found.deployment_id().map(ToOwned::to_owned),
            variables: variables.unwrap_or_default(),
            throttle: found.default_route_settings().and_then(throttle),
        }))
    }

    async fn api_now(&self, api: &str) -> Result<Api> {
        let described = self.gateway.get_api().api_id(api).send().await?;
        let integrations = self.gateway.get_integrations().api_id(api).send().await?;
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
        for route in self.gateway.get_routes().api_id(api).send().await?.items() {
            let key = route.route_key().context("a route without a key")?;
            let target = route.target().and_then(|target| target.strip_prefix("integrations/"));
            let replies = match (route.route_response_selection_expression(), route.route_id()) {
                (Some("$default"), Some(id)) => self.has_response(api, id).await?,
                _ => false,
            };
            if let Some(id) = route.authorizer_id().filter(|_| key == "$connect") {
                authorizer = Some(self.authorizer(api, id).await?);
            }
            let integration = target.and_then(|id| integrations.get(id).cloned());
            routes.insert(key.to_owned(), Route { integration, replies });
        }
        let selection = described.route_selection_expression().unwrap_or_default().to_owned();
        Ok(Api { selection, routes, authorizer })
    }

    async fn has_response(&self, api: &str, route: &str) -> Result<bool> {
        let responses = self.gateway.get_route_responses().api_id(api).route_id(route).send().await?;
        Ok(responses.items().iter().any(|response| response.route_response_key() == Some("$default")))
    }

    async fn authorizer(&self, api: &str, id: &str) -> Result<Authorizer> {
        let found = self.gateway.get_authorizer().api_id(api).authorizer_id(id).send().await?;
        let function = found.authorizer_uri().and_then(function_of).context("an authorizer without a function")?;
        Ok(Authorizer { function, identity_sources: found.identity_source().to_vec() })
    }

    async fn mapping_now(&self, domain: &str, key: &str) -> Result<Option<(String, String)>> {
        let Some(all) = found(self.gateway.get_api_mappings().domain_name(domain).send().await)? else {
            return Ok(None);
        };
        let mapping = all.items().iter().find(|mapping| mapping.api_mapping_key().unwrap_or_default() == key);
        Ok(mapping.and_then(|mapping| Some((mapping.api_id()?.to_owned(), mapping.stage()?.to_owned()))))
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

    fn api<'a>(&'a self, api: &'a str) -> BoxFuture<'a, Result<Api>> {
        self.api_now(api).boxed()
    }

    fn mapping<'a>(&'a self, domain: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<(String, String)>>> {
        self.mapping_now(domain, key).boxed()
    }

    fn invoke<'a>(&'a self, function: &'a str, event: &'a Value) -> BoxFuture<'a, Invoked> {
        self.invoke_now(function, event).boxed()
    }
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
