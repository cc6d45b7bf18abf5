//! Callers that may do what a policy allows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, Tag as TableTag,
};
use aws_sdk_sns::types::Tag as TopicTag;
use serde_json::{Value, json};
use sumu_tests::aws::KEY;
use sumu_tests::{Result, ensure, ensure_eq};

use crate::bench::{AT_ONCE, Bench, bench};
use crate::functions::{create, function};
use crate::roles::{TRUST, role};
use crate::sources::{create as feed, queue};

const DENIED: &str = "AccessDeniedException";

/// A gateway whose only caller may do this, and nothing else.
async fn limited(statements: Value) -> Result<Bench> {
    let bench = bench(AT_ONCE).await?;
    bench.gateway.limit(KEY, json!({"Version": "2012-10-17", "Statement": statements}));
    Ok(bench)
}

fn says(action: &str) -> String {
    format!("is not authorized to perform: {action} on resource: arn:aws:")
}

#[tokio::test]
async fn a_caller_does_what_it_is_allowed_and_what_it_needed_is_known() -> Result<()> {
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/limited/*";
    let bench = limited(json!([
        {"Effect": "Allow", "Action": ["sqs:Create*", "sqs:GetQueueUrl"], "Resource": "*"},
        {"Effect": "Allow", "Action": "logs:*", "Resource": group},
        {"Effect": "Deny", "Action": "logs:DeleteLogGroup", "Resource": "*"},
    ]))
    .await?;
    let queues = aws_sdk_sqs::Client::new(&bench.sdk);
    queues.create_queue().queue_name("limited").send().await?;
    let tagged = queues.create_queue().queue_name("limited-2").tags("a", "b").send().await;
    bench.refused("queue-caller", tagged, (403, "AccessDenied", &says("sqs:TagQueue")))?;
    let url = queues.get_queue_url().queue_name("limited").send().await?.queue_url.unwrap_or_default();
    let sent = queues.send_message().queue_url(&url).message_body("x").send().await;
    bench.refused("queue-caller", sent, (403, "AccessDenied", &says("sqs:SendMessage")))?;

    let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk);
    logs.create_log_group().log_group_name("/limited/a").tags("a", "b").send().await?;
    let other = logs.create_log_group().log_group_name("/other/a").send().await;
    bench.refused("log-caller", other, (400, DENIED, &says("logs:CreateLogGroup")))?;
    let deleted = logs.delete_log_group().log_group_name("/limited/a").send().await;
    bench.refused("log-caller", deleted, (400, DENIED, &says("logs:DeleteLogGroup")))?;

    let needed: Vec<String> = bench.gateway.needed(KEY).into_iter().collect();
    let expected = ["logs:CreateLogGroup", "logs:TagResource", "sqs:CreateQueue", "sqs:GetQueueUrl"];
    ensure_eq!(needed, expected, "what it needed");
    Ok(())
}

#[tokio::test]
async fn passing_a_role_and_tagging_what_is_made_are_rights_of_their_own() -> Result<()> {
    let all = bench(AT_ONCE).await?;
    let role = role(&all, "passed").await?;
    let bench = limited(json!([{"Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*"}])).await?;
    let functions = aws_sdk_lambda::Client::new(&bench.sdk);
    let made = create(&functions, "passed", &role).send().await;
    bench.refused("function-caller", made, (403, DENIED, &format!("{}iam::", says("iam:PassRole"))))?;
    let tags = HashMap::from([("a".to_owned(), "b".to_owned())]);
    let made = create(&functions, "passed", &role).set_tags(Some(tags)).send().await;
    bench.refused("function-caller", made, (403, DENIED, &format!("{}lambda:", says("lambda:TagResource"))))?;
    let there = aws_sdk_lambda::Client::new(&all.sdk).get_function().function_name("passed").send().await;
    ensure!(there.is_err(), "what was refused is there");
    Ok(())
}

#[tokio::test]
async fn a_queue_feeds_the_functions_that_a_condition_names_and_no_other() -> Result<()> {
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    let named = [arn("fed"), arn("fed:*")];
    let bench = limited(json!([
        {"Effect": "Allow", "Action": ["iam:*", "sqs:*", "lambda:CreateFunction", "lambda:GetFunction*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "lambda:CreateEventSourceMapping", "Resource": "*",
            "Condition": {"ArnLike": {"lambda:FunctionArn": named}}},
    ]))
    .await?;
    let functions = aws_sdk_lambda::Client::new(&bench.sdk);
    let queue = queue(&bench, "feeding", "30").await?;
    for name in ["fed", "unfed"] {
        function(&bench, name).await?;
    }
    for name in ["unfed".to_owned(), arn("unfed")] {
        let made = feed(&functions, &name, &queue).send().await;
        bench.refused(
            "function-caller",
            made,
            (403, DENIED, &says("lambda:CreateEventSourceMapping").replace("arn:aws:", "*")),
        )?;
    }
    feed(&functions, "fed", &queue).send().await?;
    Ok(())
}

#[tokio::test]
async fn every_service_says_in_its_own_words_what_is_not_allowed() -> Result<()> {
    let bench = limited(json!([
        {"Effect": "Allow", "Action": ["dynamodb:CreateTable", "iam:CreateRole", "sns:CreateTopic"], "Resource": "*"},
        {"Effect": "Allow", "Action": "apigateway:GET", "Resource": "arn:aws:apigateway:us-east-1::/apis"},
    ]))
    .await?;
    let gateway = aws_sdk_apigatewayv2::Client::new(&bench.sdk);
    gateway.get_apis().send().await?;
    let one = gateway.get_api().api_id("abc").send().await;
    let said = format!("{}apigateway:us-east-1::/apis/abc", says("apigateway:GET"));
    bench.refused("gateway-caller", one, (403, DENIED, &said))?;

    let tables = aws_sdk_dynamodb::Client::new(&bench.sdk);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
    let tag = TableTag::builder().key("a").value("b").build()?;
    let table = tables.create_table().table_name("limited").billing_mode(BillingMode::PayPerRequest).key_schema(key);
    let made = table.attribute_definitions(id).tags(tag).send().await;
    bench.refused("table-caller", made, (400, DENIED, &says("dynamodb:TagResource")))?;

    let roles = aws_sdk_iam::Client::new(&bench.sdk);
    roles.create_role().role_name("limited").assume_role_policy_document(TRUST).send().await?;
    let found = roles.get_role().role_name("limited").send().await;
    bench.refused("role-caller", found, (403, "AccessDenied", &says("iam:GetRole")))?;

    let topics = aws_sdk_sns::Client::new(&bench.sdk);
    let tag = TopicTag::builder().key("a").value("b").build()?;
    let made = topics.create_topic().name("limited").tags(tag).send().await;
    bench.refused("topic-caller", made, (403, "AuthorizationError", &says("sns:TagResource")))?;

    let zones = aws_sdk_route53::Client::new(&bench.sdk);
    let listed = zones.list_resource_record_sets().hosted_zone_id("Z1").send().await;
    bench.refused("zone-caller", listed, (403, "AccessDenied", &says("route53:ListResourceRecordSets")))?;

    let identity = aws_sdk_sts::Client::new(&bench.sdk);
    identity.get_caller_identity().send().await?;
    let assumed =
        identity.assume_role().role_arn("arn:aws:iam::000000000000:role/r").role_session_name("s").send().await;
    bench.refused("identity-caller", assumed, (403, "AccessDenied", &says("sts:AssumeRole")))
}
