//! The events of a stack's life, as `kubectl events` shows them.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene};

/// Every event of the scene's namespace: reason and type, how often, and the note.
pub async fn events(scene: &Scene) -> Result<Vec<(String, u64, String)>> {
    let arguments = ["get", "events.events.k8s.io", "--namespace", &scene.namespace, "--output=json"];
    let answer: Value = serde_json::from_str(&scene.testbed.kubernetes().kubectl_ok(&arguments, "").await?)?;
    let items = answer["items"].as_array().context("no list of events")?;
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    Ok(items
        .iter()
        .map(|event| {
            let count = event["series"]["count"].as_u64().unwrap_or(1);
            (format!("{} {}", text(event, "type"), text(event, "reason")), count, text(event, "note"))
        })
        .collect())
}

/// How many events there are of each type and reason.
async fn counts(scene: &Scene) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for (reason, count, _) in events(scene).await? {
        *counts.entry(reason).or_insert(0) += count;
    }
    Ok(counts)
}

fn expected<const N: usize>(events: [(&str, u64); N]) -> BTreeMap<String, u64> {
    events.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect()
}

#[test]
fn the_events_of_a_life_tell_what_has_happened_and_a_settled_stack_makes_none() -> Result<()> {
    scene("events").resync_seconds(1).play(async |scene| {
        let born = expected([("Normal Creating", 1), ("Normal Ready", 1)]);
        scene.more_passes(1).await?;
        ensure_eq!(counts(scene).await?, born, "the events of a new stack");

        // Neither an event nor any other write: the object stays what it was.
        let before = scene.stack.object().await?["metadata"]["resourceVersion"].clone();
        scene.more_passes(3).await?;
        ensure_eq!(counts(scene).await?, born, "the events after settled passes");
        ensure_eq!(scene.stack.object().await?["metadata"]["resourceVersion"], before, "the object's version");

        let queue = scene.text("/messages/queueUrl")?.to_owned();
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let timeout = QueueAttributeName::VisibilityTimeout;
        sqs.set_queue_attributes().queue_url(&queue).attributes(timeout, "7").send().await?;
        let repaired = expected([("Normal Creating", 1), ("Normal DriftFound", 1), ("Normal Ready", 2)]);
        sumu_tests::eventually(sumu_tests::stack::SETTLED_WITHIN, "the drift to be told", async || {
            ensure_eq!(counts(scene).await?, repaired, "the events of drift");
            Ok(())
        })
        .await?;
        let all = events(scene).await?;
        let (_, _, note) = all.iter().find(|(reason, ..)| reason == "Normal DriftFound").context("no drift")?;
        ensure!(note.contains("changing queue messages attributes VisibilityTimeout"), "it says {note}");

        scene.stack.patch(&json!({"spec": {"pusher": {"maxConcurrency": 3}}})).await?;
        scene.ready().await?;
        scene.stack.delete().await?;
        scene.stack.gone().await?;
        let life = expected([
            ("Normal Creating", 1),
            ("Normal Deleted", 1),
            ("Normal Deleting", 1),
            ("Normal DriftFound", 1),
            ("Normal Ready", 3),
            ("Normal Updating", 1),
        ]);
        // The last one is written after the object is let go.
        sumu_tests::eventually(sumu_tests::stack::SETTLED_WITHIN, "the last event", async || {
            ensure_eq!(counts(scene).await?, life, "the events of a life");
            Ok(())
        })
        .await
    })
}

#[test]
fn what_blocks_a_stack_is_a_warning_and_said_once() -> Result<()> {
    scene("blocked").resync_seconds(1).play(async |scene| {
        let queue = scene.text("/messages/queueUrl")?.to_owned();
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let tag = |owner: String| sqs.tag_queue().queue_url(&queue).tags("sumu.live/owner", owner).send();
        let tags = sqs.list_queue_tags().queue_url(&queue).send().await?;
        let owner = tags.tags().and_then(|tags| tags.get("sumu.live/owner")).context("no owner")?.clone();
        tag("somebody-else".to_owned()).await?;
        let warned = async |scene: &Scene| {
            let all = events(scene).await?;
            let warnings = all.iter().filter(|(reason, ..)| reason.starts_with("Warning"));
            Ok::<_, sumu_tests::Error>(warnings.cloned().collect::<Vec<_>>())
        };
        let conflict = sumu_tests::eventually(sumu_tests::stack::SETTLED_WITHIN, "the warning", async || {
            warned(scene).await?.pop().context("no warning")
        })
        .await?;
        ensure_eq!((conflict.0.as_str(), conflict.1), ("Warning OwnershipConflict", 1), "the warning");
        ensure!(conflict.2.contains("delete or rename it"), "it says {}", conflict.2);
        tag(owner).await?;
        // Looks as often as a stack that waits for a person: anybody's touch brings the next look.
        scene.stack.patch(&json!({"metadata": {"labels": {"touched": "yes"}}})).await?;
        scene
            .until("the stack to be Ready again", |object| {
                let ready = sumu_tests::stack::condition(object, "Ready").context("no condition")?;
                ensure_eq!(ready["status"], "True", "Ready");
                Ok(())
            })
            .await?;
        ensure_eq!(warned(scene).await?, [conflict], "the warnings in the end");
        Ok(())
    })
}
