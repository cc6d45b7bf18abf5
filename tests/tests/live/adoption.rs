//! A stack outlives its object: another one adopts it, as in a cluster that was made anew.

use serde_json::{Value, json};
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::{self, SETTLED_WITHIN, Stack, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::explain::{NOTHING, ensure_says, plan, plan_of};
use crate::scene::{Scene, ensure_complete, scene, text};

/// Takes the object away as a lost cluster does, without a word to AWS. Returns its UID.
async fn lose(scene: &mut Scene) -> Result<String> {
    let uid = text(&scene.stack.object().await?, "/metadata/uid")?.to_owned();
    scene.stop_operator()?;
    scene.stack.patch(&json!({"metadata": {"finalizers": null}})).await?;
    scene.stack.delete().await?;
    scene.stack.gone().await?;
    Ok(uid)
}

/// The owner of the `ConfigMap` with the addresses, and the label that tells it.
async fn owner_of_addresses(scene: &Scene) -> Result<[Value; 2]> {
    let arguments = ["get", "configmap", "addresses", "--output=json", "--namespace", &scene.namespace];
    let found: Value = serde_json::from_str(&scene.testbed.kubernetes().kubectl_ok(&arguments, "").await?)?;
    let owners = found["metadata"]["ownerReferences"].as_array().context("no owner")?;
    ensure_eq!(owners.len(), 1, "the owners");
    Ok([owners[0]["uid"].clone(), found["metadata"]["labels"]["sumu.live/owner"].clone()])
}

#[test]
fn a_stack_whose_object_is_gone_is_adopted_by_another_and_clients_notice_nothing() -> Result<()> {
    scene("adopt").spec(json!({"export": {"configMapName": "addresses"}})).play(async |scene| {
        let mut alice = scene.connect("alice").await?;
        let (before, inventory) = (scene.status.clone(), scene.inventory().await?.to_string());
        let uid = lose(scene).await?;

        scene.change(&json!({"adoption": {"uid": uid}, "resyncSeconds": 3600}));
        let told = plan_of(scene, &[], &scene.manifest().clone()).await?;
        ensure_says(&told, &["live, which adopts a stack that is there, in account"])?;
        ensure!(told.code == Some(0) && told.stdout.ends_with(NOTHING), "{told:#?}");

        let calls = scene.testbed.aws().gateway().seen(scene.key()).len();
        scene.start_operator()?;
        scene.apply().await?;
        scene.ready().await?;
        let object = scene.stack.object().await?;
        ensure!(object["metadata"]["uid"] != uid, "it is the same object");
        for pointer in ["/endpoint", "/apiId", "/messages/queueUrl", "/notifications/topicArn", "/connectionsTable"] {
            ensure_eq!(scene.status.pointer(pointer), before.pointer(pointer), "{pointer}");
        }
        let seen = scene.testbed.aws().gateway().seen(scene.key()).split_off(calls);
        let writes: Vec<_> = seen.iter().filter(|call| !call.is_read).map(|call| &call.operation).collect();
        ensure!(writes.is_empty() && !seen.is_empty(), "the new operator has called {writes:?}");
        ensure_eq!(scene.inventory().await?.to_string(), inventory, "what is in AWS");
        let pong = alice.ask(&json!({"action": "ping"})).await?;
        ensure_eq!(pong["type"], json!("pong"), "the answer to a ping");

        let own = object["metadata"]["uid"].clone();
        eventually(PATIENCE, "the addresses to be the new object's", async || {
            ensure_eq!(owner_of_addresses(scene).await?, [own.clone(), own.clone()], "whose they are");
            Ok(())
        })
        .await?;
        let settled = scene.passes("live")?.into_iter().rfind(|pass| pass.settled).context("no settled pass")?;
        let next = settled.line["next_ms"].as_u64().context("no next pass")?;
        ensure!((3_240_000..=3_960_000).contains(&next), "spec.resyncSeconds is 3600, and the next look in {next} ms");

        // It is kept as any other: an edit reaches AWS, and the end of the story deletes everything.
        scene.edit(json!({"functions": {"memoryMiB": 384}})).await?;
        ensure_complete(&scene.inventory().await?)?;
        let pong = alice.ask(&json!({"action": "ping"})).await?;
        ensure_eq!(pong["type"], json!("pong"), "the answer to a ping after an edit");
        alice.close().await?;
        Ok(())
    })
}

/// Waits until an object is refused in these words.
async fn until_refused(stack: &Stack, words: &str) -> Result<()> {
    eventually(SETTLED_WITHIN, &format!("it to be refused with {words:?}"), async || {
        let object = stack.object().await?;
        let ready = condition(&object, "Ready").context("no condition Ready")?;
        ensure_eq!(ready["reason"], json!("InvalidSpec"), "{ready}");
        ensure!(text(ready, "/message")?.contains(words), "{ready}");
        ensure!(object["metadata"]["finalizers"].is_null(), "it is held back");
        Ok(())
    })
    .await
}

#[test]
fn a_stack_that_another_object_has_or_that_is_not_there_is_not_adopted() -> Result<()> {
    scene("claim").play(async |scene| {
        let inventory = scene.inventory().await?.to_string();
        let uid = text(&scene.stack.object().await?, "/metadata/uid")?.to_owned();
        let adopting = |name: &str, uid: &str| {
            let mut manifest = stack::manifest(scene.testbed, &scene.namespace, name);
            manifest["spec"]["adoption"] = json!({"uid": uid, "name": "live"});
            manifest
        };
        let has_it = format!("SumuStack {}/live is in this cluster and has that UID", scene.namespace);
        let rival = adopting("rival", &uid);
        let told = plan(scene, &["--filename", "-"], &rival).await?;
        ensure_eq!(told.code, Some(1), "the exit code of {told:#?}");
        ensure_says(&told, &[&has_it])?;

        let rival = Stack::apply(scene.testbed, &rival).await?;
        until_refused(&rival, &has_it).await?;
        let lost = "00000000-1111-4222-8333-444444444444";
        let lost = Stack::apply(scene.testbed, &adopting("lost", lost)).await?;
        until_refused(&lost, "has nothing of it under the stack's names").await?;
        for refused in [rival, lost] {
            refused.delete().await?;
            refused.gone().await?;
        }
        ensure_eq!(scene.inventory().await?.to_string(), inventory, "what is in AWS");
        scene.connect("alice").await?.close().await?;
        scene.ready().await.map(drop)
    })
}
