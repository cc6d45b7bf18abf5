//! What has to have a form, and what AWS fills in.

use std::collections::HashMap;

use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::types::{AccessLogSettings, AuthorizerType, IntegrationType, ProtocolType, RouteSettings};
use aws_sdk_sqs::types::QueueAttributeName;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::bench::{AT_ONCE, bench};

const BAD: &str = "BadRequestException";

async fn api(client: &Client, name: &str) -> Result<String> {
    let call = client.create_api().name(name).protocol_type(ProtocolType::Websocket);
    let made = call.route_selection_expression("$request.body.action").send().await?;
    made.api_id.context("no id")
}

#[tokio::test]
async fn a_websocket_api_selects_its_routes() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let create = Client::new(&bench.sdk).create_api().name("unselected");
    let made = create.clone().protocol_type(ProtocolType::Websocket).send().await;
    bench.refused("api-selects-routes", made, (400, BAD, "RouteSelectionExpression"))?;
    create.protocol_type(ProtocolType::Http).send().await?;
    Ok(())
}

#[tokio::test]
async fn an_identity_source_has_a_form() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "identity").await?;
    let create = |source: &str| {
        let call = client.create_authorizer().api_id(&api).name(source).authorizer_type(AuthorizerType::Request);
        call.authorizer_uri("arn:aws:apigateway:us-east-1:lambda:path/f").identity_source(source).send()
    };
    for bad in ["$request.header.Authorization", "route.request.header.", "route.request.body.token"] {
        bench.refused("authorizer-identity-sources", create(bad).await, (400, BAD, "identity source"))?;
    }
    for good in ["route.request.header.Authorization", "route.request.querystring.token", "context.connectionId"] {
        create(good).await.context(good)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_integration_and_an_authorizer_are_read_with_awss_defaults() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "filled").await?;
    let create = client.create_integration().api_id(&api).integration_type(IntegrationType::AwsProxy);
    let made = create.integration_uri("arn:aws:apigateway:us-east-1:lambda:path/f").send().await?;
    ensure_eq!(made.timeout_in_millis, Some(29_000), "the timeout that was answered");
    let id = made.integration_id.context("no id")?;
    let read = client.get_integration().api_id(&api).integration_id(&id).send().await?;
    ensure_eq!(read.payload_format_version(), Some("1.0"), "the payload's format");
    ensure_eq!(read.integration_method(), Some("POST"), "the method");
    client.update_integration().api_id(&api).integration_id(&id).timeout_in_millis(5_000).send().await?;
    let listed = client.get_integrations().api_id(&api).send().await?;
    ensure_eq!(listed.items()[0].timeout_in_millis, Some(5_000), "the timeout that was set");

    let create = client.create_authorizer().api_id(&api).name("one").authorizer_type(AuthorizerType::Request);
    let create = create.authorizer_uri("arn:aws:apigateway:us-east-1:lambda:path/f");
    let made = create.identity_source("context.connectionId").send().await?;
    ensure_eq!(made.authorizer_result_ttl_in_seconds, None, "the cache of a WebSocket authorizer");
    ensure!(bench.gateway.count("api-defaults") >= 4, "it was not the rule that filled in");
    Ok(())
}

#[tokio::test]
async fn access_logs_need_a_role_and_their_deletion_leaves_the_stage() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "logged").await?;
    let logs = |format: &str| AccessLogSettings::builder().destination_arn("arn:aws:logs:g").format(format).build();
    let create = |settings| client.create_stage().api_id(&api).stage_name("live").access_log_settings(settings).send();
    let rule = "stage-access-logs";
    bench.refused(rule, create(logs("")).await, (400, BAD, "Access Log value missing"))?;
    bench.refused(rule, create(logs("$context.status")).await, (400, BAD, "$context.requestId"))?;
    let refused = create(logs("$context.requestId")).await;
    bench.refused(rule, refused, (400, BAD, "CloudWatch Logs role ARN must be set in account settings"))?;

    let plain = client.create_stage().api_id(&api).stage_name("live");
    plain.route_settings("ping", RouteSettings::builder().throttling_burst_limit(5).build()).send().await?;
    let read = async || client.get_stage().api_id(&api).stage_name("live").send().await;
    let defaults = read().await?.default_route_settings.context("no default settings")?;
    ensure_eq!(defaults.data_trace_enabled, Some(false), "a default of the stage");
    let delete = client.delete_route_settings().api_id(&api).stage_name("live").route_key("ping");
    delete.send().await?;
    client.delete_access_log_settings().api_id(&api).stage_name("live").send().await?;
    let left = read().await?;
    ensure_eq!(left.route_settings.unwrap_or_default(), HashMap::new(), "the routes' settings");
    ensure_eq!(left.access_log_settings, None, "the logs' settings");
    ensure_eq!(bench.gateway.count("stage-settings-deletion"), 2, "deletions");
    ensure!(bench.gateway.count("stage-defaults") > 0, "it was not the rule that filled in");
    let missing = client.delete_access_log_settings().api_id(&api).stage_name("other").send().await;
    bench.refused("stage-settings-deletion", missing, (404, "NotFoundException", "stage"))?;
    Ok(())
}

#[tokio::test]
async fn a_stream_is_read_from_a_named_position() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk);
    let stream = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026";
    let create = lambda.create_event_source_mapping().function_name("f").event_source_arn(stream);
    let lax = create.clone().starting_position(aws_sdk_lambda::types::EventSourcePosition::TrimHorizon).send().await;
    let other = lax.err().context("a stream that does not exist was taken")?;
    ensure!(!format!("{other:?}").contains("startingPosition"), "refused for another reason: {other:?}");
    let expected = (400, "InvalidParameterValueException", "'startingPosition' failed to satisfy constraint");
    // The rule on what exists comes first, so it is off.
    let off = ["source-function-exists", "source-exists", "source-readable", "source-once"].map(ToOwned::to_owned);
    let settings = sumu_tests::gateway::Settings { pace: AT_ONCE, off: off.into(), ..Default::default() };
    let bench = crate::bench::strict(settings).await?;
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk);
    let create = lambda.create_event_source_mapping().function_name("f").event_source_arn(stream);
    bench.refused("source-starting-position", create.send().await, expected)
}

#[tokio::test]
async fn a_queues_attributes_are_within_their_ranges() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let sqs = aws_sdk_sqs::Client::new(&bench.sdk);
    let create = |name, value: &str| sqs.create_queue().queue_name("ranged").attributes(name, value).send();
    let rule = "queue-attributes-valid";
    let long = format!(r#"{{"Statement":[],"Id":"{}"}}"#, "x".repeat(8_192));
    for (name, bad) in [
        (QueueAttributeName::VisibilityTimeout, "43201"),
        (QueueAttributeName::MessageRetentionPeriod, "59"),
        (QueueAttributeName::DelaySeconds, "many"),
        (QueueAttributeName::Policy, "no policy"),
        (QueueAttributeName::Policy, long.as_str()),
    ] {
        let told = format!("Invalid value for the parameter {}.", name.as_str());
        bench.refused(rule, create(name, bad).await, (400, "InvalidAttributeValue", &told))?;
    }
    let url = create(QueueAttributeName::VisibilityTimeout, "43200").await?.queue_url.context("no URL")?;
    let set = |name, value: &str| sqs.set_queue_attributes().queue_url(&url).attributes(name, value).send();
    let refused = set(QueueAttributeName::MaximumMessageSize, "1").await;
    bench.refused(rule, refused, (400, "InvalidAttributeValue", "MaximumMessageSize"))?;
    set(QueueAttributeName::Policy, "").await?;
    Ok(())
}

#[tokio::test]
async fn a_filter_policy_has_a_form() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let sns = aws_sdk_sns::Client::new(&bench.sdk);
    let topic = sns.create_topic().name("filtered").send().await?.topic_arn.context("no ARN")?;
    let queue = "arn:aws:sqs:us-east-1:000000000000:filtered";
    let subscribe = |policy: &str| {
        let call = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue).return_subscription_arn(true);
        call.attributes("RawMessageDelivery", "true").attributes("FilterPolicy", policy).send()
    };
    let rule = "subscription-filter-policy";
    let many = r#"{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}"#;
    for bad in ["{", "[]", r#"{"kind":"chat"}"#, many] {
        bench.refused(rule, subscribe(bad).await, (400, "InvalidParameter", "FilterPolicy"))?;
    }
    let arn = subscribe(r#"{"kind":["chat"]}"#).await?.subscription_arn.context("no ARN")?;
    let set = |policy: &str| {
        let call = sns.set_subscription_attributes().subscription_arn(&arn);
        call.attribute_name("FilterPolicy").attribute_value(policy).send()
    };
    bench.refused(rule, set(r#"{"kind":1}"#).await, (400, "InvalidParameter", "FilterPolicy"))?;
    set("{}").await?;
    Ok(())
}
