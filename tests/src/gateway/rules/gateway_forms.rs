//! API Gateway v2: what has to have a form, and what AWS fills in.

use aws_sdk_apigatewayv2::types::{AccessLogSettings, ProtocolType};
use futures::FutureExt;
use serde_json::{Map, Value, json};

use super::{Found, asked, refuse};
use crate::Result;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::{Answer, Refusal};

const BAD: &str = "BadRequestException";

/// Where the value of an identity source may come from.
const IDENTITY_SOURCES: [&str; 4] =
    ["route.request.header.", "route.request.querystring.", "context.", "stageVariables."];

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "api-selects-routes",
        says: "A WebSocket API has a route selection expression.",
        source: "API Gateway v2 API Reference, CreateApi: routeSelectionExpression is required for WebSocket APIs",
        service: Service::ApiGateway,
        operations: &["CreateApi"],
        act: Act::RefuseAtOnce(|call, _| selects_routes(call)),
    },
    Rule {
        name: "authorizer-identity-sources",
        says: "An identity source is route.request.header.…, route.request.querystring.…, context.… or stageVariables.…",
        source: "API Gateway v2 API Reference, CreateAuthorizer: identitySource",
        service: Service::ApiGateway,
        operations: &["CreateAuthorizer", "UpdateAuthorizer"],
        act: Act::Refuse(|call, facts| identity_sources(call, facts).boxed()),
    },
    Rule {
        name: "stage-access-logs",
        says: "Access logs need a destination, a format of one line with a request's id, and the account's logging role.",
        source: "API Gateway Developer Guide, configure WebSocket API access logging; reported messages of CreateStage",
        service: Service::ApiGateway,
        operations: &["CreateStage", "UpdateStage"],
        act: Act::Refuse(|call, facts| access_logs(call, facts).boxed()),
    },
    Rule {
        name: "stage-settings-deletion",
        says: "Deleting a stage's access log settings, or those of a route, leaves the stage.",
        source: "API Gateway v2 API Reference, DeleteAccessLogSettings and DeleteRouteSettings",
        service: Service::ApiGateway,
        operations: &["DeleteAccessLogSettings", "DeleteRouteSettings"],
        act: Act::Do(|call, facts| settings_deletion(call, facts).boxed()),
    },
    Rule {
        name: "api-defaults",
        says: "AWS fills in what was not said of an integration of a WebSocket API, and a new authorizer has no cache.",
        source: "Recorded answers of CreateIntegration and CreateAuthorizer for WebSocket APIs",
        service: Service::ApiGateway,
        operations: &[
            "CreateIntegration",
            "UpdateIntegration",
            "GetIntegration",
            "GetIntegrations",
            "CreateAuthorizer",
            "UpdateAuthorizer",
            "GetAuthorizer",
            "GetAuthorizers",
        ],
        act: Act::Mend(|call, facts, answer| defaults(call, facts, answer).boxed()),
    },
    Rule {
        name: "stage-defaults",
        says: "A stage is read with the default settings of its routes, also those that nobody has set.",
        source: "Recorded answers of CreateStage and GetStage",
        service: Service::ApiGateway,
        operations: &["CreateStage", "UpdateStage", "GetStage", "GetStages"],
        act: Act::Mend(|_, _, answer| async move { Ok(stage_defaults(answer)) }.boxed()),
    },
];

fn selects_routes(call: &Call) -> Option<Refusal> {
    let is_missing = call.text("protocolType") == "WEBSOCKET" && call.text("routeSelectionExpression").is_empty();
    is_missing.then(|| Refusal::new(400, BAD, "RouteSelectionExpression is required for WEBSOCKET protocol Apis"))
}

async fn identity_sources(call: &Call, facts: &Facts) -> Found {
    let sources = call.input()["identitySource"].as_array().cloned().unwrap_or_default();
    let is_known = |source: &Value| {
        let text = source.as_str().unwrap_or_default();
        IDENTITY_SOURCES.iter().any(|begin| text.strip_prefix(begin).is_some_and(|name| !name.is_empty()))
    };
    if sources.iter().all(is_known) {
        return Ok(None);
    }
    let api = asked(facts.gateway.get_api().api_id(call.id(0)).send().await)?;
    // HTTP APIs write theirs in another way.
    if api.is_none_or(|api| api.protocol_type != Some(ProtocolType::Websocket)) {
        return Ok(None);
    }
    refuse(400, BAD, "Invalid identity source mapping expression specified")
}

async fn access_logs(call: &Call, facts: &Facts) -> Found {
    let settings = &call.input()["accessLogSettings"];
    if settings.is_null() {
        return Ok(None);
    }
    let text = |name: &str| settings[name].as_str().unwrap_or_default();
    let (destination, format) = (text("destinationArn"), text("format"));
    if destination.is_empty() || format.is_empty() {
        return refuse(400, BAD, "Access Log value missing. Expected destinationArn and format.");
    }
    let has_id = format.contains("$context.requestId") || format.contains("$context.extendedRequestId");
    if !has_id || format.contains('\n') {
        let message =
            "Access Log format must be single line and contain $context.requestId or $context.extendedRequestId";
        return refuse(400, BAD, message);
    }
    if facts.has_log_role().await? {
        return Ok(None);
    }
    refuse(400, BAD, "CloudWatch Logs role ARN must be set in account settings to enable logging")
}

/// The emulator takes the deletion of a stage's settings for that of the stage.
async fn settings_deletion(call: &Call, facts: &Facts) -> Result<Option<Answer>> {
    let (api, stage) = (call.id(0), call.id(1));
    let found = asked(facts.gateway.get_stage().api_id(api).stage_name(stage).send().await)?;
    let Some(found) = found else {
        let missing = Refusal::new(404, "NotFoundException", "Invalid stage identifier specified");
        return Ok(Some(missing.answer(call.service)));
    };
    let update = facts.gateway.update_stage().api_id(api).stage_name(stage);
    let update = if call.operation == "DeleteAccessLogSettings" {
        update.access_log_settings(AccessLogSettings::builder().build())
    } else {
        let mut left = found.route_settings.unwrap_or_default();
        left.remove(call.id(2));
        update.set_route_settings(Some(left))
    };
    update.send().await?;
    Ok(Some(Answer::new(204, "application/json", "")))
}

async fn defaults(call: &Call, facts: &Facts, answer: Answer) -> Result<Answer> {
    if !answer.is_good() {
        return Ok(answer);
    }
    let api = asked(facts.gateway.get_api().api_id(call.id(0)).send().await)?;
    if api.is_none_or(|api| api.protocol_type != Some(ProtocolType::Websocket)) {
        return Ok(answer);
    }
    let mend = if call.operation.contains("Integration") { integration } else { authorizer };
    Ok(each(answer, mend))
}

fn integration(item: &mut Map<String, Value>) {
    item.insert("payloadFormatVersion".to_owned(), "1.0".into());
    // What the emulator fills in is beyond AWS's own limit, so nobody has asked for it.
    if item.get("timeoutInMillis").and_then(Value::as_i64).is_none_or(|timeout| timeout > 29_000) {
        item.insert("timeoutInMillis".to_owned(), 29_000.into());
    }
    for (name, value) in
        [("connectionType", "INTERNET"), ("passthroughBehavior", "WHEN_NO_MATCH"), ("integrationMethod", "POST")]
    {
        let member = item.entry(name).or_insert(Value::Null);
        if member.is_null() {
            *member = value.into();
        }
    }
}

fn authorizer(item: &mut Map<String, Value>) {
    item.remove("authorizerResultTtlInSeconds");
}

fn stage_defaults(answer: Answer) -> Answer {
    if !answer.is_good() {
        return answer;
    }
    each(answer, |stage| {
        // What was deleted is not there, rather than empty.
        if stage.get("accessLogSettings").and_then(Value::as_object).is_some_and(Map::is_empty) {
            stage.remove("accessLogSettings");
        }
        let settings = stage.entry("defaultRouteSettings").or_insert_with(|| json!({}));
        let Some(settings) = settings.as_object_mut() else { return };
        for (name, value) in [
            ("dataTraceEnabled", json!(false)),
            ("detailedMetricsEnabled", json!(false)),
            ("loggingLevel", json!("OFF")),
        ] {
            settings.entry(name).or_insert(value);
        }
    })
}

/// Changes each item of a list, or the one that was answered.
fn each(answer: Answer, change: impl Fn(&mut Map<String, Value>)) -> Answer {
    let mut body = answer.json();
    if let Some(items) = body["items"].as_array_mut() {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(change);
    } else if let Some(item) = body.as_object_mut() {
        item.remove("items");
        change(item);
    }
    answer.with_json(&body)
}
