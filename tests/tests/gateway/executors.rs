//! Functions, which may do what their roles' policies allow.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::primitives::Blob;
use serde_json::{Value, json};
use sumu_tests::backend::Backend;
use sumu_tests::gateway::Pace;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, Bench, bench, of_functions};
use crate::roles::TRUST;

const DENIED: &str = "AccessDeniedException";

/// Makes a role.
async fn role(bench: &Bench, name: &str) -> Result<aws_sdk_iam::Client> {
    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    iam.create_role().role_name(name).assume_role_policy_document(TRUST).send().await?;
    Ok(iam)
}

/// Gives a role of the same name as the policy these statements alone.
async fn put(iam: &aws_sdk_iam::Client, role: &str, statements: Value) -> Result<()> {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    iam.put_role_policy().role_name(role).policy_name("own").policy_document(document).send().await?;
    Ok(())
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn says(role: &str, action: &str) -> String {
    format!(
        "User: arn:aws:sts::000000000000:assumed-role/{role}/worker is not authorized to perform: {action} on resource: arn:aws:"
    )
}

#[tokio::test]
async fn a_function_does_what_its_role_allows_and_what_it_used_is_known() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let iam = role(&bench, "worker-role").await?;
    let url = |answer: Option<String>| answer.context("no URL");
    let all = aws_sdk_sqs::Client::new(&bench.sdk);
    let mine = url(all.create_queue().queue_name("worker-mine").send().await?.queue_url)?;
    let other = url(all.create_queue().queue_name("worker-other").send().await?.queue_url)?;
    let queues = aws_sdk_sqs::Client::new(&bench.function("worker-role", "worker").await);
    let send = |queue: &str| queues.send_message().queue_url(queue).message_body("x").send();
    let denied = says("worker-role", "sqs:SendMessage");
    bench.refused("queue-execution-role", send(&mine).await, (403, "AccessDenied", &denied))?;

    let arn = "arn:aws:sqs:us-east-1:000000000000:worker-mine";
    put(&iam, "worker-role", json!([allow(&["sqs:Send*", "sqs:GetQueueUrl"], arn)])).await?;
    send(&mine).await?;
    bench.refused("queue-execution-role", send(&other).await, (403, "AccessDenied", &denied))?;
    let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id("1").message_body("x").build()?;
    queues.send_message_batch().queue_url(&mine).entries(entry).send().await?;
    let received = queues.receive_message().queue_url(&mine).send().await;
    let expected = says("worker-role", "sqs:ReceiveMessage");
    bench.refused("queue-execution-role", received, (403, "AccessDenied", &expected))?;
    let used: Vec<(String, String)> = bench.gateway.used("worker-role").into_iter().collect();
    ensure_eq!(used, [("sqs:SendMessage".to_owned(), arn.to_owned())], "the rights that it used");

    // What a role has lost, a function may do for a moment more.
    let mut denial = allow(&["sqs:SendMessage"], "*");
    denial["Effect"] = "Deny".into();
    let document = json!({"Statement": denial}).to_string();
    iam.put_role_policy().role_name("worker-role").policy_name("deny").policy_document(document).send().await?;
    eventually(PATIENCE, "the denial", async || {
        let answer = send(&mine).await;
        bench.refused("queue-execution-role", answer, (403, "AccessDenied", &denied))
    })
    .await?;
    iam.attach_role_policy()
        .role_name("worker-role")
        .policy_arn("arn:aws:iam::aws:policy/AdministratorAccess")
        .send()
        .await?;
    send(&mine).await?;
    Ok(())
}

#[tokio::test]
async fn a_policy_takes_its_time_and_what_it_replaces_counts_until_then() -> Result<()> {
    let bench = bench(Pace { policy: Duration::from_secs(3), ..AT_ONCE }).await?;
    let iam = role(&bench, "spreading").await?;
    let topics = aws_sdk_sns::Client::new(&bench.function("spreading", "worker").await);
    let all = aws_sdk_sns::Client::new(&bench.sdk);
    let topic = all.create_topic().name("spreading").send().await?.topic_arn.context("no ARN")?;
    let publish = || topics.publish().topic_arn(&topic).message("x").send();
    let denied = says("spreading", "sns:Publish");
    let refused = |answer| bench.refused("topic-execution-role", answer, (403, "AuthorizationError", &denied));
    put(&iam, "spreading", json!([allow(&["sns:Publish"], "*")])).await?;
    refused(publish().await)?;
    eventually(PATIENCE, "the policy to spread", async || Ok(publish().await?)).await?;

    put(&iam, "spreading", json!([allow(&["sns:GetTopicAttributes"], "*")])).await?;
    publish().await?;
    eventually(PATIENCE, "the other policy to spread", async || refused(publish().await)).await?;
    topics.get_topic_attributes().topic_arn(&topic).send().await?;
    Ok(())
}

#[tokio::test]
async fn every_service_refuses_a_function_without_rights_in_its_own_words() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let iam = role(&bench, "nothing").await?;
    put(&iam, "nothing", json!([allow(&["dynamodb:GetItem"], "arn:aws:dynamodb:*:*:table/one")])).await?;
    let sdk = bench.function("nothing", "worker").await;
    let says = |action: &str| says("nothing", action);

    let tables = aws_sdk_dynamodb::Client::new(&sdk);
    let get = |table: &str| tables.get_item().table_name(table).key("id", AttributeValue::S("x".to_owned())).send();
    let absent = get("one").await.err().and_then(|error| error.into_service_error().code().map(ToOwned::to_owned));
    ensure_eq!(absent.as_deref(), Some("ResourceNotFoundException"), "what it is told of a table that it may read");
    bench.refused("table-execution-role", get("two").await, (400, DENIED, &says("dynamodb:GetItem")))?;

    let gateway = aws_sdk_apigatewayv2::Client::new(&sdk);
    let apis = gateway.get_apis().send().await;
    bench.refused("gateway-execution-role", apis, (403, DENIED, &says("apigateway:GET")))?;
    let invoked = aws_sdk_lambda::Client::new(&sdk).invoke().function_name("other").send().await;
    bench.refused("function-execution-role", invoked, (403, DENIED, &says("lambda:InvokeFunction")))?;
    let group = aws_sdk_cloudwatchlogs::Client::new(&sdk).create_log_group().log_group_name("/other").send().await;
    bench.refused("log-execution-role", group, (400, DENIED, &says("logs:CreateLogGroup")))?;
    let own = aws_sdk_iam::Client::new(&sdk).get_role().role_name("nothing").send().await;
    bench.refused("role-execution-role", own, (403, "AccessDenied", &says("iam:GetRole")))?;
    let zones = aws_sdk_route53::Client::new(&sdk);
    let records = zones.list_resource_record_sets().hosted_zone_id("Z1").send().await;
    bench.refused("zone-execution-role", records, (403, "AccessDenied", &says("route53:ListResourceRecordSets")))?;
    let identity = aws_sdk_sts::Client::new(&sdk);
    identity.get_caller_identity().send().await?;
    let other = "arn:aws:iam::000000000000:role/other";
    let assumed = identity.assume_role().role_arn(other).role_session_name("s").send().await;
    bench.refused("identity-execution-role", assumed, (403, "AccessDenied", &says("sts:AssumeRole")))
}

#[tokio::test]
async fn a_role_that_is_gone_allows_nothing() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let topics = aws_sdk_sns::Client::new(&bench.function("gone", "worker").await);
    let listed = topics.publish().topic_arn("arn:aws:sns:us-east-1:000000000000:x").message("x").send().await;
    bench.refused("topic-execution-role", listed, (403, "AuthorizationError", &says("gone", "sns:Publish")))
}

#[tokio::test]
async fn a_function_in_the_emulator_is_known_by_its_key() -> Result<()> {
    let (aws, sdk) = of_functions().await?;
    let (sqs, lambda) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_lambda::Client::new(&sdk));
    let outbox = sqs.create_queue().queue_name("known").send().await?.queue_url.context("no URL")?;
    let backend = Backend::new(aws.variables())?;
    backend.function("known", &outbox, 30).await?;
    let tell = async || {
        let event = json!({"Records": [{"body": "hello", "messageAttributes": {}}]}).to_string();
        let answer = lambda.invoke().function_name("known").payload(Blob::new(event)).send().await?;
        let said = String::from_utf8_lossy(answer.payload().map(Blob::as_ref).unwrap_or_default()).into_owned();
        Ok::<_, sumu_tests::Error>((answer.function_error.is_none(), said))
    };
    eventually(PATIENCE, "the function to tell", async || {
        let (is_good, said) = tell().await?;
        ensure!(is_good, "{said}");
        Ok(())
    })
    .await?;
    let used: Vec<(String, String)> = aws.gateway().used("known").into_iter().collect();
    let arn = "arn:aws:sqs:us-east-1:000000000000:known".to_owned();
    ensure_eq!(used, [("sqs:SendMessage".to_owned(), arn)], "the rights that it used");

    aws_sdk_iam::Client::new(&sdk).delete_role_policy().role_name("known").policy_name("tell").send().await?;
    let denied =
        "User: arn:aws:sts::000000000000:assumed-role/known/known is not authorized to perform: sqs:SendMessage";
    eventually(PATIENCE, "the function to be refused", async || {
        let (is_good, said) = tell().await?;
        ensure!(!is_good && said.contains("AccessDenied") && said.contains(denied), "{said}");
        Ok(())
    })
    .await?;
    backend.remove_function("known").await
}
