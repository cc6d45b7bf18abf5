//! One operator, and stacks in several regions.

use serde_json::json;
use sumu_tests::aws::{Inventory, REGION};
use sumu_tests::gateway::Pace;
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Result, ensure, ensure_eq};

use crate::faults::common::behind;
use crate::scene::{ensure_complete, names_begin, scene, text};

const ELSEWHERE: &str = "eu-central-1";

/// Fails unless nothing is there but what an account has for all regions.
fn ensure_absent(inventory: &Inventory) -> Result<()> {
    let kinds: Vec<&str> = inventory.counts().into_keys().collect();
    ensure_eq!(kinds, ["role", "role policy"], "what is there in the other region:\n{inventory}");
    Ok(())
}

#[test]
fn one_operator_keeps_stacks_in_two_regions_each_with_everything_in_its_own() -> Result<()> {
    scene("regions").play_from_the_start(async |scene| {
        // What AWS does by itself with streams and queues is done in one region only, so nothing is held back for it.
        let gateway = behind(scene, Pace::QUICK, &[]).await?;
        scene.apply().await?;
        let mut manifest = stack::manifest(scene.testbed, &scene.namespace, "far");
        manifest["spec"]["aws"] = json!({"region": ELSEWHERE});
        let far = Stack::apply(scene.testbed, &manifest).await?;
        scene.ready().await?;
        let status = far.ready().await?;
        ensure_eq!(scene.text("/aws/region")?, REGION, "the region of a stack that names none");
        ensure_eq!(text(&status, "/aws/region")?, ELSEWHERE, "the region of the other");
        for arn in ["/messages/queueArn", "/notifications/topicArn", "/connectionsTable/arn", "/functions/pusher/arn"] {
            ensure!(text(&status, arn)?.contains(&format!(":{ELSEWHERE}:")), "{arn} is {}", text(&status, arn)?);
        }

        let aws = scene.testbed.aws();
        let (near, far_away) = (names_begin(&scene.status)?.to_owned(), names_begin(&status)?.to_owned());
        ensure_complete(&aws.inventory_in(REGION, &near).await?)?;
        ensure_complete(&aws.inventory_in(ELSEWHERE, &far_away).await?)?;
        ensure_absent(&aws.inventory_in(ELSEWHERE, &near).await?)?;
        ensure_absent(&aws.inventory_in(REGION, &far_away).await?)?;

        far.delete().await?;
        far.gone().await?;
        let left = aws.inventory_in(ELSEWHERE, &scene.prefix()).await?;
        ensure_absent(&left)?;
        scene.delete().await?;
        let left = aws.inventory_in(ELSEWHERE, &scene.prefix()).await?;
        ensure!(left.is_empty(), "left in {ELSEWHERE}:\n{left}");
        ensure!(!gateway.seen(scene.key()).is_empty(), "nothing has passed");
        Ok(())
    })
}
