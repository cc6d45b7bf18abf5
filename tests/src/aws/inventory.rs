//! What exists in AWS, for "exactly one of everything" and "nothing left".
//!
//! It is taken with the services' own lists, never with what the operator says about itself.

use std::collections::BTreeMap;
use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_lambda::operation::get_policy::GetPolicyError;

use super::logs;
use crate::Result;

/// The names of what exists, by kind. A name that exists twice is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeMap<&'static str, Vec<String>>);

impl Inventory {
    /// The sorted names of one kind.
    #[must_use]
    pub fn names(&self, kind: &str) -> &[String] {
        self.0.get(kind).map_or(&[], Vec::as_slice)
    }

    /// How many there are of one kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.names(kind).len()
    }

    /// How many there are of each kind that has any.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.0.iter().map(|(kind, names)| (*kind, names.len())).collect()
    }

    /// Whether nothing exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, kind: &'static str, name: impl Into<String>) {
        let names = self.0.entry(kind).or_default();
        names.push(name.into());
        names.sort_unstable();
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, names) in &self.0 {
            writeln!(f, "{} {kind}: {}", names.len(), names.join(", "))?;
        }
        Ok(())
    }
}

/// Lists everything that has `needle` in its name or belongs to something that has.
pub async fn take(sdk: &SdkConfig, needle: &str) -> Result<Inventory> {
    let mut all = Inventory::default();
    tables(sdk, needle, &mut all).await?;
    queues(sdk, needle, &mut all).await?;
    topics(sdk, needle, &mut all).await?;
    roles(sdk, needle, &mut all).await?;
    log_groups(sdk, needle, &mut all).await?;
    functions(sdk, needle, &mut all).await?;
    apis(sdk, needle, &mut all).await?;
    Ok(all)
}

async fn tables(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(sdk);
    let mut pages = client.list_tables().into_paginator().items().send();
    while let Some(table) = pages.next().await.transpose()? {
        if table.contains(needle) {
            all.add("table", table);
        }
    }
    Ok(())
}

async fn queues(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(sdk);
    let mut pages = client.list_queues().max_results(1000).into_paginator().items().send();
    while let Some(url) = pages.next().await.transpose()? {
        let name = last(&url);
        if name.contains(needle) {
            all.add("queue", name);
        }
    }
    Ok(())
}

async fn topics(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_sns::Client::new(sdk);
    let mut pages = client.list_topics().into_paginator().items().send();
    while let Some(topic) = pages.next().await.transpose()? {
        let arn = topic.topic_arn().unwrap_or_default();
        if arn.contains(needle) {
            all.add("topic", last(arn));
        }
    }
    let mut pages = client.list_subscriptions().into_paginator().items().send();
    while let Some(subscription) = pages.next().await.transpose()? {
        let topic = subscription.topic_arn().unwrap_or_default();
        let endpoint = subscription.endpoint().unwrap_or_default();
        if topic.contains(needle) || endpoint.contains(needle) {
            all.add("subscription", format!("{} to {}", last(topic), last(endpoint)));
        }
    }
    Ok(())
}

async fn roles(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_iam::Client::new(sdk);
    let mut pages = client.list_roles().into_paginator().items().send();
    while let Some(role) = pages.next().await.transpose()? {
        let name = role.role_name();
        if !name.contains(needle) {
            continue;
        }
        all.add("role", name);
        for policy in client.list_role_policies().role_name(name).send().await?.policy_names() {
            all.add("role policy", format!("{name}/{policy}"));
        }
        for policy in client.list_attached_role_policies().role_name(name).send().await?.attached_policies() {
            all.add("attached policy", format!("{name}/{}", policy.policy_name().unwrap_or_default()));
        }
    }
    Ok(())
}

async fn log_groups(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_cloudwatchlogs::Client::new(sdk);
    for name in logs::groups(&client, needle).await? {
        all.add("log group", name);
    }
    Ok(())
}

async fn functions(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_lambda::Client::new(sdk);
    let mut pages = client.list_functions().into_paginator().items().send();
    while let Some(function) = pages.next().await.transpose()? {
        let name = function.function_name().unwrap_or_default();
        if !name.contains(needle) {
            continue;
        }
        all.add("function", name);
        for statement in statements(&client, name).await? {
            all.add("permission", format!("{name}/{statement}"));
        }
    }
    let mut pages = client.list_event_source_mappings().into_paginator().items().send();
    while let Some(mapping) = pages.next().await.transpose()? {
        let source = mapping.event_source_arn().unwrap_or_default();
        let function = mapping.function_arn().unwrap_or_default();
        if source.contains(needle) || function.contains(needle) {
            all.add("event source", format!("{} from {}", last(function), source.rsplit(':').next().unwrap_or(source)));
        }
    }
    Ok(())
}

/// The ids of the statements in a function's policy; AWS answers 404 when there is none.
async fn statements(client: &aws_sdk_lambda::Client, function: &str) -> Result<Vec<String>> {
    let answer = client.get_policy().function_name(function).send().await;
    let policy = match answer {
        Ok(answer) => answer.policy().unwrap_or("{}").to_owned(),
        Err(error) if error.as_service_error().is_some_and(GetPolicyError::is_resource_not_found_exception) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(error.into()),
    };
    let policy: serde_json::Value = serde_json::from_str(&policy)?;
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    Ok(statements.iter().map(|statement| statement["Sid"].as_str().unwrap_or("unnamed").to_owned()).collect())
}

async fn apis(sdk: &SdkConfig, needle: &str, all: &mut Inventory) -> Result<()> {
    let client = aws_sdk_apigatewayv2::Client::new(sdk);
    let mut token = None;
    loop {
        let page = client.get_apis().set_next_token(token).send().await?;
        for api in page.items() {
            let name = api.name().unwrap_or_default();
            if name.contains(needle) {
                all.add("api", name);
                parts(&client, api.api_id().unwrap_or_default(), name, all).await?;
            }
        }
        token = page.next_token().map(ToOwned::to_owned);
        if token.is_none() {
            return Ok(());
        }
    }
}

/// What belongs to one API. None of its lists has more than a page.
async fn parts(client: &aws_sdk_apigatewayv2::Client, id: &str, api: &str, all: &mut Inventory) -> Result<()> {
    for authorizer in client.get_authorizers().api_id(id).max_results("500").send().await?.items() {
        all.add("authorizer", format!("{api}/{}", authorizer.name().unwrap_or_default()));
    }
    for integration in client.get_integrations().api_id(id).max_results("500").send().await?.items() {
        all.add("integration", format!("{api}/{}", integration.integration_uri().unwrap_or_default()));
    }
    for route in client.get_routes().api_id(id).max_results("500").send().await?.items() {
        let key = route.route_key().unwrap_or_default();
        all.add("route", format!("{api}/{key}"));
        let route_id = route.route_id().unwrap_or_default();
        let responses = client.get_route_responses().api_id(id).route_id(route_id).max_results("500").send().await?;
        for response in responses.items() {
            all.add("route response", format!("{api}/{key}/{}", response.route_response_key().unwrap_or_default()));
        }
    }
    for deployment in client.get_deployments().api_id(id).max_results("500").send().await?.items() {
        all.add("deployment", format!("{api}/{}", deployment.deployment_id().unwrap_or_default()));
    }
    for stage in client.get_stages().api_id(id).max_results("500").send().await?.items() {
        all.add("stage", format!("{api}/{}", stage.stage_name().unwrap_or_default()));
    }
    Ok(())
}

fn last(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}
