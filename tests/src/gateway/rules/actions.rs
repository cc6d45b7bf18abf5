//! Which rights a call needs: the actions and resources of the Service Authorization Reference.

use serde_json::Value;

use crate::aws::ACCOUNT;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Right, last};

/// The right that Lambda uses of whoever names a package in a bucket.
pub(super) const GET_OBJECT: &str = "s3:GetObject";

/// All rights that a call needs.
pub(super) fn rights(call: &Call) -> Vec<Right> {
    match call.service {
        Service::ApiGateway => {
            // ARNs do not tell the version of the API.
            let path = call.path.trim_start_matches("/v2");
            vec![(format!("apigateway:{}", call.method), arn(call, "apigateway", "", path))]
        }
        Service::Lambda => of_function(call),
        Service::DynamoDb => of_table(call),
        Service::Sqs => {
            let queue = last(first(call, &["QueueUrl", "QueueName"]));
            with_tags(call, "sqs", "TagQueue", &["tags"], arn(call, "sqs", ACCOUNT, queue))
        }
        Service::Logs => {
            let named = first(call, &["resourceArn", "logGroupName", "logGroupNamePrefix"]);
            let group = named.split_once("log-group:").map_or(named, |(_, group)| group);
            let group = arn(call, "logs", ACCOUNT, &format!("log-group:{}", group.trim_end_matches(":*")));
            with_tags(call, "logs", "TagResource", &["tags"], group)
        }
        Service::Route53 => {
            vec![(format!("route53:{}", call.operation), format!("arn:aws:route53:::hostedzone/{}", call.id(0)))]
        }
        Service::Iam => {
            let named = call.text("PolicySourceArn");
            let role = format!("arn:aws:iam::{ACCOUNT}:role/{}", call.text("RoleName"));
            let role = if named.is_empty() { role } else { named.to_owned() };
            with_tags(call, "iam", "TagRole", &["Tags.member.1.Key"], role)
        }
        Service::Sns => {
            let named = first(call, &["TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn", "Name"]);
            let topic = if named.starts_with("arn:") { named.to_owned() } else { arn(call, "sns", ACCOUNT, named) };
            with_tags(call, "sns", "TagResource", &["Tags.member.1.Key"], topic)
        }
        Service::Sts if call.operation == "GetCallerIdentity" => Vec::new(),
        Service::Sts => vec![(format!("sts:{}", call.operation), call.text("RoleArn").to_owned())],
    }
}

/// Batches and transactions need rights to each table that they are about.
fn of_table(call: &Call) -> Vec<Right> {
    let table = |named: &str| arn(call, "dynamodb", ACCOUNT, &format!("table/{}", table(named)));
    let input = call.input();
    match call.operation.as_str() {
        operation @ ("BatchGetItem" | "BatchWriteItem") => {
            let tables = input["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(named, _)| (format!("dynamodb:{operation}"), table(named))).collect()
        }
        "TransactGetItems" | "TransactWriteItems" => {
            let items = input["TransactItems"].as_array().into_iter().flatten();
            let parts = items.filter_map(Value::as_object).flatten();
            parts
                .map(|(part, of)| {
                    // Get, Put, Update, Delete and ConditionCheck.
                    (format!("dynamodb:{part}Item"), table(of["TableName"].as_str().unwrap_or_default()))
                })
                .collect()
        }
        _ => {
            let index = call.text("IndexName");
            let index = if index.is_empty() { String::new() } else { format!("/index/{index}") };
            let resource = table(first(call, &["TableName", "ResourceArn"])) + &index;
            with_tags(call, "dynamodb", "TagResource", &["Tags"], resource)
        }
    }
}

/// The function of an event source that is to be made. Of one that is there only its id is told.
pub(super) fn function_of_source(call: &Call) -> Option<String> {
    let named = call.text("FunctionName");
    let is_arn = named.starts_with("arn:");
    (call.operation == "CreateEventSourceMapping")
        .then(|| if is_arn { named.to_owned() } else { arn(call, "lambda", ACCOUNT, &format!("function:{named}")) })
}

fn of_function(call: &Call) -> Vec<Right> {
    let action = if call.operation == "Invoke" { "InvokeFunction" } else { &call.operation };
    let named = if call.id(0).is_empty() { call.text("FunctionName") } else { call.id(0) };
    let source = arn(
        call,
        "lambda",
        ACCOUNT,
        &format!("event-source-mapping:{}", if call.id(0).is_empty() { "*" } else { named }),
    );
    let resource = match call.operation.as_str() {
        // Neither has a resource; the first is narrowed by a condition on the function.
        "CreateEventSourceMapping" | "ListEventSourceMappings" | "ListFunctions" => "*".to_owned(),
        operation if operation.ends_with("EventSourceMapping") => source.clone(),
        _ if named.starts_with("arn:") => named.to_owned(),
        _ => arn(call, "lambda", ACCOUNT, &format!("function:{named}")),
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
    // A creation has it a level deeper. Lambda reads it in the caller's name.
    let code =
        [call.input(), &call.input()["Code"]].into_iter().find_map(|code| Some((code["S3Bucket"].as_str()?, code)));
    if let Some((bucket, code)) = code {
        let key = code["S3Key"].as_str().unwrap_or_default();
        rights.push((GET_OBJECT.to_owned(), format!("arn:aws:s3:::{bucket}/{key}")));
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
        Value::Array(tags) => !tags.is_empty(),
        Value::Object(tags) => !tags.is_empty(),
        Value::String(key) => !key.is_empty(),
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

fn arn(call: &Call, service: &str, account: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{}:{account}:{resource}", call.region)
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use hyper::body::Bytes;
    use serde_json::json;

    use super::*;

    /// What a call by a target needs, without the part of ARNs that all have.
    fn needs(target: &str, input: &Value) -> Vec<String> {
        let (parts, ()) = Request::post("/").header("x-amz-target", target).body(()).unwrap().into_parts();
        let call = Call::recognise(&parts, &Bytes::from(input.to_string())).unwrap();
        let mut rights: Vec<String> = rights(&call)
            .into_iter()
            .map(|(action, resource)| format!("{action} {}", resource.splitn(6, ':').last().unwrap()))
            .collect();
        rights.sort();
        rights
    }

    #[test]
    fn reads_and_writes_of_a_table_need_a_right_to_it_or_to_its_index() {
        let of = |operation: &str, input: &Value| needs(&format!("DynamoDB_20120810.{operation}"), input);
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/a";
        assert_eq!(of("GetItem", &json!({"TableName": "a"})), ["dynamodb:GetItem table/a"]);
        assert_eq!(of("Scan", &json!({"TableName": arn})), ["dynamodb:Scan table/a"]);
        assert_eq!(of("Query", &json!({"TableName": "a", "IndexName": "i"})), ["dynamodb:Query table/a/index/i"]);
    }

    #[test]
    fn batches_and_transactions_need_rights_to_each_of_their_tables() {
        let of = |operation: &str, input: &Value| needs(&format!("DynamoDB_20120810.{operation}"), input);
        let items = json!({"RequestItems": {"a": [], "b": []}});
        let both = ["dynamodb:BatchWriteItem table/a", "dynamodb:BatchWriteItem table/b"];
        assert_eq!(of("BatchWriteItem", &items), both);
        assert_eq!(of("BatchGetItem", &items), both.map(|right| right.replace("Write", "Get")));
        let part = |name: &str, table: &str| json!({name: {"TableName": table}});
        let parts = [part("Put", "a"), part("Update", "a"), part("Delete", "b"), part("ConditionCheck", "c")];
        let expected = ["ConditionCheckItem table/c", "DeleteItem table/b", "PutItem table/a", "UpdateItem table/a"];
        let expected = expected.map(|right| format!("dynamodb:{right}"));
        assert_eq!(of("TransactWriteItems", &json!({"TransactItems": parts})), expected);
        let parts = [part("Get", "a"), part("Get", "b")];
        let expected = ["dynamodb:GetItem table/a", "dynamodb:GetItem table/b"];
        assert_eq!(of("TransactGetItems", &json!({"TransactItems": parts})), expected);
    }

    #[test]
    fn a_batch_for_a_queue_needs_the_right_to_what_it_repeats() {
        let queue = json!({"QueueUrl": "http://127.0.0.1:1/000000000000/q"});
        for action in ["SendMessage", "DeleteMessage", "ChangeMessageVisibility"] {
            assert_eq!(needs(&format!("AmazonSQS.{action}Batch"), &queue), [format!("sqs:{action} q")]);
        }
    }
}
