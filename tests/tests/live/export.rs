//! The `ConfigMap` with a stack's addresses: made, kept, renamed and removed, and never somebody else's.

use serde_json::{Value, json};
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::scene::{Scene, scene};

/// A `ConfigMap` of the scene's namespace; nothing when there is none.
async fn config_map(scene: &Scene, name: &str) -> Result<Option<Value>> {
    let wanted = ["--output=json", "--ignore-not-found", "--show-managed-fields"];
    let shown = kubectl(scene, &[&["get", "configmap", name][..], &wanted].concat(), "").await?;
    Ok(if shown.is_empty() { None } else { Some(serde_json::from_str(&shown)?) })
}

/// Waits until the `ConfigMap` says what the status says.
async fn until_written(scene: &Scene, name: &str) -> Result<Value> {
    eventually(PATIENCE, &format!("ConfigMap {name} to have the addresses"), async || {
        let found = config_map(scene, name).await?.context("it is not there")?;
        for (key, pointer) in [
            ("SUMU_ENDPOINT", "/endpoint"),
            ("SUMU_MANAGEMENT_ENDPOINT", "/managementEndpoint"),
            ("SUMU_REGION", "/aws/region"),
            ("NOTIFICATIONS_TOPIC_ARN", "/notifications/topicArn"),
            ("NOTIFICATIONS_QUEUE_URL", "/notifications/queueUrl"),
            ("NOTIFICATIONS_DEAD_LETTER_QUEUE_URL", "/notifications/deadLetterQueueUrl"),
            ("MESSAGES_TOPIC_ARN", "/messages/topicArn"),
            ("MESSAGES_QUEUE_URL", "/messages/queueUrl"),
            ("MESSAGES_DEAD_LETTER_QUEUE_URL", "/messages/deadLetterQueueUrl"),
            ("CONNECTIONS_TABLE", "/connectionsTable/name"),
            ("PRESENCE_TABLE", "/presenceTable/name"),
        ] {
            ensure_eq!(found["data"][key], json!(scene.text(pointer)?), "{key}");
        }
        let owner = &found["metadata"]["ownerReferences"][0];
        ensure_eq!(owner["uid"], scene.stack.object().await?["metadata"]["uid"], "the owner");
        Ok(found)
    })
    .await
}

async fn until_gone(scene: &Scene, name: &str) -> Result<()> {
    eventually(PATIENCE, &format!("ConfigMap {name} to be gone"), async || {
        ensure!(config_map(scene, name).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

/// Waits until the operator has told that of the `ConfigMap`.
async fn until_told(scene: &Scene, status: &str, reason: &str) -> Result<Value> {
    scene
        .until(&format!("Exported to be {status}, {reason}"), |object| {
            let exported = condition(object, "Exported").context("no condition Exported")?;
            ensure!(exported["status"] == status && exported["reason"] == reason, "{exported}");
            Ok(())
        })
        .await
}

async fn kubectl(scene: &Scene, arguments: &[&str], input: &str) -> Result<String> {
    let arguments = [arguments, &["--namespace", &scene.namespace]].concat();
    scene.testbed.kubernetes().kubectl_ok(&arguments, input).await
}

#[test]
fn a_config_map_has_the_addresses_and_comes_back_when_it_is_touched_without_a_call_to_aws() -> Result<()> {
    scene("export").spec(json!({"export": {"configMapName": "addresses"}})).play(async |scene| {
        let found = until_written(scene, "addresses").await?;
        ensure_eq!(found["data"].as_object().map(serde_json::Map::len), Some(11), "the number of addresses");
        until_told(scene, "True", "Settled").await?;
        let passes = scene.passes("live")?.len();

        kubectl(scene, &["delete", "configmap", "addresses"], "").await?;
        until_written(scene, "addresses").await?;

        let edit =
            r#"{"data": {"MESSAGES_QUEUE_URL": "wrong", "EXTRA": "theirs"}, "metadata": {"ownerReferences": null}}"#;
        kubectl(scene, &["patch", "configmap", "addresses", "--type=merge", "--patch", edit], "").await?;
        let found = until_written(scene, "addresses").await?;
        ensure_eq!(found["data"]["EXTRA"], json!("theirs"), "what somebody has added");
        let managers: Vec<&str> = found["metadata"]["managedFields"]
            .as_array()
            .map_or(&[] as &[Value], Vec::as_slice)
            .iter()
            .filter(|entry| entry["operation"] == "Apply")
            .filter_map(|entry| entry["manager"].as_str())
            .collect();
        ensure_eq!(managers, ["sumu-operator"], "who has applied it");
        ensure_eq!(scene.passes("live")?.len(), passes, "passes over the stack");

        // A copy that somebody makes is theirs, whatever it says of itself.
        let mut copy = found;
        copy["metadata"] = json!({
            "name": "copy",
            "labels": copy["metadata"]["labels"],
            "ownerReferences": copy["metadata"]["ownerReferences"],
        });
        kubectl(scene, &["apply", "--filename=-"], &copy.to_string()).await?;
        scene.edit(json!({"export": {"configMapName": "renamed"}})).await?;
        until_written(scene, "renamed").await?;
        until_gone(scene, "addresses").await?;
        scene.edit(json!({"export": null})).await?;
        until_gone(scene, "renamed").await?;
        ensure!(config_map(scene, "copy").await?.is_some(), "the copy is gone");
        let object = scene.stack.object().await?;
        ensure!(condition(&object, "Exported").is_none(), "still told: {}", object["status"]["conditions"]);
        Ok(())
    })
}

#[test]
fn a_config_map_of_somebody_else_is_named_and_never_touched_and_aws_goes_on() -> Result<()> {
    scene("foreign-export").spec(json!({"export": {"configMapName": "taken"}})).play_from_the_start(async |scene| {
        kubectl(scene, &["create", "configmap", "taken", "--from-literal=SUMU_ENDPOINT=theirs"], "").await?;
        let theirs = config_map(scene, "taken").await?.context("it is not there")?;
        scene.apply().await?;
        until_told(scene, "False", "OwnershipConflict").await?;
        // The addresses are known, and refused, before everything else is in place.
        let is_all_that_lacks = |object: &Value| {
            for part in ["Connections", "Notifications", "Messages", "Functions", "Gateway"] {
                ensure_eq!(condition(object, part).context("no part")?["status"], json!("True"), "{part}");
            }
            let ready = condition(object, "Ready").context("no condition Ready")?;
            ensure_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("OwnershipConflict")), "Ready");
            let message = ready["message"].as_str().unwrap_or_default();
            ensure!(message.contains("ConfigMap taken") && message.contains("spec.export"), "{message:?}");
            Ok(())
        };
        let object = scene.until("everything but the export to be in place", is_all_that_lacks).await?;
        ensure!(object["status"]["endpoint"].is_string(), "clients connect all the same");
        let after = config_map(scene, "taken").await?.context("it is gone")?;
        ensure_eq!(after["metadata"]["resourceVersion"], theirs["metadata"]["resourceVersion"], "its version");

        kubectl(scene, &["delete", "configmap", "taken"], "").await?;
        scene.ready().await?;
        until_written(scene, "taken").await?;
        Ok(())
    })
}
