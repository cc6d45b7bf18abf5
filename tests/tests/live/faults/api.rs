//! API Gateway refuses writes that come too close together, and fails to deploy.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, When};
use sumu_tests::{Result, ensure, ensure_eq};

use super::common::{calls, count, inject, is_whole, says, seen};
use crate::scene::scene;

const BUSY: &str = "Unable to complete operation due to concurrent modification. Please try again later.";
const FAILED: &str = "Deployment attempt failed: Internal failure, please try again";

/// What is refused twice in a row, on the way up and on the way down.
const WRITES: [&str; 6] =
    ["CreateAuthorizer", "CreateRoute", "CreateRouteResponse", "CreateDeployment", "CreateStage", "DeleteApi"];

/// How many writes are refused that come close after another.
const REFUSED: u64 = 8;

#[test]
#[ignore = "slow: make test-faults"]
fn an_api_that_is_being_changed_is_changed_later_and_writes_never_meet() -> Result<()> {
    scene("concurrent").play_from_the_start(async |scene| {
        let fault = |operation| {
            let refused = Act::refuse(409, "ConflictException", BUSY);
            inject(scene, Fault::of(calls(Service::ApiGateway, operation), refused).when(When::Calls(1, 2)))
        };
        let injected = WRITES.map(fault);
        scene.apply().await?;
        says(scene, "Gateway", "Busy", &["ConflictException", BUSY]).await?;
        scene.ready().await?;
        is_whole(scene).await?;
        scene.delete().await?;
        for (operation, injected) in WRITES.into_iter().zip(injected) {
            ensure_eq!(injected.hits(), 2, "refusals of {operation}");
        }
        // The gateway itself refuses two at once, and it was never asked for that.
        let calls = scene.testbed.aws().gateway().seen(scene.key());
        let conflicts = calls.iter().filter(|seen| seen.service == Service::ApiGateway && seen.status == 409).count();
        ensure_eq!(conflicts, 2 * WRITES.len(), "writes refused as concurrent");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn writes_that_come_a_fifth_of_a_second_after_another_are_refused_for_a_while_and_made_later() -> Result<()> {
    scene("close").play_from_the_start(async |scene| {
        let writes = Calls::WritesOf(Service::ApiGateway);
        let refused = Fault::of(writes, Act::refuse(409, "ConflictException", BUSY)).when(When::Calls(1, REFUSED));
        let refused = inject(scene, refused.after(writes, Duration::from_millis(200)));
        scene.apply().await?;
        says(scene, "Gateway", "Busy", &["ConflictException", BUSY]).await?;
        scene.ready().await?;
        ensure_eq!(refused.hits(), REFUSED, "writes that came too soon");
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_deployment_that_fails_is_told_removed_and_tried_again() -> Result<()> {
    scene("undeployed").play_from_the_start(async |scene| {
        let first = Arc::new(OnceLock::new());
        let failed = Act::rewrite(move |body| {
            for item in body["items"].as_array_mut().into_iter().flatten() {
                let id = item["deploymentId"].as_str().unwrap_or_default().to_owned();
                if first.get_or_init(|| id.clone()) == &id {
                    item["deploymentStatus"] = "FAILED".into();
                    item["deploymentStatusMessage"] = FAILED.into();
                }
            }
        });
        let failed = inject(scene, Fault::of(calls(Service::ApiGateway, "GetDeployments"), failed));
        scene.apply().await?;
        says(scene, "Gateway", "Failed", &["deployment", FAILED]).await?;
        ensure_eq!((count(scene, "CreateDeployment"), count(scene, "CreateStage")), (1, 0), "deployments and stages");
        scene.ready().await?;
        ensure!(failed.hits() >= 2, "{} looks at a failed deployment", failed.hits());
        let gateway = scene.testbed.aws().gateway();
        let made = seen(gateway, scene, "CreateDeployment");
        ensure_eq!((made.len(), count(scene, "DeleteDeployment")), (2, 1), "deployments made and deleted");
        let pause = made[1].at.duration_since(made[0].at).as_secs();
        ensure!(pause >= 30, "it was tried again after {pause} s");
        is_whole(scene).await
    })
}
