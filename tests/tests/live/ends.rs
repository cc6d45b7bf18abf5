//! How a stack ends that is not just deleted: retained, or deleted once nobody uses it.

use std::collections::BTreeMap;

use serde_json::json;
use sumu_tests::account::sweep;
use sumu_tests::stack::{Stack, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::permissions::{FOR_RETAINING, limit, needed_for_the_end};
use crate::scene::{Scene, ensure_complete, scene, text};
use crate::tags::{Tags, all_tags};

/// Fails unless everything has the user's tag, and everything or nothing has ours.
fn ensure_tagged(all: &BTreeMap<String, Tags>, is_ours: bool) -> Result<()> {
    ensure_eq!(all.len(), 3 * 4 + 3 + 2 + 7 + 2 + 2, "the number of tagged things: {all:#?}");
    for (what, tags) in all {
        ensure_eq!(tags.get("team").map(String::as_str), Some("chat"), "the user's tag of {what}");
        for key in ["sumu.live/owner", "sumu.live/stack", "sumu.live/tags"] {
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

/// The calls so far that changed something.
fn writes(scene: &Scene) -> usize {
    scene.testbed.aws().gateway().seen(scene.key()).iter().filter(|seen| !seen.is_read).count()
}

#[test]
fn a_stack_that_is_only_watched_is_neither_changed_nor_taken_along() -> Result<()> {
    scene("watched").resync_seconds(1).play(async |scene| {
        scene.stack.patch(&json!({"spec": {"suspend": true, "deletionPolicy": "Retain"}})).await?;
        let suspended = |object: &serde_json::Value, words: &str| {
            let suspended = condition(object, "Suspended").context("no condition Suspended")?;
            ensure_eq!(suspended["status"], json!("True"), "{suspended}");
            ensure!(text(suspended, "/message")?.contains(words), "no {words:?} in {suspended}");
            Ok(())
        };
        scene.until("the stack to be suspended", |object| suspended(object, "")).await?;
        let before = (scene.inventory().await?.to_string(), writes(scene));
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let function = &scene.text("/functions/routes/arn")?.to_owned();
        lambda.update_function_configuration().function_name(function).memory_size(512).send().await?;
        scene.until("the change to be told", |object| suspended(object, "routes")).await?;
        scene.more_passes(2).await?;
        ensure_eq!(writes(scene), before.1, "calls that changed something");

        scene.stack.delete().await?;
        scene.stack.gone().await?;
        let found = lambda.get_function_configuration().function_name(function).send().await?;
        ensure_eq!(found.memory_size(), Some(512), "the memory that somebody has set");
        ensure_eq!(scene.inventory().await?.to_string(), before.0, "what is in AWS");
        sweep::sweep(&scene.sdk().await, &scene.prefix()).await?;
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
