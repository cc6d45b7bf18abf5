//! What a caller may do: a function what its role allows, whoever has been given a policy what that allows, and everybody
//! else everything.
//!
//! A function is known by its access key: the testbed's emulator gives each one of its own (`tests/testbed/emulator.py`).
//! Conditions count as met, but for that on the function of an event source that is made.

use futures::FutureExt;

use super::Found;
use super::actions::{GET_OBJECT, function_of_source, rights};
use super::rights::{all_allow, has};
use crate::aws::ACCOUNT;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Refusal;

const SAYS: &str = "A caller does only what its policies allow, tags on creation and the passing of roles included.";
const FUNCTION_SAYS: &str = "A function does only what the policies of its role allow, once these have spread.";
const FUNCTION_SOURCE: &str = "Lambda Developer Guide, execution role; Service Authorization Reference";

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
    role("gateway-execution-role", Service::ApiGateway),
    role("function-execution-role", Service::Lambda),
    role("table-execution-role", Service::DynamoDb),
    role("queue-execution-role", Service::Sqs),
    role("log-execution-role", Service::Logs),
    role("role-execution-role", Service::Iam),
    role("topic-execution-role", Service::Sns),
    role("zone-execution-role", Service::Route53),
    role("identity-execution-role", Service::Sts),
];

const fn rule(name: &'static str, service: Service, source: &'static str) -> Rule {
    Rule { name, says: SAYS, source, service, operations: &[], act: Act::RefuseAtOnce(caller) }
}

const fn role(name: &'static str, service: Service) -> Rule {
    let act = Act::RefuseBeside(|call, facts| function(call, facts).boxed());
    Rule { name, says: FUNCTION_SAYS, source: FUNCTION_SOURCE, service, operations: &[], act }
}

/// The role and the name of the function that has an access key.
pub(in crate::gateway) fn executor(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("assumed-role:")?.split_once(':')
}

/// Who has assumed a role, as IAM and STS name them.
pub(in crate::gateway) fn session(role: &str, name: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}")
}

async fn function(call: &Call, facts: &Facts) -> Found {
    let Some((role, function)) = executor(&call.caller) else { return Ok(None) };
    for right in rights(call) {
        if !has(facts, role, &right).await? {
            let (action, resource) = right;
            return Ok(Some(denial(call, &session(role, function), &action, &resource)));
        }
    }
    Ok(None)
}

fn caller(call: &Call, facts: &Facts) -> Option<Refusal> {
    let mut memory = facts.memory();
    let (policy, used) = memory.callers.get_mut(&call.caller)?;
    let function = function_of_source(call);
    for (action, resource) in rights(call) {
        if !all_allow([&*policy], &action, &resource, function.as_deref()) {
            return Some(denial(call, &session(&call.caller, &call.caller), &action, &resource));
        }
        used.insert(action);
    }
    None
}

fn denial(call: &Call, user: &str, action: &str, resource: &str) -> Refusal {
    let message = format!(
        "User: {user} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    );
    // Lambda tells S3's words.
    let message = match resource.strip_prefix("arn:aws:s3:::") {
        Some(object) if action == GET_OBJECT => format!(
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject \
             for {object}. S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
        ),
        _ => message,
    };
    let (status, code) = match call.service {
        Service::ApiGateway | Service::Lambda => (403, "AccessDeniedException"),
        Service::DynamoDb | Service::Logs => (400, "AccessDeniedException"),
        Service::Sqs | Service::Iam | Service::Sts | Service::Route53 => (403, "AccessDenied"),
        Service::Sns => (403, "AuthorizationError"),
    };
    Refusal::new(status, code, message)
}
