//! API Gateway v2, WebSocket APIs: what refers to what.

use aws_sdk_apigatewayv2::types::{ProtocolType, Route};
use futures::FutureExt;

use super::{Found, asked, refuse};
use crate::Result;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};

const BAD: &str = "BadRequestException";
const CONFLICT: &str = "ConflictException";

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "api-one-write-at-a-time",
        says: "While one write to an API is on its way, another is refused.",
        source: "Recorded: ConflictException, \"Unable to complete operation due to concurrent modification\"",
        service: Service::ApiGateway,
        operations: &[
            "UpdateApi",
            "CreateAuthorizer",
            "UpdateAuthorizer",
            "DeleteAuthorizer",
            "CreateIntegration",
            "UpdateIntegration",
            "DeleteIntegration",
            "CreateRoute",
            "UpdateRoute",
            "DeleteRoute",
            "CreateRouteResponse",
            "DeleteRouteResponse",
            "CreateDeployment",
            "DeleteDeployment",
            "CreateStage",
            "UpdateStage",
            "DeleteStage",
            "DeleteApi",
        ],
        act: Act::OneWriteAtATime,
    },
    Rule {
        name: "api-mapped",
        says: "An API that a custom domain name maps to is not deleted.",
        source: "Recorded: DeleteApi, \"Please remove all API mappings for the API from your custom domain names.\"",
        service: Service::ApiGateway,
        operations: &["DeleteApi"],
        act: Act::Refuse(|call, facts| mapped(call, facts).boxed()),
    },
    Rule {
        name: "authorizer-members",
        says: "A WebSocket authorizer has no result cache, payload version, simple responses or JWT settings.",
        source: "Recorded: CreateAuthorizer, \"… cannot be set for WEBSOCKET protocol Apis.\"",
        service: Service::ApiGateway,
        operations: &["CreateAuthorizer", "UpdateAuthorizer"],
        act: Act::Refuse(|call, facts| authorizer_members(call, facts).boxed()),
    },
    Rule {
        name: "authorizer-in-use",
        says: "An authorizer that a route refers to is not deleted.",
        source: "Recorded: DeleteAuthorizer, \"Cannot delete authorizer …, is referenced in route: $connect\"",
        service: Service::ApiGateway,
        operations: &["DeleteAuthorizer"],
        act: Act::Refuse(|call, facts| authorizer_in_use(call, facts).boxed()),
    },
    Rule {
        name: "integration-in-use",
        says: "An integration that a route targets is not deleted.",
        source: "API Gateway v2 API Reference, DeleteIntegration: ConflictException",
        service: Service::ApiGateway,
        operations: &["DeleteIntegration"],
        act: Act::Refuse(|call, facts| integration_in_use(call, facts).boxed()),
    },
    Rule {
        name: "integration-timeout",
        says: "An integration's timeout is from 50 to 29,000 milliseconds.",
        source: "API Gateway v2 API Reference, CreateIntegration: timeoutInMillis for WebSocket APIs",
        service: Service::ApiGateway,
        operations: &["CreateIntegration", "UpdateIntegration"],
        act: Act::Refuse(|call, facts| integration_timeout(call, facts).boxed()),
    },
    Rule {
        name: "route-once",
        says: "An API has one route a key.",
        source: "API Gateway v2 API Reference, CreateRoute: ConflictException",
        service: Service::ApiGateway,
        operations: &["CreateRoute"],
        act: Act::Refuse(|call, facts| route_once(call, facts).boxed()),
    },
    Rule {
        name: "route-refers-to-what-exists",
        says: "A route's integration and authorizer must exist.",
        source: "API Gateway v2 API Reference, CreateRoute: target and authorizerId; BadRequestException",
        service: Service::ApiGateway,
        operations: &["CreateRoute", "UpdateRoute"],
        act: Act::Refuse(|call, facts| route_refers(call, facts).boxed()),
    },
    Rule {
        name: "route-response-once",
        says: "A route has one response, its key is $default, and $connect and $disconnect have none.",
        source: "API Gateway Developer Guide, set up route responses for WebSocket APIs",
        service: Service::ApiGateway,
        operations: &["CreateRouteResponse"],
        act: Act::Refuse(|call, facts| route_response(call, facts).boxed()),
    },
    Rule {
        name: "deployment-needs-a-route",
        says: "An API without a route cannot be deployed.",
        source: "Recorded: CreateDeployment, \"At least one route is required before deploying the Api.\"",
        service: Service::ApiGateway,
        operations: &["CreateDeployment"],
        act: Act::Refuse(|call, facts| deployment(call, facts).boxed()),
    },
    Rule {
        name: "deployment-in-use",
        says: "A deployment that a stage serves is not deleted.",
        source: "Recorded: DeleteDeployment, \"Active stages pointing to this deployment must be moved or deleted\"",
        service: Service::ApiGateway,
        operations: &["DeleteDeployment"],
        act: Act::Refuse(|call, facts| deployment_in_use(call, facts).boxed()),
    },
    Rule {
        name: "stage-once",
        says: "An API has one stage a name.",
        source: "API Gateway v2 API Reference, CreateStage: ConflictException",
        service: Service::ApiGateway,
        operations: &["CreateStage"],
        act: Act::Refuse(|call, facts| stage_once(call, facts).boxed()),
    },
    Rule {
        name: "stage-serves-what-exists",
        says: "A stage's deployment must exist, and is not set while the stage deploys by itself.",
        source: "API Gateway v2 API Reference, CreateStage; recorded: \"because AutoDeploy is enabled\"",
        service: Service::ApiGateway,
        operations: &["CreateStage", "UpdateStage"],
        act: Act::Refuse(|call, facts| stage_serves(call, facts).boxed()),
    },
];

async fn routes(facts: &Facts, api: &str) -> Result<Vec<Route>> {
    let answer = asked(facts.gateway.get_routes().api_id(api).max_results("500").send().await)?;
    Ok(answer.and_then(|answer| answer.items).unwrap_or_default())
}

async fn is_websocket(facts: &Facts, api: &str) -> Result<bool> {
    let answer = asked(facts.gateway.get_api().api_id(api).send().await)?;
    Ok(answer.is_some_and(|api| api.protocol_type == Some(ProtocolType::Websocket)))
}

async fn mapped(call: &Call, facts: &Facts) -> Found {
    let domains = asked(facts.gateway.get_domain_names().send().await)?;
    for domain in domains.and_then(|answer| answer.items).unwrap_or_default() {
        let name = domain.domain_name.unwrap_or_default();
        let mappings = asked(facts.gateway.get_api_mappings().domain_name(name).send().await)?;
        let mappings = mappings.and_then(|answer| answer.items).unwrap_or_default();
        if mappings.iter().any(|mapping| mapping.api_id() == Some(call.id(0))) {
            let api = call.id(0);
            let message = format!(
                "Deleting API {api} failed. Please remove all API mappings for the API from your custom domain names."
            );
            return refuse(400, BAD, message);
        }
    }
    Ok(None)
}

async fn authorizer_members(call: &Call, facts: &Facts) -> Found {
    let members =
        ["authorizerPayloadFormatVersion", "authorizerResultTtlInSeconds", "enableSimpleResponses", "jwtConfiguration"];
    let Some(member) = members.into_iter().find(|member| !call.input()[*member].is_null()) else { return Ok(None) };
    if !is_websocket(facts, call.id(0)).await? {
        return Ok(None);
    }
    let (first, rest) = member.split_at(1);
    refuse(400, BAD, format!("{}{rest} cannot be set for WEBSOCKET protocol Apis.", first.to_uppercase()))
}

async fn authorizer_in_use(call: &Call, facts: &Facts) -> Found {
    let routes = routes(facts, call.id(0)).await?;
    let Some(route) = routes.iter().find(|route| route.authorizer_id() == Some(call.id(1))) else { return Ok(None) };
    let answer = facts.gateway.get_authorizer().api_id(call.id(0)).authorizer_id(call.id(1)).send().await;
    let name = asked(answer)?.and_then(|authorizer| authorizer.name).unwrap_or_default();
    let key = route.route_key().unwrap_or_default();
    refuse(409, CONFLICT, format!("Cannot delete authorizer '{name}', is referenced in route: {key}"))
}

async fn integration_in_use(call: &Call, facts: &Facts) -> Found {
    let target = format!("integrations/{}", call.id(1));
    let routes = routes(facts, call.id(0)).await?;
    let Some(route) = routes.iter().find(|route| route.target() == Some(&target)) else { return Ok(None) };
    let key = route.route_key().unwrap_or_default();
    refuse(409, CONFLICT, format!("Cannot delete Integration '{}', is referenced in route: {key}", call.id(1)))
}

async fn integration_timeout(call: &Call, facts: &Facts) -> Found {
    let timeout = call.input()["timeoutInMillis"].as_i64();
    if timeout.is_none_or(|timeout| (50..=29_000).contains(&timeout)) || !is_websocket(facts, call.id(0)).await? {
        return Ok(None);
    }
    refuse(400, BAD, "Timeout should be between 50 ms and 29000 ms")
}

async fn route_once(call: &Call, facts: &Facts) -> Found {
    let key = call.text("routeKey");
    if routes(facts, call.id(0)).await?.iter().all(|route| route.route_key() != Some(key)) {
        return Ok(None);
    }
    refuse(409, CONFLICT, format!("Route with key {key} already exists for this API"))
}

async fn route_refers(call: &Call, facts: &Facts) -> Found {
    let api = call.id(0);
    if let Some(id) = call.text("target").strip_prefix("integrations/") {
        let found = facts.gateway.get_integration().api_id(api).integration_id(id).send().await;
        if asked(found)?.is_none() {
            return refuse(400, BAD, "Invalid Integration identifier specified");
        }
    }
    let id = call.text("authorizerId");
    if !id.is_empty() {
        let found = facts.gateway.get_authorizer().api_id(api).authorizer_id(id).send().await;
        if asked(found)?.is_none() {
            return refuse(400, BAD, "Invalid Authorizer identifier specified");
        }
    }
    Ok(None)
}

async fn route_response(call: &Call, facts: &Facts) -> Found {
    if call.text("routeResponseKey") != "$default" {
        return refuse(400, BAD, "Only the $default route response key is supported");
    }
    let route = facts.gateway.get_route().api_id(call.id(0)).route_id(call.id(1)).send().await;
    let key = asked(route)?.and_then(|route| route.route_key).unwrap_or_default();
    if key == "$connect" || key == "$disconnect" {
        return refuse(400, BAD, format!("Route responses are not supported for the {key} route"));
    }
    let found = facts.gateway.get_route_responses().api_id(call.id(0)).route_id(call.id(1)).send().await;
    let found = asked(found)?.and_then(|answer| answer.items).unwrap_or_default();
    if found.is_empty() {
        return Ok(None);
    }
    refuse(409, CONFLICT, "Route response with key $default already exists for this route")
}

async fn deployment(call: &Call, facts: &Facts) -> Found {
    let api = asked(facts.gateway.get_api().api_id(call.id(0)).send().await)?;
    if api.is_none() || !routes(facts, call.id(0)).await?.is_empty() {
        return Ok(None);
    }
    refuse(400, BAD, "At least one route is required before deploying the Api.")
}

async fn deployment_in_use(call: &Call, facts: &Facts) -> Found {
    let stages = asked(facts.gateway.get_stages().api_id(call.id(0)).send().await)?;
    let stages = stages.and_then(|answer| answer.items).unwrap_or_default();
    if stages.iter().all(|stage| stage.deployment_id() != Some(call.id(1))) {
        return Ok(None);
    }
    refuse(400, BAD, "Active stages pointing to this deployment must be moved or deleted")
}

async fn stage_once(call: &Call, facts: &Facts) -> Found {
    let found = facts.gateway.get_stage().api_id(call.id(0)).stage_name(call.text("stageName")).send().await;
    if asked(found)?.is_none() { Ok(None) } else { refuse(409, CONFLICT, "Stage already exists") }
}

async fn stage_serves(call: &Call, facts: &Facts) -> Found {
    let id = call.text("deploymentId");
    if id.is_empty() {
        return Ok(None);
    }
    let is_auto = match call.input()["autoDeploy"].as_bool() {
        Some(is_auto) => is_auto,
        None if call.operation == "UpdateStage" => {
            let stage = facts.gateway.get_stage().api_id(call.id(0)).stage_name(call.id(1)).send().await;
            asked(stage)?.and_then(|stage| stage.auto_deploy).unwrap_or(false)
        }
        None => false,
    };
    if is_auto {
        return refuse(400, BAD, "Deployment ID cannot be set on stage because AutoDeploy is enabled");
    }
    let deployment = facts.gateway.get_deployment().api_id(call.id(0)).deployment_id(id).send().await;
    if asked(deployment)?.is_some() {
        return Ok(None);
    }
    refuse(400, BAD, "Invalid deployment identifier specified")
}
