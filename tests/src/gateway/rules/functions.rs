//! Lambda functions and their permissions.

use aws_sdk_lambda::types::{LastUpdateStatus, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rights::{is_assumable, may};
use super::{Found, asked, refuse};
use crate::Result;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::{Answer, Refusal};

const ENVIRONMENT_MAX: usize = 4096;
const RESERVED: [&str; 12] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
];

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "function-role-assumable",
        says: "A function's role must exist, trust Lambda, and have spread, which takes about ten seconds.",
        source: "Recorded: CreateFunction was refused for 7.5 and 10.3 s after CreateRole",
        service: Service::Lambda,
        operations: &["CreateFunction", "UpdateFunctionConfiguration"],
        act: Act::Refuse(|call, facts| role_assumable(call, facts).boxed()),
    },
    Rule {
        name: "function-dead-letters-allowed",
        says: "A function's role must be allowed to send to its dead-letter queue.",
        source: "Lambda Developer Guide, asynchronous invocation: dead-letter queues",
        service: Service::Lambda,
        operations: &["CreateFunction", "UpdateFunctionConfiguration"],
        act: Act::Refuse(|call, facts| dead_letters_allowed(call, facts).boxed()),
    },
    Rule {
        name: "function-limits",
        says: "A function's name, timeout, memory and environment have limits, and some variables are reserved.",
        source: "Lambda API Reference, CreateFunction; Lambda Developer Guide, quotas and environment variables",
        service: Service::Lambda,
        operations: &["CreateFunction", "UpdateFunctionConfiguration"],
        act: Act::Refuse(|call, _| async move { Ok(beyond_limits(call)) }.boxed()),
    },
    Rule {
        name: "function-busy",
        says: "A function that is being created or updated takes no other change.",
        source: "Lambda Developer Guide, function states; recorded: ResourceConflictException",
        service: Service::Lambda,
        operations: &["UpdateFunctionCode", "UpdateFunctionConfiguration", "DeleteFunction"],
        act: Act::Refuse(|call, facts| busy(call, facts).boxed()),
    },
    Rule {
        name: "function-states",
        says: "A new function has no LastUpdateStatus while it is Pending; an updated one stays Active.",
        source: "Lambda Developer Guide, function states; recorded answers of CreateFunction",
        service: Service::Lambda,
        operations: &[
            "CreateFunction",
            "GetFunction",
            "GetFunctionConfiguration",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
        ],
        act: Act::Mend(|call, facts, answer| async move { Ok(states(call, facts, answer)) }.boxed()),
    },
    Rule {
        name: "function-dry-run",
        says: "UpdateFunctionCode with DryRun changes nothing and tells what the code would be.",
        source: "Lambda API Reference, UpdateFunctionCode: DryRun",
        service: Service::Lambda,
        operations: &["UpdateFunctionCode"],
        act: Act::Do(|call, facts| dry_run(call, facts).boxed()),
    },
    Rule {
        name: "permission-statement-id",
        says: "A statement's id has only letters, digits, hyphens and underscores, and at most 100 of them.",
        source: "Lambda API Reference, AddPermission: StatementId",
        service: Service::Lambda,
        operations: &["AddPermission"],
        act: Act::Refuse(|call, _| async move { statement_id(call) }.boxed()),
    },
    Rule {
        name: "policy-absent",
        says: "A function without a policy has none to get: 404, not an empty one.",
        source: "Lambda API Reference, GetPolicy: ResourceNotFoundException",
        service: Service::Lambda,
        operations: &["GetPolicy"],
        act: Act::Mend(|_, _, answer| async move { policy_absent(answer) }.boxed()),
    },
];

async fn dry_run(call: &Call, facts: &Facts) -> Result<Option<Answer>> {
    if call.input()["DryRun"] != true {
        return Ok(None);
    }
    // The input is known without the package.
    let whole: Value = serde_json::from_slice(&call.body)?;
    let code = match whole["ZipFile"].as_str() {
        Some(zip) => Some(STANDARD.decode(zip)?),
        None => facts.object(call.text("S3Bucket"), call.text("S3Key")).await?,
    };
    let Some(code) = code else {
        let message = "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.";
        return Ok(Some(Refusal::new(400, "InvalidParameterValueException", message).answer(call.service)));
    };
    let would_be = json!({
        "FunctionName": call.id(0),
        "CodeSha256": STANDARD.encode(Sha256::digest(&code)),
        "CodeSize": code.len(),
    });
    Ok(Some(Answer::new(200, "application/json", would_be.to_string())))
}

async fn role_assumable(call: &Call, facts: &Facts) -> Found {
    let role = call.text("Role");
    if (role.is_empty() && call.operation != "CreateFunction") || is_assumable(facts, role).await? {
        return Ok(None);
    }
    let message = "The role defined for the function cannot be assumed by Lambda.";
    refuse(400, "InvalidParameterValueException", message)
}

async fn dead_letters_allowed(call: &Call, facts: &Facts) -> Found {
    let target = call.input()["DeadLetterConfig"]["TargetArn"].as_str().unwrap_or_default();
    let (action, said) = match target.split(':').nth(2) {
        Some("sqs") => ("sqs:SendMessage", "SendMessage on SQS"),
        Some("sns") => ("sns:Publish", "Publish on SNS"),
        _ => return Ok(None),
    };
    let role = call.text("Role");
    if role.is_empty() || may(facts, role, action, target).await? {
        return Ok(None);
    }
    let message = format!("The provided execution role does not have permissions to call {said}");
    refuse(400, "InvalidParameterValueException", message)
}

fn beyond_limits(call: &Call) -> Option<Refusal> {
    let invalid = |member: &str, value: &str, must: &str| {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: \
             Member must have {must}"
        );
        Some(Refusal::new(400, "ValidationException", message))
    };
    let input = call.input();
    let name = last(call.text("FunctionName"));
    if name.len() > 64 {
        return invalid("functionName", name, "length less than or equal to 64");
    }
    for (member, wire, min, max) in [("timeout", "Timeout", 1, 900), ("memorySize", "MemorySize", 128, 10_240)] {
        match input[wire].as_i64() {
            Some(value) if value > max => {
                return invalid(member, &value.to_string(), &format!("value less than or equal to {max}"));
            }
            Some(value) if value < min => {
                return invalid(member, &value.to_string(), &format!("value greater than or equal to {min}"));
            }
            _ => {}
        }
    }
    environment(&input["Environment"]["Variables"])
}

fn environment(variables: &Value) -> Option<Refusal> {
    let failed = "Lambda was unable to configure your environment variables because the environment variables you \
                  have provided";
    let names = variables.as_object()?.keys();
    let reserved: Vec<&str> = names.map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    let message = if !reserved.is_empty() {
        let reserved = reserved.join(", ");
        format!(
            "{failed} contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {reserved}"
        )
    } else if variables.to_string().len() > ENVIRONMENT_MAX {
        // Without what was measured: the values are nobody's business.
        format!("{failed} exceeded the 4KB limit.")
    } else {
        return None;
    };
    Some(Refusal::new(400, "InvalidParameterValueException", message))
}

async fn busy(call: &Call, facts: &Facts) -> Found {
    let answer = facts.lambda.get_function_configuration().function_name(call.id(0)).send().await;
    let Some(found) = asked(answer)? else { return Ok(None) };
    let (change, is_on_its_way) = facts.function(last(call.id(0))).unzip();
    let is_pending =
        found.state == Some(State::Pending) || found.last_update_status == Some(LastUpdateStatus::InProgress);
    if !is_pending && is_on_its_way != Some(true) {
        return Ok(None);
    }
    let doing = if change.is_some_and(|change| change.is_creation) {
        "The function is currently in the following state: Pending".to_owned()
    } else {
        format!("An update is in progress for resource: {}", found.function_arn.unwrap_or_default())
    };
    refuse(409, "ResourceConflictException", format!("The operation cannot be performed at this time. {doing}"))
}

fn states(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    let name = if call.operation == "CreateFunction" { call.text("FunctionName") } else { call.id(0) };
    let Some((change, is_on_its_way)) = facts.function(last(name)).filter(|_| answer.is_good()) else { return answer };
    let mut body = answer.json();
    let found = if call.operation == "GetFunction" { &mut body["Configuration"] } else { &mut body };
    if found["State"] != "Pending" && !is_on_its_way {
        return answer;
    }
    let Some(found) = found.as_object_mut() else { return answer };
    if change.is_creation {
        found.insert("State".to_owned(), "Pending".into());
        found.retain(|member, _| !member.starts_with("LastUpdateStatus"));
    } else {
        found.insert("State".to_owned(), "Active".into());
        found.insert("LastUpdateStatus".to_owned(), "InProgress".into());
        found.retain(|member, _| !member.starts_with("StateReason"));
    }
    answer.with_json(&body)
}

fn statement_id(call: &Call) -> Found {
    let id = call.text("StatementId");
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !id.is_empty() && id.len() <= 100 && id.chars().all(is_good) {
        return Ok(None);
    }
    let message = "1 validation error detected: Value at 'statementId' failed to satisfy constraint: \
                   Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)";
    refuse(400, "ValidationException", message)
}

#[allow(clippy::unnecessary_wraps, reason = "the form of every mending")]
fn policy_absent(answer: Answer) -> Result<Answer> {
    let policy = answer.json()["Policy"].as_str().map(serde_json::from_str::<Value>);
    let is_empty = policy
        .is_some_and(|policy| policy.is_ok_and(|policy| policy["Statement"].as_array().is_some_and(Vec::is_empty)));
    if !is_empty {
        return Ok(answer);
    }
    let refusal = Refusal::new(404, "ResourceNotFoundException", "The resource you requested does not exist.");
    Ok(refusal.answer(Service::Lambda))
}
