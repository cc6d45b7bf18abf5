//! Operators that are not the one a stack was made for: one that works in another region, one older than the CRD.

use serde_json::json;
use sumu_tests::stack::{self, Stack, condition};
use sumu_tests::{Context as _, Result, ensure, ensure_eq};

use crate::scene::scene;

#[test]
fn an_operator_that_works_in_another_region_leaves_a_stack_alone_and_never_lets_it_go() -> Result<()> {
    scene("elsewhere").play(async |scene| {
        let before = scene.inventory().await?;
        scene.stop_operator()?;
        scene.start_operator_with(&["--region", "eu-central-1"])?;
        let says_so = |object: &serde_json::Value| {
            let ready = condition(object, "Ready").context("no condition")?;
            ensure_eq!(ready["reason"], json!("InvalidSpec"), "the reason");
            let message = ready["message"].as_str().unwrap_or_default();
            ensure!(message.contains("in us-east-1, but the operator now works in"), "it says {message}");
            Ok(())
        };
        scene.until("the operator to see that it is elsewhere", says_so).await?;
        ensure_eq!(scene.inventory().await?.to_string(), before.to_string(), "what is in AWS");

        scene.stack.delete().await?;
        scene
            .until("the object to be kept while nobody deletes its resources", |object| {
                ensure!(object["metadata"]["deletionTimestamp"].is_string(), "it is not being deleted");
                ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "the generation");
                says_so(object)
            })
            .await?;
        ensure_eq!(scene.inventory().await?.to_string(), before.to_string(), "what is in AWS");

        scene.stop_operator()?;
        scene.start_operator()?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

#[test]
fn an_object_that_only_a_newer_operator_understands_stops_no_other() -> Result<()> {
    scene("newer").play_from_the_start(async |scene| {
        // As the CRD of a later version might: one more place for presence events.
        let places =
            "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/presence/properties/source/enum/-";
        let pigeon = json!([{"op": "add", "path": places, "value": "CarrierPigeon"}]).to_string();
        let kubernetes = scene.testbed.kubernetes();
        kubernetes.kubectl_ok(&["patch", "crd", "sumustacks.sumu.live", "--type=json", "--patch", &pigeon], "").await?;

        let mut newer = stack::manifest(scene.testbed, &scene.namespace, "newer");
        newer["spec"]["presence"] = json!({"source": "CarrierPigeon"});
        let newer = Stack::apply(scene.testbed, &newer).await?;
        scene.apply().await?;
        scene.ready().await?;
        let object = newer.object().await?;
        let ready = condition(&object, "Ready").context("no condition")?;
        ensure_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("InvalidSpec")), "the condition");
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(message.contains("does not understand") && message.contains("CarrierPigeon"), "it says {message}");
        newer.delete().await?;
        newer.gone().await
    })
}
