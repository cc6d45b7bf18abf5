//! How a stack ends that is not just deleted: retained, or deleted once nobody uses it.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sumu_tests::account::sweep;
use sumu_tests::stack::{Stack, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::permissions::{FOR_RETAINING, limit, needed_for_the_end};
use crate::scene::{Scene, ensure_complete, scene, text};

const FUNCTIONS: [&str; 4] = ["authorizer", "routes", "pusher", "watchdog"];
const TABLES: [&str; 2] = ["connections", "presence"];
const TOPICS: [&str; 2] = ["notifications", "messages"];

type Tags = BTreeMap<String, String>;

fn tags(found: Option<HashMap<String, String>>) -> Tags {
    found.unwrap_or_default().into_iter().collect()
}

/// The tags of everything that the stack of this status has, as each service lists them.
async fn all_tags(scene: &Scene) -> Result<BTreeMap<String, Tags>> {
    let sdk = scene.sdk().await;
    let prefix = crate::scene::names_begin(&scene.status)?;
    let account = scene.text("/aws/accountId")?;
    let region = scene.text("/aws/region")?;
    let mut all = BTreeMap::new();
    let lambda = aws_sdk_lambda::Client::new(&sdk);
    let iam = aws_sdk_iam::Client::new(&sdk);
    let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
    for function in FUNCTIONS {
        let name = format!("{prefix}-{function}");
        let found = lambda.list_tags().resource(scene.text(&format!("/functions/{function}/arn"))?).send().await?;
        all.insert(format!("function {function}"), tags(found.tags));
        let found = iam.list_role_tags().role_name(&name).send().await?;
        let found = found.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        all.insert(format!("role {function}"), found);
        let arn = format!("arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{name}");
        all.insert(
            format!("log group {function}"),
            tags(logs.list_tags_for_resource().resource_arn(arn).send().await?.tags),
        );
        for source in lambda.list_event_source_mappings().function_name(&name).send().await?.event_source_mappings() {
            let uuid = source.uuid().unwrap_or_default();
            let arn = format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{uuid}");
            let found = lambda.list_tags().resource(arn).send().await?;
            all.insert(format!("event source {uuid}"), tags(found.tags));
        }
    }
    let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
    for table in TABLES {
        let arn = scene.text(&format!("/{table}Table/arn"))?;
        let found = dynamodb.list_tags_of_resource().resource_arn(arn).send().await?;
        let found = found.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        all.insert(format!("table {table}"), found);
    }
    let sqs = aws_sdk_sqs::Client::new(&sdk);
    for url in sqs.list_queues().queue_name_prefix(prefix).send().await?.queue_urls() {
        all.insert(format!("queue {url}"), tags(sqs.list_queue_tags().queue_url(url).send().await?.tags));
    }
    let sns = aws_sdk_sns::Client::new(&sdk);
    for topic in TOPICS {
        let found =
            sns.list_tags_for_resource().resource_arn(scene.text(&format!("/{topic}/topicArn"))?).send().await?;
        let found = found.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        all.insert(format!("topic {topic}"), found);
    }
    let gateway = aws_sdk_apigatewayv2::Client::new(&sdk);
    let api = format!("arn:aws:apigateway:{region}::/apis/{}", scene.text("/apiId")?);
    for (what, arn) in [("stage", format!("{api}/stages/live")), ("api", api)] {
        all.insert(what.to_owned(), tags(gateway.get_tags().resource_arn(arn).send().await?.tags));
    }
    Ok(all)
}

/// Fails unless everything has the user's tag, and everything or nothing has ours.
fn ensure_tagged(all: &BTreeMap<String, Tags>, is_ours: bool) -> Result<()> {
    ensure_eq!(all.len(), 3 * 4 + 3 + 2 + 7 + 2 + 2, "the number of tagged things: {all:#?}");
    for (what, tags) in all {
        ensure_eq!(tags.get("team").map(String::as_str), Some("chat"), "the user's tag of {what}");
        for key in ["sumu.live/owner", "sumu.live/stack"] {
            ensure_eq!(tags.contains_key(key), is_ours, "whether {what} has {key}");
        }
    }
    Ok(())
}

#[test]
fn a_retained_stack_goes_on_working_without_our_tags_and_a_new_one_of_its_name_is_another() -> Result<()> {
    scene("retained").spec(json!({"deletionPolicy": "Retain", "tags": {"team": "chat"}})).play(async |scene| {
        ensure_tagged(&all_tags(scene).await?, true)?;
        let before = scene.inventory().await?;
        let mut alice = scene.connect("alice").await?;
        limit(scene)?;
        scene.stack.delete().await?;
        scene.stack.gone().await?;
        ensure_eq!(needed_for_the_end(scene).len(), FOR_RETAINING, "rights that it needed");
        ensure_tagged(&all_tags(scene).await?, false)?;
        ensure_eq!(scene.inventory().await?.to_string(), before.to_string(), "what is in AWS");
        let pong = alice.ask(&json!({"action": "ping"})).await?;
        ensure_eq!(pong["type"], json!("pong"), "the answer to a ping");

        // Names have the object's UID in them: the new one meets nothing of the old one.
        let retained = scene.status.clone();
        scene.change(&json!({"deletionPolicy": "Delete"}));
        scene.apply().await?;
        scene.ready().await?;
        ensure!(scene.text("/apiId")? != text(&retained, "/apiId")?, "it has taken the old API");
        scene.stack.delete().await?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure_complete(&left)?;
        ensure_eq!(left.to_string(), before.to_string(), "what is in AWS once the new one is deleted");
        alice.close().await?;

        sweep::sweep(&scene.sdk().await, &scene.prefix()).await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

/// Waits until the deletion waits for all of these and none of those.
async fn until_blocked(scene: &Scene, by: &[&str], not_by: &[&str]) -> Result<()> {
    scene
        .until(&format!("the deletion to wait for {by:?}"), |object| {
            let ready = condition(object, "Ready").context("no condition Ready")?;
            ensure_eq!(ready["reason"], json!("InUse"), "{ready}");
            let message = text(ready, "/message")?;
            ensure!(message.contains("spec.deletion.whenInUse"), "{message:?} tells no remedy");
            ensure!(by.iter().all(|what| message.contains(what)), "{message:?} does not name {by:?}");
            ensure!(!not_by.iter().any(|what| message.contains(what)), "{message:?} names one of {not_by:?}");
            Ok(())
        })
        .await
        .map(drop)
}

#[test]
fn a_stack_that_waits_while_it_is_in_use_names_what_blocks_and_goes_on_working() -> Result<()> {
    let spec = json!({"deletion": {"whenInUse": "Wait"}, "presence": {"source": "Stream"}});
    scene("in-use").spec(spec).play(async |scene| {
        let mut alice = scene.connect("alice").await?;
        alice.ask(&json!({"action": "send", "message": "hello"})).await?;
        let before = scene.inventory().await?;
        limit(scene)?;
        scene.stack.delete().await?;
        until_blocked(scene, &["connections: 1 live", "queue messages: 1 message"], &["queue notifications"]).await?;
        let pong = alice.ask(&json!({"action": "ping"})).await?;
        ensure_eq!(pong["type"], json!("pong"), "the answer to a ping");
        ensure_eq!(scene.inventory().await?.to_string(), before.to_string(), "what is in AWS");

        alice.close().await?;
        until_blocked(scene, &["queue messages: 1 message"], &["connections"]).await?;
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        sqs.purge_queue().queue_url(scene.text("/messages/queueUrl")?).send().await?;
        scene.stack.gone().await?;
        ensure_eq!(needed_for_the_end(scene), ["dynamodb:Scan"], "rights that it needed");
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

#[test]
fn whoever_does_not_want_to_wait_any_longer_says_so_while_the_object_is_deleted() -> Result<()> {
    scene("in-haste").spec(json!({"deletion": {"whenInUse": "Wait"}})).play(async |scene| {
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let queue = scene.text("/messages/queueUrl")?;
        sqs.send_message().queue_url(queue).message_body("left over").send().await?;
        let stack: Stack = scene.stack.clone();
        stack.delete().await?;
        until_blocked(scene, &["queue messages: 1 message"], &["connections"]).await?;
        stack.patch(&json!({"spec": {"deletion": {"whenInUse": "Delete"}}})).await?;
        stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}
