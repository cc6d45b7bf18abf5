//! What a stack is set to in AWS, setting by setting, without the ids that AWS makes up.
//!
//! Two snapshots are equal exactly when nothing that matters differs, also after something was made anew.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_lambda::types::ScalingConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use sumu_tests::{Context, Result};

/// Settings by name, `<kind> <name>: <setting>`.
pub type Snapshot = BTreeMap<String, String>;

const FUNCTIONS: [&str; 4] = ["authorizer", "routes", "pusher", "watchdog"];
/// The queues of a stack without a grace period.
pub const QUEUES: [&str; 7] = [
    "notifications",
    "notifications-dead-letters",
    "messages",
    "messages-dead-letters",
    "pushes",
    "pushes-dead-letters",
    "presence-dead-letters",
];
const TABLES: [&str; 2] = ["connections", "presence"];
const TOPICS: [&str; 2] = ["notifications", "messages"];

/// What cannot be settings: it is the queue's state, or AWS's.
const QUEUE_STATE: [&str; 3] = ["Approximate", "Timestamp", "QueueArn"];

/// Takes a snapshot of everything whose names begin with `prefix`. Fails while something is missing.
pub async fn take(sdk: &SdkConfig, prefix: &str) -> Result<Snapshot> {
    let mut all = Snapshot::new();
    let api_id = Box::pin(api(sdk, prefix, &mut all)).await?;
    for function in FUNCTIONS {
        Box::pin(one_function(sdk, prefix, function, &mut all))
            .await
            .with_context(|| format!("function {function}"))?;
        role(sdk, prefix, function, &mut all).await.with_context(|| format!("role {function}"))?;
    }
    log_groups(sdk, prefix, &mut all).await?;
    for queue in QUEUES {
        one_queue(sdk, prefix, queue, &mut all).await.with_context(|| format!("queue {queue}"))?;
    }
    for table in TABLES {
        one_table(sdk, prefix, table, &mut all).await.with_context(|| format!("table {table}"))?;
    }
    topics(sdk, prefix, &mut all).await?;
    for value in all.values_mut() {
        *value = value.replace(&api_id, "{api}");
    }
    Ok(all)
}

/// The names of the settings that differ, sorted.
pub fn differences(one: &Snapshot, other: &Snapshot) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

async fn one_function(sdk: &SdkConfig, prefix: &str, function: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_lambda::Client::new(sdk);
    let name = format!("{prefix}-{function}");
    let found = client.get_function_configuration().function_name(&name).send().await?;
    let mut add = |setting: &str, value: String| all.insert(format!("function {function}: {setting}"), value);
    let environment = found.environment().and_then(|environment| environment.variables()).cloned().unwrap_or_default();
    add("environment", format!("{:?}", environment.into_iter().collect::<BTreeMap<_, _>>()));
    add("memory", format!("{:?}", found.memory_size()));
    add("timeout", format!("{:?}", found.timeout()));
    add("code", format!("{:?}", found.code_sha256()));
    add("architecture", format!("{:?}", found.architectures()));
    add("role", format!("{:?}", found.role()));
    // An empty text is how AWS clears it, and how the emulator then shows it.
    let dead_letters = found.dead_letter_config().and_then(|config| config.target_arn()).unwrap_or_default();
    add("dead letters", dead_letters.to_owned());
    // AWS has no policy where the emulator has an empty one.
    let policy = client.get_policy().function_name(&name).send().await.ok();
    let policy = policy.and_then(|answer| answer.policy).unwrap_or_default();
    add("permissions", statements(&policy)?);

    let mappings = client.list_event_source_mappings().function_name(&name).send().await?;
    let mut sources = Vec::new();
    for mapping in mappings.event_source_mappings() {
        let source = mapping.event_source_arn().unwrap_or_default();
        // A stream that was switched off and on again has another time in its name.
        let source = source.split("/stream/").next().unwrap_or_default();
        let limit = mapping.scaling_config().and_then(ScalingConfig::maximum_concurrency);
        let (state, batch) = (mapping.state().unwrap_or_default(), mapping.batch_size());
        sources.push(format!("{source} {state} {batch:?} {limit:?} {:?}", mapping.function_response_types()));
    }
    sources.sort_unstable();
    add("event sources", sources.join(", "));
    Ok(())
}

/// A policy's statements, in an order of their own.
fn statements(policy: &str) -> Result<String> {
    if policy.is_empty() {
        return Ok(String::new());
    }
    let policy: Value = serde_json::from_str(policy).with_context(|| format!("no policy: {policy}"))?;
    let mut statements: Vec<String> =
        policy["Statement"].as_array().into_iter().flatten().map(ToString::to_string).collect();
    statements.sort_unstable();
    Ok(statements.join(", "))
}

async fn role(sdk: &SdkConfig, prefix: &str, function: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_iam::Client::new(sdk);
    let name = format!("{prefix}-{function}");
    let found = client.get_role().role_name(&name).send().await?;
    let trust = found.role().and_then(|role| role.assume_role_policy_document()).unwrap_or_default().to_owned();
    all.insert(format!("role {function}: trust"), trust);
    let mut policies = Vec::new();
    for policy in client.list_role_policies().role_name(&name).send().await?.policy_names() {
        let found = client.get_role_policy().role_name(&name).policy_name(policy).send().await?;
        policies.push(format!("{policy} {}", found.policy_document()));
    }
    all.insert(format!("role {function}: policies"), policies.join(", "));
    Ok(())
}

async fn log_groups(sdk: &SdkConfig, prefix: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_cloudwatchlogs::Client::new(sdk);
    let beginning = format!("/aws/lambda/{prefix}-");
    let found = client.describe_log_groups().log_group_name_prefix(&beginning).send().await?;
    for group in found.log_groups() {
        let name = group.log_group_name().unwrap_or_default().trim_start_matches(&beginning);
        all.insert(format!("log group {name}: retention"), format!("{:?}", group.retention_in_days()));
    }
    Ok(())
}

async fn one_queue(sdk: &SdkConfig, prefix: &str, queue: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(sdk);
    let url = client.get_queue_url().queue_name(format!("{prefix}-{queue}")).send().await?;
    let url = url.queue_url().context("no URL")?;
    let found = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await?;
    for (name, value) in found.attributes().into_iter().flatten() {
        if !QUEUE_STATE.iter().any(|state| name.as_str().contains(state)) && !value.is_empty() {
            all.insert(format!("queue {queue}: {name}"), value.clone());
        }
    }
    let tags = client.list_queue_tags().queue_url(url).send().await?;
    let tags: BTreeMap<_, _> = tags.tags().cloned().unwrap_or_default().into_iter().collect();
    all.insert(format!("queue {queue}: tags"), format!("{tags:?}"));
    Ok(())
}

async fn one_table(sdk: &SdkConfig, prefix: &str, table: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(sdk);
    let name = format!("{prefix}-{table}");
    let found = client.describe_table().table_name(&name).send().await?;
    let found = found.table().context("no table")?;
    let stream = found.stream_specification();
    let view = stream.filter(|stream| stream.stream_enabled()).and_then(|stream| stream.stream_view_type());
    let mut add = |setting: &str, value: String| all.insert(format!("table {table}: {setting}"), value);
    add("status", format!("{:?}", found.table_status()));
    add("key", format!("{:?}", found.key_schema()));
    add("stream", format!("{view:?}"));
    add("protection", found.deletion_protection_enabled().unwrap_or_default().to_string());
    let ttl = client.describe_time_to_live().table_name(&name).send().await?;
    let ttl = ttl.time_to_live_description();
    let on = ttl.filter(|ttl| ttl.time_to_live_status().is_some_and(|status| status.as_str() == "ENABLED"));
    add("time to live", format!("{:?}", on.and_then(|ttl| ttl.attribute_name())));
    let backups = client.describe_continuous_backups().table_name(&name).send().await?;
    let recovery = backups.continuous_backups_description().and_then(|it| it.point_in_time_recovery_description());
    add("recovery", format!("{:?}", recovery.and_then(|recovery| recovery.point_in_time_recovery_status())));
    Ok(())
}

async fn topics(sdk: &SdkConfig, prefix: &str, all: &mut Snapshot) -> Result<()> {
    let client = aws_sdk_sns::Client::new(sdk);
    let mut arns = Vec::new();
    let mut pages = client.list_topics().into_paginator().items().send();
    while let Some(topic) = pages.next().await.transpose()? {
        arns.push(topic.topic_arn().unwrap_or_default().to_owned());
    }
    for topic in TOPICS {
        let ending = format!(":{prefix}-{topic}");
        let arn = arns.iter().find(|arn| arn.ends_with(&ending)).with_context(|| format!("no topic {topic}"))?;
        let mut subscriptions = Vec::new();
        for found in client.list_subscriptions_by_topic().topic_arn(arn).send().await?.subscriptions() {
            let arn = found.subscription_arn().unwrap_or_default();
            let attributes = client.get_subscription_attributes().subscription_arn(arn).send().await?;
            let redrive = attributes.attributes().and_then(|all| all.get("RedrivePolicy")).cloned();
            subscriptions.push(format!("{:?} {:?} {redrive:?}", found.protocol(), found.endpoint()));
        }
        subscriptions.sort_unstable();
        all.insert(format!("topic {topic}: subscriptions"), subscriptions.join(", "));
    }
    Ok(())
}

/// The API; returns its id.
async fn api(sdk: &SdkConfig, prefix: &str, all: &mut Snapshot) -> Result<String> {
    let client = aws_sdk_apigatewayv2::Client::new(sdk);
    let apis = client.get_apis().max_results("500").send().await?;
    let ours: Vec<_> = apis.items().iter().filter(|api| api.name() == Some(prefix)).collect();
    let [api] = ours[..] else { return Err(sumu_tests::Error::new(format!("{} APIs", ours.len()))) };
    let id = api.api_id().context("an API without an id")?.to_owned();
    all.insert("api: route selection".to_owned(), format!("{:?}", api.route_selection_expression()));

    let mut names = BTreeMap::new();
    for found in client.get_authorizers().api_id(&id).send().await?.items() {
        let name = format!("authorizer {}", found.name().unwrap_or_default());
        let (uri, sources) = (found.authorizer_uri(), found.identity_source());
        all.insert(format!("{name}: settings"), format!("{uri:?} {sources:?}"));
        names.insert(found.authorizer_id().unwrap_or_default().to_owned(), name);
    }
    for found in client.get_integrations().api_id(&id).send().await?.items() {
        let name = format!("integration {}", found.description().unwrap_or_default());
        let (uri, timeout) = (found.integration_uri(), found.timeout_in_millis());
        all.insert(format!("{name}: settings"), format!("{uri:?} {timeout:?}"));
        names.insert(format!("integrations/{}", found.integration_id().unwrap_or_default()), name);
    }
    for found in client.get_routes().api_id(&id).max_results("500").send().await?.items() {
        let key = found.route_key().unwrap_or_default();
        let target = found.target().map(|target| names.get(target).map_or(target, String::as_str));
        let authorizer = found.authorizer_id().map(|id| names.get(id).map_or(id, String::as_str));
        let selection = found.route_response_selection_expression();
        let route_id = found.route_id().unwrap_or_default();
        let responses = client.get_route_responses().api_id(&id).route_id(route_id).send().await?;
        let responses: Vec<_> = responses.items().iter().map(|response| response.route_response_key()).collect();
        let settings = format!("{target:?} {authorizer:?} {selection:?} {responses:?}");
        let before = all.insert(format!("route {key}: settings"), settings);
        before.map_or(Ok(()), |_| Err(sumu_tests::Error::new(format!("two routes {key}"))))?;
    }
    let deployments = client.get_deployments().api_id(&id).max_results("500").send().await?;
    for found in client.get_stages().api_id(&id).max_results("500").send().await?.items() {
        let name = format!("stage {}", found.stage_name().unwrap_or_default());
        let route = found.default_route_settings();
        let limits = route.map(|route| (route.throttling_rate_limit(), route.throttling_burst_limit()));
        all.insert(format!("{name}: throttling"), format!("{limits:?}"));
        let logs = found.access_log_settings().map(|logs| (logs.destination_arn(), logs.format()));
        all.insert(format!("{name}: access logs"), format!("{logs:?}"));
        let serves = deployments.items().iter().find(|other| other.deployment_id() == found.deployment_id());
        let described = serves.and_then(|deployment| deployment.description());
        // What stands behind our word is made of ids.
        let described = described.map(|text| text.split(' ').next());
        all.insert(format!("{name}: serves"), format!("{described:?}"));
    }
    Ok(id)
}
