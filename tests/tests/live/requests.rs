//! A person asks for a look at once.

use serde_json::json;
use sumu_tests::{Context, Result, ensure_eq, eventually, stack::SETTLED_WITHIN};

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
