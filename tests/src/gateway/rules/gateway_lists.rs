//! API Gateway v2: what the emulator tells wrongly.

use futures::FutureExt;
use serde_json::Value;

use super::{Found, asked, refuse};
use crate::Result;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Answer;

const LISTS: &[&str] = &["GetApis", "GetRoutes", "GetIntegrations", "GetAuthorizers", "GetDeployments", "GetStages"];

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "api-tags-are-current",
        says: "An API is read with the tags that it has now, not those that it was made with.",
        source: "API Gateway v2 API Reference, GetApi and GetApis: tags",
        service: Service::ApiGateway,
        operations: &["GetApi", "GetApis"],
        act: Act::Mend(|call, facts, answer| tags(call, facts, answer).boxed()),
    },
    Rule {
        name: "api-lists-in-pages",
        says: "A list comes in pages, of 25 items or as many as were asked for.",
        source: "API Gateway v2 API Reference, GetApis: maxResults and nextToken",
        service: Service::ApiGateway,
        operations: LISTS,
        act: Act::Mend(|call, facts, answer| async move { Ok(pages(call, facts, answer)) }.boxed()),
    },
    Rule {
        name: "delete-of-nothing",
        says: "Deleting a part of an API that does not exist is answered with 404.",
        source: "API Gateway v2 API Reference, DeleteRoute and the like: NotFoundException",
        service: Service::ApiGateway,
        operations: &["DeleteAuthorizer", "DeleteIntegration", "DeleteRoute", "DeleteDeployment", "DeleteStage"],
        act: Act::Refuse(|call, facts| nothing(call, facts).boxed()),
    },
    Rule {
        name: "route-update-is-201",
        says: "UpdateRoute is answered with 201.",
        source: "Recorded answers of UpdateRoute",
        service: Service::ApiGateway,
        operations: &["UpdateRoute"],
        act: Act::Mend(|_, _, answer| async move { Ok(created(answer)) }.boxed()),
    },
];

async fn tags(call: &Call, facts: &Facts, answer: Answer) -> Result<Answer> {
    if !answer.is_good() {
        return Ok(answer);
    }
    let mut body = answer.json();
    let mut is_changed = false;
    let apis: Vec<&mut Value> = if call.operation == "GetApi" {
        vec![&mut body]
    } else {
        body["items"].as_array_mut().into_iter().flatten().collect()
    };
    for api in apis {
        let id = api["apiId"].as_str().unwrap_or_default().to_owned();
        if !facts.memory().apis_tagged.contains(&id) {
            continue;
        }
        let arn = format!("arn:aws:apigateway:{}::/apis/{id}", facts.region);
        if let Some(found) = asked(facts.gateway.get_tags().resource_arn(arn).send().await)? {
            api["tags"] = serde_json::to_value(found.tags.unwrap_or_default())?;
            is_changed = true;
        }
    }
    Ok(if is_changed { answer.with_json(&body) } else { answer })
}

/// The token is the number of the first item of its page.
fn pages(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    let mut body = answer.json();
    let Some(items) = body["items"].as_array_mut().filter(|_| answer.is_good()) else { return answer };
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("maxResults").unwrap_or(facts.pace.page).max(1);
    let from = number("nextToken").unwrap_or(0).min(items.len());
    let to = items.len().min(from + size);
    if from == 0 && to == items.len() {
        return answer;
    }
    let is_last = to == items.len();
    *items = items.drain(from..to).collect();
    body["nextToken"] = if is_last { Value::Null } else { to.to_string().into() };
    answer.with_json(&body)
}

async fn nothing(call: &Call, facts: &Facts) -> Found {
    let (api, id, gateway) = (call.id(0), call.id(1), &facts.gateway);
    let exists = match call.operation.as_str() {
        "DeleteAuthorizer" => asked(gateway.get_authorizer().api_id(api).authorizer_id(id).send().await)?.is_some(),
        "DeleteIntegration" => asked(gateway.get_integration().api_id(api).integration_id(id).send().await)?.is_some(),
        "DeleteRoute" => asked(gateway.get_route().api_id(api).route_id(id).send().await)?.is_some(),
        "DeleteDeployment" => asked(gateway.get_deployment().api_id(api).deployment_id(id).send().await)?.is_some(),
        _ => asked(gateway.get_stage().api_id(api).stage_name(id).send().await)?.is_some(),
    };
    if exists {
        return Ok(None);
    }
    let what = call.operation.trim_start_matches("Delete");
    refuse(404, "NotFoundException", format!("Invalid {what} identifier specified"))
}

fn created(answer: Answer) -> Answer {
    if answer.status == 200 { Answer { status: 201, ..answer } } else { answer }
}
