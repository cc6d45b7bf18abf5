//! The tags of `spec.tags` on everything that a stack has in AWS.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sumu_tests::{Result, ensure, ensure_eq};

use crate::scene::{Scene, names_begin, scene};

const FUNCTIONS: [&str; 4] = ["authorizer", "routes", "pusher", "watchdog"];
const TABLES: [&str; 2] = ["connections", "presence"];
const TOPICS: [&str; 2] = ["notifications", "messages"];

pub type Tags = BTreeMap<String, String>;

fn tags(found: Option<HashMap<String, String>>) -> Tags {
    found.unwrap_or_default().into_iter().collect()
}

/// The tags of everything that the stack of this status has, as each service lists them.
pub async fn all_tags(scene: &Scene) -> Result<BTreeMap<String, Tags>> {
    let sdk = scene.sdk().await;
    let prefix = names_begin(&scene.status)?;
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

#[test]
fn a_tag_that_leaves_the_spec_leaves_everything_that_had_it_and_nobody_elses_tag_is_touched() -> Result<()> {
    scene("tags").spec(json!({"tags": {"team": "chat", "stage": "test"}})).play(async |scene| {
        let before = all_tags(scene).await?;
        for (what, tags) in &before {
            ensure!(tags.get("stage").is_some_and(|value| value == "test"), "{what} has {tags:?}");
        }
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let url = scene.text("/messages/queueUrl")?.to_owned();
        sqs.tag_queue().queue_url(&url).tags("cost-center", "42").send().await?;

        scene.edit(json!({"tags": {"stage": null, "color": "blue"}})).await?;
        let after = all_tags(scene).await?;
        ensure_eq!(after.len(), before.len(), "the number of tagged things");
        for (what, tags) in &after {
            let has = |key: &str| tags.get(key).map(String::as_str);
            ensure_eq!((has("team"), has("stage"), has("color")), (Some("chat"), None, Some("blue")), "tags of {what}");
        }
        let theirs = after[&format!("queue {url}")].get("cost-center").map(String::as_str);
        ensure_eq!(theirs, Some("42"), "somebody else's tag");
        Ok(())
    })
}
