//! A person asks for a look at once.

use futures::FutureExt as _;
use serde_json::json;
use sumu_tests::kubernetes::proxy::{Proxy, Write};
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Context, Result, ensure_eq, eventually};

use crate::faults::common::settled;
use crate::faults::whole::ask_for_a_look;
use crate::scene::{names_begin, scene};

#[test]
fn a_look_that_is_asked_for_comes_at_once_and_sees_what_is_otherwise_read_once_an_hour() -> Result<()> {
    scene("asked").spec(json!({"tags": {"team": "chat"}})).play(async |scene| {
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let name = format!("{}-pushes", names_begin(&scene.status)?);
        let queue = sqs.get_queue_url().queue_name(name).send().await?.queue_url.context("no URL")?;
        sqs.tag_queue().queue_url(&queue).tags("team", "somebody-else").send().await?;

        // Any change of the object brings a look; only this one looks at everything.
        let requested = "2026-05-01T12:00:00Z";
        let annotations = json!({"sumu.live/reconcile-requested-at": requested});
        scene.stack.patch(&json!({"metadata": {"annotations": annotations}})).await?;
        scene
            .until("the request to be handled", |object| {
                ensure_eq!(object["status"]["lastHandledReconcileAt"], requested, "what was handled");
                Ok(())
            })
            .await?;
        eventually(SETTLED_WITHIN, "the tag to be put right", async || {
            let tags = sqs.list_queue_tags().queue_url(&queue).send().await?.tags.unwrap_or_default();
            ensure_eq!(tags.get("team").map(String::as_str), Some("chat"), "the tag");
            Ok(())
        })
        .await?;
        scene.ready().await?;
        Ok(())
    })
}

/// The status is then written to an object that has the change, of which the pass knows nothing.
#[test]
fn a_change_or_a_deletion_that_comes_while_a_status_is_written_is_not_overlooked() -> Result<()> {
    scene("meanwhile").play(async |scene| {
        let proxy = Proxy::start(scene.testbed.kubernetes(), &scene.namespace).await?;
        scene.operate_with(proxy.kubeconfig())?;
        settled(scene).await?;
        let held = proxy.hold_back(1, Some(Write::Status));
        ask_for_a_look(scene).await?;
        within(PATIENCE, "a status to be written", held.hold().reached().map(Ok)).await?;
        scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": 384}}})).await?;
        held.hold().release();
        scene.ready().await?;

        let held = proxy.hold_back(1, Some(Write::Status));
        ask_for_a_look(scene).await?;
        within(PATIENCE, "a status to be written", held.hold().reached().map(Ok)).await?;
        scene.stack.delete().await?;
        held.hold().release();
        scene.stack.gone().await?;
        // Until here the operator needs the proxy.
        scene.stop_operator()
    })
}
