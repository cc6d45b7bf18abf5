//! What a caller may do: whoever has been given a policy may do what it allows, and everybody else everything.
//!
//! The actions and resources of a call are those of the Service Authorization Reference. Conditions count as met, but for
//! that on the function of an event source that is made.

use super::rights::allows_for;
use crate::aws::{ACCOUNT, REGION};
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Refusal;

const SAYS: &str = "A caller does only what its policies allow, tags on creation and the passing of roles included.";

pub(in crate::gateway) const RULES: &[Rule] = &[
    rule("gateway-caller", Service::ApiGateway, "Service Authorization Reference, API Gateway Management V2"),
    rule("function-caller", Service::Lambda, "Service Authorization Reference, AWS Lambda; iam:PassRole"),
    rule("table-caller", Service::DynamoDb, "Service Authorization Reference, Amazon DynamoDB"),
    rule("queue-caller", Service::Sqs, "Service Authorization Reference, Amazon SQS"),
    rule("log-caller", Service::Logs, "Service Authorization Reference, Amazon CloudWatch Logs"),
    rule("role-caller", Service::Iam, "Service Authorization Reference, AWS IAM"),
    rule("topic-caller", Service::Sns, "Service Authorization Reference, Amazon SNS"),
    rule("zone-caller", Service::Route53, "Service Authorization Reference, Amazon Route 53"),
    rule("identity-caller", Service::Sts, "Service Authorization Reference, AWS STS; GetCallerIdentity needs no right"),
];

const fn rule(name: &'static str, service: Service, source: &'static str) -> Rule {
    Rule { name, says: SAYS, source, service, operations: &[], act: Act::RefuseAtOnce(caller) }
}

/// A right that a call needs: the action and the ARN.
type Right = (String, String);

fn caller(call: &Call, facts: &Facts) -> Option<Refusal> {
    let mut memory = facts.memory();
    let (policy, used) = memory.callers.get_mut(&call.caller)?;
    let function = function_of_source(call);
    for (action, resource) in rights(call) {
        if !allows_for(policy, &action, &resource, function.as_deref()) {
            return Some(denial(call, &action, &resource));
        }
        used.insert(action);
    }
    None
}

fn denial(call: &Call, action: &str, resource: &str) -> Refusal {
    let message = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/{0}/{0} is not authorized to perform: {action} on resource: {resource} \
         because no identity-based policy allows the {action} action",
        call.caller
    );
    let (status, code) = match call.service {
        Service::ApiGateway | Service::Lambda => (403, "AccessDeniedException"),
        Service::DynamoDb | Service::Logs => (400, "AccessDeniedException"),
        Service::Sqs | Service::Iam | Service::Sts | Service::Route53 => (403, "AccessDenied"),
        Service::Sns => (403, "AuthorizationError"),
    };
    Refusal::new(status, code, message)
}

/// All rights that a call needs.
fn rights(call: &Call) -> Vec<Right> {
    match call.service {
        Service::ApiGateway => {
            // ARNs do not tell the version of the API.
            let path = call.path.trim_start_matches("/v2");
            vec![(format!("apigateway:{}", call.method), arn("apigateway", "", path))]
        }
        Service::Lambda => of_function(call),
        Service::DynamoDb => {
            let named = first(call, &["TableName", "ResourceArn"]);
            let table = arn("dynamodb", ACCOUNT, &format!("table/{}", table(named)));
            with_tags(call, "dynamodb", "TagResource", &["Tags"], table)
        }
        Service::Sqs => {
            let queue = last(first(call, &["QueueUrl", "QueueName"]));
            with_tags(call, "sqs", "TagQueue", &["tags"], arn("sqs", ACCOUNT, queue))
        }
        Service::Logs => {
            let named = first(call, &["resourceArn", "logGroupName", "logGroupNamePrefix"]);
            let group = named.split_once("log-group:").map_or(named, |(_, group)| group);
            let group = arn("logs", ACCOUNT, &format!("log-group:{}", group.trim_end_matches(":*")));
            with_tags(call, "logs", "TagResource", &["tags"], group)
        }
        Service::Route53 => {
            vec![(format!("route53:{}", call.operation), format!("arn:aws:route53:::hostedzone/{}", call.id(0)))]
        }
        Service::Iam => {
            let role = format!("arn:aws:iam::{ACCOUNT}:role/{}", call.text("RoleName"));
            with_tags(call, "iam", "TagRole", &["Tags.member.1.Key"], role)
        }
        Service::Sns => {
            let named = first(call, &["TopicArn", "ResourceArn", "SubscriptionArn", "Name"]);
            let topic = if named.starts_with("arn:") { named.to_owned() } else { arn("sns", ACCOUNT, named) };
            with_tags(call, "sns", "TagResource", &["Tags.member.1.Key"], topic)
        }
        Service::Sts if call.operation == "GetCallerIdentity" => Vec::new(),
        Service::Sts => vec![(format!("sts:{}", call.operation), call.text("RoleArn").to_owned())],
    }
}

/// The function of an event source that is to be made. Of one that is there only its id is told.
fn function_of_source(call: &Call) -> Option<String> {
    let named = call.text("FunctionName");
    let is_arn = named.starts_with("arn:");
    (call.operation == "CreateEventSourceMapping")
        .then(|| if is_arn { named.to_owned() } else { arn("lambda", ACCOUNT, &format!("function:{named}")) })
}

fn of_function(call: &Call) -> Vec<Right> {
    let action = if call.operation == "Invoke" { "InvokeFunction" } else { &call.operation };
    let named = if call.id(0).is_empty() { call.text("FunctionName") } else { call.id(0) };
    let source =
        arn("lambda", ACCOUNT, &format!("event-source-mapping:{}", if call.id(0).is_empty() { "*" } else { named }));
    let resource = match call.operation.as_str() {
        // Neither has a resource; the first is narrowed by a condition on the function.
        "CreateEventSourceMapping" | "ListEventSourceMappings" | "ListFunctions" => "*".to_owned(),
        operation if operation.ends_with("EventSourceMapping") => source.clone(),
        _ if named.starts_with("arn:") => named.to_owned(),
        _ => arn("lambda", ACCOUNT, &format!("function:{named}")),
    };
    let mut rights = vec![(format!("lambda:{action}"), resource.clone())];
    if has_tags(call, &["Tags"]) && call.operation.starts_with("Create") {
        let tagged = if resource == "*" { source } else { resource };
        rights.push(("lambda:TagResource".to_owned(), tagged));
    }
    let role = call.text("Role");
    if !role.is_empty() {
        rights.push(("iam:PassRole".to_owned(), role.to_owned()));
    }
    rights
}

/// An action named like the operation, and the right to tag what is made with tags.
fn with_tags(call: &Call, prefix: &str, tagging: &str, members: &[&str], resource: String) -> Vec<Right> {
    // A batch needs the right to what it repeats.
    let action = call.operation.trim_end_matches("Batch");
    let mut rights = vec![(format!("{prefix}:{action}"), resource.clone())];
    if call.operation.starts_with("Create") && has_tags(call, members) {
        rights.push((format!("{prefix}:{tagging}"), resource));
    }
    rights
}

fn has_tags(call: &Call, members: &[&str]) -> bool {
    members.iter().map(|member| &call.input()[*member]).any(|tags| match tags {
        serde_json::Value::Array(tags) => !tags.is_empty(),
        serde_json::Value::Object(tags) => !tags.is_empty(),
        serde_json::Value::String(key) => !key.is_empty(),
        _ => false,
    })
}

fn first<'a>(call: &'a Call, members: &[&str]) -> &'a str {
    members.iter().map(|member| call.text(member)).find(|text| !text.is_empty()).unwrap_or("*")
}

/// The name of a table, which a call may give by its ARN or that of its stream.
fn table(named: &str) -> &str {
    named.split_once(":table/").map_or(named, |(_, table)| table)
}

fn arn(service: &str, account: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{account}:{resource}")
}
