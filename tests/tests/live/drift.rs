//! AWS is as the spec says: when somebody changes AWS behind the operator's back, and when somebody edits the spec.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_apigatewayv2::types::{IntegrationType, RouteSettings};
use aws_sdk_dynamodb::types::{
    PointInTimeRecoverySpecification, StreamSpecification, TableStatus, TimeToLiveSpecification,
};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::Environment;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, poll, workspace};

use crate::scene::{Scene, ensure_complete, names_begin, scene, text};
use crate::snapshot::{self, Snapshot};

/// The settings that [`change_everything`] changes.
const CHANGED: [&str; 29] = [
    "authorizer authorizer: settings",
    "function authorizer: permissions",
    "function pusher: environment",
    "function pusher: event sources",
    "function routes: code",
    "function routes: memory",
    "function routes: timeout",
    "function watchdog: event sources",
    "integration other: settings",
    "integration routes: settings",
    "log group watchdog: retention",
    "queue messages-dead-letters: MessageRetentionPeriod",
    "queue messages: VisibilityTimeout",
    "queue messages: tags",
    "queue notifications-dead-letters: Policy",
    "queue notifications: RedrivePolicy",
    "role pusher: policies",
    "role routes: policies",
    "role watchdog: trust",
    "route ping: settings",
    "route publish: settings",
    "route send: settings",
    "route shout: settings",
    "stage live: serves",
    "stage live: throttling",
    "table connections: recovery",
    "table connections: stream",
    "table connections: time to live",
    "topic notifications: subscriptions",
];

#[test]
fn what_was_changed_behind_its_back_is_put_right_and_works() -> Result<()> {
    // Of recovery the spec must say something: what it leaves open stays as somebody has set it.
    let spec = json!({"tags": {"team": "chat"}, "connections": {"pointInTimeRecovery": false}});
    scene("drift").resync_seconds(1).spec(spec).play(async |scene| {
        let sdk = scene.sdk().await;
        let prefix = names_begin(&scene.status)?.to_owned();
        // Nobody may mend one change before the others are made and seen.
        scene.kill_operator()?;
        let before = snapshot::take(&sdk, &prefix).await?;
        Box::pin(change_everything(scene, &sdk, &prefix)).await?;
        let changed = snapshot::take(&sdk, &prefix).await?;
        ensure_eq!(snapshot::differences(&before, &changed), CHANGED, "what the test has changed");

        scene.start_operator()?;
        becomes(&sdk, &prefix, &before).await?;
        scene.more_passes(1).await?;
        scene.ready().await?;
        everything_works(scene).await
    })
}

pub async fn change_everything(scene: &Scene, sdk: &SdkConfig, prefix: &str) -> Result<()> {
    change_api(scene, sdk).await.context("the API")?;
    change_functions(scene, sdk, prefix).await.context("functions")?;
    change_roles_and_logs(sdk, prefix).await.context("roles and logs")?;
    change_queues_and_topics(scene, sdk).await.context("queues and topics")?;
    change_tables(scene, sdk).await.context("tables")
}

async fn change_api(scene: &Scene, sdk: &SdkConfig) -> Result<()> {
    let client = aws_sdk_apigatewayv2::Client::new(sdk);
    let api = scene.text("/apiId")?;
    let routes = client.get_routes().api_id(api).max_results("500").send().await?;
    let route = |key: &str| {
        let found = routes.items().iter().find(|route| route.route_key() == Some(key));
        found.and_then(|route| route.route_id()).with_context(|| format!("no route {key}"))
    };
    client.delete_route().api_id(api).route_id(route("ping")?).send().await?;
    let other = client.create_integration().api_id(api).integration_type(IntegrationType::Mock).description("other");
    let other = other.send().await?;
    let other = format!("integrations/{}", other.integration_id().context("no id")?);
    client.update_route().api_id(api).route_id(route("send")?).target(other).send().await?;
    let responses = client.get_route_responses().api_id(api).route_id(route("publish")?).send().await?;
    for response in responses.items() {
        let id = response.route_response_id().context("no id")?;
        client.delete_route_response().api_id(api).route_id(route("publish")?).route_response_id(id).send().await?;
    }
    client.create_route().api_id(api).route_key("shout").send().await?;

    let integrations = client.get_integrations().api_id(api).send().await?;
    let integration = integrations.items()[0].integration_id().context("no id")?;
    client.update_integration().api_id(api).integration_id(integration).timeout_in_millis(1000).send().await?;
    let authorizers = client.get_authorizers().api_id(api).send().await?;
    let authorizer = authorizers.items()[0].authorizer_id().context("no id")?;
    let source = "route.request.querystring.other";
    client.update_authorizer().api_id(api).authorizer_id(authorizer).identity_source(source).send().await?;
    let settings = RouteSettings::builder().throttling_rate_limit(1.0).throttling_burst_limit(1).build();
    // Somebody deploys what is wrong.
    let deployment = client.create_deployment().api_id(api).send().await?;
    let id = deployment.deployment_id().context("no id")?;
    let update = client.update_stage().api_id(api).stage_name("live").deployment_id(id);
    update.default_route_settings(settings).send().await?;
    Ok(())
}

async fn change_functions(scene: &Scene, sdk: &SdkConfig, prefix: &str) -> Result<()> {
    let client = aws_sdk_lambda::Client::new(sdk);
    let name = |function: &str| format!("{prefix}-{function}");
    client.update_function_configuration().function_name(name("routes")).memory_size(128).timeout(3).send().await?;
    let package = scene.testbed.functions()?.join(workspace::architecture()).join("watchdog.zip");
    let code = Blob::new(std::fs::read(package)?);
    eventually(PATIENCE, "the function to take its next change", async || {
        let update = client.update_function_code().function_name(name("routes")).zip_file(code.clone());
        update.send().await.map(drop).map_err(Into::into)
    })
    .await?;
    let other = Environment::builder().variables("SUMU_MAX_ATTEMPTS", "1").build();
    client.update_function_configuration().function_name(name("pusher")).environment(other).send().await?;
    let authorizer = name("authorizer");
    client.remove_permission().function_name(authorizer).statement_id("sumu-gateway").send().await?;

    for function in ["pusher", "watchdog"] {
        let found = client.list_event_source_mappings().function_name(name(function)).send().await?;
        let id = found.event_source_mappings()[0].uuid().context("no id")?;
        if function == "pusher" {
            client.update_event_source_mapping().uuid(id).enabled(false).send().await?;
        } else {
            client.delete_event_source_mapping().uuid(id).send().await?;
        }
    }
    Ok(())
}

async fn change_roles_and_logs(sdk: &SdkConfig, prefix: &str) -> Result<()> {
    let client = aws_sdk_iam::Client::new(sdk);
    let name = |function: &str| format!("{prefix}-{function}");
    let wide = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let put = client.put_role_policy().role_name(name("routes")).policy_name("sumu");
    put.policy_document(wide.to_string()).send().await?;
    client.delete_role_policy().role_name(name("pusher")).policy_name("sumu").send().await?;
    let service = json!({"Service": "ec2.amazonaws.com"});
    let statement = json!({"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"});
    let trust = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    client.update_assume_role_policy().role_name(name("watchdog")).policy_document(trust).send().await?;
    let logs = aws_sdk_cloudwatchlogs::Client::new(sdk);
    let group = format!("/aws/lambda/{}", name("watchdog"));
    logs.put_retention_policy().log_group_name(group).retention_in_days(1).send().await?;
    Ok(())
}

async fn change_queues_and_topics(scene: &Scene, sdk: &SdkConfig) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(sdk);
    let changes = [
        ("/messages/queueUrl", QueueAttributeName::VisibilityTimeout, "1"),
        ("/messages/deadLetterQueueUrl", QueueAttributeName::MessageRetentionPeriod, "60"),
        ("/notifications/queueUrl", QueueAttributeName::RedrivePolicy, ""),
        ("/notifications/deadLetterQueueUrl", QueueAttributeName::Policy, ""),
    ];
    for (queue, attribute, value) in changes {
        client.set_queue_attributes().queue_url(scene.text(queue)?).attributes(attribute, value).send().await?;
    }
    client.untag_queue().queue_url(scene.text("/messages/queueUrl")?).tag_keys("team").send().await?;
    let sns = aws_sdk_sns::Client::new(sdk);
    let topic = scene.text("/notifications/topicArn")?;
    for subscription in sns.list_subscriptions_by_topic().topic_arn(topic).send().await?.subscriptions() {
        sns.unsubscribe().subscription_arn(subscription.subscription_arn().context("no ARN")?).send().await?;
    }
    Ok(())
}

async fn change_tables(scene: &Scene, sdk: &SdkConfig) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(sdk);
    let name = scene.text("/connectionsTable/name")?;
    // In this order: a table that gets another stream takes no other change for a while.
    let off = TimeToLiveSpecification::builder().enabled(false).attribute_name("delete_at").build()?;
    client.update_time_to_live().table_name(name).time_to_live_specification(off).send().await?;
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build()?;
    client.update_continuous_backups().table_name(name).point_in_time_recovery_specification(on).send().await?;
    let off = StreamSpecification::builder().stream_enabled(false).build()?;
    client.update_table().table_name(name).stream_specification(off).send().await?;
    eventually(PATIENCE, "the table to rest", async || {
        let table = client.describe_table().table_name(name).send().await?.table.context("no table")?;
        ensure!(table.table_status == Some(TableStatus::Active), "it is {:?}", table.table_status);
        Ok(())
    })
    .await
}

#[test]
fn what_was_deleted_behind_its_back_is_made_again_and_works() -> Result<()> {
    scene("deleted").resync_seconds(1).play(async |scene| {
        let sdk = scene.sdk().await;
        let prefix = names_begin(&scene.status)?.to_owned();
        let before = snapshot::take(&sdk, &prefix).await?;
        let old_api = scene.text("/apiId")?.to_owned();
        scene.kill_operator()?;
        delete_one_of_everything(scene, &sdk, &prefix, &old_api).await?;
        let inventory = scene.inventory().await?;
        for (kind, count) in [("api", 0), ("function", 3), ("role", 3), ("table", 1), ("queue", 6), ("topic", 1)] {
            ensure_eq!(inventory.count(kind), count, "each {kind} that the test has left, of\n{inventory}");
        }

        scene.start_operator()?;
        becomes(&sdk, &prefix, &before).await?;
        scene
            .until("the status to tell of the new API", |object| {
                ensure!(text(&object["status"], "/apiId")? != old_api, "the API is the old one");
                Ok(())
            })
            .await?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;
        everything_works(scene).await
    })
}

#[test]
fn what_only_a_look_at_everything_shows_is_put_right_too() -> Result<()> {
    scene("seldom").resync_seconds(1).play(async |scene| {
        let (sdk, prefix) = (scene.sdk().await, names_begin(&scene.status)?.to_owned());
        let before = snapshot::take(&sdk, &prefix).await?;
        // There is a glance, which does not ask for roles, before and after this.
        scene.more_passes(2).await?;
        let statement = json!({"Effect": "Deny", "Action": "sqs:*", "Resource": "*"});
        let other = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let iam = aws_sdk_iam::Client::new(&sdk);
        let put = iam.put_role_policy().role_name(format!("{prefix}-pusher")).policy_name("sumu");
        put.policy_document(other).send().await?;
        becomes(&sdk, &prefix, &before).await?;
        let told = scene.until("the status to tell of it", |object| {
            ensure!(object["status"]["drift"].is_object(), "it tells nothing");
            Ok(())
        });
        let drift = told.await?["status"]["drift"].clone();
        ensure_eq!(
            drift["changes"],
            json!(["changing role pusher policy"]),
            "what was put right, and nothing of the policy"
        );
        ensure_eq!((&drift["count"], &drift["generation"]), (&json!(1), &json!(1)), "{drift}");
        scene.more_passes(1).await?;
        ensure_eq!(scene.ready().await?["drift"], drift, "what is remembered of it");

        let version = scene.stack.object().await?["metadata"]["resourceVersion"].clone();
        scene.more_passes(3).await?;
        let object = scene.stack.object().await?;
        ensure_eq!(object["metadata"]["resourceVersion"], version, "the object after settled passes");
        let wide = ["get", "sumu", "live", "--output=wide", "--namespace", &scene.namespace];
        let table = scene.testbed.kubernetes().kubectl_ok(&wide, "").await?;
        ensure!(table.lines().next().is_some_and(|head| head.contains("DRIFT")), "the columns:\n{table}");
        Ok(())
    })
}

async fn delete_one_of_everything(scene: &Scene, sdk: &SdkConfig, prefix: &str, api: &str) -> Result<()> {
    aws_sdk_apigatewayv2::Client::new(sdk).delete_api().api_id(api).send().await?;
    let routes = format!("{prefix}-routes");
    aws_sdk_lambda::Client::new(sdk).delete_function().function_name(&routes).send().await?;
    let iam = aws_sdk_iam::Client::new(sdk);
    iam.delete_role_policy().role_name(&routes).policy_name("sumu").send().await?;
    iam.delete_role().role_name(&routes).send().await?;
    let group = format!("/aws/lambda/{routes}");
    aws_sdk_cloudwatchlogs::Client::new(sdk).delete_log_group().log_group_name(group).send().await?;
    let tables = aws_sdk_dynamodb::Client::new(sdk);
    tables.delete_table().table_name(scene.text("/presenceTable/name")?).send().await?;
    let sqs = aws_sdk_sqs::Client::new(sdk);
    sqs.delete_queue().queue_url(scene.text("/messages/queueUrl")?).send().await?;
    let sns = aws_sdk_sns::Client::new(sdk);
    sns.delete_topic().topic_arn(scene.text("/messages/topicArn")?).send().await?;
    Ok(())
}

#[test]
fn an_edit_of_the_spec_reaches_aws_and_the_socket_and_keeps_who_is_connected() -> Result<()> {
    scene("edit").play(async |scene| {
        let (sdk, prefix) = (scene.sdk().await, names_begin(&scene.status)?.to_owned());
        let mut early = scene.connect("early").await?;
        let before = snapshot::take(&sdk, &prefix).await?;
        let deployed = deployment(scene, &sdk).await?;
        let issuer = scene.testbed.issuer();
        let issuers = json!([{"jwksUri": issuer.jwks_uri(), "issuer": issuer.url(), "audiences": ["mobile"]}]);
        let authorizer = json!({"issuers": issuers, "principalClaim": "uid", "tokenSources": ["QueryString"]});
        scene
            .edit(json!({
                "authorizer": authorizer,
                "connections": {"ttlSeconds": 9000},
                "gateway": {"throttling": {"rateLimit": 50, "burstLimit": 20}},
                "functions": {"memoryMiB": 192, "logRetentionDays": 7},
                "pusher": {"maxConcurrency": 3, "maxRate": 77},
                "tags": {"team": "chat"},
            }))
            .await?;
        let after = snapshot::take(&sdk, &prefix).await?;
        reaches_aws(&before, &after)?;
        let deployed_after = deployment(scene, &sdk).await?;
        ensure!(deployed_after != deployed, "the token's new source is not deployed");
        scene.edit(json!({"functions": {"memoryMiB": 224}})).await?;
        ensure_eq!(deployment(scene, &sdk).await?, deployed_after, "the deployment after an edit that it is not about");

        let endpoint = scene.text("/endpoint")?;
        let old = issuer.token("late").claim("uid", json!("u-1")).sign()?;
        ensure_eq!(Client::refused(endpoint, Credentials::Query(&old)).await?, 403, "the old audience");
        let new = issuer.token("late").audience("mobile").claim("uid", json!("u-1")).sign()?;
        ensure_eq!(Client::refused(endpoint, Credentials::Header(&new)).await?, 401, "the header");
        let mut late = Client::connect(endpoint, Credentials::Query(&new)).await?;
        let connection = late.ping().await?;
        row_is_of(scene, text(&connection, "/connectionId")?, "u-1", 9000).await?;
        early.ping().await.context("whoever was connected before stays so")?;
        Ok(())
    })
}

/// The edit is there, and nothing else.
fn reaches_aws(before: &Snapshot, after: &Snapshot) -> Result<()> {
    let throttling = "Some((Some(50.0), Some(20)))".to_owned();
    let mut expected = BTreeMap::from([("stage live: throttling".to_owned(), throttling)]);
    let authorizer = after.get("authorizer authorizer: settings").cloned().unwrap_or_default();
    ensure!(authorizer.contains("route.request.querystring.authorization"), "the token's source: {authorizer}");
    expected.insert("authorizer authorizer: settings".to_owned(), authorizer);
    for function in ["authorizer", "routes", "pusher", "watchdog"] {
        expected.insert(format!("function {function}: memory"), "Some(192)".to_owned());
        expected.insert(format!("log group {function}: retention"), "Some(7)".to_owned());
    }
    for (setting, part) in [
        ("function authorizer: environment", r#""SUMU_PRINCIPAL_CLAIM": "uid""#),
        ("function routes: environment", r#""SUMU_CONNECTION_TTL_SECONDS": "9000""#),
        ("function pusher: environment", r#""SUMU_MAX_CONCURRENCY": "3""#),
        ("function pusher: environment", r#""SUMU_MAX_RATE": "77""#),
        ("function pusher: event sources", "Some(3)"),
    ] {
        let value = after.get(setting).cloned().unwrap_or_default();
        ensure!(value.contains(part), "{setting} lacks {part}: {value}");
        expected.insert(setting.to_owned(), value);
    }
    for queue in snapshot::QUEUES {
        let setting = format!("queue {queue}: tags");
        let value = after.get(&setting).cloned().unwrap_or_default();
        ensure!(value.contains(r#""team": "chat""#), "{setting}: {value}");
        expected.insert(setting, value);
    }
    let changed = snapshot::differences(before, after).into_iter().map(|name| {
        let value = after.get(&name).cloned().unwrap_or_default();
        (name, value)
    });
    ensure_eq!(changed.collect::<BTreeMap<_, _>>(), expected, "what the edit has changed");
    Ok(())
}

async fn row_is_of(scene: &Scene, connection: &str, user: &str, lives_seconds: u64) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let found = client.scan().table_name(scene.text("/connectionsTable/name")?).send().await?;
    let row = found
        .items()
        .iter()
        .find(|row| row.get("connection_id").and_then(|id| id.as_s().ok()).is_some_and(|id| id == connection))
        .with_context(|| format!("no row of {connection}"))?;
    let number = |name: &str| -> Result<u64> {
        Ok(row.get(name).and_then(|value| value.as_n().ok()).with_context(|| format!("no {name}"))?.parse()?)
    };
    ensure_eq!(row.get("user_id").and_then(|id| id.as_s().ok()).map(String::as_str), Some(user), "the user");
    ensure_eq!(number("delete_at")? - number("connected_at")? / 1000, lives_seconds, "how long the row lives");
    Ok(())
}

/// The id of the deployment that the stage serves.
async fn deployment(scene: &Scene, sdk: &SdkConfig) -> Result<String> {
    let client = aws_sdk_apigatewayv2::Client::new(sdk);
    let stage = client.get_stage().api_id(scene.text("/apiId")?).stage_name("live").send().await?;
    stage.deployment_id.context("the stage serves nothing")
}

pub async fn becomes(sdk: &SdkConfig, prefix: &str, expected: &Snapshot) -> Result<()> {
    poll::eventually(SETTLED_WITHIN, "everything to be put right", async || {
        let now = snapshot::take(sdk, prefix).await?;
        let mut wrong = snapshot::differences(expected, &now);
        for name in &mut wrong {
            let (want, have) = (expected.get(name.as_str()), now.get(name.as_str()));
            *name = format!("{name} is {have:?}, not {want:?}");
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
    .await
}

/// A message goes all the way out and a push all the way in, and presence is told.
async fn everything_works(scene: &Scene) -> Result<()> {
    let mut alice = scene.connect("alice").await?;
    alice.ping().await?;
    let backend = scene.backend()?;
    let mut inbox = backend.inbox(scene.text("/messages/queueUrl")?);
    inbox.take("ONLINE", |event| event.attribute("source") == Some("lambda.presence.watchdog")).await?;
    alice.ask(&json!({"action": "send", "message": "hello"})).await?;
    inbox.take("hello", |message| message.body == r#""hello""#).await?;
    let published = alice.ask(&json!({"action": "publish", "message": "hello"})).await?;
    ensure_eq!(published["type"], json!("accepted"), "{published}");
    backend.publish(scene.text("/notifications/topicArn")?, r#"{"users":["alice"],"data":1}"#).await?;
    ensure_eq!(alice.next_text().await?, "1", "the push through SNS");
    backend.send(scene.text("/notifications/queueUrl")?, r#"{"data":2}"#).await?;
    ensure_eq!(alice.next_text().await?, "2", "the push through SQS");
    Ok(())
}
